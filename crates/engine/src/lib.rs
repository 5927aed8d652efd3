//! The engine: values in, values out.
//!
//! Everything that decides lives here, and nothing that can wait or fail: no runtime, no network,
//! no file, no clock, no environment and no logging. `now`, identifiers and file contents come in
//! as arguments, so the same code can run inside another host.
//!
//! Text becomes a [`Snapshot`] in the crate `customs-policy`; a request becomes a [`Decision`] in
//! [`Snapshot::decide`]. "Rule R9" and the like are in `docs/reference/decision-rules.md`, an anchor each.
//!
//! The names that every user needs are re-exported here. The modules hold what rules are made of,
//! for the crates that compile, compare and explain them.

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

mod ascii;
pub mod condition;
pub mod decision;
pub mod effect;
pub mod enforcement;
pub mod eval_context;
pub mod expirations;
pub mod field;
pub mod header_table;
pub mod header_uses;
pub mod header_values;
pub mod host;
mod http;
pub mod identity;
mod index;
pub mod operation;
pub mod pass;
pub mod path;
pub mod pattern;
pub mod place;
pub mod reason;
pub mod reference;
pub mod request;
pub mod rule;
pub mod rule_info;
mod rule_number;
pub mod rules;
pub mod settings;
pub mod snapshot;
pub mod subject;
pub mod time;

pub use decision::{Answer, Decision, Gate, Outcome};
pub use effect::Effect;
pub use enforcement::Enforcement;
pub use identity::{Caller, IdentityState, Principal};
pub use pass::Pass;
pub use reason::Reason;
pub use request::{Attributes, Headers, HttpAttributes, Request};
pub use rule::Rule;
pub use rule_info::{RuleId, RuleInfo};
pub use rules::Rules;
pub use settings::{DefaultEffect, Settings};
pub use snapshot::{Revision, Snapshot};
pub use time::UnixNanos;

#[cfg(not(feature = "count-steps"))]
mod work_count;
#[cfg(feature = "count-steps")]
pub mod work_count;
