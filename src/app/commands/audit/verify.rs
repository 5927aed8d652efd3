//! `customs audit verify`: verifies that an audit log is complete and unchanged.

use std::process::ExitCode;

use super::{bundle, print_error, print_json};
use crate::app::cli::{VerifyArgs, VerifyFormat};
use crate::app::terminal::{Line, Tone};
use crate::app::{BAD_SETTING, FAILED, print_lines};
use customs_record::signing::Verifier;
use customs_record::verify::report::{Bad, Last, Outcome, Report};
use customs_record::verify::{VerifyOptions, verify};

/// The audit log is intact up to its last checkpoint, and has records after it.
pub(super) const UNSEALED: u8 = 3;

/// Verifies files and prints the result.
pub(super) fn run(args: VerifyArgs) -> ExitCode {
    let VerifyArgs {
        files,
        bundle,
        checkpoints,
        key,
        format,
    } = args;
    if let Some(root) = bundle {
        return bundle::verify::run(&root, &key, format);
    }
    let keys = key
        .iter()
        .map(|path| Verifier::read(path))
        .collect::<Result<Vec<_>, _>>();
    let answer = keys.map_err(|why| why.to_string()).and_then(|keys| {
        verify(&VerifyOptions {
            files,
            checkpoints,
            keys,
        })
        .map_err(|why| why.to_string())
    });
    let report = match answer {
        Ok(report) => report,
        Err(why) => {
            print_error(&why);
            return ExitCode::from(BAD_SETTING);
        }
    };
    match format {
        VerifyFormat::Json => print_json(&ReportDocument {
            version: 1,
            report: &report,
        }),
        VerifyFormat::Human => print_lines(&human(&report)),
    }
    exit_code(report.outcome)
}

/// The report for programs.
#[derive(serde::Serialize)]
struct ReportDocument<'r> {
    /// The version of this format.
    version: u32,
    #[serde(flatten)]
    report: &'r Report,
}

/// Returns the exit code of an outcome.
pub(super) fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Outcome::Intact => ExitCode::SUCCESS,
        Outcome::Bad => ExitCode::from(FAILED),
        Outcome::Unsealed => ExitCode::from(UNSEALED),
    }
}

/// Returns the answer as text: what is wrong, or what is intact, then what was read.
fn human(report: &Report) -> Vec<Line> {
    let mut lines = vec![headline(report), Line::of(counts(report)).hanging(2)];
    let lost = report.declared_losses;
    if lost.gaps > 0 {
        let (gaps, records) = (of(lost.gaps, "gap record"), of(lost.records, "record"));
        let losses = format!(
            "declared losses: {records} ({}) in {gaps}",
            of(lost.decisions, "decision")
        );
        lines.push(Line::default().then(Tone::Mark, losses).hanging(2));
    }
    let last = report
        .last_checkpoint
        .as_ref()
        .map_or_else(|| "no checkpoint that counts".into(), checkpoint);
    lines.push(Line::of(last).hanging(2));
    let notes = report.notes.iter();
    lines.extend(notes.map(|note| Line::of(format!("note: {note}")).hanging(6)));
    lines
}

fn headline(report: &Report) -> Line {
    if let Some(bad) = &report.bad {
        return labelled_line(Tone::Bad, &bad_line(bad));
    }
    if report.outcome == Outcome::Intact {
        return labelled_line(Tone::Good, "intact");
    }
    let torn = report.torn.as_ref();
    let torn = torn.map(|torn| {
        format!(
            "; {} ends in an unfinished record ({})",
            torn.file,
            of(torn.bytes, "byte")
        )
    });
    let headline = format!(
        "unsealed tail: {}{}",
        of(report.unsealed_records, "record"),
        torn.unwrap_or_default()
    );
    labelled_line(Tone::Mark, &headline)
}

/// Returns a line whose words before the first colon have a tone.
pub(super) fn labelled_line(tone: Tone, text: &str) -> Line {
    let end = text.find(':').unwrap_or(text.len());
    let (label, rest) = text.split_at(end);
    Line::default()
        .then(tone, label)
        .then(Tone::Plain, rest)
        .hanging(2)
}

pub(super) fn bad_line(bad: &Bad) -> String {
    let Bad { what, named, why } = bad;
    let mut parts = Vec::new();
    if !named.file.is_empty() {
        parts.push(format!("{}, {} {}", named.file, named.unit, named.number));
    }
    if !named.stream.is_empty() {
        parts.push(format!(
            "record {} of stream {}, {}",
            named.sequence, named.stream, named.time
        ));
    }
    parts.push(why.clone());
    format!("bad: {}: {}", what.as_str(), parts.join(": "))
}

fn counts(report: &Report) -> String {
    let (files, streams) = (
        of(report.files.len() as u64, "file"),
        of(report.streams as u64, "stream"),
    );
    let (records, decisions) = (
        of(report.records, "record"),
        of(report.decisions, "decision"),
    );
    let read = if report.bad.is_some() {
        " up to there"
    } else {
        ""
    };
    format!("read{read}: {files}, {streams}, {records}, of which {decisions}")
}

fn checkpoint(last: &Last) -> String {
    let Last {
        time,
        stream,
        records,
        is_final,
        key,
        file,
    } = last;
    let end = if *is_final { "final" } else { "open" };
    let key = if key.is_empty() {
        "not signed".to_owned()
    } else {
        format!("key {key}")
    };
    format!(
        "last checkpoint: {time}, {records} records of stream {stream}, {end}, {key}, in {file}"
    )
}

/// Formats a number with its noun: `1 record`, `2 records`.
pub(super) fn of(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
