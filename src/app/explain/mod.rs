//! Explains the decision for one request: for `check` and `test` from files, and for operators from
//! a running server.
//!
//! [`read`] parses a question, [`query`] converts it to the attributes that Envoy would send,
//! [`answer`] lets the engine decide and prints the answer with its
//! [explanation](customs_analysis::explain), [`server`] does the same with the policy set that a
//! server has in force. [`who_can`] and [`can_reach`] answer for all callers and all destinations,
//! and [`read_reach`] parses such questions. Nothing here decides.

pub(super) mod answer;
pub(super) mod can_reach;
pub(super) mod query;
pub(super) mod read;
mod read_reach;
pub(super) mod server;
pub(super) mod who_can;
