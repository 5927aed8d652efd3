//! A request that represents all requests of a cell, in the attributes that Envoy would send.

use std::fmt;
use std::net::IpAddr;

use customs_engine::identity::Principal;
use customs_engine::request::{Attributes, HttpAttributes, Request, identity_header};
use customs_engine::settings::Settings;

/// A sample request. What is left out of it is left out of the check.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SampleRequest {
    /// `source.principal`; empty for a caller without an identity.
    pub principal: String,
    /// The connection's peer.
    pub source_address: Option<IpAddr>,
    /// The gateway's listener address.
    pub destination_address: Option<IpAddr>,
    /// The gateway's listener port.
    pub listener_port: Option<u16>,
    /// `tls_session.sni` of an HTTP session.
    pub session_sni: Option<String>,
    /// What is asked for.
    pub target: SampleTarget,
}

/// What a sample request asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SampleTarget {
    /// An HTTP request.
    Http(SampleHttp),
    /// A TCP connection, with its SNI; empty for none.
    Tcp(String),
    /// A check without an address, which asks for nothing.
    Nothing,
}

/// The attributes that a sample has on HTTP only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SampleHttp {
    /// The method.
    pub method: String,
    /// The authority.
    pub authority: String,
    /// The path, with its query.
    pub path: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
}

impl SampleRequest {
    /// Returns a `GET` of `/` at an authority.
    pub(crate) fn http(principal: &str, authority: impl Into<String>) -> SampleRequest {
        SampleRequest::of(
            principal,
            SampleTarget::Http(SampleHttp {
                method: "GET".into(),
                authority: authority.into(),
                path: "/".into(),
                headers: Vec::new(),
            }),
        )
    }

    /// Returns a TCP connection with an SNI.
    pub(crate) fn tcp(principal: &str, sni: impl Into<String>) -> SampleRequest {
        SampleRequest::of(principal, SampleTarget::Tcp(sni.into()))
    }

    /// Returns a request for a target.
    pub(crate) fn of(principal: &str, target: SampleTarget) -> SampleRequest {
        SampleRequest {
            principal: principal.to_owned(),
            source_address: None,
            destination_address: None,
            listener_port: None,
            session_sni: None,
            target,
        }
    }

    /// Returns the attributes of HTTP.
    pub(crate) fn http_mut(&mut self) -> Option<&mut SampleHttp> {
        match &mut self.target {
            SampleTarget::Http(http) => Some(http),
            SampleTarget::Tcp(_) | SampleTarget::Nothing => None,
        }
    }

    /// Returns whether it is an HTTP request.
    pub(crate) fn is_http(&self) -> bool {
        matches!(self.target, SampleTarget::Http(_))
    }

    /// Passes the request to `to` as a server would evaluate it.
    pub fn with<T>(&self, settings: &Settings, to: impl FnOnce(&Request<'_>) -> T) -> T {
        let attributes = Attributes {
            source_principal: &self.principal,
            source_address: self.source_address,
            destination_address: self.destination_address,
            listener_port: self.listener_port,
            has_address: self.target != SampleTarget::Nothing,
            tls_sni: self.session_sni.as_deref(),
            ..Attributes::default()
        };
        match &self.target {
            SampleTarget::Http(http) => {
                let mut headers = http.headers.clone();
                headers.extend(identity_header(&self.principal, settings));
                let sent = HttpAttributes {
                    method: &http.method,
                    path: &http.path,
                    host: &http.authority,
                    headers: &headers,
                    ..HttpAttributes::default()
                };
                let attributes = Attributes {
                    http: Some(sent),
                    ..attributes
                };
                to(&attributes.normalise(settings))
            }
            SampleTarget::Tcp(sni) => {
                let attributes = Attributes {
                    service: sni,
                    ..attributes
                };
                to(&attributes.normalise(settings))
            }
            SampleTarget::Nothing => to(&attributes.normalise(settings)),
        }
    }

    /// Formats the caller as `customs check --from` reads it: an account of the own trust domain is
    /// written without the domain.
    pub fn caller(&self, own: &str) -> String {
        match Principal::parse(&self.principal) {
            Principal::Workload(id) if id.trust_domain == own => {
                format!("{}/{}", id.namespace, id.service_account)
            }
            Principal::Absent => "unauthenticated".into(),
            Principal::Workload(_) | Principal::Invalid(_) => self.principal.clone(),
        }
    }
}

/// Formats the destination as `customs check --to` reads it, with the method first unless it is
/// GET. Other attributes follow in parentheses.
impl fmt::Display for SampleRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut more: Vec<String> = Vec::new();
        match &self.target {
            SampleTarget::Http(http) => {
                match http.method.as_str() {
                    "GET" => {}
                    "" => more.push("no method".into()),
                    method => write!(f, "{method} ")?,
                }
                write!(f, "http://{}{}", http.authority, http.path)?;
                if http.path.is_empty() {
                    more.push("no path".into());
                }
                more.extend(http.headers.iter().map(|(name, value)| shown(name, value)));
            }
            SampleTarget::Tcp(sni) if sni.is_empty() => {
                f.write_str("a TCP connection without SNI")?;
            }
            SampleTarget::Tcp(sni) => write!(f, "tcp://{sni}")?,
            SampleTarget::Nothing => f.write_str("a check without an address")?,
        }
        let sni = self.session_sni.as_deref().map(|sni| match sni {
            "" => "no SNI".to_owned(),
            sni => format!("SNI {sni}"),
        });
        let from = self.source_address.map(|ip| format!("from {ip}"));
        let to = self.destination_address.map(|ip| format!("gateway {ip}"));
        let port = self
            .listener_port
            .map(|port| format!("listener port {port}"));
        more.extend([port, from, to, sni].into_iter().flatten());
        if more.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", more.join(", "))
        }
    }
}

/// A header, shortened if it is long.
fn shown(name: &str, value: &str) -> String {
    const LONGEST: usize = 80;
    match value.char_indices().nth(LONGEST) {
        Some((at, _)) => {
            let head = value.get(..at).unwrap_or_default();
            format!("{name}: {head}... ({} bytes)", value.len())
        }
        None => format!("{name}: {value}"),
    }
}
