//! The edge where operators look in: health, metrics, status and logs.
//!
//! It decides nothing and changes nothing. The rule: what is shown here is read from the one
//! [`Entry`](customs_record::Entry) of each event, or given in by the composition; this edge asks no other edge.
//!
//! [`health`] tells Envoy and Kubernetes over gRPC, [`admin`] tells people and Kubernetes over HTTP, [`questions`] answers
//! those who work there, [`metrics`] tells Prometheus, [`refusals`] counts what came and was
//! no check, and [`telemetry`] sets up the log.

pub mod admin;
pub mod exposition;
pub mod health;
pub mod metrics;
pub mod questions;
pub mod refusals;
pub mod telemetry;
