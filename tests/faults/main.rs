//! Faults and abuse: what customs does while something is broken, restarted, hostile or scarce.
//!
//! Almost every test runs the real program, most of them behind the real Envoy. `cargo test` runs the short
//! form. `make soak` runs the same tests in their long form, for which variables of the environment
//! set the sizes:
//!
//! | Variable | Sets | Short | Long |
//! | --- | --- | --- | --- |
//! | `CUSTOMS_SOAK_SECONDS` | how long the mixed load runs | 8 | 3600 |
//! | `CUSTOMS_FAULTS_RESTARTS` | how often a replica is restarted | 3 | 20 |
//! | `CUSTOMS_FAULTS_RATE` | how many requests a second go through the gateway meanwhile | 200 | 1000 |
//! | `CUSTOMS_FAULTS_ABUSE` | how many seconds each abuse takes | 1 | 10 |
//! | `CUSTOMS_FAULTS_CONNECTIONS` | how many connections a client that only holds them opens | 200 | 2000 |
//!
//! They assert what must hold on any machine: that answers are policy's, that memory is bounded,
//! that a hostile client is cut. They assert no latency.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    missing_docs
)]

mod abuse;
mod answers;
mod connection;
mod drain;
mod fail_safe;
mod gateway;
mod http_load;
mod panics;
mod prober;
mod replicas;
mod restarts;
mod scarce;
mod soak;
mod tcp;
