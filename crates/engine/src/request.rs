//! One request, in two types: [`Attributes`] are what Envoy sent, uninterpreted. A [`Request`] is
//! what a decision may depend on, normalised, and nothing else. [`Attributes::normalise`] is the
//! only way from the first to the second.
//!
//! Identity, host and path are taken from the attributes that the gateway itself established and
//! never from forwarded headers (rule R9). A request that cannot be read still becomes a `Request`:
//! it carries the finding, and the first stage of the decision denies it (rules R2, R10, R11).

use std::borrow::Cow;
use std::net::IpAddr;

use super::header_table::HeaderMatchesCell;
use super::header_values;
use super::host::{self, Authority, Host};
use super::http::NO_HEADERS;
pub use super::http::{Headers, Http, last_value};
use super::identity::{InvalidIdentity, Principal};
use super::pattern::Port;
use super::reason::Reason;
use super::settings::{IdentitySource, Settings};

/// The header in which a proxy reports whose certificate it saw.
pub const CLIENT_CERTIFICATE: &str = "x-forwarded-client-cert";

/// Returns the header in which a gateway names the caller, if the settings take the identity from a
/// header.
pub fn identity_header(principal: &str, settings: &Settings) -> Option<(String, String)> {
    let is_read = settings.identity_source == IdentitySource::Xfcc && !principal.is_empty();
    is_read.then(|| (CLIENT_CERTIFICATE.to_owned(), format!("URI={principal}")))
}

/// The attributes of a check as Envoy sent them. Empty text is absent, as in protobuf.
#[derive(Clone, Debug, Default)]
pub struct Attributes<'a> {
    /// `source.principal`
    pub source_principal: &'a str,
    /// `source.address`, if it is an IP address: the connection's peer.
    pub source_address: Option<IpAddr>,
    /// `destination.principal`: the gateway's own identity.
    pub destination_principal: &'a str,
    /// `destination.address`, if it is an IP address: the gateway's listener.
    pub destination_address: Option<IpAddr>,
    /// The port of `destination.address`: the gateway's listener port.
    pub listener_port: Option<u16>,
    /// Whether any address was sent, of whatever kind.
    pub has_address: bool,
    /// `destination.service`: on TCP, the SNI.
    pub service: &'a str,
    /// `tls_session.sni`; `None` if there is no `tls_session` at all.
    pub tls_sni: Option<&'a str>,
    /// `request.http`; `None` on TCP.
    pub http: Option<HttpAttributes<'a>>,
}

/// Returns the client's address behind `hops` trusted proxies (rule R13): of all `x-forwarded-for`
/// values joined, the (hops+1)-th from the right, including the one that the gateway itself
/// appended. `None` if there are too few or it is not an address.
fn forwarded_for(headers: &dyn Headers, hops: u32) -> Option<IpAddr> {
    let mut joined = String::new();
    headers.visit("x-forwarded-for", &mut |value| {
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(&value);
    });
    joined
        .rsplit(',')
        .nth(usize::try_from(hops).ok()?)
        .map(header_values::trim_blanks)?
        .parse()
        .ok()
}

/// The HTTP part of [`Attributes`].
#[derive(Clone, Copy, Debug)]
pub struct HttpAttributes<'a> {
    /// `:method`, as sent.
    pub method: &'a str,
    /// `:path` with its query, as sent.
    pub path: &'a str,
    /// `:authority`, as sent.
    pub host: &'a str,
    /// `:scheme`, as sent: what the client claims.
    pub scheme: &'a str,
    /// The headers, pseudo-headers included.
    pub headers: &'a dyn Headers,
    /// Envoy's own stream id, for the record only.
    pub stream_id: &'a str,
    /// `HTTP/1.1` and so on, for the record only.
    pub protocol: &'a str,
}

impl Default for HttpAttributes<'_> {
    fn default() -> Self {
        HttpAttributes {
            method: "",
            path: "",
            host: "",
            scheme: "",
            headers: NO_HEADERS,
            stream_id: "",
            protocol: "",
        }
    }
}

/// A request as the engine evaluates it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The caller, before its trust domain is checked.
    pub principal: Principal<'a>,
    /// The connection's peer.
    pub source_address: Option<IpAddr>,
    /// The client behind the declared trusted proxies (rule R13); `None` if none were declared.
    pub remote_address: Option<IpAddr>,
    /// The gateway's listener address.
    pub destination_address: Option<IpAddr>,
    /// The gateway's listener port.
    pub listener_port: Option<u16>,
    /// The session's SNI, as conditions see it.
    pub sni: Sni<'a>,
    /// The destination of the request.
    pub destination: Destination<'a>,
    /// What only HTTP has.
    pub http: Option<Http<'a>>,
    /// What request validation found, if anything.
    pub finding: Option<Reason>,
    /// Which patterns of the policies in force the headers match, worked out once. No decision
    /// depends on when.
    pub header_matches: HeaderMatchesCell,
}

/// The destination of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination<'a> {
    /// The host, as far as it is known.
    pub host: DestinationHost<'a>,
    /// The port, as far as it is known.
    pub port: Port,
    /// The authority as sent; `None` on TCP.
    pub raw_authority: Option<&'a str>,
}

/// How much is known of the destination's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationHost<'a> {
    /// A canonical host.
    Known(Host<'a>),
    /// A TCP connection that names no host.
    Unnamed,
    /// A TCP connection whose SNI is the mesh's wrapper of the gateway's own name, or of another
    /// name of the mesh: it says how the connection arrived, not where it goes (rule R10).
    MeshWrapper,
    /// A value is present but cannot be trusted to be a host. A finding of request validation says
    /// what.
    Unreadable,
}

/// What is known of the session's SNI (rules R10, R11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sni<'a> {
    /// No attribute carries it.
    Unknown,
    /// The client sent no SNI.
    None,
    /// On TCP, a wrapper that says how the connection arrived, not where it goes.
    MeshWrapper {
        /// As sent.
        raw: &'a str,
    },
    /// The client sent an SNI.
    Known {
        /// As sent.
        raw: &'a str,
        /// Its canonical host, if it can be read.
        canonical: Option<Host<'a>>,
        /// The canonical host inside the mesh's wrapper, if it can be read.
        unwrapped: Option<Host<'a>>,
    },
}

impl<'a> Http<'a> {
    fn of(http: &HttpAttributes<'a>) -> Http<'a> {
        let HttpAttributes {
            method,
            path,
            host: authority,
            scheme,
            headers,
            stream_id: _,
            protocol: _,
        } = *http;
        Http {
            method,
            path,
            authority,
            scheme,
            headers,
        }
    }
}

impl<'a> Attributes<'a> {
    /// Normalises what was sent, by the settings that say how to read this gateway's checks.
    pub fn normalise(&'a self, settings: &Settings) -> Request<'a> {
        let (destination, finding) = match &self.http {
            Some(http) => self.http_destination(http, settings),
            None => self.tcp_destination(settings),
        };
        Request {
            principal: self.principal(settings.identity_source),
            source_address: self.source_address,
            remote_address: settings
                .trusted_hops
                .and_then(|hops| self.remote_address(hops)),
            destination_address: self.destination_address,
            listener_port: self.listener_port,
            sni: self.sni(&destination.host, settings),
            destination,
            http: self.http.map(|http| Http::of(&http)),
            finding,
            header_matches: HeaderMatchesCell::default(),
        }
    }

    fn remote_address(&self, hops: u32) -> Option<IpAddr> {
        let forwarded = self.http.and_then(|http| forwarded_for(http.headers, hops));
        forwarded.or(self.source_address)
    }

    /// Returns what is known of the SNI. On TCP an absent SNI is unknown. On HTTP it is unknown if
    /// the check carries no session, and otherwise known to be absent.
    fn sni(&'a self, destination: &DestinationHost<'_>, settings: &Settings) -> Sni<'a> {
        let raw = match (self.http, self.tls_sni) {
            (Some(_), None) => return Sni::Unknown,
            (Some(_), Some("")) => return Sni::None,
            (Some(_), Some(sni)) => sni,
            (None, _) if *destination == DestinationHost::Unreadable => return Sni::Unknown,
            (None, _) if !self.service.is_empty() => self.service,
            (None, sni) => match sni.unwrap_or_default() {
                "" => return Sni::Unknown,
                sni => sni,
            },
        };
        let canonical = Authority::parse(raw).ok().map(|read| read.host);
        let unwrapped = match host::is_wrapped(raw) {
            true => host::parse_server_name(raw).ok().map(|read| read.host),
            false => canonical.clone(),
        };
        let of_mesh = |host: &Host<'_>| {
            self.http.is_none() && host::is_wrapped(raw) && settings.names_the_mesh(host)
        };
        match unwrapped {
            Some(host) if of_mesh(&host) => Sni::MeshWrapper { raw },
            unwrapped => Sni::Known {
                raw,
                canonical,
                unwrapped,
            },
        }
    }

    fn principal(&self, source: IdentitySource) -> Principal<'a> {
        let Some(http) = self.http else {
            return match source {
                IdentitySource::Principal => Principal::parse(self.source_principal),
                IdentitySource::Xfcc => Principal::Absent,
            };
        };
        match source {
            IdentitySource::Principal => {
                let header = last_value(http.headers, CLIENT_CERTIFICATE);
                Principal::parse(self.source_principal)
                    .tightened(self.source_principal, header.as_deref())
            }
            IdentitySource::Xfcc => {
                let (mut count, mut only) = (0, None);
                http.headers.visit(CLIENT_CERTIFICATE, &mut |value| {
                    count += 1;
                    only = Some(value);
                });
                match (count, only) {
                    (0, _) => Principal::Absent,
                    (1, Some(Cow::Borrowed(header))) => {
                        Principal::from_xfcc(header, self.source_principal)
                    }
                    // Several headers are several elements; bytes that are not text had to be
                    // replaced.
                    _ => Principal::Invalid(InvalidIdentity::XfccUnreadable),
                }
            }
        }
    }

    fn tcp_destination(&'a self, settings: &Settings) -> (Destination<'a>, Option<Reason>) {
        let unreadable = |reason| {
            (
                Destination::tcp(DestinationHost::Unreadable, Port::Unknown),
                Some(reason),
            )
        };
        if !self.has_address {
            return unreadable(Reason::EmptyRequest);
        }
        let mut named: Option<Authority<'a>> = None;
        let mut is_wrapped = false;
        for sni in [self.service, self.tls_sni.unwrap_or_default()]
            .into_iter()
            .filter(|sni| !sni.is_empty())
        {
            let Ok(read) = host::parse_server_name(sni) else {
                return unreadable(Reason::MalformedSni);
            };
            is_wrapped |= host::is_wrapped(sni);
            match &mut named {
                None => named = Some(read),
                Some(first) if !first.host.is_same(&read.host) => {
                    // Both must be readable before they can contradict each other.
                    return unreadable(Reason::ContradictoryAttributes);
                }
                Some(first) => first.port = first.port.or(read.port),
            }
        }
        let declared = settings
            .listeners
            .iter()
            .find(|l| Some(l.port) == self.listener_port);
        let (host, port) = match (declared, named) {
            (Some(listener), _) => (
                DestinationHost::Known(listener.host.clone()),
                listener.target_port,
            ),
            // The wrapper's port is the gateway's own, too.
            (None, Some(read)) if is_wrapped && settings.names_the_mesh(&read.host) => {
                (DestinationHost::MeshWrapper, None)
            }
            (None, Some(Authority { host, port })) => (DestinationHost::Known(host), port),
            (None, None) => (DestinationHost::Unnamed, None),
        };
        (
            Destination::tcp(host, port.map_or(Port::Unknown, Port::Known)),
            None,
        )
    }

    fn http_destination(
        &self,
        http: &'a HttpAttributes<'a>,
        settings: &Settings,
    ) -> (Destination<'a>, Option<Reason>) {
        let unreadable = |reason| {
            let destination = Destination {
                host: DestinationHost::Unreadable,
                port: Port::Unknown,
                raw_authority: Some(http.host),
            };
            (destination, Some(reason))
        };
        let Ok(Authority { host, port }) = Authority::parse(http.host) else {
            return unreadable(Reason::MalformedHost);
        };
        let mut contradicted = false;
        // To a proxy, `host` is another name for the authority, so a check must hold the same value
        // under both names.
        for name in [header_values::AUTHORITY, "host"] {
            http.headers.visit(name, &mut |authority| {
                contradicted |= authority != http.host
            });
        }
        if contradicted {
            return unreadable(Reason::ContradictoryAttributes);
        }
        // If the match is required, the SNI must be present and be the host: a session without an
        // SNI shows no match.
        let sni_matches = || sni_is(self.tls_sni.unwrap_or_default(), &host, settings);
        let finding =
            (settings.require_sni_host_match && !sni_matches()).then_some(Reason::SniHostMismatch);
        let port = port.map_or(Port::Absent(self.listener_port), Port::Known);
        (
            Destination {
                host: DestinationHost::Known(host),
                port,
                raw_authority: Some(http.host),
            },
            finding,
        )
    }
}

impl<'a> Destination<'a> {
    fn tcp(host: DestinationHost<'a>, port: Port) -> Self {
        Destination {
            host,
            port,
            raw_authority: None,
        }
    }
}

/// Returns whether an SNI is the host. A wrapper of a name of the mesh is not: it says how the
/// connection arrived.
fn sni_is(sni: &str, host: &Host<'_>, settings: &Settings) -> bool {
    host::parse_server_name(sni).is_ok_and(|read| {
        read.host.is_same(host) && !(host::is_wrapped(sni) && settings.names_the_mesh(&read.host))
    })
}

#[cfg(test)]
pub(crate) mod tests;
