//! The audit log as other programs read it: an OpenTelemetry collector of another project, a client
//! of the tail that Python's own tools generated from the published proto, and, if customs was built
//! with it, Parquet files in DuckDB and ClickHouse. customs is the real binary; what the consumers
//! get is compared with the file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod collector;
mod lines;
mod otlp;
mod otlp_tls;
#[cfg(feature = "parquet")]
mod query_engines;
mod subscriber;
mod tail;

use customs_test_support::server::Server;

/// Namespace `demo-frontend` may reach everything except denied.example.
pub(crate) const POLICY: &str = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n\
    metadata: {name: egress, namespace: demo-frontend}\nspec:\n  deny:\n  - {name: no-host, hosts: [denied.example]}\n";

/// Sends `count` checks; every other one is denied.
pub(crate) fn check(server: &Server, count: usize) {
    for number in 0..count {
        let host = if number % 2 == 0 {
            "allowed.example"
        } else {
            "denied.example"
        };
        assert_eq!(server.check(host).allowed, number % 2 == 0, "{host}");
    }
}
