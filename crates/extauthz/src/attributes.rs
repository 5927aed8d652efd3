//! Reads a CheckRequest into the engine's [`Attributes`](customs_engine::request::Attributes): a
//! mapping of fields, uninterpreted.
//!
//! There is one reader, [`borrowed`], which reads a check from its bytes. It declines a check that
//! has anything unusual. Such a check is decoded, encoded again without the parts that no decision
//! depends on ([`plain`]), and then read. Decoding alone is the oracle of tests.
//!
//! The attributes are destructured completely, so that a new field of Envoy's stops the build here,
//! where a person decides whether a decision may depend on it. Fields that must never be trusted
//! (rule R9) are named and ignored.

use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use prost::{DecodeError, Message};

pub mod borrowed;

/// The fields of a CheckRequest's `attributes` that are read, each with what it is read for. All others
/// are ignored.
pub const READ: [(&str, &str); 13] = [
    (
        "source.principal",
        "the caller's identity, with `identity_source: principal`",
    ),
    (
        "source.address",
        "the connection's peer: `ipBlocks`, `source.ip`, and the record",
    ),
    (
        "destination.principal",
        "the gateway's own principal, for the record",
    ),
    (
        "destination.address",
        "the gateway's own address: `destination.ip` and the record",
    ),
    (
        "destination.address.socket_address.port_value",
        "the port on which the gateway listens: `ports`, `destination.port`, fixed listeners",
    ),
    ("destination.service", "the SNI, on TCP"),
    ("tls_session.sni", "the SNI"),
    (
        "request.http.host",
        "the destination, on HTTP; without `request.http` the check is about TCP",
    ),
    ("request.http.method", "the method"),
    (
        "request.http.path",
        "the path; its query is cut off before rules are compared",
    ),
    ("request.http.scheme", "the pseudo-header `:scheme`"),
    (
        "request.http.headers, request.http.header_map",
        "conditions on headers, `x-forwarded-for` with `trusted_hops`, `x-forwarded-client-cert` with \
         `identity_source: xfcc`, `x-request-id` and `traceparent` for the record",
    ),
    (
        "request.http.id",
        "Envoy's number of the stream, for the record",
    ),
];

/// Decodes a check and encodes it again, so that nothing in it is unusual.
///
/// # Errors
/// If the bytes are not a check.
pub fn plain(message: &[u8]) -> Result<Vec<u8>, DecodeError> {
    CheckRequest::decode(message).map(encode_plain)
}

/// Encodes a check without the parts that no decision depends on.
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
        AttributeContext {
            source,
            destination,
            request,
            tls_session,
            ..AttributeContext::default()
        }
    });
    CheckRequest { attributes }.encode_to_vec()
}
