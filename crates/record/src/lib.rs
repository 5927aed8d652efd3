//! The record as a format: what an [`Entry`] is, the bytes it becomes, and how those bytes are read back.
//!
//! - [`entry`] tells once what happened;
//! - [`stream`] numbers entries, renders them ([`encode`] says what, [`json`] or [`binary`] spell it, with the numbers and
//!   names of [`fields`], the times of [`timestamp`] and the writer of [`protobuf`]) and joins them to the [`chain`];
//! - [`checkpoint`] says how long a stream is, and [`signing`] has its keys;
//! - [`record_reader`] cuts what was written into records, and [`decode`] says what they are;
//! - [`verify`] reads it all back and says whether it is what was written.
//!
//! [`filter`] says which entries somebody wants, [`proto`] is the schema; [`clock`] is the time that entries are stamped with,
//! and [`plain_file`] opens the files of keys and policies. Nothing here knows a queue, a sink or a setting:
//! the crate `customs-audit` writes records, and this one says what they are.

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

pub mod binary;
pub mod chain;
pub mod checkpoint;
pub mod clock;
pub mod decode;
pub mod encode;
pub mod entry;
pub mod fields;
pub mod filter;
pub mod json;
pub mod plain_file;
pub mod proto;
pub mod protobuf;
mod record_encoder;
pub mod record_reader;
pub mod signing;
pub mod stream;
pub mod timestamp;
pub mod verify;

#[cfg(any(test, feature = "examples"))]
pub mod examples;

pub use entry::{
    AnswerEntry, CallerGoneEntry, CheckpointEntry, DecisionEntry, DecisionRecord, Entry, GapEntry,
    GrantExpiredEntry, HeaderEntry, LagEntry, Loss, Occasion, OptionalFields, PeerAddress,
    QuestionEntry, RefusalCause, RefusalCount, RefusalsEntry, StartEntry, StopEntry, StreamEntry,
    WithheldEntry,
};
