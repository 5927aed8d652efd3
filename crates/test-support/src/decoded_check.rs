//! The oracle of tests for reading a check: the same attributes, read from the message as prost
//! decodes it.
//!
//! It is written independently of the reader that serves, and shares no function with it.

use std::borrow::Cow;
use std::net::IpAddr;

use customs_engine::request::{Attributes, Headers, HttpAttributes};
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, HeaderMap, HeaderValue, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{
    HttpRequest, Peer, Request, TlsSession,
};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};

/// A decoded check, from which attributes are borrowed.
#[derive(Debug)]
pub struct DecodedCheck<'c> {
    check: &'c CheckRequest,
    headers: Option<DecodedHeaders<'c>>,
}

#[derive(Debug)]
struct DecodedHeaders<'c>(&'c HttpRequest);

impl<'c> DecodedCheck<'c> {
    /// Wraps a decoded check.
    pub fn of(check: &'c CheckRequest) -> Self {
        let request = check
            .attributes
            .as_ref()
            .and_then(|attributes| attributes.request.as_ref());
        let http = request.and_then(|Request { time: _, http }| http.as_ref());
        DecodedCheck {
            check,
            headers: http.map(DecodedHeaders),
        }
    }

    /// Reads its attributes. Never fails: what is absent stays empty.
    pub fn attributes(&self) -> Attributes<'_> {
        let CheckRequest { attributes } = self.check;
        let Some(AttributeContext {
            source,
            destination,
            request: _,
            context_extensions: _,
            metadata_context: _,
            route_metadata_context: _,
            tls_session,
        }) = attributes
        else {
            return Attributes::default();
        };
        let (source_principal, _, source) = read_peer(source.as_ref());
        let (destination_principal, service, destination) = read_peer(destination.as_ref());
        Attributes {
            source_principal,
            source_address: source.ip,
            destination_principal,
            destination_address: destination.ip,
            listener_port: destination.port,
            has_address: source.present || destination.present,
            // Of the peers' `service`, only the destination's has a meaning, and only on TCP: the
            // SNI.
            service,
            tls_sni: tls_session.as_ref().map(|TlsSession { sni }| sni.as_str()),
            http: self.headers.as_ref().map(read_http),
        }
    }
}

/// Returns the principal, the service and the address of a peer.
fn read_peer(peer: Option<&Peer>) -> (&str, &str, DecodedAddress) {
    let Some(Peer {
        address,
        service,
        labels: _,
        principal,
        certificate: _,
    }) = peer
    else {
        return ("", "", DecodedAddress::default());
    };
    (principal, service, DecodedAddress::of(address.as_ref()))
}

#[derive(Debug, Default)]
struct DecodedAddress {
    present: bool,
    ip: Option<IpAddr>,
    port: Option<u16>,
}

impl DecodedAddress {
    fn of(address: Option<&Address>) -> Self {
        match address.and_then(|Address { address }| address.as_ref()) {
            None => DecodedAddress::default(),
            Some(AddressKind::SocketAddress(socket)) => DecodedAddress::of_socket(socket),
            // A pipe or an internal listener has neither an IP address nor a port.
            Some(AddressKind::Pipe(_) | AddressKind::EnvoyInternalAddress(_)) => DecodedAddress {
                present: true,
                ip: None,
                port: None,
            },
        }
    }

    fn of_socket(socket: &SocketAddress) -> Self {
        let SocketAddress {
            protocol: _,
            address,
            resolver_name: _,
            ipv4_compat: _,
            network_namespace_filepath: _,
            port_specifier,
        } = socket;
        let port = match port_specifier {
            Some(PortSpecifier::PortValue(port)) => u16::try_from(*port).ok(),
            Some(PortSpecifier::NamedPort(_)) | None => None,
        };
        DecodedAddress {
            present: true,
            ip: address.parse().ok(),
            port,
        }
    }
}

fn read_http<'c>(headers: &'c DecodedHeaders<'_>) -> HttpAttributes<'c> {
    let HttpRequest {
        id,
        method,
        // Both forms of headers are visited through the request itself.
        headers: _,
        header_map: _,
        path,
        host,
        // What a client claims; only a condition on the pseudo-header uses it.
        scheme,
        // Envoy leaves these unfilled.
        query: _,
        fragment: _,
        size: _,
        protocol,
        body: _,
        raw_body: _,
    } = headers.0;
    HttpAttributes {
        method,
        path,
        host,
        scheme,
        headers,
        stream_id: id,
        protocol,
    }
}

/// The headers in both forms that Envoy sends: the map first, then the raw list in its order.
impl Headers for DecodedHeaders<'_> {
    fn visit<'s>(&'s self, name: &str, each: &mut dyn FnMut(Cow<'s, str>)) {
        if let Some(value) = self.0.headers.get(name) {
            each(Cow::Borrowed(value));
        }
        if self
            .0
            .headers
            .keys()
            .any(|key| key != name && key.eq_ignore_ascii_case(name))
        {
            visit_odd_keys(self.0, name, each);
        }
        let raw = self
            .0
            .header_map
            .as_ref()
            .map(|HeaderMap { headers }| headers.as_slice())
            .unwrap_or_default();
        raw.iter()
            .filter(|header| header.key.eq_ignore_ascii_case(name))
            .for_each(|header| each(raw_value(header)));
    }

    fn visit_all<'s>(&'s self, each: &mut dyn FnMut(&'s str, Cow<'s, str>)) {
        // As for one name: keys in lower case before others, in order, then the list.
        let mut map: Vec<_> = self.0.headers.iter().collect();
        map.sort_unstable_by_key(|(key, _)| in_order(key));
        map.into_iter()
            .for_each(|(key, value)| each(key, Cow::Borrowed(value)));
        let raw = self
            .0
            .header_map
            .as_ref()
            .map(|HeaderMap { headers }| headers.as_slice())
            .unwrap_or_default();
        raw.iter()
            .for_each(|header| each(&header.key, raw_value(header)));
    }

    /// The map joins; the raw list keeps values apart. Only a forged check has both.
    fn are_joined(&self) -> bool {
        !self.0.headers.is_empty() || self.0.header_map.is_none()
    }
}

/// Returns the sort key of a map's keys, in which the lower-case spelling precedes the others.
fn in_order(key: &str) -> (bool, &str) {
    (key.bytes().any(|byte| byte.is_ascii_uppercase()), key)
}

/// Visits keys in other cases. Envoy sends keys in lower case; others are forged, and their order
/// must not depend on the map's.
fn visit_odd_keys<'s>(http: &'s HttpRequest, name: &str, each: &mut dyn FnMut(Cow<'s, str>)) {
    let odd = |key: &&String| *key != name && key.eq_ignore_ascii_case(name);
    let mut odd: Vec<_> = http.headers.iter().filter(|(key, _)| odd(key)).collect();
    odd.sort_unstable();
    odd.into_iter()
        .for_each(|(_, value)| each(Cow::Borrowed(value)));
}

fn raw_value(header: &HeaderValue) -> Cow<'_, str> {
    let HeaderValue {
        key: _,
        value,
        raw_value,
    } = header;
    raw_text(value, raw_value)
}

/// Returns the value of a header that was sent as text or, if that is empty, as bytes.
fn raw_text<'a>(value: &'a str, raw_value: &'a [u8]) -> Cow<'a, str> {
    if value.is_empty() {
        String::from_utf8_lossy(raw_value)
    } else {
        Cow::Borrowed(value)
    }
}

#[cfg(test)]
mod tests {
    use customs_engine::request::last_value;
    use envoy_types::pb::envoy::config::core::v3::{EnvoyInternalAddress, Pipe};

    use super::*;

    fn http_check(http: HttpRequest) -> CheckRequest {
        let request = Some(Request {
            time: None,
            http: Some(http),
        });
        CheckRequest {
            attributes: Some(AttributeContext {
                request,
                ..Default::default()
            }),
        }
    }

    #[test]
    fn an_empty_check_has_no_attributes() {
        for check in [
            CheckRequest::default(),
            CheckRequest {
                attributes: Some(AttributeContext::default()),
            },
        ] {
            let decoded = DecodedCheck::of(&check);
            let read = decoded.attributes();
            assert!(read.http.is_none() && !read.has_address && read.source_principal.is_empty());
        }
    }

    #[test]
    fn both_forms_of_headers_are_read() {
        let header = |key: &str, raw: &[u8]| HeaderValue {
            key: key.into(),
            value: String::new(),
            raw_value: raw.into(),
        };
        let http = HttpRequest {
            host: "a.example".into(),
            headers: [
                ("X-Request-Id".to_owned(), "r-1".to_owned()),
                (":authority".to_owned(), "a.example".to_owned()),
            ]
            .into(),
            header_map: Some(HeaderMap {
                headers: vec![
                    header(":authority", b"b.example"),
                    header("x-forwarded-client-cert", b"URI=first"),
                    header("x-forwarded-client-cert", b"URI=\xff"),
                ],
            }),
            ..Default::default()
        };
        let check = http_check(http);
        let decoded = DecodedCheck::of(&check);
        let http = decoded.attributes().http.unwrap();
        let all = |name| {
            let mut values = Vec::new();
            http.headers
                .visit(name, &mut |value| values.push(value.into_owned()));
            values
        };
        assert_eq!(all(":authority"), ["a.example", "b.example"]);
        assert_eq!(
            last_value(http.headers, "x-request-id").as_deref(),
            Some("r-1")
        );
        assert_eq!(
            all("x-forwarded-client-cert"),
            ["URI=first", "URI=\u{fffd}"]
        );
    }

    #[test]
    fn addresses_that_are_not_sockets_are_present_and_unknown() {
        for kind in [
            AddressKind::Pipe(Pipe {
                path: "/x".into(),
                mode: 0,
            }),
            AddressKind::EnvoyInternalAddress(EnvoyInternalAddress::default()),
        ] {
            let peer = Peer {
                address: Some(Address {
                    address: Some(kind),
                }),
                ..Default::default()
            };
            let check = CheckRequest {
                attributes: Some(AttributeContext {
                    source: Some(peer),
                    ..Default::default()
                }),
            };
            let decoded = DecodedCheck::of(&check);
            let read = decoded.attributes();
            assert!(read.has_address && read.source_address.is_none());
        }
    }
}
