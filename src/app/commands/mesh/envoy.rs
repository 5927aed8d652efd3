//! `customs mesh envoy`: the filters and the cluster for an Envoy that is configured by hand.

use super::seconds;
use crate::app::cli::{EnvoyArgs, ProviderArgs};

/// Returns one YAML document with the three lists.
pub(super) fn snippets(args: &EnvoyArgs) -> String {
    let ProviderArgs {
        service,
        port,
        timeout,
        fail_open,
    } = &args.provider;
    let timeout = seconds(*timeout);
    format!(
        r#"# Three lists for an Envoy configuration. customs knows the caller only if the listener terminates
# TLS with `require_client_certificate: true`.

# For `http_filters` of an HTTP connection manager, before every filter that changes the request.
http_filters:
- name: envoy.filters.http.ext_authz
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
    transport_api_version: V3
    failure_mode_allow: {fail_open}
    status_on_error: {{code: ServiceUnavailable}}
    grpc_service:
      timeout: {timeout}
      envoy_grpc:
        cluster_name: customs
        authority: {service}

# For `filters` of a filter chain without HTTP, before envoy.filters.network.tcp_proxy. The listener
# needs envoy.filters.listener.tls_inspector, so that customs sees the SNI.
network_filters:
- name: envoy.filters.network.ext_authz
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.network.ext_authz.v3.ExtAuthz
    stat_prefix: customs
    transport_api_version: V3
    failure_mode_allow: {fail_open}
    grpc_service:
      timeout: {timeout}
      envoy_grpc:
        cluster_name: customs
        authority: {service}

# For `static_resources.clusters`.
clusters:
- name: customs
  type: STRICT_DNS
  connect_timeout: 1s
  lb_policy: LEAST_REQUEST
  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: {{http2_protocol_options: {{}}}}
  load_assignment:
    cluster_name: customs
    endpoints:
    - lb_endpoints:
      - endpoint: {{address: {{socket_address: {{address: {service}, port_value: {port}}}}}}}
"#
    )
}
