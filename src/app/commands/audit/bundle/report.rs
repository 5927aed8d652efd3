//! The result of the verification of a bundle, as values and as text.
//!
//! It checks nothing. The rule: a bundle is intact only if everything that it claims is proven; what
//! is not proven is a note.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::app::commands::audit::verify::{labelled_line, of};
use crate::app::terminal::{Line, Tone};
use customs_record::verify::report::{Last, Outcome};

/// What was found in a bundle.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BundleReport {
    pub(super) version: u32,
    pub(super) outcome: Outcome,
    /// Everything that is wrong.
    pub(super) findings: Vec<Finding>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filter: Option<String>,
    pub(super) logs: Vec<LogResult>,
    /// The ids of the keys that were used.
    pub(super) keys: Vec<String>,
    /// How many revisions were computed again.
    pub(super) revisions: usize,
    pub(super) notes: Vec<String>,
}

/// Something that is wrong, in a word, with its place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding {
    pub(super) word: String,
    /// What and where, in words.
    pub(super) text: String,
}

impl Finding {
    pub(super) fn new(word: &str, place: &str, why: impl fmt::Display) -> Finding {
        Finding {
            word: word.to_owned(),
            text: format!("bad: {word}: {place}: {why}"),
        }
    }
}

/// What was found in one log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogResult {
    pub(super) directory: String,
    pub(super) sink: String,
    pub(super) records: u64,
    pub(super) decisions: u64,
    pub(super) omitted: u64,
    /// How many of the records a checkpoint seals.
    pub(super) sealed: u64,
    pub(super) first: String,
    pub(super) last: String,
    /// Whether the window begins and ends inside the records.
    pub(super) covers_window: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_checkpoint: Option<Last>,
}

impl BundleReport {
    /// Returns the report with its outcome, and with notes that say what is not proven.
    pub(super) fn judged(self) -> BundleReport {
        let mut report = self;
        let is_filtered = report.filter.is_some();
        let is_sealed =
            |log: &LogResult| log.sealed == log.records && log.last_checkpoint.is_some();
        for log in &report.logs {
            if !is_sealed(log) && log.omitted == 0 {
                report.notes.push(format!(
                    "{}: no checkpoint that counts seals its last {}: they could have been cut or rewritten",
                    log.directory,
                    of(log.records - log.sealed, "record")
                ));
            }
            if !log.covers_window && !is_filtered {
                report.notes.push(format!(
                    "{}: the window is not covered: no record before its beginning, or none after its end; the records are from {} to {}",
                    log.directory, log.first, log.last
                ));
            }
        }
        if report.keys.is_empty() {
            report.notes.push(
                "signatures were not checked: the bundle has no key, so anyone who had the log could have rewritten all of it".into(),
            );
        }
        if is_filtered {
            report.notes.push(
                "a filter was used: only records that a checkpoint follows without an omitted record between are sealed; the others only agree \
                 with the chain value that is stated before them. Nothing shows what the omitted records were"
                    .into(),
            );
        }
        let is_proven = !is_filtered
            && !report.keys.is_empty()
            && !report.logs.is_empty()
            && report
                .logs
                .iter()
                .all(|log| is_sealed(log) && log.covers_window);
        report.outcome = match (report.findings.is_empty(), is_proven) {
            (false, _) => Outcome::Bad,
            (true, true) => Outcome::Intact,
            (true, false) => Outcome::Unsealed,
        };
        report
    }
}

/// Returns the report as text.
pub(super) fn human(report: &BundleReport) -> Vec<Line> {
    let mut lines = match report.outcome {
        Outcome::Bad => {
            let findings = report.findings.iter();
            findings
                .map(|finding| labelled_line(Tone::Bad, &finding.text))
                .collect()
        }
        Outcome::Intact => vec![labelled_line(Tone::Good, "intact")],
        Outcome::Unsealed => vec![labelled_line(Tone::Mark, "not proven: see the notes")],
    };
    let mut say = |text: String| lines.push(Line::of(text).hanging(4));
    let time = |time: Option<Timestamp>, open: &str| {
        time.map_or_else(|| open.to_owned(), |time| time.to_string())
    };
    say(format!(
        "window: {} to {}{}",
        time(report.since, "the first record"),
        time(report.until, "the last record"),
        report
            .filter
            .as_ref()
            .map(|filter| format!(", only {filter}"))
            .unwrap_or_default()
    ));
    for log in &report.logs {
        let omitted = match log.omitted {
            0 => String::new(),
            omitted => format!(", {omitted} omitted"),
        };
        say(format!(
            "{} ({}): {}, of which {}{omitted}; {} sealed",
            log.directory,
            log.sink,
            of(log.records, "record"),
            of(log.decisions, "decision"),
            log.sealed
        ));
        say(format!("  from {} to {}", log.first, log.last));
        if let Some(last) = &log.last_checkpoint {
            let key = if last.key.is_empty() {
                "not signed".to_owned()
            } else {
                format!("key {}", last.key)
            };
            say(format!(
                "  last checkpoint: {}, {} records of stream {}, {key}",
                last.time, last.records, last.stream
            ));
        }
    }
    say(format!(
        "policies: {} computed again",
        of(report.revisions as u64, "revision")
    ));
    let notes = report.notes.iter();
    lines.extend(notes.map(|note| Line::of(format!("note: {note}")).hanging(6)));
    lines
}
