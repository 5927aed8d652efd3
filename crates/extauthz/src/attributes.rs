//! Reads a CheckRequest into the engine's [`Attributes`]: a mapping of fields, nothing interpreted.
//!
//! There is one reader, [`borrowed`], which reads a check out of its bytes. It leaves a check that has anything out of the
//! ordinary; such a check is decoded and encoded again without what no decision depends on ([`plain`]), and read then.
//! Decoding alone is the oracle of tests.
//!
//! The attributes are destructured completely, so that a new field of Envoy's stops the build here, where a human decides
//! whether a decision may depend on it. Fields that must never be trusted (rule R9) are named and left.

use std::borrow::Cow;
use std::net::IpAddr;

use customs_engine::request::{Attributes, HttpAttributes};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use prost::{DecodeError, Message};

pub mod borrowed;

/// Decodes a check and encodes it again, so that nothing in it is out of the ordinary.
///
/// # Errors
/// If the bytes are no check.
pub fn plain(message: &[u8]) -> Result<Vec<u8>, DecodeError> {
    CheckRequest::decode(message).map(encode_plain)
}

/// Encodes a check without what no decision depends on.
pub fn encode_plain(check: CheckRequest) -> Vec<u8> {
    let CheckRequest { attributes } = check;
    let attributes = attributes.map(|attributes| {
        let AttributeContext {
            source,
            destination,
            request,
            context_extensions: _,
            metadata_context: _,
            route_metadata_context: _,
            tls_session,
        } = attributes;
        AttributeContext { source, destination, request, tls_session, ..AttributeContext::default() }
    });
    CheckRequest { attributes }.encode_to_vec()
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

/// What is read of an address.
#[derive(Debug, Default)]
struct AddressFields {
    present: bool,
    ip: Option<IpAddr>,
    port: Option<u16>,
}

/// The order of a map's keys, in which one in lower case comes before its other spellings.
fn in_order(key: &str) -> (bool, &str) {
    (key.bytes().any(|byte| byte.is_ascii_uppercase()), key)
}

/// The value of a header that was sent as text or, where that is empty, as bytes.
fn raw_text<'a>(value: &'a str, raw_value: &'a [u8]) -> Cow<'a, str> {
    if value.is_empty() { String::from_utf8_lossy(raw_value) } else { Cow::Borrowed(value) }
}
