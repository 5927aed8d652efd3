//! One question, asked in every way: by `check` and `test` of files, and by operators of a running server.
//!
//! [`read`] reads a question, [`question`] turns it into the attributes that Envoy would send, [`answer`] has it decided
//! and tells the answer, [`explain`] says why, [`near`] what came nearest, [`live`] does so on what a server has in force. Nothing here decides.

pub mod answer;
pub mod explain;
pub mod live;
pub mod near;
pub mod question;
pub mod read;
