//! Reads the records of an audit log for the tools that judge policies by them.
//!
//! It verifies nothing; that is the task of `audit verify`. The rules: records are folded on all
//! cores, and what cannot be read is printed; whatever is not a decision of the period is sorted
//! here, once for all of these tools.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::process::ExitCode;

use jiff::Timestamp;

use super::audit::losses::add_losses;
use super::{BAD_SETTING, print_error};
use crate::app::cli::{Period, TimeArgs};
use crate::app::record_files::{RecordArgs, RecordFileError, RecordFiles};
use customs_record::fields::DecisionFields;
use customs_record::pretty::timestamp;
use customs_record::proto::Loss;
use customs_record::scan::{RecordFold, ScannedRecord};

/// The most names that are kept of streams, versions and filters.
const MAX_NAMES: usize = 1_000;

/// The first and the last time of something.
pub(super) type TimeSpan = Option<(Timestamp, Timestamp)>;

/// What a log says besides the decisions of a period.
#[derive(Debug, Default)]
pub(super) struct LogFacts {
    /// The decisions in the period.
    pub decisions: u64,
    /// The time of the first and the last of them.
    pub span: TimeSpan,
    /// The times of the decisions outside of the period.
    pub outside: TimeSpan,
    /// Declared losses in the period.
    pub gaps: u64,
    /// How many records they lost.
    pub lost: Loss,
    /// Questions, which are no crossings.
    pub questions: u64,
    /// Other records.
    pub others: u64,
    /// Lines or messages that are not records.
    pub no_records: u64,
    /// Unfinished records.
    pub torn: u64,
    /// The streams of the decisions.
    pub streams: BTreeSet<String>,
    /// The versions that wrote the log.
    pub versions: BTreeSet<String>,
    /// The filters of sinks that do not take every decision.
    pub filters: BTreeSet<String>,
}

impl LogFacts {
    /// Notes a record, and returns it with its time if it is a decision of the period.
    pub(super) fn note<'r>(
        &mut self,
        record: &ScannedRecord<'r>,
        period: Period,
    ) -> Option<(&'r DecisionFields<'r>, Option<Timestamp>)> {
        let head = &record.fields.head;
        let time = timestamp(head.time);
        let is_inside = period.contains(time);
        match &*head.kind {
            "decision" if is_inside => {
                self.decisions += 1;
                keep(&mut self.streams, &head.stream);
                widen(&mut self.span, time);
                return Some((&record.fields.decision, time));
            }
            "decision" => widen(&mut self.outside, time),
            "gap" => self.gap(record, time, period),
            // These say how the log was written, whenever that was.
            "start" => {
                if let Some(start) = record.whole() {
                    keep(&mut self.versions, &start.version);
                }
            }
            "stream" => {
                let filter = record.whole().map_or("", |stream| stream.filter.as_str());
                if !["", "all"].contains(&filter) {
                    keep(&mut self.filters, filter);
                }
            }
            "question" if is_inside => self.questions += 1,
            _ if is_inside => self.others += 1,
            _ => {}
        }
        None
    }

    fn gap(&mut self, record: &ScannedRecord<'_>, time: Option<Timestamp>, period: Period) {
        let Some(gap) = record.whole() else {
            return;
        };
        let first = timestamp(gap.first).or(time);
        let last = timestamp(gap.last).or(time);
        let is_late = |since| last.is_some_and(|last| last >= since);
        let is_early = |until| first.is_some_and(|first| first < until);
        if period.since.is_none_or(is_late) && period.until.is_none_or(is_early) {
            self.gaps += 1;
            add_losses(&mut self.lost, gap.lost.unwrap_or_default());
        }
    }

    /// Returns how many decisions the log lost.
    pub(super) fn lost_decisions(&self) -> u64 {
        customs_record::Loss::from(self.lost).decisions()
    }

    /// Adds what the next part of the log says.
    pub(super) fn merge(&mut self, next: LogFacts) {
        self.decisions += next.decisions;
        for (span, next) in [
            (&mut self.span, next.span),
            (&mut self.outside, next.outside),
        ] {
            if let Some((first, last)) = next {
                widen(span, Some(first));
                widen(span, Some(last));
            }
        }
        self.gaps += next.gaps;
        add_losses(&mut self.lost, next.lost);
        self.questions += next.questions;
        self.others += next.others;
        self.no_records += next.no_records;
        self.torn += next.torn;
        for (names, next) in [
            (&mut self.streams, next.streams),
            (&mut self.versions, next.versions),
            (&mut self.filters, next.filters),
        ] {
            next.iter().for_each(|name| keep(names, name));
        }
    }

    /// Says why there is nothing.
    pub(super) fn nothing_found(&self, period: Period) -> String {
        match self.span.or(self.outside) {
            None => "the records hold none".to_owned(),
            Some((first, last)) => format!(
                "the records hold none {}; theirs are from {first} to {last}",
                in_words(period)
            ),
        }
    }
}

fn in_words(period: Period) -> String {
    match (period.since, period.until) {
        (None, None) => "at any time".to_owned(),
        (Some(since), None) => format!("from {since} on"),
        (None, Some(until)) => format!("before {until}"),
        (Some(since), Some(until)) => format!("from {since} to {until}"),
    }
}

fn widen(span: &mut TimeSpan, time: Option<Timestamp>) {
    if let Some(time) = time {
        let (first, last) = span.unwrap_or((time, time));
        *span = Some((first.min(time), last.max(time)));
    }
}

fn keep(names: &mut BTreeSet<String>, name: &str) {
    if !names.contains(name) && names.len() < MAX_NAMES {
        names.insert(name.to_owned());
    }
}

/// What a tool makes of records: a value for each part of the log, merged in order.
pub(super) trait LogFold: RecordFold {
    /// Returns what the log says.
    fn facts(&mut self) -> &mut LogFacts;

    /// Adds what the next part of the log has.
    fn merge(&mut self, next: Self);
}

/// Returns the period of the flags; what is wrong with them is printed.
///
/// # Errors
/// The exit code.
pub(super) fn period(args: &TimeArgs) -> Result<Period, ExitCode> {
    args.period().map_err(|why| {
        print_error(&why.to_string());
        ExitCode::from(BAD_SETTING)
    })
}

/// Folds the records of the files. Returns the value, and whether all files could be read to their
/// end; what could not is printed.
///
/// # Errors
/// The exit code, if no files can be found.
pub(super) fn fold<T: LogFold>(
    args: &RecordArgs,
    what: &'static str,
    make: impl Fn() -> T + Sync,
) -> Result<(T, bool), ExitCode> {
    let files = RecordFiles::find(&args.records).map_err(|why| {
        print_error(&why.to_string());
        ExitCode::from(BAD_SETTING)
    })?;
    let mut whole = make();
    let outcome = files.scan(
        what,
        |_| make(),
        |_, part| {
            whole.merge(part);
            ControlFlow::Continue(())
        },
    );
    let mut is_read = true;
    for (input, file) in files.inputs.iter().zip(&outcome.files) {
        let facts = whole.facts();
        facts.no_records += file.no_records;
        facts.torn += u64::from(file.torn > 0);
        if let Some(why) = RecordFileError::of(&input.path, file) {
            print_error(&why.to_string());
            is_read = false;
        }
    }
    Ok((whole, is_read))
}
