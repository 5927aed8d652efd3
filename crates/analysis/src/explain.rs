//! Why a request was answered as it was: the stages of the decision, one after the other, in plain
//! words.
//!
//! Nothing here decides. [`stages`] renders what the naive evaluator found, which is its
//! [`Trace`](customs_engine::reference::Trace). Where an allow was missing, the parts of those rules
//! are asked that the trace says might have been meant, so that a person learns which one to change.

mod near;
mod problem;
mod rule_facts;
mod stages;

pub use near::{Miss, Nearest};
pub use problem::problem;
pub use rule_facts::RuleFacts;
pub use stages::{Stage, stages};
