//! Traces, metrics and logs over OTLP, as a collector of another project receives them from the real
//! binary, also behind the real Envoy; and collectors that are gone, silent or refuse everything.
//!
//! What a span says is tested in its crate. Here the tests show that it arrives, that it is joined
//! with the spans of the callers, and that no check waits for any of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod arrival;
mod envoy;
mod faults;
mod receiver;
mod tls;
mod variables;

use customs_test_support::check_client;
use customs_test_support::server::{Plan, Server};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tonic::Request;

/// A policy with one host that is denied.
pub(crate) const POLICY: &str = "apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: egress, namespace: demo-frontend}
spec:
  deny: [{name: no-host, hosts: [denied.example]}]
";

/// Returns a plan of a server that sends everything to this port of this machine, soon.
pub(crate) fn plan(port: u16) -> Plan {
    Plan::with("--audit file:out/audit.jsonl")
        .environment(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            &format!("http://127.0.0.1:{port}"),
        )
        .environment("OTEL_BSP_SCHEDULE_DELAY", "50")
        .environment("OTEL_BLRP_SCHEDULE_DELAY", "50")
        .environment("OTEL_METRIC_EXPORT_INTERVAL", "200")
        .file("policies/a.yaml", POLICY)
}

/// Sends a check with this `traceparent` in its call.
pub(crate) fn check(server: &Server, host: &str, traceparent: &str) {
    let mut request = Request::new(check_client::http(check_client::SLEEP, host));
    let value = traceparent.parse().unwrap();
    request.metadata_mut().insert("traceparent", value);
    let mut client = AuthorizationClient::new(server.channel.clone());
    check_client::wait(client.check(request)).unwrap();
}
