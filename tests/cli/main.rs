//! Tests the real binary on loopback, as its operator and its Envoy see it: settings, invalid
//! input, checks over gRPC, reloads, signals, the audit log. They observe only processes, files and
//! sockets; the inside has its own tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

mod checks;
mod connections;
mod directories;
mod doctor;
mod faults;
mod flip;
mod health;
mod namespaces;
mod overload;
mod pretty;
mod printed;
mod prove;
mod questions;
mod record;
mod refusals;
mod rule_hits;
mod settings;
mod settings_reload;
mod signals;
mod sources;
mod start;
mod status;

/// Returns a policy of namespace `demo-frontend` that denies its pods one host.
pub(crate) fn denying(name: &str, host: &str) -> String {
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: {name}, namespace: demo-frontend}}\n\
         spec:\n  deny:\n  - {{name: no-host, hosts: [{host}]}}\n"
    )
}
