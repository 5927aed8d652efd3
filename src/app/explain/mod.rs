//! One question, asked in every way: by `check` and `test` of files, and by operators of a running
//! server.
//!
//! [`read`] reads a question, [`query`] turns it into the attributes that Envoy would send,
//! [`answer`] has it decided and prints the answer with its
//! [explanation](customs_analysis::explain), [`server`] does so on what a server has in force.
//! Nothing here decides.

pub mod answer;
pub mod query;
pub mod read;
pub mod server;
