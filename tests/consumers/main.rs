//! The record as others read it: a collector of OpenTelemetry that is not ours, and a client of the tail that Python's own
//! tools made from the published proto. customs is the real binary; what they get is compared with what the file has.

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
mod subscriber;
mod tail;

use customs_test_support::server::Server;

/// Namespace `demo-frontend` may not reach denied.example, and everything else.
pub(crate) const POLICY: &str = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n\
    metadata: {name: egress, namespace: demo-frontend}\nspec:\n  deny:\n  - {name: no-host, hosts: [denied.example]}\n";

/// Puts so many checks through, every other one of them a denial.
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
