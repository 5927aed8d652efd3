//! The record under load, on the real binary: nothing is missing, nothing is there twice, the chain holds, and each way of
//! being full does what its name says.
//!
//! The sizes are small here. `make trail` runs the same tests with a release build, a million checks and two hundred
//! kills; CUSTOMS_TRAIL_CHECKS, CUSTOMS_TRAIL_KILLS, CUSTOMS_TRAIL_ROTATIONS and CUSTOMS_TRAIL_CHANGES set them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

mod complete;
mod full;
#[path = "../support/http.rs"]
#[allow(dead_code)]
mod http;
mod injected;
mod killed;
#[path = "../support/load.rs"]
mod load;
mod moved;
#[path = "../support/ports.rs"]
mod ports;
#[allow(dead_code)]
mod rig;
#[allow(dead_code, reason = "shared with the binary of the cases, which uses the rest")]
#[path = "../cases/check.rs"]
mod rows;
mod tampered;
