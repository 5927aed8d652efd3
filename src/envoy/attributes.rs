//! Reads a CheckRequest into the engine's [`Attributes`]: a mapping of fields, nothing interpreted.
//!
//! Here it is read from the decoded message, which is the reference; [`borrowed`] reads the same out of the bytes of a
//! check that has nothing out of the ordinary, and leaves the others to this.
//!
//! Every message is destructured completely, so that a new field of Envoy's stops the build here, where a human decides
//! whether a decision may depend on it. Fields that must never be trusted (rule R9) are named and left.

use std::borrow::Cow;
use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, HeaderMap, HeaderValue, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request, TlsSession};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};

use crate::engine::request::{Attributes, Headers, HttpAttributes};

pub mod borrowed;

/// Reads a check. Total: what is not there stays empty.
pub fn read(check: &CheckRequest) -> Attributes<'_> {
    let CheckRequest { attributes } = check;
    let Some(AttributeContext {
        source,
        destination,
        request,
        context_extensions: _,
        metadata_context: _,
        route_metadata_context: _,
        tls_session,
    }) = attributes
    else {
        return Attributes::default();
    };
    let source = PeerFields::read(source.as_ref());
    let destination = PeerFields::read(destination.as_ref());
    let http = request.as_ref().and_then(|Request { time: _, http }| http.as_ref());
    let sni = tls_session.as_ref().map(|TlsSession { sni }| sni.as_str());
    joined(&source, &destination, sni, http.map(read_http))
}

/// Puts together what was read of a check, in whichever way.
fn joined<'a>(
    source: &PeerFields<'a>,
    destination: &PeerFields<'a>,
    tls_sni: Option<&'a str>,
    http: Option<HttpAttributes<'a>>,
) -> Attributes<'a> {
    Attributes {
        source_principal: source.principal,
        source_address: source.address.ip,
        destination_principal: destination.principal,
        destination_address: destination.address.ip,
        listener_port: destination.address.port,
        has_address: source.address.present || destination.address.present,
        // Of the peers' `service` only the destination's means anything, and only on TCP: the SNI.
        service: destination.service,
        tls_sni,
        http,
    }
}

/// What is read of a peer.
#[derive(Debug, Default)]
struct PeerFields<'a> {
    address: AddressFields,
    service: &'a str,
    principal: &'a str,
}

impl<'a> PeerFields<'a> {
    fn read(peer: Option<&'a Peer>) -> Self {
        let Some(Peer { address, service, labels: _, principal, certificate: _ }) = peer else {
            return PeerFields::default();
        };
        PeerFields { address: AddressFields::read(address.as_ref()), service, principal }
    }
}

/// What is read of an address.
#[derive(Debug, Default)]
struct AddressFields {
    present: bool,
    ip: Option<IpAddr>,
    port: Option<u16>,
}

impl AddressFields {
    fn read(address: Option<&Address>) -> Self {
        match address.and_then(|Address { address }| address.as_ref()) {
            None => AddressFields::default(),
            Some(AddressKind::SocketAddress(socket)) => AddressFields::of_socket(socket),
            // A pipe or an internal listener has neither an IP address nor a port.
            Some(AddressKind::Pipe(_) | AddressKind::EnvoyInternalAddress(_)) => {
                AddressFields { present: true, ip: None, port: None }
            }
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
        AddressFields { present: true, ip: address.parse().ok(), port }
    }
}

fn read_http(http: &HttpRequest) -> HttpAttributes<'_> {
    let HttpRequest {
        id,
        method,
        // Both forms of headers are visited through the request itself.
        headers: _,
        header_map: _,
        path,
        host,
        // What a client claims; only a condition that asks for the pseudo-header looks at it.
        scheme,
        // Envoy leaves these unfilled.
        query: _,
        fragment: _,
        size: _,
        protocol,
        body: _,
        raw_body: _,
    } = http;
    HttpAttributes { method, path, host, scheme, headers: http, stream_id: id, protocol }
}

/// The headers in both forms that Envoy sends: the map first, then the raw list in its order.
impl Headers for HttpRequest {
    fn visit<'s>(&'s self, name: &str, each: &mut dyn FnMut(Cow<'s, str>)) {
        if let Some(value) = self.headers.get(name) {
            each(Cow::Borrowed(value));
        }
        if self.headers.keys().any(|key| key != name && key.eq_ignore_ascii_case(name)) {
            visit_odd_keys(self, name, each);
        }
        let raw = self.header_map.as_ref().map(|HeaderMap { headers }| headers.as_slice()).unwrap_or_default();
        raw.iter().filter(|header| header.key.eq_ignore_ascii_case(name)).for_each(|header| each(raw_value(header)));
    }

    fn visit_all<'s>(&'s self, each: &mut dyn FnMut(&'s str, Cow<'s, str>)) {
        // As for one name: keys in lower case before others, and those in their order, then the list.
        let mut map: Vec<_> = self.headers.iter().collect();
        map.sort_unstable_by_key(|(key, _)| in_order(key));
        map.into_iter().for_each(|(key, value)| each(key, Cow::Borrowed(value)));
        let raw = self.header_map.as_ref().map(|HeaderMap { headers }| headers.as_slice()).unwrap_or_default();
        raw.iter().for_each(|header| each(&header.key, raw_value(header)));
    }

    /// The map joins; the raw list keeps values apart. Both at once come from a forged caller.
    fn are_joined(&self) -> bool {
        !self.headers.is_empty() || self.header_map.is_none()
    }
}

/// The order of a map's keys, in which one in lower case comes before its other spellings.
fn in_order(key: &str) -> (bool, &str) {
    (key.bytes().any(|byte| byte.is_ascii_uppercase()), key)
}

/// Envoy sends keys in lower case; others come from a forged caller, and their order must not depend on the map's.
fn visit_odd_keys<'s>(http: &'s HttpRequest, name: &str, each: &mut dyn FnMut(Cow<'s, str>)) {
    let odd = |key: &&String| *key != name && key.eq_ignore_ascii_case(name);
    let mut odd: Vec<_> = http.headers.iter().filter(|(key, _)| odd(key)).collect();
    odd.sort_unstable();
    odd.into_iter().for_each(|(_, value)| each(Cow::Borrowed(value)));
}

fn raw_value(header: &HeaderValue) -> Cow<'_, str> {
    let HeaderValue { key: _, value, raw_value } = header;
    raw_text(value, raw_value)
}

/// The value of a header that was sent as text or, where that is empty, as bytes.
fn raw_text<'a>(value: &'a str, raw_value: &'a [u8]) -> Cow<'a, str> {
    if value.is_empty() { String::from_utf8_lossy(raw_value) } else { Cow::Borrowed(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::request::last_value;
    use envoy_types::pb::envoy::config::core::v3::{EnvoyInternalAddress, Pipe};

    fn http_check(http: HttpRequest) -> CheckRequest {
        let request = Some(Request { time: None, http: Some(http) });
        CheckRequest { attributes: Some(AttributeContext { request, ..Default::default() }) }
    }

    #[test]
    fn an_empty_check_has_no_attributes() {
        for check in [CheckRequest::default(), CheckRequest { attributes: Some(AttributeContext::default()) }] {
            let read = read(&check);
            assert!(read.http.is_none() && !read.has_address && read.source_principal.is_empty());
        }
    }

    #[test]
    fn both_forms_of_headers_are_read() {
        let header =
            |key: &str, raw: &[u8]| HeaderValue { key: key.into(), value: String::new(), raw_value: raw.into() };
        let http = HttpRequest {
            host: "a.example".into(),
            headers: [("X-Request-Id".to_owned(), "r-1".to_owned()), (":authority".to_owned(), "a.example".to_owned())]
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
        let http = read(&check).http.unwrap();
        let all = |name| {
            let mut values = Vec::new();
            http.headers.visit(name, &mut |value| values.push(value.into_owned()));
            values
        };
        assert_eq!(all(":authority"), ["a.example", "b.example"]);
        assert_eq!(last_value(http.headers, "x-request-id").as_deref(), Some("r-1"));
        assert_eq!(all("x-forwarded-client-cert"), ["URI=first", "URI=\u{fffd}"]);
    }

    #[test]
    fn addresses_that_are_not_sockets_are_present_and_unknown() {
        for kind in [
            AddressKind::Pipe(Pipe { path: "/x".into(), mode: 0 }),
            AddressKind::EnvoyInternalAddress(EnvoyInternalAddress::default()),
        ] {
            let peer = Peer { address: Some(Address { address: Some(kind) }), ..Default::default() };
            let check =
                CheckRequest { attributes: Some(AttributeContext { source: Some(peer), ..Default::default() }) };
            let read = read(&check);
            assert!(read.has_address && read.source_address.is_none());
        }
    }
}
