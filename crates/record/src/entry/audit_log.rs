//! What the audit log tells of itself: where a stream begins, what was lost, and how long it was at a moment.

use super::Loss;
use customs_engine::time::UnixNanos;

/// A stream begins, or goes on in another file: what it holds, and what it is joined to.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEntry {
    /// When.
    pub time: UnixNanos,
    /// The sink, as the settings name it.
    pub sink: String,
    /// Which records it takes.
    pub filter: String,
    /// `json` or `protobuf`
    pub format: &'static str,
    /// How its chain is made.
    pub hash: &'static str,
    /// The stream before, and where it ended; none for the very first.
    pub previous: Option<Position>,
    /// Bytes of an unfinished record that were cut off.
    pub torn_bytes: u64,
    /// What somebody else did with the file before: `moved` or `deleted`; empty where customs itself left it.
    pub previous_file: &'static str,
}

/// A place in a stream: behind one of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The stream's id.
    pub stream: String,
    /// The record's number.
    pub sequence: u64,
    /// The record's chain, 64 hexadecimal digits.
    pub chain: String,
}

impl Loss {
    /// How many decisions there are among them.
    pub fn decisions(&self) -> u64 {
        self.allows + self.denials + self.differing + self.withheld
    }

    /// How many records in all.
    pub fn total(&self) -> u64 {
        self.decisions() + self.events
    }
}

/// How long a stream was, and where its chain stood.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointEntry {
    /// When.
    pub time: UnixNanos,
    /// The place behind the last record that is covered; its number is how many records there are.
    pub sealed: Position,
    /// Whether nothing follows in that stream but this record itself.
    pub last: bool,
    /// The key, and the signature of what is said here; both empty where none is configured.
    pub key: String,
    /// 128 hexadecimal digits.
    pub signature: String,
}
