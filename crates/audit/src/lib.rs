//! Writes the audit log: an [`Entry`](customs_record::Entry) becomes a record in every sink.
//!
//! This crate decides nothing, and it does not decide what a record holds; `customs-record` does.
//! The rule: **a decision is answered only if it is going to be recorded**, and what is lost is
//! counted in a record.
//!
//! The path of a record:
//!
//! 1. [`recorder`] reserves room in every sink's [`sink_queue`] before an answer is given;
//! 2. the [`writer`] of each sink takes it from the queue, [`redact`] removes what the settings
//!    name, and its [`stream`](customs_record::stream) numbers it, renders it and joins it to the
//!    chain;
//! 3. one of the [`sinks`] takes the bytes, and `tail` serves those of its ring to subscribers.
//!    From time to time a [`checkpoint`] says how long the stream is.
//!
//! A host chooses by features what it needs:
//!
//! - Without a feature there is no runtime and no network.
//!   [`Recorder::try_admit`](recorder::Recorder::try_admit) admits a decision without waiting,
//!   [`Writers::finish_blocking`](writers::Writers::finish_blocking) ends the audit log, and
//!   records go to files and to standard output.
//! - `tokio` adds the waits of async code: for room, for the disk, for the end.
//! - `network-sinks` adds OTLP, with TLS, and the `tail` with its gRPC service.
//!
//! [`config`] describes the sinks, [`redact`] what is left out, and [`start`] puts everything
//! together. [`customs_record`] says what a record is and how it is read back.

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

pub mod checkpoint;
pub mod config;
pub mod oneshot;
pub mod recorder;
pub mod redact;
pub mod sink_queue;
mod sink_state;
pub mod sinks;
pub mod start;
#[cfg(feature = "network-sinks")]
pub mod tail;
pub mod writer;
pub mod writers;
