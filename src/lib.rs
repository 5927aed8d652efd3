//! customs: the service that Envoy and Istio ask before a request leaves the mesh.
//!
//! This package is the program: it reads settings and arguments, starts the parts in order, and has the tools. The parts
//! are crates of their own in `crates/`; docs/ARCHITECTURE.md is the map.
//!
//! Comments cite the rules by which requests and policies are read as "rule R9": they are in `docs/RULES.md`.

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
