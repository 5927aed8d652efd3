//! A stream: the records that one sink gets from one process. It numbers the records, renders them
//! and joins them into a chain.
//!
//! It writes nothing anywhere; its caller takes the bytes to a sink. The rule: sequence and chain
//! are assigned here, after the sink's filter, so that the records of a sink have no gaps.

use std::fmt;
use std::str::FromStr;

use super::chain::{HASH, Head};
use super::{binary, json};
use crate::entry::audit_log::Position;
use crate::{Entry, StreamEntry};
use customs_engine::time::UnixNanos;

/// How a record is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One line of JSON.
    #[default]
    Json,
    /// A protobuf message behind its length, as protobuf's own tools delimit messages.
    Protobuf,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 2] = [Format::Json, Format::Protobuf];

    /// Returns the name in settings and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Protobuf => "protobuf",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that does not name a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid format `{0}`: expected `json` or `protobuf`")]
pub struct ParseFormatError(String);

impl FromStr for Format {
    type Err = ParseFormatError;

    fn from_str(text: &str) -> Result<Format, ParseFormatError> {
        let found = Format::ALL
            .into_iter()
            .find(|format| format.as_str() == text);
        found.ok_or_else(|| ParseFormatError(text.to_owned()))
    }
}

/// What an earlier process left where a sink writes: the point at which a stream continues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResumePoint {
    /// Its last whole record.
    pub previous: Option<Position>,
    /// The number of bytes of an unfinished record behind it, which were cut off.
    pub torn_bytes: u64,
}

/// A point in a stream to which it can be reset, if the records after it did not reach the sink.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    sequence: u64,
    head: Head,
}

/// One sink's records in one process.
#[derive(Debug)]
pub struct Stream {
    id: String,
    sink: String,
    filter: String,
    format: Format,
    sequence: u64,
    head: Head,
    /// Where a record is rendered that needs its length before it.
    scratch: Vec<u8>,
}

impl Stream {
    /// Creates a stream without records. `id` is a random UUID; `sink` and `filter` are as in the
    /// settings.
    pub fn new(id: String, sink: &str, filter: &str, format: Format) -> Stream {
        let (sink, filter) = (sink.to_owned(), filter.to_owned());
        Stream {
            id,
            sink,
            filter,
            format,
            sequence: 0,
            head: Head::START,
            scratch: Vec::new(),
        }
    }

    /// Appends its first record, which joins it to the records before.
    pub fn begin(&mut self, left: ResumePoint, time: UnixNanos, out: &mut Vec<u8>) {
        let ResumePoint {
            previous,
            torn_bytes,
        } = left;
        self.head = previous
            .as_ref()
            .and_then(|p| Head::parse(&p.chain))
            .unwrap_or(Head::START);
        self.say(previous, torn_bytes, "", time, out);
    }

    /// Appends the record with which another file of the same stream begins. `previous_file` says
    /// what another process did with the file before; it is empty if customs itself closed it.
    pub fn continue_in_new_file(
        &mut self,
        previous_file: &'static str,
        time: UnixNanos,
        out: &mut Vec<u8>,
    ) {
        self.say(Some(self.position()), 0, previous_file, time, out);
    }

    fn say(
        &mut self,
        previous: Option<Position>,
        torn_bytes: u64,
        previous_file: &'static str,
        time: UnixNanos,
        out: &mut Vec<u8>,
    ) {
        let (sink, filter, format) = (self.sink.clone(), self.filter.clone(), self.format.as_str());
        let entry = StreamEntry {
            time,
            sink,
            filter,
            format,
            hash: HASH,
            previous,
            torn_bytes,
            previous_file,
        };
        self.append(&Entry::Stream(entry.into()), out);
    }

    /// Appends a record: numbered, rendered, chained.
    pub fn append(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        self.sequence += 1;
        match self.format {
            Format::Json => {
                let from = out.len();
                json::open(entry, &self.id, self.sequence, out);
                self.head = self.head.then(out.get(from..).unwrap_or_default());
                json::close(self.head.hex().as_str(), out);
            }
            Format::Protobuf => {
                self.scratch.clear();
                binary::open(entry, &self.id, self.sequence, &mut self.scratch);
                self.head = self.head.then(&self.scratch);
                binary::close(self.head.hex().as_str(), &mut self.scratch);
                // Writing to a vector does not fail.
                let _ = prost::encode_length_delimiter(self.scratch.len(), out);
                out.extend_from_slice(&self.scratch);
            }
        }
    }

    /// Returns the current point.
    pub fn mark(&self) -> Mark {
        Mark {
            sequence: self.sequence,
            head: self.head,
        }
    }

    /// Goes back to a point: the records after it were never kept, and their numbers are assigned
    /// again.
    pub fn reset(&mut self, Mark { sequence, head }: Mark) {
        (self.sequence, self.head) = (sequence, head);
    }

    /// Returns the position behind its last record.
    pub fn position(&self) -> Position {
        let chain = self.head.hex().as_str().to_owned();
        Position {
            stream: self.id.clone(),
            sequence: self.sequence,
            chain,
        }
    }
}
