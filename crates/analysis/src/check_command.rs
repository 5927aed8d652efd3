//! A sample request as people ask it: as a `customs check` command, and as the whole CheckRequest
//! that Envoy would send.
//!
//! The command asks for the same request, attribute by attribute. If no flag can say an attribute
//! (no method, an authority that is not part of a URL), the command reads the whole CheckRequest.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::regions::{SampleHttp, SampleRequest, SampleTarget};
use customs_engine::request::identity_header;
use customs_engine::settings::Settings;

impl SampleRequest {
    /// Returns the command of a shell that asks for the request.
    pub fn command_line(&self, settings: &Settings) -> String {
        match self.flags(settings) {
            Some(flags) => format!("customs check {}", flags.join(" ")),
            None => {
                let request = self.check_request(settings).to_string();
                format!("printf %s {} | customs check --request -", word(&request))
            }
        }
    }

    /// Returns the request as flags of `customs check`, each a word of a shell; `None` if flags
    /// cannot say it.
    pub fn flags(&self, settings: &Settings) -> Option<Vec<String>> {
        // Destructured completely, so that a new attribute must be handled here.
        let SampleRequest {
            principal,
            source_address,
            destination_address,
            listener_port,
            session_sni,
            target,
        } = self;
        if destination_address.is_some() {
            return None;
        }
        let from = self.caller(&settings.trust_domains.own);
        let is_caller = principal.is_empty() || principal.starts_with("spiffe://");
        let mut flags = vec!["--from".to_owned(), word(&from).into_owned()];
        let mut flag = |name: &str, value: &str| {
            flags.extend([name.to_owned(), word(value).into_owned()]);
        };
        match target {
            SampleTarget::Nothing => return None,
            SampleTarget::Tcp(sni) => {
                // A path or a port would be taken for parts of the URL.
                if sni.contains([':', '/']) {
                    return None;
                }
                flag("--to", &format!("tcp://{sni}"));
            }
            SampleTarget::Http(http) => {
                let SampleHttp {
                    method,
                    authority,
                    path,
                    headers,
                } = http;
                let is_path = path.starts_with('/') || (path.is_empty() && method == "CONNECT");
                if method.is_empty() || !is_path || authority.contains(['/', '?', '#']) {
                    return None;
                }
                flag("--to", &format!("http://{authority}{path}"));
                if method != "GET" {
                    flag("--method", method);
                }
                for (name, value) in headers {
                    let is_as_read = name.trim() == name
                        && !name.is_empty()
                        && !name.contains(':')
                        && name.to_ascii_lowercase() == *name
                        && value.trim() == value;
                    if !is_as_read {
                        return None;
                    }
                    flag("--header", &format!("{name}: {value}"));
                }
            }
        }
        if let Some(port) = listener_port {
            flag("--listener-port", &port.to_string());
        }
        if let Some(address) = source_address {
            flag("--source-ip", &address.to_string());
        }
        if let Some(sni) = session_sni {
            flag("--sni", sni);
        }
        is_caller.then_some(flags)
    }

    /// Returns the whole CheckRequest, in the JSON mapping of proto3.
    pub fn check_request(&self, settings: &Settings) -> Value {
        let SampleRequest {
            principal,
            source_address,
            destination_address,
            listener_port,
            session_sni,
            target,
        } = self;
        let mut source = Map::new();
        if !principal.is_empty() {
            source.insert("principal".into(), principal.as_str().into());
        }
        if let Some(address) = source_address {
            source.insert("address".into(), socket(&address.to_string(), None));
        }
        let mut destination = Map::new();
        if *target != SampleTarget::Nothing {
            let address = match (destination_address, listener_port) {
                // An address that says neither where nor on which port.
                (None, None) => json!({"pipe": {"path": "@"}}),
                (address, port) => {
                    let address = address.map(|address| address.to_string());
                    socket(&address.unwrap_or_default(), *port)
                }
            };
            destination.insert("address".into(), address);
        }
        let mut attributes = Map::new();
        match target {
            SampleTarget::Http(http) => {
                let own = identity_header(principal, settings);
                let headers: Map<String, Value> = http
                    .headers
                    .iter()
                    .cloned()
                    .chain(own)
                    .map(|(name, value)| (name, value.into()))
                    .collect();
                let mut sent = Map::new();
                for (name, value) in [
                    ("method", &http.method),
                    ("host", &http.authority),
                    ("path", &http.path),
                ] {
                    if !value.is_empty() {
                        sent.insert(name.into(), value.as_str().into());
                    }
                }
                if !headers.is_empty() {
                    sent.insert("headers".into(), headers.into());
                }
                attributes.insert("request".into(), json!({"http": sent}));
            }
            SampleTarget::Tcp(sni) if !sni.is_empty() => {
                destination.insert("service".into(), sni.as_str().into());
            }
            SampleTarget::Tcp(_) | SampleTarget::Nothing => {}
        }
        for (name, peer) in [("source", source), ("destination", destination)] {
            if !peer.is_empty() {
                attributes.insert(name.into(), peer.into());
            }
        }
        if let Some(sni) = session_sni {
            attributes.insert("tlsSession".into(), json!({"sni": sni}));
        }
        let mut check = json!({"attributes": attributes});
        // The order of keys would follow from what else is built.
        check.sort_all_objects();
        check
    }
}

fn socket(address: &str, port: Option<u16>) -> Value {
    let mut socket = Map::from_iter([("address".to_owned(), address.into())]);
    if let Some(port) = port {
        socket.insert("portValue".into(), port.into());
    }
    json!({"socketAddress": socket})
}

/// Writes a text as one word of a shell.
fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(format!("'{}'", text.replace('\'', r"'\''"))),
    }
}

#[cfg(test)]
mod tests;
