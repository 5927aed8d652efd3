//! A bundle: a directory that proves what an audit log holds for a window of time, and by which
//! policies it was decided.
//!
//! ```text
//! BUNDLE/README.md               what it is, and how to check it
//! BUNDLE/bundle.json             the manifest: the window, the logs, and the digest of every file
//! BUNDLE/verify.py               checks the bundle with Python alone
//! BUNDLE/logs/N/records-1.jsonl  the records of one log, as they were written
//! BUNDLE/logs/N/checkpoints.jsonl  lines of the checkpoint file about them
//! BUNDLE/keys/ID.pem             the public keys of the checkpoints
//! BUNDLE/policies                a policy archive with the revisions that the records name
//! ```
//!
//! This module says what the manifest holds. [`extract`] writes a bundle and [`verify`] checks one.
//! The rule: the manifest proves nothing by itself. It says where to look; the chain, the signatures
//! and the revisions are the proof, and only a key that the auditor knows from elsewhere makes a
//! signature worth something.

pub(super) mod extract;
mod files;
mod policies;
mod report;
pub(super) mod verify;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use customs_engine::time::UnixNanos;
use customs_record::entry::audit_log::Position;
use customs_record::verify::range::{RangeEdge, Window};

/// The version of the format.
const VERSION: u32 = 1;

/// The names in a bundle.
const MANIFEST: &str = "bundle.json";
const README: &str = "README.md";
const SCRIPT: &str = "verify.py";
const POLICIES: &str = "policies";
const CHECKPOINTS: &str = "checkpoints.jsonl";

/// The program, as manifests name it.
const WRITTEN_BY: &str = concat!("customs ", env!("CARGO_PKG_VERSION"));

/// The manifest of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BundleManifest {
    version: u32,
    written_by: String,
    written_at: Timestamp,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// What the filter selects, in words; left out in a bundle with every record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    logs: Vec<BundleLog>,
    /// The ids of the keys.
    keys: Vec<String>,
    /// The revisions that the records name, without `none`.
    revisions: Vec<String>,
    /// Those of them that the bundle does not hold.
    missing_revisions: Vec<String>,
    /// Every other file, sorted by path.
    files: Vec<BundleFile>,
}

/// A log of a bundle: the range of one sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BundleLog {
    directory: String,
    sink: String,
    /// Which records the sink takes.
    sink_filter: String,
    /// The position before the first record, if that record does not name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<BundlePosition>,
    first: BundleRecord,
    last: BundleRecord,
    records: u64,
    decisions: u64,
    /// The files of records, in order.
    record_files: Vec<String>,
    /// The file that names the omitted records, in a bundle with a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    omitted_file: Option<String>,
    /// How many records are omitted.
    #[serde(default, skip_serializing_if = "is_zero")]
    omitted: u64,
    /// The lines of the checkpoint file, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint_file: Option<String>,
}

// serde requires this signature.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A position behind a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BundlePosition {
    stream: String,
    sequence: u64,
    chain: String,
}

/// A record at one end of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BundleRecord {
    stream: String,
    sequence: u64,
    time: String,
}

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BundleFile {
    path: String,
    sha256: String,
    size: u64,
}

impl BundleManifest {
    fn window(&self) -> Window {
        window(self.since, self.until)
    }
}

/// Returns a window of the record's times.
fn window(since: Option<Timestamp>, until: Option<Timestamp>) -> Window {
    let time = |time: Timestamp| UnixNanos(time.as_nanosecond());
    Window {
        since: since.map(time),
        until: until.map(time),
    }
}

impl From<Position> for BundlePosition {
    fn from(position: Position) -> BundlePosition {
        let Position {
            stream,
            sequence,
            chain,
        } = position;
        BundlePosition {
            stream,
            sequence,
            chain,
        }
    }
}

impl From<BundlePosition> for Position {
    fn from(position: BundlePosition) -> Position {
        let BundlePosition {
            stream,
            sequence,
            chain,
        } = position;
        Position {
            stream,
            sequence,
            chain,
        }
    }
}

impl From<RangeEdge> for BundleRecord {
    fn from(edge: RangeEdge) -> BundleRecord {
        let RangeEdge {
            stream,
            sequence,
            time,
        } = edge;
        BundleRecord {
            stream,
            sequence,
            time,
        }
    }
}

/// Names a record at one end of a log.
fn edge_text(edge: Option<&RangeEdge>) -> String {
    edge.map_or_else(String::new, |edge| {
        let RangeEdge {
            stream,
            sequence,
            time,
        } = edge;
        let time = if time.is_empty() {
            String::new()
        } else {
            format!(", {time}")
        };
        format!("record {sequence} of stream {stream}{time}")
    })
}
