//! `customs at`: explains the decision for one request at a moment of the past.
//!
//! The records say which revision each server had in force at that moment, and the policy archive
//! holds its files and settings. The set is compiled again, and decides only if it makes the very
//! revision that the records name. The rule: what no record covers is not answered, and each stream
//! of records is answered for itself, because replicas may differ.

use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use super::check::{self, PreparedQuery};
use super::{BAD_SETTING, counted, print_error, print_json, print_lines};
use crate::app::FAILED;
use crate::app::cli::{AtArgs, CheckFormat};
use crate::app::explain::answer::{self, Explanation};
use crate::app::record_files::{RecordFiles, RecordFilesError};
use crate::app::terminal::{Line, Tone};
use customs_engine::time::UnixNanos;
use customs_policy::printable;
use customs_record::in_force::{InForceAt, KnownRevision, StreamAt, in_force_at};
use customs_record::verify::files::LogReadError;
use customs_sources::policy_archive::{PolicyArchive, PolicyArchiveError};

/// The servers give different answers.
const DIFFER: u8 = 3;

/// The revision before the first good set.
const NONE: &str = "none";

/// The answers of all servers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswersAt {
    version: u32,
    time: Timestamp,
    answers: Vec<AnswerAt>,
}

/// The answer of one revision.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerAt {
    revision: String,
    /// The streams of the servers that had it in force.
    streams: Vec<StreamOfAnswer>,
    /// The answer; left out if no set was in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

/// A stream that names the revision.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamOfAnswer {
    stream: String,
    sink: String,
    files: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// Whether the clock was set back, so that the moment came more than once.
    is_ambiguous: bool,
}

/// Asks the past and prints the answers.
pub(super) fn run(args: &AtArgs) -> ExitCode {
    let prepared = match PreparedQuery::of(&args.query) {
        Ok(prepared) => prepared.at(Some(args.time)),
        Err(problems) => return check::refuse(&problems),
    };
    match answers(args, &prepared) {
        Ok(answers) => {
            match args.format {
                CheckFormat::Human => print_lines(&human(&answers)),
                CheckFormat::Json => print_json(&answers),
            }
            exit_code(&answers)
        }
        Err(problems) => {
            problems
                .iter()
                .for_each(|problem| print_error(&problem.to_string()));
            ExitCode::from(BAD_SETTING)
        }
    }
}

/// Why there is no answer for a stream or a revision.
#[derive(Debug, thiserror::Error)]
enum AtError {
    /// There are no records.
    #[error(transparent)]
    Files(#[from] RecordFilesError),
    /// The records cannot be read.
    #[error(transparent)]
    Records(#[from] LogReadError),
    /// A stream covers the moment, and does not name a revision.
    #[error(
        "{stream} does not say which revision was in force at {time}: the record of the change before is not given; give the file \
         before it as well"
    )]
    Unknown { stream: String, time: Timestamp },
    /// Records are missing.
    #[error("records of {stream} around {time} are missing; give every file")]
    Missing { stream: String, time: Timestamp },
    /// No stream covers the moment.
    #[error("no record covers {time}: {nearest}")]
    NotCovered { time: Timestamp, nearest: String },
    /// The archive does not have a revision whole.
    #[error(transparent)]
    Archive(#[from] PolicyArchiveError),
}

fn answers(args: &AtArgs, prepared: &PreparedQuery) -> Result<AnswersAt, Vec<AtError>> {
    let time = UnixNanos(args.time.as_nanosecond());
    let files = RecordFiles::find(&args.records).map_err(|why| vec![why.into()])?;
    let streams = in_force_at(&files.paths(), time).map_err(|why| vec![why.into()])?;
    let mut problems = Vec::new();
    let mut answers: Vec<AnswerAt> = Vec::new();
    for stream in &streams {
        match &stream.in_force {
            InForceAt::Revisions(known) => known
                .iter()
                .for_each(|revision| add(&mut answers, stream, revision, known.len() > 1)),
            InForceAt::Unknown => problems.push(AtError::Unknown {
                stream: named(stream),
                time: args.time,
            }),
            InForceAt::Missing => problems.push(AtError::Missing {
                stream: named(stream),
                time: args.time,
            }),
            InForceAt::NotCovered => {}
        }
    }
    if answers.is_empty() && problems.is_empty() {
        problems.push(AtError::NotCovered {
            time: args.time,
            nearest: nearest(&streams, time),
        });
    }
    let archive = PolicyArchive::new(&args.policy_archive);
    for answer in answers.iter_mut().filter(|answer| answer.revision != NONE) {
        match archive.load(&answer.revision) {
            Ok(archived) => {
                let explained = answer::ask(
                    &prepared.query,
                    &archived.snapshot,
                    time,
                    |_, _, _, explanation| explanation,
                );
                answer.explanation = Some(explained.noting(&prepared.notes));
            }
            Err(why) => problems.push(why.into()),
        }
    }
    if problems.is_empty() {
        let version = 1;
        Ok(AnswersAt {
            version,
            time: args.time,
            answers,
        })
    } else {
        Err(problems)
    }
}

/// Adds what a stream says.
fn add(answers: &mut Vec<AnswerAt>, stream: &StreamAt, known: &KnownRevision, is_ambiguous: bool) {
    let said = StreamOfAnswer {
        stream: stream.stream.clone(),
        sink: stream.sink.clone(),
        files: stream.files.clone(),
        since: known.since.clone(),
        is_ambiguous,
    };
    let same = |answer: &&mut AnswerAt| answer.revision == known.revision;
    match answers.iter_mut().find(same) {
        Some(answer) => answer.streams.push(said),
        None => answers.push(AnswerAt {
            revision: known.revision.clone(),
            streams: vec![said],
            explanation: None,
        }),
    }
}

fn named(stream: &StreamAt) -> String {
    format!(
        "stream {} ({})",
        printable::line(&stream.stream),
        stream.files.join(", ")
    )
}

/// Says which records come nearest to a moment that none covers.
fn nearest(streams: &[StreamAt], time: UnixNanos) -> String {
    let moment = customs_record::timestamp::text(time);
    let before = streams
        .iter()
        .filter(|stream| stream.last < moment)
        .max_by_key(|stream| &stream.last);
    let after = streams
        .iter()
        .filter(|stream| stream.first > moment)
        .min_by_key(|stream| &stream.first);
    let before = before.map(|stream| {
        let why = if stream.has_stopped {
            "where its server stopped"
        } else {
            "and nothing says what came into force after it"
        };
        format!("{} ends at {}, {why}", named(stream), stream.last)
    });
    let after = after.map(|stream| format!("{} begins at {}", named(stream), stream.first));
    let parts: Vec<String> = before.into_iter().chain(after).collect();
    match parts.is_empty() {
        true => "the files hold no record".to_owned(),
        false => parts.join("; "),
    }
}

fn human(answers: &AnswersAt) -> Vec<Line> {
    let mut lines = vec![Line::of(format!("at           {}", answers.time))];
    for answer in &answers.answers {
        let AnswerAt {
            revision,
            streams,
            explanation,
        } = answer;
        lines.push(Line::of("revision     ").then(Tone::Strong, revision));
        for stream in streams {
            let since = stream.since.as_ref();
            let since = since
                .map(|since| format!("since {since}, "))
                .unwrap_or_default();
            let ambiguous = match stream.is_ambiguous {
                true => "; the clock was set back, so this moment came more than once",
                false => "",
            };
            let (stream, sink, files) = (&stream.stream, &stream.sink, stream.files.join(", "));
            let stream =
                format!("             {since}stream {stream} of {sink} ({files}){ambiguous}");
            lines.push(Line::of(stream).hanging(13));
        }
        match explanation {
            Some(explanation) => lines.extend(explanation.lines()),
            None => lines.push(Line::of(
                "no policies were in force yet: every check was denied with no_policy, unless the \
                 server ran with `enforcement: report`",
            )),
        }
        lines.push(Line::default());
    }
    if answers.answers.len() > 1 {
        let count = counted(answers.answers.len(), "revision");
        lines.push(Line::of(format!("{count} were in force at this moment")));
    }
    lines
}

fn exit_code(answers: &AnswersAt) -> ExitCode {
    let allows = |answer: &AnswerAt| answer.explanation.as_ref().is_some_and(Explanation::allows);
    let allowed = answers
        .answers
        .iter()
        .filter(|answer| allows(answer))
        .count();
    match allowed {
        0 => ExitCode::from(FAILED),
        all if all == answers.answers.len() => ExitCode::SUCCESS,
        _ => ExitCode::from(DIFFER),
    }
}
