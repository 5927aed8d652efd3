//! From policy text to a [`Snapshot`](customs_engine::snapshot::Snapshot), one file a stage:
//!
//! 1. [`document`]: YAML text -> nodes, each with its place;
//! 2. [`reader`]: a node -> the typed fields that [`spec`] declares; it reports what is wrong and
//!    reads on;
//! 3. `metadata`, `authorization_policy`, `egress_policy` and `policy_guard`: a document -> its
//!    rules, or its [guards](guard);
//! 4. [`source`]: the files of one source, and what is known of them if they have not changed;
//!    `bound`: whether a document is allowed in a source that is bound to one namespace;
//! 5. `validate`: what only the whole set shows (the same policy twice, a missing DestinationSet);
//! 6. [`compile`](mod@compile): the set -> snapshot.
//!
//! Every stage reports every [`problem`] it finds, with its place. A source with an error is
//! refused whole. Nothing here reads a file, a clock or the environment.
//!
//! Around the stages:
//!
//! - [`policy_set`] decides which sources may be in force together, and [`policy_change`] describes
//!   the outcome of a change for records and the status.
//! - [`store`] is the one cell in which the snapshot in force is swapped.
//! - [`language`] knows the versions of the policy language, and what each of them has.
//! - [`targets`] binds policies to the hosts of ServiceEntries.
//! - [`printable`] escapes untrusted text. It is in this crate because problems quote policies, and
//!   every other crate that prints may depend on this one.
//!
//! The crate `customs-analysis` analyses whole sets and compares two of them.

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

mod action;
mod authorization_policy;
mod bound;
pub mod compile;
pub mod document;
mod egress_patterns;
mod egress_policy;
mod egress_subjects;
mod foreign;
pub mod guard;
mod istio_gaps;
mod istio_identities;
mod istio_rules;
mod istio_values;
pub mod language;
mod metadata;
mod methods;
mod named_trust_domain;
mod nesting;
pub mod policy_change;
mod policy_guard;
pub mod policy_set;
pub mod printable;
pub mod problem;
pub mod reader;
pub mod revision_manifest;
pub mod source;
pub mod spec;
pub mod store;
pub mod suggestion;
pub mod targets;
mod validate;
