//! The edge where Envoy asks. The only home of tonic, prost and Envoy's types on the path of a
//! check.
//!
//! [`connection`] serves HTTP/2 over a connection that [`net`](customs_net) accepted, and
//! [`inline_calls`] runs its calls. [`router`] hands a check to [`service`], which is its journey,
//! and everything else to the services that [`server`] joins. [`attributes`] reads what Envoy sent,
//! [`response`] writes the answer to Envoy, and [`check_trace`] says when each stage was passed. [`json`] reads a check from a file. Nothing here
//! decides.

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

pub mod attributes;
mod check_trace;
mod connection;
mod decision_log;
mod ids;
mod inline_calls;
pub mod json;
mod node_deserializer;
mod other_calls;
mod panic_isolation;
mod pending;
mod pieces;
mod refusal_cause;
pub mod response;
mod router;
mod server;
mod service;
mod unary;

pub use check_trace::{CallTrace, CheckStage, CheckTrace, Untraced};
pub use decision_log::{Commit, DecisionLog};
pub use pending::Pending;
pub use refusal_cause::refusal_cause;
pub use server::{GrpcService, ReflectionError, SERVICES, Services};
pub use service::{Checks, Deadline, PeerIdentity};

/// The descriptors of `envoy.service.auth.v3`, encoded, for reflection and for reading checks from
/// JSON.
pub const DESCRIPTORS: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/ext_authz_descriptors.bin"));

/// The full name of the service that Envoy calls.
pub const AUTHORIZATION: &str = "envoy.service.auth.v3.Authorization";
