//! The setting `gateway.listeners`: TCP listeners with one fixed destination each.

use super::settings::GatewayListener;
use customs_engine::host::Authority;
use customs_engine::settings::Listener;

/// The listeners as the engine takes them; what is wrong is told as a sentence each.
pub fn resolve(listeners: &[GatewayListener], wrong: &mut Vec<String>) -> Vec<Listener> {
    for (at, one) in listeners.iter().enumerate() {
        if one.port == 0 || one.target_port == Some(0) {
            wrong.push(format!(
                "gateway.listeners: `{}` has the port 0, which no connection has",
                one.host
            ));
        }
        // One that stands twice would hide one of its destinations.
        if listeners
            .iter()
            .take(at)
            .any(|other| other.port == one.port)
        {
            wrong.push(format!(
                "gateway.listeners: the port {} stands twice; keep one of the two",
                one.port
            ));
        }
    }
    listeners
        .iter()
        .filter_map(|one| listener(one, wrong))
        .collect()
}

fn listener(listener: &GatewayListener, wrong: &mut Vec<String>) -> Option<Listener> {
    let GatewayListener {
        port,
        host,
        target_port,
    } = listener;
    match Authority::parse(host) {
        Ok(Authority { host, port: None }) => Some(Listener {
            port: *port,
            host: host.into_owned(),
            target_port: *target_port,
        }),
        Ok(_) => {
            wrong.push(format!(
                "gateway.listeners: `{host}` has a port; write it as `target_port`"
            ));
            None
        }
        Err(why) => {
            wrong.push(format!("gateway.listeners: `{host}`: {why}"));
            None
        }
    }
}
