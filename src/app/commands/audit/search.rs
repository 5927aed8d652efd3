//! `customs audit search`: prints the records that are meant, in the order of time.
//!
//! It verifies nothing; that is the task of `audit verify`. The rules:
//!
//! - What is found does not depend on the number of threads, nor on whether files have an index: an
//!   index only leaves out files that surely hold nothing that is meant.
//! - Whatever could not be searched is said: what is lost, missing, hidden or no record.
//! - The exit code is 0 if a record is found, 1 if none is, and 2 if a file could not be searched.

mod indices;
mod notes;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

use jiff::Timestamp;

use self::indices::{Indices, KnownFile};
use self::notes::{Findings, notes};
use super::filter;
use super::output::LineFormat;
use crate::app::cli::{EffectFilter, SearchArgs};
use crate::app::progress::Progress;
use crate::app::record_files::{RecordFileError, RecordFiles};
use crate::app::{BAD_SETTING, FAILED, print_error};
use customs_record::record_query::{Answer, RecordQuery};
use customs_record::scan::{RecordFold, ScannedRecord};
use customs_record::segment_index::IndexBuilder;

/// A question that no record can answer.
#[derive(Debug, thiserror::Error)]
enum SearchQueryError {
    /// The period is empty.
    #[error(transparent)]
    Period(#[from] crate::app::cli::EmptyPeriodError),
    /// No record has such a host.
    #[error("--host: invalid host `{0}`: expected `www.example.com` or `*.example.com`")]
    Host(String),
}

/// Searches, and prints what is found.
pub(super) fn run(args: &SearchArgs) -> ExitCode {
    let found = query(args)
        .map_err(|why| why.to_string())
        .and_then(|query| {
            let files = RecordFiles::find(&args.files.records).map_err(|why| why.to_string())?;
            Ok((query, files))
        });
    match found {
        Ok((query, files)) => search(args, &query, files),
        Err(why) => {
            print_error(&why);
            ExitCode::from(BAD_SETTING)
        }
    }
}

/// Returns what the flags ask for.
fn query(args: &SearchArgs) -> Result<RecordQuery, SearchQueryError> {
    let period = args.time.period()?;
    let time = |time: Timestamp| prost_types::Timestamp {
        seconds: time
            .as_nanosecond()
            .div_euclid(1_000_000_000)
            .try_into()
            .unwrap_or(i64::MAX),
        nanos: time
            .as_nanosecond()
            .rem_euclid(1_000_000_000)
            .try_into()
            .unwrap_or_default(),
    };
    let word = |effect: Option<EffectFilter>| effect.map_or("", EffectFilter::word).to_owned();
    let filter = filter::filter(&args.filter);
    for host in &filter.hosts {
        if host.is_empty() || host.strip_prefix("*.").unwrap_or(host).contains('*') {
            return Err(SearchQueryError::Host(host.clone()));
        }
    }
    let lower = |ids: &[String]| ids.iter().map(|id| id.to_ascii_lowercase()).collect();
    Ok(RecordQuery {
        since: period.since.map(time),
        until: period.until.map(time),
        kinds: filter.kinds,
        decision_ids: lower(&args.decision.decision_ids),
        rules: args.decision.rules.clone(),
        owners: args.decision.owners.clone(),
        namespaces: filter.namespaces,
        accounts: args.decision.accounts.clone(),
        hosts: filter.hosts,
        reasons: filter.reasons,
        revisions: lower(&args.decision.revisions),
        effect: filter.effect,
        verdict: word(args.decision.verdict),
        dry_run: word(args.decision.dry_run),
    })
}

/// What a part of a file holds.
struct Part<'s> {
    file: usize,
    query: &'s RecordQuery,
    /// `None` if records are only counted.
    format: Option<LineFormat>,
    index: IndexBuilder,
    is_index_made: bool,
    lines: Vec<String>,
    bytes: usize,
    found: u64,
    hidden: u64,
}

impl RecordFold for Part<'_> {
    fn take(&mut self, record: &ScannedRecord<'_>) {
        match self.is_index_made {
            true => self.index.take(record),
            false => self.index.survey.take(record),
        }
        match self.query.answer(record.fields) {
            Answer::Mismatch => {}
            Answer::Hidden => self.hidden += 1,
            Answer::Match => {
                self.found += 1;
                if let Some(format) = self.format {
                    let line = format.line(&record.record(), record.line());
                    self.bytes += line.len();
                    self.lines.push(line);
                }
            }
        }
    }

    fn weight(&self) -> usize {
        self.bytes + self.index.weight()
    }
}

fn search(args: &SearchArgs, query: &RecordQuery, mut files: RecordFiles) -> ExitCode {
    let mut indices = Indices::of(&mut files, query);
    let format = (!args.count).then(|| LineFormat::of(args.format));
    let known = indices.files();
    let make = |file: usize| Part {
        file,
        query,
        format,
        index: IndexBuilder::default(),
        is_index_made: known.get(file).is_some_and(KnownFile::is_index_made),
        lines: Vec::new(),
        bytes: 0,
        found: 0,
        hidden: 0,
    };
    let mut printer = Printer::of(args);
    let mut findings = Findings::default();
    let outcome = files.scan("searching", make, |progress, part: Part<'_>| {
        findings.found += part.found;
        findings.hidden += part.hidden;
        findings.indices.add(part.file, part.index);
        printer.take(progress, part.lines)
    });
    let mut is_whole = true;
    for (input, file) in files.inputs.iter().zip(&outcome.files) {
        if let Some(why) = RecordFileError::of(&input.path, file) {
            print_error(&why.to_string());
            is_whole = false;
        }
    }
    printer.finish();
    if args.count {
        crate::app::print(&format!("{}\n", findings.found));
    }
    // What follows is about all files, and not all were searched.
    if !outcome.is_ended {
        let survey = indices.finish(&mut findings, &outcome);
        notes(&findings, &survey, query, &files, &outcome)
            .iter()
            .for_each(|note| print_error(note));
    }
    match (is_whole, findings.found) {
        (false, _) => ExitCode::from(BAD_SETTING),
        (true, 0) => ExitCode::from(FAILED),
        (true, _) => ExitCode::SUCCESS,
    }
}

/// Prints the lines that are asked for.
struct Printer {
    /// How many more are printed.
    left: Option<u64>,
    /// How many of the last ones are printed at the end, and those.
    last: Option<usize>,
    kept: VecDeque<String>,
}

impl Printer {
    fn of(args: &SearchArgs) -> Printer {
        Printer {
            left: args.first,
            last: args.last.and_then(|last| usize::try_from(last).ok()),
            kept: VecDeque::new(),
        }
    }

    /// Takes lines; breaks if no more are wanted.
    fn take(&mut self, progress: &Progress, lines: Vec<String>) -> ControlFlow<()> {
        if let Some(last) = self.last {
            self.kept.extend(lines);
            let spare = self.kept.len().saturating_sub(last);
            self.kept.drain(..spare);
            return ControlFlow::Continue(());
        }
        let mut text = String::new();
        for line in lines {
            if self.left == Some(0) {
                break;
            }
            self.left = self.left.map(|left| left - 1);
            text.push_str(&line);
            text.push('\n');
        }
        let is_printed = text.is_empty() || progress.suspend(|| print_text(&text));
        match is_printed && self.left != Some(0) {
            true => ControlFlow::Continue(()),
            // The reader of the output has gone away, or has enough.
            false => ControlFlow::Break(()),
        }
    }

    fn finish(&mut self) {
        let lines = std::mem::take(&mut self.kept);
        let text: String = lines.into_iter().map(|line| line + "\n").collect();
        if !text.is_empty() {
            print_text(&text);
        }
    }
}

/// Prints text; returns false if nobody reads it.
fn print_text(text: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_ok()
}
