//! From text to a [`Snapshot`](super::snapshot::Snapshot), one file a stage:
//!
//! 1. [`document`]: YAML text -> nodes, each with its place;
//! 2. [`reader`]: a node -> typed fields, reporting what is wrong and reading on;
//! 3. [`metadata`], [`authorization_policy`] (with [`istio_rules`]), [`egress_policy`]: a document -> its strict form;
//! 4. [`validate`]: what only the whole set can show (the same policy twice, a missing DestinationSet);
//! 5. [`compile`]: the set -> rules -> snapshot.
//!
//! Every stage reports every problem it finds, with its place. A source with an error is refused whole; that is
//! [`compile`]'s decision alone. Nothing here reads a file.

pub mod authorization_policy;
pub mod compile;
pub mod document;
pub mod egress_policy;
mod egress_subjects;
pub mod istio_rules;
pub mod metadata;
pub mod problem;
pub mod reader;
pub mod validate;
