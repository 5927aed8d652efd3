//! A range with a filter: runs of records are omitted, and their chain values are named instead.
//!
//! The chain value of a record covers the value before and the bytes of the record. So without the
//! bytes of a run, nothing joins the value before the run to the value behind it. What is behind the
//! last omitted run up to a checkpoint is proven by the checkpoint; a record before that only agrees
//! with the value that is stated before it. The rule: the report says how many records are proven,
//! and never counts one that is only stated.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::RangeEdge;
use crate::chain::Head;
use crate::entry::audit_log::Position;
use crate::record_reader::{Piece, RecordReader};
use crate::signing::Verifier;
use crate::stream::Format;
use crate::verify::VerifyOptions;
use crate::verify::checkpoints::{Worth, worth};
use crate::verify::files::log_file::Item;
use crate::verify::files::{LogReadError, Source};
use crate::verify::record::{About, At, Seen};
use crate::verify::report::{Bad, Named, What};

/// Records of one stream that are omitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OmittedRun {
    /// Their stream.
    pub stream: String,
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// The chain value of the last.
    pub chain: String,
}

impl OmittedRun {
    /// Begins a run with this record.
    pub fn of(seen: &Seen) -> OmittedRun {
        OmittedRun {
            stream: seen.stream.clone(),
            first: seen.sequence,
            last: seen.sequence,
            chain: seen.chain.hex().as_str().to_owned(),
        }
    }

    /// Adds the next record of the stream.
    pub fn extend(&mut self, seen: &Seen) {
        self.last = seen.sequence;
        self.chain = seen.chain.hex().as_str().to_owned();
    }

    /// Returns its line, with the line feed.
    pub fn to_line(&self) -> String {
        // A struct of texts and numbers cannot fail.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// Returns the position behind it, if it continues from another. A log begins with a record of
    /// kind `stream`, which no filter omits, so no run is before the first record.
    fn after(&self, at: Option<&At>) -> Option<At> {
        let is_next = at.is_some_and(|at| {
            at.stream == self.stream && at.sequence.checked_add(1) == Some(self.first)
        });
        let head = Head::parse(&self.chain)?;
        (is_next && self.first <= self.last).then(|| At {
            stream: self.stream.clone(),
            sequence: self.last,
            head,
        })
    }
}

/// What was found in a range with a filter.
#[derive(Clone, Debug, Default)]
pub struct FilteredReport {
    /// The first thing that is wrong.
    pub bad: Option<Bad>,
    /// How many records are there.
    pub records: u64,
    /// How many of them are decisions.
    pub decisions: u64,
    /// How many of them a checkpoint that counts proves.
    pub proven: u64,
    /// How many records are omitted.
    pub omitted: u64,
    /// The first and the last record that is there or omitted; an omitted one has no time.
    pub first: Option<RangeEdge>,
    /// See `first`.
    pub last: Option<RangeEdge>,
}

/// Verifies the records of a range with a filter.
///
/// # Errors
/// If a file cannot be read.
pub fn verify_filtered(
    options: &VerifyOptions,
    omitted: &Path,
    start: Option<&Position>,
    mut take: impl FnMut(&Seen),
) -> Result<FilteredReport, LogReadError> {
    let mut source = Source::listed(&options.files)?;
    let mut runs = Runs::read(omitted)?;
    let start = start.and_then(|start| {
        Some(At {
            stream: start.stream.clone(),
            sequence: start.sequence,
            head: Head::parse(&start.chain)?,
        })
    });
    let mut walk = FilteredWalk {
        keys: &options.keys,
        at: start,
        pending: 0,
        report: FilteredReport::default(),
    };
    while let Some((item, place, _)) = source.step()? {
        let named = Named::place(&place);
        let Item::Record(seen) = item else {
            walk.report.bad = Some(Bad::at(What::Edited, named, "it is not a record"));
            return Ok(walk.report);
        };
        while let Some(at) = runs
            .next
            .as_ref()
            .and_then(|run| run.after(walk.at.as_ref()))
        {
            walk.omit(at, &mut runs)?;
        }
        let named = Named::record(&seen, &place);
        walk.report.bad = walk.record(&seen, named);
        if walk.report.bad.is_some() {
            return Ok(walk.report);
        }
        take(&seen);
    }
    while let Some(at) = runs
        .next
        .as_ref()
        .and_then(|run| run.after(walk.at.as_ref()))
    {
        walk.omit(at, &mut runs)?;
    }
    if let Some(run) = runs.next {
        let named = Named {
            file: omitted.display().to_string(),
            number: runs.line,
            unit: "line",
            stream: run.stream,
            sequence: run.first,
            time: String::new(),
        };
        let why = "the records that it names do not belong where it names them";
        walk.report.bad = Some(Bad::at(What::Edited, named, why));
    }
    Ok(walk.report)
}

/// The omitted runs, one after the other.
struct Runs {
    reader: RecordReader<std::fs::File>,
    path: std::path::PathBuf,
    next: Option<OmittedRun>,
    line: u64,
}

impl Runs {
    fn read(path: &Path) -> Result<Runs, LogReadError> {
        let file = std::fs::File::open(path).map_err(|problem| LogReadError::File {
            path: path.to_owned(),
            problem,
        })?;
        let mut runs = Runs {
            reader: RecordReader::new(file).with_format(Format::Json),
            path: path.to_owned(),
            next: None,
            line: 0,
        };
        runs.advance()?;
        Ok(runs)
    }

    fn advance(&mut self) -> Result<(), LogReadError> {
        let failed = |problem| LogReadError::File {
            path: self.path.clone(),
            problem,
        };
        let piece = self.reader.next_piece().map_err(|why| failed(why.into()))?;
        self.line += 1;
        self.next = match piece {
            None => None,
            Some(Piece::NoRecord(..)) => return Err(LogReadError::NoLog(self.path.clone())),
            Some(Piece::Record(line)) => Some(
                serde_json::from_slice(line.bytes)
                    .map_err(|_| LogReadError::NoLog(self.path.clone()))?,
            ),
        };
        Ok(())
    }
}

struct FilteredWalk<'w> {
    keys: &'w [Verifier],
    at: Option<At>,
    /// Records that the next checkpoint proves.
    pending: u64,
    report: FilteredReport,
}

impl FilteredWalk<'_> {
    fn omit(&mut self, at: At, runs: &mut Runs) -> Result<(), LogReadError> {
        if let Some(run) = &runs.next {
            self.report.omitted += run.last - run.first + 1;
            let edge = |sequence| RangeEdge {
                stream: run.stream.clone(),
                sequence,
                time: String::new(),
            };
            self.report.first.get_or_insert_with(|| edge(run.first));
            self.report.last = Some(edge(run.last));
        }
        self.at = Some(at);
        self.pending = 0;
        runs.advance()
    }

    fn record(&mut self, seen: &Seen, named: Named) -> Option<Bad> {
        if !seen.follows(self.at.as_ref()) {
            let why = "it does not follow from what is before it: it was edited, or records before it were removed, added or moved";
            return Some(Bad::at(What::Edited, named, why));
        }
        let before = self.at.replace(seen.at());
        self.pending += 1;
        self.report.records += 1;
        self.report.decisions += u64::from(matches!(seen.about, About::Decision));
        let edge = RangeEdge {
            stream: seen.stream.clone(),
            sequence: seen.sequence,
            time: seen.time.clone(),
        };
        self.report.first.get_or_insert_with(|| edge.clone());
        self.report.last = Some(edge);
        let About::Checkpoint(checkpoint) = &seen.about else {
            return None;
        };
        let before = before.filter(|_| checkpoint.stream == seen.stream)?;
        match worth(self.keys, checkpoint) {
            Worth::BadSignature => {
                let why = format!("key {} did not sign this checkpoint", checkpoint.key);
                return Some(Bad::at(What::BadSignature, named, why));
            }
            _ if checkpoint.records != before.sequence
                || checkpoint.head != before.head.hex().as_str() =>
            {
                let why = "the chain was different when this checkpoint was made";
                return Some(Bad::at(What::CheckpointMismatch, named, why));
            }
            Worth::Counts => {
                // As in a whole log, the checkpoint counts with the records that it seals.
                self.report.proven += self.pending;
                self.pending = 0;
            }
            Worth::Ignored => {}
        }
        None
    }
}
