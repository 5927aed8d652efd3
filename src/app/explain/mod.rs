//! Explains the decision for one request: for `check` and `test` from files, and for operators from
//! a running server.
//!
//! [`read`] parses a question, [`query`] converts it to the attributes that Envoy would send,
//! [`answer`] lets the engine decide and prints the answer with its
//! [explanation](customs_analysis::explain), [`server`] does the same with the policy set that a
//! server has in force. Nothing here decides.

pub(super) mod answer;
pub(super) mod query;
pub(super) mod read;
pub(super) mod server;
