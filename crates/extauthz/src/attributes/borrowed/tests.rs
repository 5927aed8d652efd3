//! The numbers are Envoy's: every field of every message that is read, and its type, compared with
//! the descriptors. `tests/fuzz` holds that the reader reads what the decoder reads.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

use super::numbers::*;

/// How a field is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum As {
    Number,
    Text,
    Bytes,
    /// One message.
    Message,
    /// A list or a map of messages.
    Messages,
}

fn read_as(kind: &Kind, is_list: bool) -> As {
    match kind {
        Kind::Message(_) if is_list => As::Messages,
        Kind::Message(_) => As::Message,
        Kind::String => As::Text,
        Kind::Bytes => As::Bytes,
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Bool | Kind::Enum(_) => {
            As::Number
        }
        other => panic!("a field of type {other:?} is read nowhere"),
    }
}

/// Returns the fields of a message according to the descriptors.
fn fields_of(message: &MessageDescriptor) -> BTreeSet<(u32, String, String)> {
    let field = |field: prost_reflect::FieldDescriptor| {
        let read = read_as(&field.kind(), field.is_list() || field.is_map());
        (field.number(), field.name().to_owned(), format!("{read:?}"))
    };
    message.fields().map(field).collect()
}

#[test]
fn every_field_is_known_by_its_number_and_type() {
    use As::{Bytes, Message, Messages, Number, Text};
    let pool = DescriptorPool::decode(crate::DESCRIPTORS).unwrap();
    let expect = |name: &str, known: &[(u32, &str, As)]| {
        let message = pool
            .get_message_by_name(name)
            .unwrap_or_else(|| panic!("there is no {name}"));
        let known = known
            .iter()
            .map(|(number, name, read)| (*number, (*name).to_owned(), format!("{read:?}")));
        assert_eq!(fields_of(&message), known.collect(), "{name}");
    };
    expect(
        "envoy.service.auth.v3.CheckRequest",
        &[(check_request::ATTRIBUTES, "attributes", Message)],
    );
    expect(
        "envoy.service.auth.v3.AttributeContext",
        &[
            (attribute_context::SOURCE, "source", Message),
            (attribute_context::DESTINATION, "destination", Message),
            (attribute_context::REQUEST, "request", Message),
            (
                attribute_context::CONTEXT_EXTENSIONS,
                "context_extensions",
                Messages,
            ),
            (
                attribute_context::METADATA_CONTEXT,
                "metadata_context",
                Message,
            ),
            (attribute_context::TLS_SESSION, "tls_session", Message),
            (
                attribute_context::ROUTE_METADATA_CONTEXT,
                "route_metadata_context",
                Message,
            ),
        ],
    );
    expect(
        "envoy.service.auth.v3.AttributeContext.Peer",
        &[
            (peer::ADDRESS, "address", Message),
            (peer::SERVICE, "service", Text),
            (peer::LABELS, "labels", Messages),
            (peer::PRINCIPAL, "principal", Text),
            (peer::CERTIFICATE, "certificate", Text),
        ],
    );
    expect(
        "envoy.config.core.v3.Address",
        &[
            (address::SOCKET_ADDRESS, "socket_address", Message),
            (address::PIPE, "pipe", Message),
            (
                address::ENVOY_INTERNAL_ADDRESS,
                "envoy_internal_address",
                Message,
            ),
        ],
    );
    expect(
        "envoy.config.core.v3.SocketAddress",
        &[
            (socket_address::PROTOCOL, "protocol", Number),
            (socket_address::ADDRESS, "address", Text),
            (socket_address::PORT_VALUE, "port_value", Number),
            (socket_address::NAMED_PORT, "named_port", Text),
            (socket_address::RESOLVER_NAME, "resolver_name", Text),
            (socket_address::IPV4_COMPAT, "ipv4_compat", Number),
            (
                socket_address::NETWORK_NAMESPACE_FILEPATH,
                "network_namespace_filepath",
                Text,
            ),
        ],
    );
    expect(
        "envoy.config.core.v3.Pipe",
        &[(pipe::PATH, "path", Text), (pipe::MODE, "mode", Number)],
    );
    expect(
        "envoy.config.core.v3.EnvoyInternalAddress",
        &[
            (
                envoy_internal_address::SERVER_LISTENER_NAME,
                "server_listener_name",
                Text,
            ),
            (envoy_internal_address::ENDPOINT_ID, "endpoint_id", Text),
        ],
    );
    expect(
        "envoy.service.auth.v3.AttributeContext.TLSSession",
        &[(tls_session::SNI, "sni", Text)],
    );
    expect(
        "envoy.service.auth.v3.AttributeContext.Request",
        &[
            (request::TIME, "time", Message),
            (request::HTTP, "http", Message),
        ],
    );
    expect(
        "google.protobuf.Timestamp",
        &[
            (timestamp::SECONDS, "seconds", Number),
            (timestamp::NANOS, "nanos", Number),
        ],
    );
    expect(
        "envoy.service.auth.v3.AttributeContext.HttpRequest",
        &[
            (http_request::ID, "id", Text),
            (http_request::METHOD, "method", Text),
            (http_request::HEADERS, "headers", Messages),
            (http_request::PATH, "path", Text),
            (http_request::HOST, "host", Text),
            (http_request::SCHEME, "scheme", Text),
            (http_request::QUERY, "query", Text),
            (http_request::FRAGMENT, "fragment", Text),
            (http_request::SIZE, "size", Number),
            (http_request::PROTOCOL, "protocol", Text),
            (http_request::BODY, "body", Text),
            (http_request::RAW_BODY, "raw_body", Bytes),
            (http_request::HEADER_MAP, "header_map", Message),
        ],
    );
    expect(
        "envoy.service.auth.v3.AttributeContext.HttpRequest.HeadersEntry",
        &[
            (map_entry::KEY, "key", Text),
            (map_entry::VALUE, "value", Text),
        ],
    );
    expect(
        "envoy.config.core.v3.HeaderMap",
        &[(header_map::HEADERS, "headers", Messages)],
    );
    expect(
        "envoy.config.core.v3.HeaderValue",
        &[
            (header_value::KEY, "key", Text),
            (header_value::VALUE, "value", Text),
            (header_value::RAW_VALUE, "raw_value", Bytes),
        ],
    );
}
