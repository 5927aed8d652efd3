//! What the tests of several crates share: oracles, builders, and the rig that shows customs at
//! work with the real Envoy and the real grpcurl. No program depends on it.
//!
//! The rig starts processes on loopback, waits until they are ready, sends requests through them,
//! and ends them. It sees what a user of the binary sees, and its caller passes the path of the
//! binary. Nothing here skips: what is missing is installed or is an error. Each part with
//! dependencies of its own is a feature, so that a test builds only what it uses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]
#![allow(missing_docs)]

#[cfg(feature = "rig")]
pub mod audit;
#[cfg(feature = "server")]
pub mod audited_server;
#[cfg(feature = "cases")]
pub mod bench_policies;
#[cfg(feature = "bench-report")]
pub mod bench_report;
#[cfg(feature = "cases")]
pub mod case_rows;
#[cfg(feature = "rig")]
pub mod certificates;
#[cfg(feature = "server")]
pub mod check_client;
#[cfg(feature = "server")]
pub mod collector_gate;
#[cfg(feature = "rig")]
pub mod customs;
pub mod decoded_check;
pub mod draw;
#[cfg(feature = "rig")]
pub mod envoy;
#[cfg(feature = "fleet")]
pub mod fleet;
#[cfg(feature = "fuzz-targets")]
pub mod fuzz_targets;
#[cfg(feature = "rig")]
pub mod http;
pub mod http2;
#[cfg(feature = "grpc")]
pub mod load;
pub mod offered_load;
#[cfg(feature = "plots")]
pub mod plots;
#[cfg(feature = "rig")]
pub mod policies;
#[cfg(feature = "rig")]
pub mod ports;
#[cfg(feature = "rig")]
pub mod process;
#[cfg(feature = "rig")]
pub mod pty;
#[cfg(feature = "plots")]
pub mod published;
#[cfg(feature = "grpc")]
pub mod raw_bytes;
#[cfg(feature = "rig")]
pub mod rig;
#[cfg(feature = "server")]
pub mod rotel;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "rig")]
pub mod tls;
#[cfg(feature = "tls-files")]
pub mod tls_files;
#[cfg(feature = "tls-files")]
pub mod tls_rotation;
#[cfg(feature = "rig")]
pub mod tools;
#[cfg(feature = "week")]
pub mod week;
pub mod words;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything may take to start or to take effect. Generous, because CI machines are slow;
/// waits end early.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Returns the repository's folder.
pub fn repository() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .expect("the crate is in crates/ of the repository")
        .to_path_buf()
}

/// Returns the binary of customs that Cargo built for the test or benchmark that runs.
pub fn customs_binary() -> PathBuf {
    std::env::var_os("CARGO_BIN_EXE_customs")
        .expect("Cargo runs this and says where customs is")
        .into()
}

/// Polls until there is a value or the patience is over.
pub fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = ask() {
            return Some(value);
        }
        if start.elapsed() > PATIENCE {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
