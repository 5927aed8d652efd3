//! The numbers of the fields that a check has, message by message.
//!
//! The rule: they are Envoy's, and a test holds each of them to the descriptors that the envoy-types package ships, so
//! that a field of Envoy's that is new, gone or of another type stops the tests where a human must decide.

/// `envoy.service.auth.v3.CheckRequest`
pub(super) mod check_request {
    pub const ATTRIBUTES: u32 = 1;
}

/// `envoy.service.auth.v3.AttributeContext`
pub(super) mod attribute_context {
    pub const SOURCE: u32 = 1;
    pub const DESTINATION: u32 = 2;
    pub const REQUEST: u32 = 4;
    pub const CONTEXT_EXTENSIONS: u32 = 10;
    pub const METADATA_CONTEXT: u32 = 11;
    pub const TLS_SESSION: u32 = 12;
    pub const ROUTE_METADATA_CONTEXT: u32 = 13;
}

/// `envoy.service.auth.v3.AttributeContext.Peer`
pub(super) mod peer {
    pub const ADDRESS: u32 = 1;
    pub const SERVICE: u32 = 2;
    pub const LABELS: u32 = 3;
    pub const PRINCIPAL: u32 = 4;
    pub const CERTIFICATE: u32 = 5;
}

/// `envoy.config.core.v3.Address`
pub(super) mod address {
    pub const SOCKET_ADDRESS: u32 = 1;
    pub const PIPE: u32 = 2;
    pub const ENVOY_INTERNAL_ADDRESS: u32 = 3;
}

/// `envoy.config.core.v3.SocketAddress`
pub(super) mod socket_address {
    pub const PROTOCOL: u32 = 1;
    pub const ADDRESS: u32 = 2;
    pub const PORT_VALUE: u32 = 3;
    pub const NAMED_PORT: u32 = 4;
    pub const RESOLVER_NAME: u32 = 5;
    pub const IPV4_COMPAT: u32 = 6;
    pub const NETWORK_NAMESPACE_FILEPATH: u32 = 7;
}

/// `envoy.config.core.v3.Pipe`
pub(super) mod pipe {
    pub const PATH: u32 = 1;
    pub const MODE: u32 = 2;
}

/// `envoy.config.core.v3.EnvoyInternalAddress`
pub(super) mod envoy_internal_address {
    pub const SERVER_LISTENER_NAME: u32 = 1;
    pub const ENDPOINT_ID: u32 = 2;
}

/// `envoy.service.auth.v3.AttributeContext.TLSSession`
pub(super) mod tls_session {
    pub const SNI: u32 = 1;
}

/// `envoy.service.auth.v3.AttributeContext.Request`
pub(super) mod request {
    pub const TIME: u32 = 1;
    pub const HTTP: u32 = 2;
}

/// `google.protobuf.Timestamp`
pub(super) mod timestamp {
    pub const SECONDS: u32 = 1;
    pub const NANOS: u32 = 2;
}

/// `envoy.service.auth.v3.AttributeContext.HttpRequest`
pub(super) mod http_request {
    pub const ID: u32 = 1;
    pub const METHOD: u32 = 2;
    pub const HEADERS: u32 = 3;
    pub const PATH: u32 = 4;
    pub const HOST: u32 = 5;
    pub const SCHEME: u32 = 6;
    pub const QUERY: u32 = 7;
    pub const FRAGMENT: u32 = 8;
    pub const SIZE: u32 = 9;
    pub const PROTOCOL: u32 = 10;
    pub const BODY: u32 = 11;
    pub const RAW_BODY: u32 = 12;
    pub const HEADER_MAP: u32 = 13;
}

/// An entry of any map.
pub(super) mod map_entry {
    pub const KEY: u32 = 1;
    pub const VALUE: u32 = 2;
}

/// `envoy.config.core.v3.HeaderMap`
pub(super) mod header_map {
    pub const HEADERS: u32 = 1;
}

/// `envoy.config.core.v3.HeaderValue`
pub(super) mod header_value {
    pub const KEY: u32 = 1;
    pub const VALUE: u32 = 2;
    pub const RAW_VALUE: u32 = 3;
}
