//! The real binary on loopback, as its operator and its Envoy see it: settings, bad input, checks over gRPC, reloads,
//! signals, the record. What happens inside has tests of its own; here only processes, files and sockets are looked at.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod asking;
mod checks;
mod directories;
mod faults;
mod flip;
mod health;
#[path = "../support/http.rs"]
#[allow(dead_code)]
mod http;
mod namespaces;
#[path = "../support/ports.rs"]
mod ports;
mod printed;
mod questions;
#[path = "../support/raw_bytes.rs"]
mod raw_bytes;
mod record;
mod refusals;
mod reread;
mod server;
mod settings;
mod signals;
mod sources;
mod start;

use std::time::{Duration, Instant};

/// How long anything may take; waits end early.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until there is a value; `None` when patience ends.
pub(crate) fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(value) = ask() {
            return Some(value);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// A policy of namespace `demo-frontend` that denies its pods one host.
pub(crate) fn denying(name: &str, host: &str) -> String {
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: {name}, namespace: demo-frontend}}\n\
         spec:\n  deny:\n  - {{name: no-host, hosts: [{host}]}}\n"
    )
}
