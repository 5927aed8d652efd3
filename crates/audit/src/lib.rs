//! The edge where someone reads the record: an [`Entry`](customs_record::Entry) becomes a record in every sink.
//!
//! It judges nothing, and it does not decide what belongs into a record; that is the [record's](customs_record). The rule: **nothing is
//! answered that is not going to be on record**, and what is lost is counted on record.
//!
//! The way of a record:
//!
//! 1. [`recorder`] asks every sink's [`sink_queue`] for room before an answer is given;
//! 2. the [`writer`] of each sink takes it from the queue, [`redact`] takes out what the settings say, and its
//!    [`stream`](customs_record::stream) numbers it, renders it and joins it to the chain;
//! 3. one of the [`sinks`] takes the bytes, some of which `tail` serves to subscribers; a [`checkpoint`] now and then says
//!    how long the stream is.
//!
//! A host chooses by features what it needs:
//!
//! - Without a feature there is no runtime and no network. [`Recorder::try_admit`](recorder::Recorder::try_admit) admits a
//!   decision without waiting, [`Writers::finish_blocking`](writers::Writers::finish_blocking) ends the record, and records go
//!   to files and to standard output.
//! - `tokio` adds the waits of async code: for room, for the disk, for the end.
//! - `network-sinks` adds OTLP and the `tail` with its gRPC service.
//!
//! [`config`] says what is wanted, [`redact`] what is left out, and [`start`] puts it together. What a record is, and how it
//! is read back, is in [`record`](customs_record).

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
