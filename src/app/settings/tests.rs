//! The defaults resolve, and everything that is wrong is reported at once.

use super::gateway::GatewayListener;
use super::*;
use customs_engine::identity::TrustDomains;
use customs_engine::settings as engine;
use customs_net::ConnectionLimits;
use std::time::Duration;

#[test]
fn the_defaults_resolve() {
    let resolved = Settings::default().resolve().unwrap();
    assert_eq!(resolved.engine, engine::Settings::default());
    assert_eq!(resolved.reload_settle, Duration::from_millis(250));
    assert_eq!(resolved.drain_delay, Duration::from_secs(2));
    assert_eq!(resolved.connections, ConnectionLimits::default());
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let listener = |port, host: &str| GatewayListener {
        port,
        host: host.into(),
        target_port: Some(0),
    };
    let settings = Settings {
        listen: vec!["127.0.0.1:1".into(), "9191".into()],
        admin: "unix:".into(),
        audit: vec!["off".into(), "stdout".into()],
        trust_domains: vec![String::new(), "spiffe://X".into()],
        accept_trust_domains: vec!["any".into(), "Y".into()],
        root_namespace: "Root".into(),
        reload_settle: "5".into(),
        reload_rescan: "0".into(),
        drain_delay: "-1s".into(),
        policies: vec![PolicyPath::Plain("a".into()), PolicyPath::Plain("a".into())],
        cluster_domains: vec!["Cluster.local".into()],
        metadata: vec!["verdict".into(), "x".into()],
        gateway: Gateway {
            hosts: vec!["gw.example:443".into()],
            listeners: vec![listener(1, "a b"), listener(1, "b:2")],
            name: Some("n".into()),
            ..Gateway::default()
        },
        ..Settings::default()
    };
    let wrong = settings.resolve().unwrap_err();
    let found: Vec<String> = wrong.errors().iter().map(ToString::to_string).collect();
    for (path, message) in [
        ("listen[1]", "`9191`: expected `HOST:PORT`"),
        (
            "admin",
            "`unix:`: expected `HOST:PORT`, `unix:PATH` or `off`",
        ),
        ("audit[0]", "`off`: `off` must be alone"),
        ("trust_domains[1]", "`spiffe://X`: expected a trust domain"),
        ("accept_trust_domains[1]", "`Y`: expected a trust domain"),
        ("root_namespace", "`Root`: expected a DNS label"),
        ("reload_settle", "`5`: expected a duration such as"),
        ("reload_rescan", "`0`: expected a duration above zero"),
        ("drain_delay", "`-1s`: expected a duration such as"),
        ("policies[1]", "`a`: the directory is named twice"),
        ("cluster_domains[0]", "`Cluster.local`: expected a domain"),
        (
            "gateway.hosts[0]",
            "`gw.example:443`: expected a host without a port",
        ),
        (
            "gateway.listeners[0].host",
            "`a b`: the host has a character",
        ),
        (
            "gateway.listeners[0].target_port",
            "`0`: expected 1 to 65535",
        ),
        (
            "gateway.listeners[1].port",
            "`1`: gateway.listeners[0] has this port",
        ),
        (
            "gateway.listeners[1].target_port",
            "`0`: expected 1 to 65535",
        ),
        (
            "gateway.listeners[1].host",
            "`b:2`: expected a host without a port; write",
        ),
    ] {
        let start = format!("invalid {path} {message}");
        assert!(
            found.iter().any(|one| one.starts_with(&start)),
            "{start}: {found:#?}"
        );
    }
    for start in [
        "invalid metadata: unknown field `x`: expected `none` alone",
        "invalid gateway: `labels`, `name` and `service_entries` need `namespace`",
    ] {
        assert!(
            found.iter().any(|one| one.starts_with(start)),
            "{start}: {found:#?}"
        );
    }
    assert_eq!(found.len(), 19, "{found:#?}");
}

#[test]
fn a_host_of_a_service_entry_is_reported_with_its_entry() {
    let hosts = vec!["api.psp.example".into(), "a b".into()];
    let gateway = Gateway {
        namespace: Some("Egress".into()),
        service_entries: [("psp".to_owned(), hosts)].into(),
        ..Gateway::default()
    };
    let settings = Settings {
        gateway,
        ..Settings::default()
    };
    assert_eq!(
        settings.resolve().unwrap_err().to_string(),
        "invalid gateway.namespace `Egress`: expected a DNS label such as `istio-system`\n\
         invalid gateway.service_entries.psp[1] `a b`: expected a name, `*.suffix` or an IP address"
    );
}

#[test]
fn an_error_has_its_cause_as_its_source() {
    use std::error::Error;
    let settings = Settings {
        drain_delay: "soon".into(),
        ..Settings::default()
    };
    let wrong = settings.resolve().unwrap_err();
    let problem = wrong.errors()[0].source().unwrap();
    assert_eq!(
        problem.to_string(),
        "expected a duration such as `250ms`, `5s` or `1m`"
    );
    assert!(problem.source().is_some(), "what the parser says");
}

#[test]
fn an_empty_trust_domain_means_the_default() {
    let settings = Settings {
        trust_domains: vec![String::new()],
        ..Settings::default()
    };
    assert_eq!(
        settings.resolve().unwrap().engine.trust_domains,
        TrustDomains::default()
    );
}
