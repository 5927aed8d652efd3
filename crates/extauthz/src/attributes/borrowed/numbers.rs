//! The numbers of the fields of a check, message by message.
//!
//! The rule: they are Envoy's, and a test compares each of them with the descriptors that the
//! envoy-types package ships. So a field of Envoy's that is new, gone or of another type stops the
//! tests where a person must decide.

/// `envoy.service.auth.v3.CheckRequest`
pub(super) mod check_request {
    pub(crate) const ATTRIBUTES: u32 = 1;
}

/// `envoy.service.auth.v3.AttributeContext`
pub(super) mod attribute_context {
    pub(crate) const SOURCE: u32 = 1;
    pub(crate) const DESTINATION: u32 = 2;
    pub(crate) const REQUEST: u32 = 4;
    pub(crate) const CONTEXT_EXTENSIONS: u32 = 10;
    pub(crate) const METADATA_CONTEXT: u32 = 11;
    pub(crate) const TLS_SESSION: u32 = 12;
    pub(crate) const ROUTE_METADATA_CONTEXT: u32 = 13;
}

/// `envoy.service.auth.v3.AttributeContext.Peer`
pub(super) mod peer {
    pub(crate) const ADDRESS: u32 = 1;
    pub(crate) const SERVICE: u32 = 2;
    pub(crate) const LABELS: u32 = 3;
    pub(crate) const PRINCIPAL: u32 = 4;
    pub(crate) const CERTIFICATE: u32 = 5;
}

/// `envoy.config.core.v3.Address`
pub(super) mod address {
    pub(crate) const SOCKET_ADDRESS: u32 = 1;
    pub(crate) const PIPE: u32 = 2;
    pub(crate) const ENVOY_INTERNAL_ADDRESS: u32 = 3;
}

/// `envoy.config.core.v3.SocketAddress`
pub(super) mod socket_address {
    pub(crate) const PROTOCOL: u32 = 1;
    pub(crate) const ADDRESS: u32 = 2;
    pub(crate) const PORT_VALUE: u32 = 3;
    pub(crate) const NAMED_PORT: u32 = 4;
    pub(crate) const RESOLVER_NAME: u32 = 5;
    pub(crate) const IPV4_COMPAT: u32 = 6;
    pub(crate) const NETWORK_NAMESPACE_FILEPATH: u32 = 7;
}

/// `envoy.config.core.v3.Pipe`
pub(super) mod pipe {
    pub(crate) const PATH: u32 = 1;
    pub(crate) const MODE: u32 = 2;
}

/// `envoy.config.core.v3.EnvoyInternalAddress`
pub(super) mod envoy_internal_address {
    pub(crate) const SERVER_LISTENER_NAME: u32 = 1;
    pub(crate) const ENDPOINT_ID: u32 = 2;
}

/// `envoy.service.auth.v3.AttributeContext.TLSSession`
pub(super) mod tls_session {
    pub(crate) const SNI: u32 = 1;
}

/// `envoy.service.auth.v3.AttributeContext.Request`
pub(super) mod request {
    pub(crate) const TIME: u32 = 1;
    pub(crate) const HTTP: u32 = 2;
}

/// `google.protobuf.Timestamp`
pub(super) mod timestamp {
    pub(crate) const SECONDS: u32 = 1;
    pub(crate) const NANOS: u32 = 2;
}

/// `envoy.service.auth.v3.AttributeContext.HttpRequest`
pub(super) mod http_request {
    pub(crate) const ID: u32 = 1;
    pub(crate) const METHOD: u32 = 2;
    pub(crate) const HEADERS: u32 = 3;
    pub(crate) const PATH: u32 = 4;
    pub(crate) const HOST: u32 = 5;
    pub(crate) const SCHEME: u32 = 6;
    pub(crate) const QUERY: u32 = 7;
    pub(crate) const FRAGMENT: u32 = 8;
    pub(crate) const SIZE: u32 = 9;
    pub(crate) const PROTOCOL: u32 = 10;
    pub(crate) const BODY: u32 = 11;
    pub(crate) const RAW_BODY: u32 = 12;
    pub(crate) const HEADER_MAP: u32 = 13;
}

/// An entry of any map.
pub(super) mod map_entry {
    pub(crate) const KEY: u32 = 1;
    pub(crate) const VALUE: u32 = 2;
}

/// `envoy.config.core.v3.HeaderMap`
pub(super) mod header_map {
    pub(crate) const HEADERS: u32 = 1;
}

/// `envoy.config.core.v3.HeaderValue`
pub(super) mod header_value {
    pub(crate) const KEY: u32 = 1;
    pub(crate) const VALUE: u32 = 2;
    pub(crate) const RAW_VALUE: u32 = 3;
}
