//! One request, in two types: [`Attributes`] are what Envoy sent, nothing interpreted; a [`Request`] is what a decision
//! may depend on, normalised, and nothing else. [`Attributes::normalise`] is the one way from the first to the second.
//!
//! Identity, host and path come from the attributes that the gateway itself established and never from forwarded
//! headers (rule R9). A request that cannot be read still becomes a `Request`: the finding is carried inside it, and
//! the first stage of the decision denies it (rules R2, R10, R11).

use std::borrow::Cow;
use std::net::IpAddr;

use super::host::{self, Authority, Host};
use super::identity::{Invalid, Principal};
use super::pattern::Port;
use super::reason::Reason;
use super::settings::{IdentitySource, Listener, Settings};

/// The header in which a proxy says whose certificate it saw.
pub const CLIENT_CERTIFICATE: &str = "x-forwarded-client-cert";

/// What a gateway sends to say who calls, where the settings have it read from a header.
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

/// The headers of a request, in whatever form they were sent.
pub trait Headers: std::fmt::Debug {
    /// Visits every value of a header, in order. `name` is in lower case; names are compared in any case.
    fn visit<'s>(&'s self, name: &str, each: &mut dyn FnMut(Cow<'s, str>));

    /// Whether repeated headers were joined with commas, so that a value may be several.
    fn are_joined(&self) -> bool {
        true
    }
}

/// Pairs of names and values, in order.
impl Headers for Vec<(String, String)> {
    fn visit<'s>(&'s self, name: &str, each: &mut dyn FnMut(Cow<'s, str>)) {
        self.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).for_each(|(_, value)| each(value.into()));
    }
}

/// No headers at all.
pub const NO_HEADERS: &Vec<(String, String)> = &Vec::new();

/// The last value of a header.
pub fn last_value<'s>(headers: &'s dyn Headers, name: &str) -> Option<Cow<'s, str>> {
    let mut last = None;
    headers.visit(name, &mut |value| last = Some(value));
    last
}

/// The client's address behind `hops` trusted proxies (rule R13): of all `x-forwarded-for` values joined, the
/// (hops+1)-th from the right, the gateway's own append included. `None` if there are too few or it is no address.
fn forwarded_for(headers: &dyn Headers, hops: u32) -> Option<IpAddr> {
    let mut joined = String::new();
    headers.visit("x-forwarded-for", &mut |value| {
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(&value);
    });
    joined.rsplit(',').nth(usize::try_from(hops).ok()?)?.trim().parse().ok()
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
    /// The headers, pseudo-headers included.
    pub headers: &'a dyn Headers,
    /// Envoy's own stream id, for the record only.
    pub stream_id: &'a str,
    /// `HTTP/1.1` and so on, for the record only.
    pub protocol: &'a str,
}

impl Default for HttpAttributes<'_> {
    fn default() -> Self {
        HttpAttributes { method: "", path: "", host: "", headers: NO_HEADERS, stream_id: "", protocol: "" }
    }
}

/// A request as the engine judges it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The caller, before its trust domain is judged.
    pub principal: Principal<'a>,
    /// The connection's peer.
    pub source_address: Option<IpAddr>,
    /// The client behind the declared trusted proxies (rule R13); `None` where none were declared.
    pub remote_address: Option<IpAddr>,
    /// The gateway's listener address.
    pub destination_address: Option<IpAddr>,
    /// The gateway's listener port.
    pub listener_port: Option<u16>,
    /// The session's SNI, as conditions see it.
    pub sni: Sni<'a>,
    /// Where the request wants to go.
    pub destination: Destination<'a>,
    /// What only HTTP has.
    pub http: Option<Http<'a>>,
    /// What the hygiene rules found, if anything.
    pub finding: Option<Reason>,
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
    /// A TCP connection that names none.
    Unnamed,
    /// Something is there that cannot be trusted to be a host; a hygiene finding says what.
    Unreadable,
}

/// What is known of the session's SNI (rules R10, R11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sni<'a> {
    /// Nothing tells it.
    Unknown,
    /// The client sent none.
    None,
    /// The client sent one.
    Known {
        /// As sent.
        raw: &'a str,
        /// Its canonical host, if it can be read.
        canonical: Option<Host<'a>>,
        /// The canonical host inside the mesh's wrapper, if it can be read.
        unwrapped: Option<Host<'a>>,
    },
}

/// The HTTP attributes that rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Http<'a> {
    /// The method, as sent; empty is unknown.
    pub method: &'a str,
    /// The path with its query, as sent; empty is unknown.
    pub path: &'a str,
    /// The headers.
    pub headers: &'a dyn Headers,
}

impl<'a> Attributes<'a> {
    /// Normalises what was sent, by the settings that say how this gateway is to be read.
    pub fn normalise(&'a self, settings: &Settings) -> Request<'a> {
        let (destination, finding) = match &self.http {
            Some(http) => http_destination(http, self.tls_sni, settings.require_sni_host_match),
            None => self.tcp_destination(&settings.listeners),
        };
        Request {
            principal: self.principal(settings.identity_source),
            source_address: self.source_address,
            remote_address: settings.trusted_hops.and_then(|hops| self.remote_address(hops)),
            destination_address: self.destination_address,
            listener_port: self.listener_port,
            sni: self.sni(&destination.host),
            destination,
            http: self.http.map(|http| Http { method: http.method, path: http.path, headers: http.headers }),
            finding,
        }
    }

    fn remote_address(&self, hops: u32) -> Option<IpAddr> {
        let forwarded = self.http.and_then(|http| forwarded_for(http.headers, hops));
        forwarded.or(self.source_address)
    }

    /// On TCP an absent SNI is unknown; on HTTP it is unknown where no session is told, and else known to be none.
    fn sni(&'a self, destination: &DestinationHost<'_>) -> Sni<'a> {
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
        Sni::Known { raw, canonical, unwrapped }
    }

    fn principal(&self, source: IdentitySource) -> Principal<'a> {
        let xfcc = self.http.and_then(|http| last_value(http.headers, CLIENT_CERTIFICATE));
        match (source, xfcc) {
            (IdentitySource::Principal, xfcc) => {
                Principal::parse(self.source_principal).tightened(self.source_principal, xfcc.as_deref())
            }
            (IdentitySource::Xfcc, Some(Cow::Borrowed(header))) => Principal::from_xfcc(Some(header)),
            // Only bytes that are no text had to be replaced, and no identity has such.
            (IdentitySource::Xfcc, Some(Cow::Owned(_))) => Principal::Invalid(Invalid::NotAWorkload),
            (IdentitySource::Xfcc, None) => Principal::from_xfcc(None),
        }
    }

    fn tcp_destination(&'a self, listeners: &[Listener]) -> (Destination<'a>, Option<Reason>) {
        let unreadable = |reason| (Destination::tcp(DestinationHost::Unreadable, Port::Unknown), Some(reason));
        if !self.has_address {
            return unreadable(Reason::EmptyRequest);
        }
        let mut named: Option<Authority<'a>> = None;
        for sni in [self.service, self.tls_sni.unwrap_or_default()].into_iter().filter(|sni| !sni.is_empty()) {
            let Ok(read) = host::parse_server_name(sni) else { return unreadable(Reason::MalformedSni) };
            match &mut named {
                None => named = Some(read),
                Some(first) if first.host != read.host => {
                    // Both must be readable before they can contradict each other.
                    return unreadable(Reason::ContradictoryAttributes);
                }
                Some(first) => first.port = first.port.or(read.port),
            }
        }
        let declared = listeners.iter().find(|l| Some(l.port) == self.listener_port);
        let (host, port) = match (declared, named) {
            (Some(listener), _) => (DestinationHost::Known(listener.host.clone()), listener.target_port),
            (None, Some(Authority { host, port })) => (DestinationHost::Known(host), port),
            (None, None) => (DestinationHost::Unnamed, None),
        };
        (Destination::tcp(host, port.map_or(Port::Unknown, Port::Known)), None)
    }
}

impl<'a> Destination<'a> {
    fn tcp(host: DestinationHost<'a>, port: Port) -> Self {
        Destination { host, port, raw_authority: None }
    }
}

fn http_destination<'a>(
    http: &'a HttpAttributes<'a>,
    tls_sni: Option<&str>,
    require_sni_host_match: bool,
) -> (Destination<'a>, Option<Reason>) {
    let unreadable = |reason| {
        let destination =
            Destination { host: DestinationHost::Unreadable, port: Port::Unknown, raw_authority: Some(http.host) };
        (destination, Some(reason))
    };
    let Ok(Authority { host, port }) = Authority::parse(http.host) else { return unreadable(Reason::MalformedHost) };
    let mut contradicted = false;
    http.headers.visit(":authority", &mut |authority| contradicted |= authority != http.host);
    if contradicted {
        return unreadable(Reason::ContradictoryAttributes);
    }
    // Asked for, the SNI must be there and be the host: a session that shows none shows no match.
    let sni_matches = || host::parse_server_name(tls_sni.unwrap_or_default()).is_ok_and(|sni| sni.host == host);
    let finding = (require_sni_host_match && !sni_matches()).then_some(Reason::SniHostMismatch);
    let port = port.map_or(Port::Absent, Port::Known);
    (Destination { host: DestinationHost::Known(host), port, raw_authority: Some(http.host) }, finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp<'a>(service: &'a str, sni: Option<&'a str>) -> Attributes<'a> {
        Attributes { service, tls_sni: sni, has_address: true, listener_port: Some(8443), ..Default::default() }
    }

    fn http(host: &str) -> Attributes<'_> {
        Attributes {
            http: Some(HttpAttributes { host, method: "GET", path: "/", ..Default::default() }),
            ..Default::default()
        }
    }

    fn read(attributes: &Attributes<'_>, settings: &Settings) -> (String, Port, Option<Reason>) {
        let request = attributes.normalise(settings);
        let host = match request.destination.host {
            DestinationHost::Known(host) => host.to_string(),
            other => format!("{other:?}"),
        };
        (host, request.destination.port, request.finding)
    }

    #[test]
    fn tcp_takes_its_host_from_the_sni() {
        let settings = Settings::default();
        for (service, sni, expected) in [
            ("a.example", None, ("a.example", Port::Unknown, None)),
            ("", None, ("Unnamed", Port::Unknown, None)),
            ("", Some("A.example."), ("a.example", Port::Unknown, None)),
            ("a.example", Some("A.Example."), ("a.example", Port::Unknown, None)),
            ("outbound_.443_._.a.example", Some("a.example"), ("a.example", Port::Known(443), None)),
            ("a.example", Some("b.example"), ("Unreadable", Port::Unknown, Some(Reason::ContradictoryAttributes))),
            ("a..example", None, ("Unreadable", Port::Unknown, Some(Reason::MalformedSni))),
            ("a.example", Some("b..example"), ("Unreadable", Port::Unknown, Some(Reason::MalformedSni))),
            ("10.0.0.1", None, ("10.0.0.1", Port::Unknown, None)),
        ] {
            let (host, port, finding) = expected;
            assert_eq!(read(&tcp(service, sni), &settings), (host.to_owned(), port, finding), "{service} {sni:?}");
        }
    }

    #[test]
    fn a_declared_listener_fixes_the_destination() {
        let host = Host::Name("db.example".into());
        let listeners = vec![Listener { port: 8443, host, target_port: Some(5432) }];
        let settings = Settings { listeners, ..Default::default() };
        for sni in ["", "anything.example"] {
            assert_eq!(read(&tcp(sni, None), &settings), ("db.example".into(), Port::Known(5432), None));
        }
    }

    #[test]
    fn http_takes_its_host_from_the_authority() {
        let settings = Settings::default();
        assert_eq!(read(&http("A.example:8443"), &settings), ("a.example".into(), Port::Known(8443), None));
        assert_eq!(read(&http(""), &settings).2, Some(Reason::MalformedHost));
        let headers = vec![(":authority".to_owned(), "A.example".to_owned())];
        let mut odd = http("a.example");
        odd.http = odd.http.map(|http| HttpAttributes { headers: &headers, ..http });
        assert_eq!(read(&odd, &settings).2, Some(Reason::ContradictoryAttributes));
    }

    #[test]
    fn sni_and_host_must_match_where_that_is_asked() {
        let settings = Settings { require_sni_host_match: true, ..Default::default() };
        for (sni, finding) in [
            (Some("A.example"), None),
            (Some("b.example"), Some(Reason::SniHostMismatch)),
            (Some(""), Some(Reason::SniHostMismatch)),
            (None, Some(Reason::SniHostMismatch)),
        ] {
            let attributes = Attributes { tls_sni: sni, ..http("a.example") };
            assert_eq!(read(&attributes, &settings), ("a.example".into(), Port::Absent, finding), "{sni:?}");
        }
    }

    #[test]
    fn the_forwarded_address_is_counted_from_the_right() {
        let headers = vec![
            ("x-forwarded-for".to_owned(), "10.0.0.1, 10.0.0.2".to_owned()),
            ("X-Forwarded-For".to_owned(), "10.0.0.3".to_owned()),
        ];
        for (hops, expected) in [(0, Some("10.0.0.3")), (1, Some("10.0.0.2")), (2, Some("10.0.0.1")), (3, None)] {
            assert_eq!(forwarded_for(&headers, hops), expected.map(|ip| ip.parse().unwrap()), "{hops}");
        }
        assert_eq!(forwarded_for(&vec![("x-forwarded-for".to_owned(), "x".to_owned())], 0), None);
    }

    #[test]
    fn nothing_at_all_is_an_empty_request() {
        let empty = Attributes { service: "a.example", ..Default::default() };
        assert_eq!(read(&empty, &Settings::default()).2, Some(Reason::EmptyRequest));
    }
}
