//! customs: the service that Envoy and Istio ask before a request leaves the mesh.
//!
//! Two journeys run through it.
//!
//! **One request**
//!
//! 1. A connection is given to a thread ([`net::workers`]), a call to [`envoy::front`], a check's bytes to
//!    [`envoy::service`].
//! 2. [`envoy::attributes`] reads what Envoy sent into [`engine::request::Attributes`].
//! 3. [`engine::request`] normalises it: [`engine::identity`] says who asks, [`engine::host`] where to.
//! 4. [`store`] gives the [`engine::snapshot`] in force, which decides.
//! 5. [`record`] tells the decision once; [`audit`] writes it, [`ops::metrics`] counts it.
//! 6. [`envoy::response`] says it to Envoy.
//!
//! **One policy change**
//!
//! 1. [`files::watch`] notices that something may have changed, [`files::reload`] waits until it has settled.
//! 2. [`files::read`] reads every source.
//! 3. [`engine::policy`] parses, validates and compiles; [`engine::policy::policy_set`] says what may be in force.
//! 4. [`store`] swaps the snapshot, and the change is on record.
//!
//! Comments cite the rules by which requests and policies are read as "rule R9": they are in `docs/RULES.md`.
//!
//! [`app`] joins the edges ([`net`], [`envoy`], [`files`], [`audit`], [`ops`]), which never import one another, but for
//! [`envoy`], which serves what [`net`] accepts. With `--no-default-features` only [`engine`] is built.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)
)]

pub mod engine;

#[cfg(feature = "server")]
pub mod app;
#[cfg(feature = "server")]
pub mod audit;
#[cfg(feature = "server")]
pub mod envoy;
#[cfg(feature = "server")]
pub mod files;
#[cfg(feature = "server")]
pub mod net;
#[cfg(feature = "server")]
pub mod ops;
#[cfg(feature = "server")]
pub mod record;
#[cfg(feature = "server")]
pub mod store;
