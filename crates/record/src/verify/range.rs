//! A range: a part of an audit log, such as a day, that is cut out and verified by itself.
//!
//! A range is all records of a log from one to another, with nothing left out between them. It holds
//! every record of a window of time, the one before the window, and those after it up to the first
//! checkpoint that seals the window. It needs nothing else but the chain value before its first
//! record:
//!
//! - The chain value of each record covers that record and all before it, up to the first of the
//!   range. So the checkpoint at the end seals all of them.
//! - The record before the window shows that the window begins inside the range, and a record after
//!   the window shows that it ends inside the range.
//!
//! [`find`] says where the ranges of a window are, and [`LogRange::read`] verifies one and returns
//! its records. [`verify_range`] does the same where a range was cut out. The rule: the place of a
//! range is found by times, but what is in it follows from the chain alone.

mod omitted;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use super::checkpoints::Checkpoints;
use super::files::{LogReadError, Source, in_order_of_links};
use super::record::{About, At, Seen};
use super::report::Report;
use super::walk::Walk;
use super::{VerifyOptions, report};
use crate::chain::Head;
use crate::entry::audit_log::Position;
use crate::signing::Verifier;
use crate::timestamp;
use customs_engine::time::UnixNanos;
pub use omitted::{FilteredReport, OmittedRun, verify_filtered};
use summary::FileSummary;

/// A window of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// From when on; from the beginning if it is left out.
    pub since: Option<UnixNanos>,
    /// The moment before which it ends; it has no end if this is left out.
    pub until: Option<UnixNanos>,
}

impl Window {
    /// Returns whether a time, as a record has it, is before the window.
    pub fn is_after(&self, time: &str) -> bool {
        self.since
            .is_some_and(|since| time < timestamp::text(since).as_str())
    }

    /// Returns whether a time is after the window.
    pub fn is_before(&self, time: &str) -> bool {
        self.until
            .is_some_and(|until| time >= timestamp::text(until).as_str())
    }
}

/// Why there is no range.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] LogReadError),
    /// No record is in the window.
    #[error("no record is in the window{}", nearest(.before.as_ref(), .after.as_ref()))]
    EmptyWindow {
        /// The time of the last record before it.
        before: Option<String>,
        /// The time of the first record after it.
        after: Option<String>,
    },
}

fn nearest(before: Option<&String>, after: Option<&String>) -> String {
    let before = before.map(|time| format!("the last record before it is of {time}"));
    let after = after.map(|time| format!("the first after it is of {time}"));
    let parts: Vec<String> = before.into_iter().chain(after).collect();
    match parts.is_empty() {
        true => ": the files hold no record".to_owned(),
        false => format!(": {}", parts.join(", and ")),
    }
}

/// The range of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRange {
    /// The files that hold it, in order.
    pub files: Vec<PathBuf>,
    /// The number of its first record in the first file.
    first: u64,
    /// The number of its last record in the last file.
    last: u64,
    /// The sink, if a record says so.
    pub sink: String,
    /// Which records the sink takes.
    pub filter: String,
}

/// A record at one end of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeEdge {
    /// Its stream.
    pub stream: String,
    /// Its number in the stream.
    pub sequence: u64,
    /// Its time.
    pub time: String,
}

/// What was found in a range.
#[derive(Clone, Debug)]
pub struct RangeReport {
    /// The result of the verification.
    pub report: Report,
    /// The position before its first record; `None` if that record names it, or is the very first.
    pub start: Option<Position>,
    /// Its first record.
    pub first: Option<RangeEdge>,
    /// Its last record.
    pub last: Option<RangeEdge>,
    /// Whether it begins with the very first record of its log.
    pub is_from_beginning: bool,
    /// The streams in it.
    pub streams: BTreeSet<String>,
}

impl RangeReport {
    /// Returns whether the range is known to hold all of a window: it begins before the window, or
    /// with its log, and ends after the window. The final checkpoint of a stream is no end of the
    /// window: another process may have continued the log.
    pub fn covers(&self, window: Window) -> bool {
        let begins = |edge: &RangeEdge| {
            window.since.is_none() || window.is_after(&edge.time) || self.is_from_beginning
        };
        let ends = |edge: &RangeEdge| window.until.is_none() || window.is_before(&edge.time);
        self.first.as_ref().is_some_and(begins) && self.last.as_ref().is_some_and(ends)
    }
}

/// Finds the range of a window in each log that the files hold. A log is the files of one sink; the
/// files may be of several, in any order. Logs without a record in the window have no range. Only
/// checkpoints that count with these keys end a range. `progress` counts the bytes that were read.
///
/// # Errors
/// If a file cannot be read, or no record is in the window.
pub fn find(
    files: &[PathBuf],
    window: Window,
    keys: &[Verifier],
    progress: &AtomicU64,
) -> Result<Vec<LogRange>, RangeError> {
    let mut summaries = Vec::new();
    for path in files {
        summaries.extend(FileSummary::read(path, window, keys, progress)?);
    }
    let latest = summaries
        .iter()
        .filter_map(|file| file.before.clone())
        .max();
    let earliest = summaries.iter().filter_map(|file| file.after.clone()).min();
    let mut ranges = Vec::new();
    for log in logs(summaries) {
        ranges.extend(range_of(&in_order(log)?));
    }
    if ranges.is_empty() {
        let (before, after) = (latest, earliest);
        return Err(RangeError::EmptyWindow { before, after });
    }
    Ok(ranges)
}

/// Puts the files of each log together: those that share a stream, or continue one.
fn logs(summaries: Vec<FileSummary>) -> Vec<Vec<FileSummary>> {
    let mut logs: Vec<(BTreeSet<String>, Vec<FileSummary>)> = Vec::new();
    for summary in summaries {
        let mut streams = summary.streams.clone();
        streams.extend(summary.previous.as_ref().map(|at| at.stream.clone()));
        let (same, others): (Vec<_>, Vec<_>) = logs
            .into_iter()
            .partition(|(known, _)| !known.is_disjoint(&streams));
        logs = others;
        let mut files = Vec::new();
        for (known, more) in same {
            streams.extend(known);
            files.extend(more);
        }
        files.push(summary);
        logs.push((streams, files));
    }
    logs.into_iter().map(|(_, files)| files).collect()
}

/// Returns the files of one log in the order in which they were written, each once.
fn in_order(log: Vec<FileSummary>) -> Result<Vec<FileSummary>, LogReadError> {
    let paths: Vec<PathBuf> = log.iter().map(|file| file.path.clone()).collect();
    let by_time = Source::open(&paths)?.paths();
    let mut by_path: BTreeMap<PathBuf, FileSummary> = log
        .into_iter()
        .map(|file| (file.path.clone(), file))
        .collect();
    let files = by_time.iter().filter_map(|path| by_path.remove(path));
    let files = files.map(|file| (file.end.clone(), file)).collect();
    Ok(in_order_of_links(files, |file| file.previous.clone()))
}

/// Returns the range of a log whose files are in order.
fn range_of(files: &[FileSummary]) -> Option<LogRange> {
    let first_file = files.iter().position(|file| file.first_in.is_some())?;
    let last_file = files.iter().rposition(|file| file.last_in.is_some())?;
    let first_in = files.get(first_file)?.first_in?;
    // The record before the window, in this file or at the end of the one before.
    let (from, first) = match (first_in, first_file.checked_sub(1)) {
        (2.., _) => (first_file, first_in - 1),
        (_, Some(before)) => (before, files.get(before)?.records),
        (_, None) => (first_file, first_in),
    };
    let (to, last) = end_of(files, last_file)?;
    let about = files.get(from..=to)?;
    let named = files.iter().rev().find(|file| !file.sink.is_empty());
    Some(LogRange {
        files: about.iter().map(|file| file.path.clone()).collect(),
        first,
        last,
        sink: named.map(|file| file.sink.clone()).unwrap_or_default(),
        filter: named.map(|file| file.filter.clone()).unwrap_or_default(),
    })
}

/// Returns the file and the number of the first checkpoint behind the window; without one, of the
/// first record behind it; without one, of the last record.
fn end_of(files: &[FileSummary], last_file: usize) -> Option<(usize, u64)> {
    let file = files.get(last_file)?;
    let last_in = file.last_in?;
    if let Some(seal) = file.seal {
        return Some((last_file, seal));
    }
    let later = files.iter().enumerate().skip(last_file + 1);
    let seal = later
        .clone()
        .find_map(|(at, file)| Some((at, file.first_checkpoint?)));
    let next = if last_in < file.records {
        Some((last_file, last_in + 1))
    } else {
        later.map(|(at, _)| (at, 1)).next()
    };
    seal.or(next).or(Some((last_file, last_in)))
}

impl LogRange {
    /// Verifies the range in its log. `take` gets each record that is right, in order, and ends the
    /// reading if it returns false.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(
        &self,
        keys: &[Verifier],
        take: impl FnMut(&Seen) -> bool,
    ) -> Result<RangeReport, LogReadError> {
        let mut source = Source::listed(&self.files)?;
        source.end_at(self.last);
        let start = source.skip_to(self.first)?;
        let options = VerifyOptions {
            files: self.files.clone(),
            checkpoints: None,
            keys: keys.to_vec(),
        };
        walk(&options, &Checkpoints::default(), (source, start), take)
    }
}

/// Verifies the records of a range that was cut out. `options` has its files in their order, and
/// `start` is the position before its first record, if that record does not name it. `take` gets
/// each record that is right.
///
/// # Errors
/// If a file cannot be read.
pub fn verify_range(
    options: &VerifyOptions,
    start: Option<&Position>,
    take: impl FnMut(&Seen) -> bool,
) -> Result<RangeReport, LogReadError> {
    let checkpoints = Checkpoints::of_option(options.checkpoints.as_deref(), &options.keys)?;
    let source = Source::listed(&options.files)?;
    let start = start.and_then(|start| {
        Some(At {
            stream: start.stream.clone(),
            sequence: start.sequence,
            head: Head::parse(&start.chain)?,
        })
    });
    walk(options, &checkpoints, (source, start), take)
}

fn walk(
    options: &VerifyOptions,
    checkpoints: &Checkpoints,
    (mut source, start): (Source, Option<At>),
    mut take: impl FnMut(&Seen) -> bool,
) -> Result<RangeReport, LogReadError> {
    let mut walk = Walk::new(&options.keys, checkpoints).starting_at(start.clone());
    let (mut first, mut last, mut is_from_beginning) = (None, None, false);
    let mut streams = BTreeSet::new();
    let bad = walk.run(&mut source, |seen| {
        if !streams.contains(&seen.stream) {
            streams.insert(seen.stream.clone());
        }
        let edge = RangeEdge {
            stream: seen.stream.clone(),
            sequence: seen.sequence,
            time: seen.time.clone(),
        };
        if first.is_none() {
            first = Some(edge.clone());
            is_from_beginning =
                matches!(&seen.about, About::Stream(link) if link.previous.is_none());
        }
        last = Some(edge);
        take(seen)
    })?;
    let report = report(options, source, checkpoints, walk, bad);
    let start = start.map(|at| Position {
        stream: at.stream,
        sequence: at.sequence,
        chain: at.head.hex().as_str().to_owned(),
    });
    Ok(RangeReport {
        report,
        start,
        first,
        last,
        is_from_beginning,
        streams,
    })
}

/// Copies the lines of a checkpoint file that are about a range, as they are. Those of other
/// streams, and of records outside of the range, say nothing about it.
///
/// # Errors
/// If the file cannot be read or is not a checkpoint file.
pub fn checkpoint_lines(path: &Path, report: &RangeReport) -> Result<Vec<u8>, LogReadError> {
    let within = |stream: &str, records: u64| {
        let is_before = report
            .start
            .as_ref()
            .is_some_and(|start| start.stream == stream && records <= start.sequence);
        // The checkpoint itself is the record after those that it covers.
        let is_behind = report
            .last
            .as_ref()
            .is_some_and(|last| last.stream == stream && records >= last.sequence);
        report.streams.contains(stream) && !is_before && !is_behind
    };
    Checkpoints::lines(path, within)
}

#[cfg(test)]
mod tests;
