//! The result of a verification, as values and as one JSON document.
//!
//! It judges nothing. The rule: each finding has one word of a closed list, and its place.

use serde::Serialize;

use super::files::Place;
use super::record::Seen;
use customs_policy::printable;

/// What is wrong, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// A record is not what was written.
    Edited,
    /// Records are missing in the middle.
    Deleted,
    /// A record was added.
    Inserted,
    /// A record is in another place.
    Reordered,
    /// Records are missing at the end.
    Truncated,
    /// A record is unfinished, and others follow it.
    Torn,
    /// Records are missing between two streams or two files.
    UndeclaredGap,
    /// A new chain begins where one should continue.
    NewChain,
    /// A checkpoint's signature was not made by its key.
    BadSignature,
    /// The records are not those that a checkpoint sealed.
    CheckpointMismatch,
}

impl What {
    /// Returns the word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            What::Edited => "edited",
            What::Deleted => "deleted",
            What::Inserted => "inserted",
            What::Reordered => "reordered",
            What::Truncated => "truncated",
            What::Torn => "torn",
            What::UndeclaredGap => "undeclared gap",
            What::NewChain => "new chain",
            What::BadSignature => "bad signature",
            What::CheckpointMismatch => "checkpoint mismatch",
        }
    }
}

/// A record as reports name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// The file, as it was given.
    pub file: String,
    /// The line, or in a binary file the number of the record.
    pub number: u64,
    /// `line` or `record`
    pub unit: &'static str,
    /// Its stream; empty where it cannot be read.
    pub stream: String,
    /// Its number in the stream; 0 where it cannot be read.
    pub sequence: u64,
    /// Its time; empty where it cannot be read.
    pub time: String,
}

impl Named {
    /// Names a place that holds no readable record.
    pub fn place(place: &Place) -> Named {
        let Place { file, number, unit } = place;
        Named {
            file: file.to_string(),
            number: *number,
            unit,
            ..Named::default()
        }
    }

    /// Names a record at its place.
    pub fn record(seen: &Seen, place: &Place) -> Named {
        // The text of a record is printed to a terminal, and may have been manipulated.
        let shown = |text: &str| printable::line(text).into_owned();
        let (stream, time) = (shown(&seen.stream), shown(&seen.time));
        Named {
            stream,
            sequence: seen.sequence,
            time,
            ..Named::place(place)
        }
    }
}

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bad {
    /// The word for it.
    pub what: What,
    /// Its place.
    #[serde(flatten)]
    pub named: Named,
    /// What is wrong, in words.
    pub why: String,
}

impl Bad {
    /// Reports that something is wrong at a record.
    pub fn at(what: What, named: Named, why: impl Into<String>) -> Bad {
        Bad {
            what,
            named,
            why: why.into(),
        }
    }
}

/// Whether the audit log can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Up to its last record.
    Intact,
    /// Something is wrong.
    Bad,
    /// Intact as far as it is sealed; more records follow.
    Unsealed,
}

/// What was declared as lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Declared {
    /// How many records declare losses.
    pub gaps: u64,
    /// How many records were lost.
    pub records: u64,
    /// Decisions among them.
    pub decisions: u64,
}

/// The last checkpoint that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Last {
    /// When it was made.
    pub time: String,
    /// The stream that it seals.
    pub stream: String,
    /// The number of records that it covers.
    pub records: u64,
    /// Whether its stream ended in order with it.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// The id of the key that it names; empty if it is not signed.
    pub key: String,
    /// The file that holds it.
    pub file: String,
}

/// An unfinished record at the end of the last file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tail {
    /// The file.
    pub file: String,
    /// The number of its bytes that are there.
    pub bytes: u64,
}

/// The result of a verification.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The outcome, in a word.
    pub outcome: Outcome,
    /// The first thing that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad: Option<Bad>,
    /// The files that hold records, in the order in which they were written.
    pub files: Vec<String>,
    /// How many streams were read.
    pub streams: usize,
    /// How many records were read, up to the first that is wrong.
    pub records: u64,
    /// How many of them are decisions.
    pub decisions: u64,
    /// The losses that they declare.
    pub declared_losses: Declared,
    /// Whether signatures were checked.
    pub signatures_checked: bool,
    /// The last checkpoint that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_checkpoint: Option<Last>,
    /// How many records follow it.
    pub unsealed_records: u64,
    /// The unfinished record at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torn: Option<Tail>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}
