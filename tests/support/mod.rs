//! The rig: everything `tests/envoy`, `tests/grpcurl` and the demo need to see customs work with the real Envoy and the
//! real grpcurl. It starts processes on loopback, waits until they are ready, asks through them, and ends them.
//!
//! It is not part of customs, knows none of its types, and decides nothing: it sees what a user of the binary sees.
//! Whoever uses it passes the path of the binary. Nothing here skips: what is missing is installed or is an error.

#![allow(dead_code, reason = "shared by several crates, each of which uses its part")]

pub(crate) mod audit;
pub(crate) mod certificates;
pub(crate) mod customs;
pub(crate) mod envoy;
pub(crate) mod http;
pub(crate) mod policies;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod rig;
pub(crate) mod tls;
pub(crate) mod tools;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything may take to start or to take effect. Generous, because CI machines are slow; waits end early.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The repository's folder.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// Asks again and again until there is a value or patience ends.
pub(crate) fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = ask() {
            return Some(value);
        }
        if start.elapsed() > PATIENCE {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
