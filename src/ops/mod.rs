//! The edge for operators: health, metrics, status and the log.
//!
//! It decides nothing and changes nothing. The rule: what it shows comes from the one
//! [`Entry`](customs_record::Entry) of each event, or from the composition; it does not depend on
//! another edge.
//!
//! [`health`] serves Envoy and Kubernetes over gRPC, [`admin`] serves people and Kubernetes over
//! HTTP, [`questions`] answers operators, [`metrics`] serves Prometheus, [`certificates`] watches
//! over those of the addresses, [`refusals`] counts connections and requests that were not checks,
//! [`rule_hits`] counts the checks of each rule, and [`telemetry`] sets up the log.

pub mod admin;
pub mod certificates;
pub mod exposition;
pub mod health;
pub mod log_fields;
pub mod metrics;
pub mod panic_log;
pub mod questions;
pub mod refusals;
pub mod rule_hits;
pub mod telemetry;
