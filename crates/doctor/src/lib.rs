//! Says what is wrong with customs, its proxies and the mesh around them, from what was collected
//! of them.
//!
//! The crate is pure: texts come in, findings go out. It opens no file and no connection and reads
//! no clock, so that a console can use it as well as a command; the time comes in as an argument.
//!
//! - [`evidence`] is what was collected, read. [`customs_status`], [`customs_metrics`] and
//!   [`rule_hits`] read what a replica of customs says; [`envoy_config`], [`envoy_stats`] and
//!   [`envoy_certificates`] what an Envoy says; [`istio_objects`] and [`mesh_config`] the objects of
//!   Istio and Kubernetes. [`foreign_document`] recognises what was collected by mistake.
//! - [`checks`] looks at all of it, and makes a [`diagnosis`] of [`finding`]s.
//! - [`replica`] compares replicas, for `customs status` too.

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

pub mod checks;
pub mod customs_metrics;
pub mod customs_status;
pub mod diagnosis;
pub mod envoy_certificates;
pub mod envoy_config;
pub mod envoy_stats;
pub mod evidence;
pub mod finding;
pub mod foreign_document;
pub mod istio_objects;
pub mod mesh_config;
pub mod narrowing;
pub mod replica;
pub mod rule_hits;
mod yaml;
