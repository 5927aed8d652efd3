//! One trace through the real Envoy: the client's, the gateway's, the gateway's question, and
//! customs' answer.

use std::fs;

use customs_test_support::envoy::{Envoys, Words};
use customs_test_support::process::Guard;
use customs_test_support::{http, ports, tools};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::plan;
use crate::receiver::{Receiver, attribute, hex};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";

/// Sends a request with this header, and returns the status of the answer.
fn get(port: u16, traceparent: &str) -> u16 {
    let headers = [("traceparent", traceparent)];
    let answer = http::get_with(port, "ok.example", "/", &headers);
    answer.unwrap().status
}

/// Returns the span of this kind whose parent is this one.
fn child(spans: &[Span], parent: &str, kind: SpanKind) -> Option<Span> {
    let is_it = |span: &&Span| hex(&span.parent_span_id) == parent && span.kind() == kind;
    spans.iter().find(is_it).cloned()
}

#[test]
fn a_trace_that_begins_at_the_client_joins_envoy_and_customs() {
    let receiver = Receiver::start();
    let mut server = plan(receiver.port).start();
    let scratch = tempfile::tempdir().unwrap();
    let guard = Guard::over(scratch.path()).unwrap();
    let (port, admin) = (ports::free().unwrap(), ports::free().unwrap());
    let config = scratch.path().join("gateway.yaml");
    fs::write(&config, gateway(port, admin, server.port, receiver.port)).unwrap();
    let envoys = Envoys {
        binary: tools::envoy().unwrap().path,
        scratch: scratch.path().to_path_buf(),
        guard,
        words: Words::new(),
    };
    let _gateway = envoys.run("gateway", &config, admin).unwrap();
    let traceparent = format!("00-{TRACE}-{CLIENT}-01");
    assert_eq!(get(port, &traceparent), 200);
    let chain = receiver.until("a whole trace", |receiver| {
        let spans: Vec<Span> = receiver.spans().into_iter().map(|span| span.it).collect();
        let gateway = child(&spans, CLIENT, SpanKind::Server)?;
        let question = child(&spans, &hex(&gateway.span_id), SpanKind::Client)?;
        let answer = child(&spans, &hex(&question.span_id), SpanKind::Server)?;
        Some([gateway, question, answer])
    });
    for span in &chain {
        assert_eq!(hex(&span.trace_id), TRACE, "{span:?}");
    }
    let [gateway, question, answer] = &chain;
    assert_eq!(answer.name, "envoy.service.auth.v3.Authorization/Check");
    assert_eq!(attribute(&answer.attributes, "customs.host"), "ok.example");
    assert_eq!(attribute(&answer.attributes, "customs.effect"), "allow");
    // The clocks are the same, so each is within its caller.
    assert!(gateway.start_time_unix_nano <= question.start_time_unix_nano);
    assert!(question.start_time_unix_nano <= answer.start_time_unix_nano);
    // A client that does not record its part of the trace: nobody does.
    let quiet = format!("00-{}-{CLIENT}-00", "5".repeat(32));
    assert_eq!(get(port, &quiet), 200);
    assert_eq!(get(port, &traceparent), 200);
    receiver.spans_of_customs(2);
    let traces = receiver
        .spans()
        .into_iter()
        .map(|span| hex(&span.it.trace_id));
    assert!(traces.into_iter().all(|trace| trace == TRACE));
    server.stop();
    let record = server.folder.text("out/audit.jsonl");
    // The gateway puts its own span into the request before it asks.
    let id = attribute(&answer.attributes, "customs.decision_id");
    let line = record.lines().find(|line| line.contains(&id)).unwrap();
    assert!(
        line.contains(&format!("\"traceparent\":\"00-{TRACE}-")),
        "{line}"
    );
}

/// A gateway that asks customs about each request and answers itself, and that sends its spans to
/// the same receiver.
fn gateway(port: u16, admin: u16, customs: u16, receiver: u16) -> String {
    let cluster = |name: &str, port: u16| {
        format!(
            r#"  - name: {name}
    type: STATIC
    connect_timeout: 1s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: {name}
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]
"#
        )
    };
    format!(
        r#"admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}
layered_runtime:
  layers:
  - name: static
    static_layer: {{tracing: {{opentelemetry: {{min_flush_spans: 1, flush_interval_ms: 50}}}}}}
static_resources:
  listeners:
  - name: in
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          tracing:
            provider:
              name: envoy.tracers.opentelemetry
              typed_config:
                "@type": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
                service_name: gateway
                grpc_service: {{timeout: 1s, envoy_grpc: {{cluster_name: otlp}}}}
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, direct_response: {{status: 200}}}}]}}]}}
          http_filters:
          - name: envoy.filters.http.ext_authz
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              transport_api_version: V3
              status_on_error: {{code: ServiceUnavailable}}
              grpc_service: {{timeout: 5s, envoy_grpc: {{cluster_name: customs}}}}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
{}{}"#,
        cluster("customs", customs),
        cluster("otlp", receiver)
    )
}
