//! Counts the records of files of the audit log.
//!
//! It verifies nothing; that is the task of `audit verify`.

use std::fs::File;
use std::path::{Path, PathBuf};

use customs_doctor::evidence::{RecordCounts, Trouble};
use customs_record::Loss;
use customs_record::decode::RecordDecodeError;
use customs_record::proto::Record;
use customs_record::record_reader::{Piece, RecordReadError, RecordReader};
use customs_record::segment_name::is_index;

/// Why a file cannot be counted.
#[derive(Debug, thiserror::Error)]
enum CountError {
    /// The system does not open it.
    #[error("it cannot be read: {0}")]
    Open(#[from] std::io::Error),
    /// It cannot be read to its end.
    #[error("it cannot be read to its end: {0}")]
    Read(#[from] RecordReadError),
    /// It has no record.
    #[error("it is not an audit log: give a file that customs wrote with `--audit`")]
    NoLog,
}

/// Counts the records of files; `None` if there is no file.
pub(super) fn count(files: &[PathBuf], troubles: &mut Vec<Trouble>) -> Option<RecordCounts> {
    let mut counts = RecordCounts::default();
    for path in files.iter().filter(|path| !is_index(path)) {
        match add(&mut counts, path) {
            Ok(()) => counts.files.push(path.display().to_string()),
            Err(why) => troubles.push(Trouble {
                what: path.display().to_string(),
                why: why.to_string(),
            }),
        }
    }
    (!counts.files.is_empty()).then_some(counts)
}

fn add(counts: &mut RecordCounts, path: &Path) -> Result<(), CountError> {
    let mut reader = RecordReader::unpack(File::open(path)?)?;
    let (mut records, mut others) = (0_u64, 0_u64);
    while let Some(piece) = reader.next_piece()? {
        let record: Result<Record, RecordDecodeError> = match piece {
            Piece::Record(raw) if raw.bytes.trim_ascii().is_empty() => continue,
            Piece::Record(raw) => raw.decode(),
            Piece::NoRecord(..) => {
                others += 1;
                continue;
            }
        };
        match record {
            Ok(record) => {
                records += 1;
                add_record(counts, &record);
            }
            Err(_) => others += 1,
        }
    }
    // A line that only lacks its line feed is complete.
    if let Some(rest) = reader
        .unfinished()
        .filter(|rest| !rest.bytes.trim_ascii().is_empty())
    {
        match rest.as_line().and_then(|line| line.decode().ok()) {
            Some(record) => {
                records += 1;
                add_record(counts, &record);
            }
            None => others += 1,
        }
    }
    match (records, others) {
        (0, 1..) => Err(CountError::NoLog),
        _ => Ok(()),
    }
}

fn add_record(counts: &mut RecordCounts, record: &Record) {
    match record.kind.as_str() {
        "decision" => {
            counts.decisions += 1;
            let is_wrapper = record.host.is_empty() && record.raw_host.starts_with("outbound_.");
            if is_wrapper && record.protocol == "tcp" {
                *counts.wrappers.entry(record.raw_host.clone()).or_default() += 1;
            }
        }
        "gap" => {
            if let Some(lost) = record.lost {
                let lost = Loss::from(lost).decisions();
                counts.dropped = counts.dropped.saturating_add(lost);
            }
        }
        _ => {}
    }
}
