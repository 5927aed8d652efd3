//! From text to a [`Snapshot`](customs_engine::snapshot::Snapshot), one file a stage:
//!
//! 1. [`document`]: YAML text -> nodes, each with its place;
//! 2. [`reader`]: a node -> the typed fields that [`spec`] declares, reporting what is wrong and reading on;
//! 3. [`metadata`], [`authorization_policy`] (with [`istio_rules`]), [`egress_policy`]: a document -> its rules;
//! 4. [`source`]: the files of one source, and what is known of them when they have not changed; `bound`: whether a document
//!    may stand in a source that speaks for one namespace only;
//! 5. [`validate`]: what only the whole set can show (the same policy twice, a missing DestinationSet);
//! 6. [`compile`]: the set -> snapshot.
//!
//! [`policy_set`] decides what of all sources may be in force, with which change; [`policy_change`] is what became of it, as
//! records and the status report it.
//!
//! [`store`] is the one cell in which the compiled set in force is swapped. What a whole set means, and how two of them
//! differ, is in the crate `customs-analysis`.
//!
//! [`printable`] escapes what strangers wrote, in a policy or elsewhere, where it is printed. It stands here since a
//! [`problem`] quotes policies, and everything else that prints may import this module.
//!
//! Every stage reports every problem it finds, with its place. A source with an error is refused whole. Nothing here reads a file.

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

pub mod action;
pub mod authorization_policy;
mod bound;
pub mod compile;
pub mod document;
mod egress_patterns;
pub mod egress_policy;
mod egress_subjects;
mod foreign;
mod istio_gaps;
mod istio_identities;
pub mod istio_rules;
mod istio_values;
pub mod metadata;
mod methods;
mod nesting;
pub mod policy_change;
pub mod policy_set;
pub mod printable;
pub mod problem;
pub mod reader;
pub mod source;
pub mod spec;
pub mod store;
pub mod targets;
pub mod validate;
