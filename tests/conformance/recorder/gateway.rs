//! The Envoy that is recorded: ext_authz first, then the RBAC filters, and at the end an answer of
//! its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

use super::requests::{self, Door};
use super::translate::Filters;
use customs_test_support::process::{Guard, Process};
use customs_test_support::tools::Tool;
use customs_test_support::{http, ports};

/// The addresses on which every door is open; the policies name them.
const ADDRESSES: [&str; 2] = ["127.0.0.1", "127.0.0.2"];

/// What a policy set needs.
pub(crate) struct Plan<'a> {
    pub http: &'a Filters,
    pub tcp: &'a Filters,
    pub asked: &'a requests::Plan,
    pub capture: u16,
}

/// Starts an Envoy for one policy set and waits until it is ready.
pub(crate) fn start(
    envoy: &Tool,
    folder: &Path,
    guard: &Arc<Guard>,
    plan: &Plan<'_>,
) -> Result<Process> {
    let admin = ports::free()?;
    let config = folder.join("envoy.json");
    fs::write(
        &config,
        serde_json::to_string_pretty(&configuration(folder, admin, plan))?,
    )?;
    let mut command = Command::new(&envoy.path);
    command.arg("--config-path").arg(&config);
    command.args([
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "warning",
    ]);
    let mut process = Process::start("envoy", &mut command, &folder.join("envoy.log"), guard)?;
    process.wait_until_ready(|| {
        http::get(admin, "localhost", "/ready").is_ok_and(|it| it.status == 200)
    })?;
    Ok(process)
}

fn configuration(folder: &Path, admin: u16, plan: &Plan<'_>) -> Value {
    let listeners: Vec<Value> = Door::ALL
        .into_iter()
        .map(|door| listener(door, folder, plan))
        .collect();
    json!({
        "node": {"id": "recorder", "cluster": "recorder"},
        "admin": {"address": socket("127.0.0.1", admin)},
        "static_resources": {"listeners": listeners, "clusters": [capture_cluster(plan.capture)]},
    })
}

fn socket(address: &str, port: u16) -> Value {
    json!({"socket_address": {"address": address, "port_value": port}})
}

fn typed(name: &str, kind: &str, mut config: Value) -> Value {
    config["@type"] = format!("type.googleapis.com/{kind}").into();
    json!({"name": name, "typed_config": config})
}

fn listener(door: Door, folder: &Path, plan: &Plan<'_>) -> Value {
    let filters = if door.is_http() {
        vec![http_filter(plan)]
    } else {
        tcp_filters(plan)
    };
    let mut chain = json!({"filters": filters});
    if door.ends_tls() {
        chain["transport_socket"] = tls(folder);
    }
    let [first, others @ ..] = ADDRESSES;
    let others: Vec<Value> = others
        .iter()
        .map(|a| json!({"address": socket(a, door.port())}))
        .collect();
    let inspector = typed(
        "envoy.filters.listener.tls_inspector",
        "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
        json!({}),
    );
    json!({
        "name": format!("{door:?}"),
        "enable_reuse_port": false,
        "address": socket(first, door.port()),
        "additional_addresses": others,
        "listener_filters": if door == Door::Plain { vec![] } else { vec![inspector] },
        "filter_chains": [chain],
    })
}

/// Checks a client certificate if there is one.
fn tls(folder: &Path) -> Value {
    let file = |name: &str| json!({"filename": folder.join(name)});
    typed(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        json!({"require_client_certificate": false, "common_tls_context": {
            "alpn_protocols": ["http/1.1"],
            "tls_certificates": [{"certificate_chain": file("gateway.pem"), "private_key": file("gateway.key")}],
            "validation_context": {"trusted_ca": file("ca.pem")},
        }}),
    )
}

fn ext_authz(layer: &str, asked: &requests::Plan) -> Value {
    let mut config = json!({
        "transport_api_version": "V3",
        "failure_mode_allow": false,
        // istiod does not set it; without it the SNI is unknown on HTTP.
        "include_tls_session": !asked.without_tls_session,
        "grpc_service": {"timeout": "5s", "envoy_grpc": {"cluster_name": "capture"}},
    });
    if layer == "network" {
        config["stat_prefix"] = "tcp.".into();
    } else {
        config["encode_raw_headers"] = asked.raw_headers.into();
    }
    typed(
        &format!("envoy.filters.{layer}.ext_authz"),
        &format!("envoy.extensions.filters.{layer}.ext_authz.v3.ExtAuthz"),
        config,
    )
}

fn http_filter(plan: &Plan<'_>) -> Value {
    let mut filters = vec![ext_authz("http", plan.asked)];
    filters.extend(plan.http.configurations(false));
    filters.push(typed(
        "envoy.filters.http.router",
        "envoy.extensions.filters.http.router.v3.Router",
        json!({}),
    ));
    typed(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "recorder",
            "use_remote_address": true,
            "xff_num_trusted_hops": plan.asked.trusted_hops,
            "forward_client_cert_details": "SANITIZE_SET",
            "set_current_client_cert_details": {"dns": true, "uri": true},
            "normalize_path": true,
            // Lets methods be sent in any case, as HTTP/2 clients can.
            "http_protocol_options": {"allow_custom_methods": true},
            "route_config": {"name": "all", "ignore_port_in_host_matching": true, "virtual_hosts": [{
                "name": "all", "domains": ["*"],
                "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
            }]},
            "http_filters": filters,
        }),
    )
}

/// Echoes what is let through.
fn tcp_filters(plan: &Plan<'_>) -> Vec<Value> {
    let mut filters = vec![ext_authz("network", plan.asked)];
    filters.extend(plan.tcp.configurations(true));
    filters.push(typed(
        "envoy.filters.network.echo",
        "envoy.extensions.filters.network.echo.v3.Echo",
        json!({}),
    ));
    filters
}

fn capture_cluster(port: u16) -> Value {
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    json!({
        "name": "capture", "type": "STATIC", "connect_timeout": "2s",
        "typed_extension_protocol_options": {options: {
            "@type": format!("type.googleapis.com/{options}"),
            "explicit_http_config": {"http2_protocol_options": {}},
        }},
        "load_assignment": {"cluster_name": "capture", "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": socket("127.0.0.1", port)}}
        ]}]},
    })
}
