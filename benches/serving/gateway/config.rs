//! An Envoy's configuration: mutual TLS in front, the measured filters, and an answer of its own
//! behind them.

use anyhow::Result;
use serde_json::{Value, json};

use super::certificates::Certificates;
use super::setup::Envoy;
use crate::session::Session;
use customs_test_support::envoy::{Envoys, Words};
use customs_test_support::ports;

/// The cluster that an authorization filter asks.
pub(crate) const AUTHORIZER: &str = "authorizer";

/// Starts an Envoy with these filters before its router. `asked` is the port of the server that
/// they ask.
pub(crate) fn start(
    session: &Session,
    certificates: &Certificates,
    name: &str,
    filters: Vec<Value>,
    asked: Option<u16>,
) -> Result<Envoy> {
    let (port, admin_port) = (ports::free()?, ports::free()?);
    let config = json!({
        "node": { "id": "bench", "cluster": "bench" },
        "admin": { "address": address(admin_port) },
        "static_resources": {
            "listeners": [listener(port, certificates, filters)],
            "clusters": asked.map(cluster).into_iter().collect::<Vec<_>>(),
        },
    });
    let scratch = session.folder("envoys")?;
    let file_name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let file = scratch.join(format!("{file_name}.json"));
    std::fs::write(&file, config.to_string())?;
    let (binary, guard) = (session.envoy.path.clone(), session.guard.clone());
    let envoys = Envoys {
        binary,
        scratch,
        guard,
        words: Words::new(),
    };
    let process = envoys.run(&file_name, &file, admin_port)?;
    Ok(Envoy {
        process,
        port,
        admin_port,
    })
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

/// Returns an extension's message of this type.
pub(crate) fn typed(kind: &str, mut fields: Value) -> Value {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert(
            "@type".to_owned(),
            json!(format!("type.googleapis.com/envoy.extensions.{kind}")),
        );
    }
    fields
}

/// Returns a filter of HTTP requests.
pub(crate) fn filter(name: &str, kind: &str, fields: Value) -> Value {
    json!({ "name": name, "typed_config": typed(kind, fields) })
}

fn listener(port: u16, certificates: &Certificates, mut filters: Vec<Value>) -> Value {
    filters.push(filter(
        "envoy.filters.http.router",
        "filters.http.router.v3.Router",
        json!({}),
    ));
    let manager = json!({
        "stat_prefix": "bench",
        "use_remote_address": true,
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": { "subject": true, "cert": true, "dns": true, "uri": true },
        "normalize_path": true,
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [{
            "match": { "prefix": "/" },
            "direct_response": { "status": 200, "body": { "inline_string": "ok\n" } },
        }] }] },
        "http_filters": filters,
    });
    let manager = typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        manager,
    );
    json!({
        "name": "mesh",
        "enable_reuse_port": false,
        "address": address(port),
        "filter_chains": [{
            "transport_socket": { "name": "envoy.transport_sockets.tls", "typed_config": tls(certificates) },
            "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }],
        }],
    })
}

fn tls(certificates: &Certificates) -> Value {
    let file = |name: &str| json!({ "filename": certificates.file(name) });
    let context = json!({
        "require_client_certificate": true,
        "common_tls_context": {
            "alpn_protocols": ["http/1.1"],
            "tls_certificates": [{ "certificate_chain": file("gateway.pem"), "private_key": file("gateway.key") }],
            "validation_context": { "trusted_ca": file("ca.pem") },
        },
    });
    typed("transport_sockets.tls.v3.DownstreamTlsContext", context)
}

fn cluster(port: u16) -> Value {
    let http2 = json!({ "explicit_http_config": { "http2_protocol_options": {} } });
    json!({
        "name": AUTHORIZER,
        "type": "STATIC",
        "connect_timeout": "0.5s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions":
                typed("upstreams.http.v3.HttpProtocolOptions", http2),
        },
        "load_assignment": {
            "cluster_name": AUTHORIZER,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(port) } }] }],
        },
    })
}
