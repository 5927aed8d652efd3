//! The parts of `benches/serving` that only reckon, draw and read: a benchmark has no tests of its own, so they are here.
//!
//! Nothing is measured. What the benchmark starts and asks, it checks itself when it runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]
#![allow(dead_code, reason = "the benchmark uses all of it")]

#[path = "../../benches/serving/document.rs"]
mod document;
#[path = "../../benches/serving/findings.rs"]
mod findings;
#[path = "../../benches/serving/h2load_output.rs"]
mod h2load_output;
#[path = "../../benches/serving/picture/mod.rs"]
mod picture;
#[path = "../../benches/serving/proc.rs"]
mod proc;
#[path = "../../benches/serving/statistics.rs"]
mod statistics;

mod documents;
mod numbers;
mod outputs;
mod pictures;
