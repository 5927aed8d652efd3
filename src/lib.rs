//! customs: the service that Envoy and Istio ask before a request leaves the mesh.
//!
//! This package is the program: it reads settings and arguments, starts the parts in order, and
//! contains the tools. The parts are separate crates in `crates/`; docs/explanation/architecture.md is the map.
//!
//! Comments cite the rules by which requests and policies are interpreted as "rule R9";
//! `docs/reference/decision-rules.md` lists them.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

pub mod app;
pub mod ops;
