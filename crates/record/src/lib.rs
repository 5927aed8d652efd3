//! The format of the audit log: what an [`Entry`] is, the bytes of its record, and how those bytes
//! are read back.
//!
//! - [`entry`] holds each event once;
//! - [`stream`] numbers entries, renders them and joins them to the [`chain`]. [`encode`] says what
//!   a record holds; [`json`] and [`binary`] write it, with the numbers and names of [`fields`],
//!   the times of [`timestamp`] and the writer of [`protobuf`];
//! - [`checkpoint`] says how long a stream is, and [`signing`] has its keys;
//! - [`record_reader`] cuts bytes into records, and [`decode`] decodes them, most of them as
//!   [`record_fields`], which copy no text; [`scan`] does both for many files on all cores;
//! - [`recorded_request`] rebuilds a request from its record, so that another policy set can decide
//!   it again;
//! - [`verify`] reads the files and says whether they hold what was written.
//!
//! [`in_force`] says which revision was in force at a time, as the records say. [`filter`] selects
//! entries before they are written, and [`record_query`] records that were. [`segment_name`] names
//! the files of a log that were closed, and a [`segment_index`] says what such a file holds, in
//! short; a [`survey`] says which records are there. [`pretty`] shows a record to people. [`proto`]
//! is the schema, [`clock`] is the time that entries are stamped with, and [`plain_file`] opens the
//! files of keys and policies. Nothing here knows a queue, a sink or a setting: the crate
//! `customs-audit` writes records, and this one says what they are.

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
pub mod in_force;
pub mod json;
pub mod plain_file;
pub mod pretty;
pub mod proto;
pub mod protobuf;
mod record_encoder;
pub mod record_fields;
pub mod record_query;
pub mod record_reader;
pub mod recorded_request;
pub mod scan;
pub mod segment_index;
pub mod segment_name;
pub mod signing;
pub mod stream;
pub mod survey;
pub mod timestamp;
mod trace_context;
pub mod verify;

#[cfg(any(test, feature = "examples"))]
pub mod examples;

pub use entry::{
    AnswerEntry, CallerGoneEntry, CheckpointEntry, DecisionEntry, DecisionRecord, Entry, GapEntry,
    GrantExpiredEntry, HeaderEntry, LagEntry, Loss, Occasion, OptionalFields, PeerAddress,
    QuestionEntry, RefusalCause, RefusalCount, RefusalsEntry, StartEntry, StopEntry, StreamEntry,
    WithheldEntry,
};
pub use trace_context::TraceContext;
