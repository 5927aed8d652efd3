//! The request files: which requests are sent against a policy set, and what is odd about each.
//!
//! A file has `requests`, each a mapping whose values may be lists: every combination is sent. A
//! key that is left out has the default of [`Request`]. `trust_domains` and `trusted_hops` are the
//! mesh's; `actions` records the same rules under several actions.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::certificates::Names;

/// A way into the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// HTTP in TLS that ends at the gateway, with or without a client certificate.
    Mesh,
    /// The same on another port.
    Mesh2,
    /// HTTP without TLS.
    Plain,
    /// Bytes in TLS that ends at the gateway.
    Tcp,
    /// TLS that passes through.
    Passthrough,
}

impl Door {
    pub(crate) const ALL: [Door; 5] = [
        Door::Mesh,
        Door::Mesh2,
        Door::Plain,
        Door::Tcp,
        Door::Passthrough,
    ];

    /// Returns the port. The ports are fixed because policies name them, and below the range that
    /// the kernel uses for outgoing connections.
    pub(crate) fn port(self) -> u16 {
        match self {
            Door::Mesh => 15443,
            Door::Mesh2 => 15444,
            Door::Plain => 15080,
            Door::Tcp => 15500,
            Door::Passthrough => 15600,
        }
    }

    pub(crate) fn is_http(self) -> bool {
        matches!(self, Door::Mesh | Door::Mesh2 | Door::Plain)
    }

    pub(crate) fn ends_tls(self) -> bool {
        matches!(self, Door::Mesh | Door::Mesh2 | Door::Tcp)
    }

    fn parse(text: &str) -> Result<Door> {
        Door::ALL
            .into_iter()
            .find(|door| format!("{door:?}").eq_ignore_ascii_case(text))
            .with_context(|| format!("{text:?} is not a door"))
    }
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub caller: String,
    pub host: String,
    pub method: String,
    pub path: String,
    /// `Name: value`, in order.
    pub headers: Vec<String>,
    /// Empty means none.
    pub sni: String,
    pub from: String,
    pub to: String,
    pub door: Door,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            caller: "shop/web".into(),
            host: "api.example".into(),
            method: "GET".into(),
            path: "/".into(),
            headers: Vec::new(),
            sni: "api.example".into(),
            // Not 127.0.0.1, for which Envoy would write its own address into x-forwarded-for.
            from: "127.0.0.3".into(),
            to: "127.0.0.1".into(),
            door: Door::Mesh,
        }
    }
}

/// A request file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    #[serde(default)]
    pub trust_domains: Vec<String>,
    #[serde(default)]
    pub trusted_hops: u32,
    /// Leave `tls_session` out of the check, as istiod does.
    #[serde(default)]
    pub without_tls_session: bool,
    /// Send headers as a list of bytes (`encode_raw_headers`).
    #[serde(default)]
    pub raw_headers: bool,
    /// Replaces `action: ALLOW`; there is one set for each action.
    #[serde(default)]
    pub actions: Vec<String>,
    requests: Vec<Map<String, Value>>,
}

impl Plan {
    /// Returns every request that the file describes.
    pub(crate) fn requests(&self) -> Result<Vec<Request>> {
        let mut all = Vec::new();
        for entry in &self.requests {
            let mut combinations = vec![Request::default()];
            for (key, value) in entry {
                let values = value
                    .as_array()
                    .cloned()
                    .unwrap_or_else(|| vec![value.clone()]);
                ensure!(!values.is_empty(), "{key} has no value");
                let mut next = Vec::new();
                for request in &combinations {
                    for value in &values {
                        let mut request = request.clone();
                        request
                            .set(key, value)
                            .with_context(|| format!("{key}: {value}"))?;
                        next.push(request);
                    }
                }
                combinations = next;
            }
            all.extend(combinations);
        }
        Ok(all)
    }
}

impl Request {
    fn set(&mut self, key: &str, value: &Value) -> Result<()> {
        let text = || {
            value
                .as_str()
                .map(str::to_owned)
                .context("a text is wanted")
        };
        match key {
            "as" => self.caller = text()?,
            "host" => self.host = text()?,
            "method" => self.method = text()?,
            "path" => self.path = text()?,
            "sni" => self.sni = text()?,
            "from" => self.from = text()?,
            "to" => self.to = text()?,
            "door" => self.door = Door::parse(&text()?)?,
            // Several headers of one request are in one text, with `|` between them; an empty text
            // means none.
            "headers" => {
                self.headers = text()?
                    .split('|')
                    .filter(|h| !h.is_empty())
                    .map(str::to_owned)
                    .collect()
            }
            _ => bail!("no such field"),
        }
        Ok(())
    }

    /// Returns what is odd about the request, by the names that the replay knows.
    pub(crate) fn tags(&self, plan: &Plan, own: &[String], policy: &str) -> Vec<&'static str> {
        let mut tags = Vec::new();
        let mut tag = |name, yes: bool| {
            if yes {
                tags.push(name);
            }
        };
        let hidden = matches!(self.door, Door::Plain | Door::Passthrough);
        match Names::parse(&self.caller).filter(|_| !hidden) {
            None => tag("id-none", true),
            Some(Names { uris, dns, subject }) => {
                tag("id-dns", dns.is_some());
                tag("id-subject", subject.is_some());
                tag("id-two-uris", uris.len() > 1);
                let uri = uris.first().map_or("", String::as_str);
                tag(
                    "id-not-spiffe",
                    !uri.is_empty() && !uri.starts_with("spiffe://"),
                );
                let domain = uri
                    .strip_prefix("spiffe://")
                    .and_then(|id| id.split('/').next());
                tag(
                    "id-foreign-td",
                    domain.is_some_and(|domain| !own.iter().any(|td| td == domain)),
                );
            }
        }
        let names_sni = |line: &&str| line.contains("connection.sni");
        let upper = |line: &str| {
            line.split('"')
                .skip(1)
                .step_by(2)
                .any(|v| v.bytes().any(|b| b.is_ascii_uppercase()))
        };
        tag("sni-case", policy.lines().filter(names_sni).any(upper));
        if !self.door.is_http() {
            tag("tcp-host", policy.contains("osts:"));
            return tags;
        }
        let name = self.host.split(':').next().unwrap_or_default();
        tag("host-port", self.host.contains(':'));
        // `host:*` asks Istio for a colon.
        tag(
            "host-any-port",
            !self.host.contains(':') && policy.contains(":*\""),
        );
        tag(
            "sni-wrapped",
            self.sni.starts_with("outbound_") && policy.contains("connection.sni"),
        );
        tag(
            "sni-unknown",
            plan.without_tls_session && policy.contains("connection.sni"),
        );
        tag("host-trailing-dot", name.ends_with('.'));
        tag(
            "host-case",
            self.host.bytes().any(|b| b.is_ascii_uppercase()),
        );
        let path = self.path.split('?').next().unwrap_or_default();
        tag("path-query", self.path.contains('?'));
        tag(
            "path-odd",
            path.contains(['%', ';', '\\']) || path.contains("//") || path.contains("/."),
        );
        let names: Vec<_> = self
            .headers
            .iter()
            .filter_map(|h| h.split(':').next())
            .map(str::to_ascii_lowercase)
            .collect();
        let twice =
            |n: &String| names.iter().filter(|m| *m == n).count() > 1 && n != "x-forwarded-for";
        tag(
            "header-twice",
            names.iter().any(twice)
                || self
                    .headers
                    .iter()
                    .any(|h| h.contains(',') && !h.starts_with("x-forwarded-for")),
        );
        tag(
            "xff-two",
            self.headers
                .iter()
                .any(|h| h.starts_with("x-forwarded-for")),
        );
        tags
    }
}
