//! The audit log under load, on the real binary: nothing is missing, nothing is there twice, the
//! chain holds, and each `on_full` setting does what its name says.
//!
//! The sizes are small here. `make durability` runs the same tests with a release build, a million
//! checks and two hundred kills; CUSTOMS_DURABILITY_CHECKS, CUSTOMS_DURABILITY_KILLS,
//! CUSTOMS_DURABILITY_ROTATIONS and CUSTOMS_DURABILITY_CHANGES set them.

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
mod injected;
mod killed;
mod moved;
mod tampered;
