//! Explains an answer: the stages of the decision, one after the other, in plain words.
//!
//! This module decides nothing. [`mod@stages`] renders the
//! [`Trace`](customs_engine::reference::Trace) of the naive evaluator. If an allow was missing, it
//! evaluates each part of the rules that might have been meant according to the trace, to show
//! which part to change.

mod near;
mod problem;
mod rule_facts;
mod stages;

pub use near::{Miss, Nearest};
pub use problem::problem;
pub use rule_facts::RuleFacts;
pub use stages::{Stage, stages};
