//! The configuration of an Envoy that asks customs before it answers: listeners of both kinds, and
//! clusters whose endpoints are fixed or learnt from a file.
//!
//! It starts nothing. What passes is answered by Envoy itself over HTTP, and reaches an origin over
//! TCP.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

/// What Envoy answers to a request that passed.
pub(crate) const PASSED: &str = "passed\n";

/// Where the endpoints of a cluster come from.
pub(crate) enum Endpoints<'e> {
    Fixed(&'e [u16]),
    /// A file of endpoint discovery, which [`write_endpoints`] writes.
    File(&'e Path),
}

/// How a listener asks customs.
#[derive(Clone, Copy)]
pub(crate) struct Asks<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) timeout: Duration,
    /// Whether what was not answered passes (`failOpen`).
    pub(crate) fails_open: bool,
}

/// The filter of a listener that asks customs, as istiod writes it.
fn ext_authz(kind: &str, asks: Asks<'_>) -> Value {
    let Asks {
        cluster,
        timeout,
        fails_open,
    } = asks;
    let mut config = json!({
        "@type": format!("type.googleapis.com/envoy.extensions.filters.{kind}.ext_authz.v3.ExtAuthz"),
        "transport_api_version": "V3",
        "failure_mode_allow": fails_open,
        "grpc_service": {
            "timeout": format!("{}s", timeout.as_secs_f64()),
            "envoy_grpc": {"cluster_name": cluster, "authority": "customs"},
        },
    });
    match kind {
        "http" => config["status_on_error"] = json!({"code": "ServiceUnavailable"}),
        _ => config["stat_prefix"] = json!("tcp."),
    }
    json!({"name": "ext_authz", "typed_config": config})
}

fn listener(port: u16, filters: Value) -> Value {
    json!({
        "name": format!("l{port}"),
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": filters}],
    })
}

/// Returns a listener for HTTP that asks about each request.
pub(crate) fn http_listener(port: u16, asks: Asks<'_>) -> Value {
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{
                "match": {"prefix": "/"},
                "direct_response": {"status": 200, "body": {"inline_string": PASSED}},
            }],
        }]},
        "http_filters": [
            ext_authz("http", asks),
            {"name": "router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}},
        ],
    });
    listener(port, json!([{"name": "http", "typed_config": manager}]))
}

/// Returns a listener for TCP that asks about each connection, before its bytes go to `origin`.
pub(crate) fn tcp_listener(port: u16, asks: Asks<'_>, origin: &str) -> Value {
    let proxy = json!({"name": "tcp_proxy", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "out",
        "cluster": origin,
    }});
    let mut listener = listener(port, json!([ext_authz("network", asks), proxy]));
    listener["listener_filters"] = json!([{"name": "tls_inspector", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}}]);
    listener
}

fn assignment(cluster: &str, ports: &[u16]) -> Value {
    let endpoint = |port: &u16| {
        json!({"endpoint": {"address": {"socket_address": {
            "address": "127.0.0.1", "port_value": port}}}})
    };
    let endpoints: Vec<Value> = ports.iter().map(endpoint).collect();
    json!({"cluster_name": cluster, "endpoints": [{"lb_endpoints": endpoints}]})
}

/// Returns a cluster that is spoken to in plain text, byte for byte.
pub(crate) fn plain_cluster(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": assignment(name, &[port]),
    })
}

/// Returns a cluster of replicas of customs.
pub(crate) fn customs_cluster(name: &str, endpoints: &Endpoints<'_>, checks_health: bool) -> Value {
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let mut cluster = json!({
        "name": name,
        "connect_timeout": "0.25s",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "typed_extension_protocol_options": {options: {
            "@type": format!("type.googleapis.com/{options}"),
            "explicit_http_config": {"http2_protocol_options": {}},
        }},
    });
    match endpoints {
        Endpoints::Fixed(ports) => {
            cluster["type"] = json!("STATIC");
            cluster["load_assignment"] = assignment(name, ports);
        }
        Endpoints::File(path) => {
            cluster["type"] = json!("EDS");
            cluster["eds_cluster_config"] = json!({"eds_config": {
                "path_config_source": {"path": path},
                "resource_api_version": "V3",
            }});
        }
    }
    if checks_health {
        cluster["health_checks"] = json!([{
            "timeout": "1s",
            "interval": "0.1s",
            "no_traffic_interval": "0.1s",
            "unhealthy_interval": "0.1s",
            "unhealthy_threshold": 1,
            "healthy_threshold": 1,
            "grpc_health_check": {
                "service_name": "envoy.service.auth.v3.Authorization", "authority": "customs"},
        }]);
    }
    cluster
}

/// Writes the file of a cluster's endpoints, whole and at once, as Envoy expects.
pub(crate) fn write_endpoints(path: &Path, cluster: &str, ports: &[u16]) -> Result<()> {
    let mut resource = assignment(cluster, ports);
    resource["@type"] = json!("type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment");
    let half = path.with_extension("half");
    std::fs::write(&half, json!({"resources": [resource]}).to_string())?;
    Ok(std::fs::rename(&half, path)?)
}

/// Returns the whole configuration.
pub(crate) fn configuration(admin: u16, listeners: &[Value], clusters: &[Value]) -> Value {
    json!({
        "node": {"id": "gateway", "cluster": "gateway"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    })
}
