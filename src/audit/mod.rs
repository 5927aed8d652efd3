//! The edge where someone reads the record: an [`Entry`](crate::engine::record::Entry) becomes a record in every sink.
//!
//! It judges nothing, and it does not decide what belongs into a record; that is the engine's. The rule: **nothing is
//! answered that is not going to be on record**, and what is lost is counted on record.
//!
//! The way of a record:
//!
//! 1. [`recorder`] asks every sink's [`lane`] for room before an answer is given;
//! 2. the [`writer`] of each sink takes it from the lane, [`redact`] takes out what the settings say, and its [`stream`] numbers it, renders it (the
//!    [`layout`] says what, [`json`] or [`binary`] spell it) and joins it to the [`chain`];
//! 3. one of the [`sinks`] takes the bytes, some of which [`tail`] serves to subscribers; a [`checkpoint`] now and then says
//!    how long the stream is.
//!
//! [`signing`] has the keys of checkpoints, and [`verify`] reads it all back and says whether it is what was written.
//!
//! [`config`] and [`filter`] say what is wanted, [`redact`] what is left out, and [`start`] puts it together. [`proto`] is the
//! schema, [`fields`] lists what each kind of record has, and [`tail`] serves what one of the sinks keeps to subscribers.

pub mod binary;
pub mod chain;
pub mod checkpoint;
pub mod config;
pub mod fields;
pub mod filter;
pub mod json;
pub mod lane;
pub mod layout;
pub mod moment;
pub mod proto;
pub mod recorder;
pub mod redact;
pub mod signing;
mod sink_state;
pub mod sinks;
pub mod start;
pub mod stream;
pub mod tail;
pub mod verify;
pub mod writer;

#[cfg(test)]
pub(crate) mod examples;
