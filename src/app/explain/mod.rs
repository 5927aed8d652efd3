//! One question, asked in every way: by `check` and `test` of files, and by operators of a running server.
//!
//! [`read`] reads a question, [`query`] turns it into the attributes that Envoy would send, [`answer`] has it decided and
//! tells the answer, [`stages`] says why, [`near`] what came nearest, [`server`] does so on what a server has in force.
//! Nothing here decides.

pub mod answer;
pub mod near;
pub mod query;
pub mod read;
pub mod server;
pub mod stages;
