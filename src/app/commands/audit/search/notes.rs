//! What a search says besides what it finds: why there may be more, and where it looked.
//!
//! The rule: a note says only what the records say.

use jiff::Timestamp;

use super::indices::MadeIndices;
use crate::app::commands::counted;
use crate::app::record_files::RecordFiles;
use customs_record::pretty::visible;
use customs_record::record_query::RecordQuery;
use customs_record::scan::ScanOutcome;
use customs_record::survey::{Moment, Survey};

/// How many ranges of missing records are named.
const NAMED: usize = 10;

/// What a search found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// How many records are meant.
    pub(super) found: u64,
    /// How many might be: a field that is asked for was hashed, left out or truncated.
    pub(super) hidden: u64,
    pub(super) indices: MadeIndices,
    /// What else is to be said.
    pub(super) notes: Vec<String>,
}

/// Returns the notes.
pub(super) fn notes(
    findings: &Findings,
    survey: &Survey,
    query: &RecordQuery,
    files: &RecordFiles,
    outcome: &ScanOutcome,
) -> Vec<String> {
    let mut notes = findings.notes.clone();
    for (input, file) in files.inputs.iter().zip(&outcome.files) {
        let path = input.path.display();
        if let Some((at, why)) = file.first_no_record.as_ref().filter(|_| !file.is_no_log()) {
            let lines = many(file.no_records, "line");
            notes.push(format!(
                "{path}: {lines} passed over: not a record; the first after {at} bytes: {}",
                visible(why)
            ));
        }
        if file.torn > 0 && !file.is_no_log() {
            let bytes = counted(file.torn, "byte");
            notes.push(format!("{path} ends in an unfinished record ({bytes})"));
        }
    }
    notes.extend(missing(survey));
    let is_meant = |time: &Option<Moment>| {
        query.is_in_period(time.map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos }))
    };
    let gaps: Vec<u64> = survey
        .gaps
        .iter()
        .filter(|(time, _)| is_meant(time))
        .map(|(_, lost)| *lost)
        .collect();
    if !gaps.is_empty() {
        let lost = gaps
            .iter()
            .fold(0_u64, |sum, lost| sum.saturating_add(*lost));
        notes.push(format!(
            "{} of that time cannot be found: lost, as {} say",
            many(lost, "record"),
            counted(gaps.len(), "gap record")
        ));
    }
    if findings.hidden > 0 {
        notes.push(format!(
            "{} may be meant as well: a field that is asked for was hashed, left out or truncated",
            many(findings.hidden, "record")
        ));
    }
    if findings.found == 0 {
        notes.push(nothing(survey, query));
    }
    notes
}

/// Names records that should be between others.
fn missing(survey: &Survey) -> Vec<String> {
    let ranges = survey.streams.iter().flat_map(|(stream, run)| {
        let range = move |(from, to): &(u64, u64)| {
            format!(
                "the records {from} to {to} of stream {} are missing",
                visible(stream)
            )
        };
        run.missing.iter().map(range)
    });
    let mut notes: Vec<String> = ranges.clone().take(NAMED).collect();
    let uncounted: u64 = survey.streams.values().map(|run| run.more).sum();
    let more = uncounted + ranges.skip(NAMED).count() as u64;
    if more > 0 {
        notes.push(format!(
            "records are missing in {} more",
            many(more, "place")
        ));
    }
    notes
}

/// Says where nothing was found.
fn nothing(survey: &Survey, query: &RecordQuery) -> String {
    let at = |(seconds, nanos): Moment| Timestamp::new(seconds, nanos).unwrap_or_default();
    let records = many(survey.records, "record");
    let Some((first, last)) = survey.span else {
        return format!("no record is found in {records}");
    };
    let period = (query.since, query.until);
    let moment = customs_record::survey::moment;
    let is_outside = period.0.is_some_and(|since| last < moment(since))
        || period.1.is_some_and(|until| first >= moment(until));
    let why = match is_outside {
        true => "; none of them is of the time that is asked for",
        false => "",
    };
    format!(
        "no record is found in {records} from {:.3} to {:.3}{why}",
        at(first),
        at(last)
    )
}

fn many(count: u64, what: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), what)
}
