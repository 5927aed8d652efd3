//! Prints what `customs prove` knows of each guard: as text, or as complete JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::counted;
use crate::app::terminal::{Line, Tone};
use crate::ops::admin::timestamp;
use customs_analysis::guards::{CounterExample, Gives, Proof, ProofOutcome, Unproved};
use customs_analysis::regions::SampleRequest;
use customs_engine::decision::Answer;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::guard::Guard;

/// The most regions of an unfinished search that the text has.
const LEFT_SHOWN: usize = 8;

/// What is known of the guards of one set.
pub(super) struct Report<'r> {
    /// In the order of their places.
    pub proofs: &'r [Proof<'r>],
    /// The policies.
    pub snapshot: &'r Snapshot,
    /// The directories of the policies.
    pub directories: Vec<String>,
    /// The time of the requests.
    pub now: UnixNanos,
    /// The time as it was given, if it was.
    pub given: Option<Timestamp>,
}

impl Report<'_> {
    /// Returns the command that asks for a request with these policies.
    fn command(&self, request: &SampleRequest) -> String {
        let mut more = self.directories.join(" ");
        if let Some(time) = self.given {
            more = format!("{more} --now {time}");
        }
        let command = request.command_line(self.snapshot.settings());
        // The directories are plain arguments, which follow the name of the command.
        command.replacen("customs check ", &format!("customs check {more} "), 1)
    }
}

/// Returns the report as text.
pub(super) fn paper(report: &Report<'_>) -> Vec<Line> {
    let proofs = report.proofs.iter();
    let summary = Line::default().then(Tone::Strong, summary(report.proofs));
    proofs
        .flat_map(|proof| proof_lines(proof, report))
        .chain([summary])
        .collect()
}

/// The column below the id of a guard.
const BODY: usize = 11;

fn tone(outcome: &ProofOutcome<'_>) -> Tone {
    match outcome {
        ProofOutcome::Proved => Tone::Good,
        ProofOutcome::Broken(_) | ProofOutcome::Conflict(..) | ProofOutcome::Empty => Tone::Bad,
        ProofOutcome::NotProved(_) => Tone::Mark,
    }
}

fn proof_lines(proof: &Proof<'_>, report: &Report<'_>) -> Vec<Line> {
    let Guard {
        id, place, claim, ..
    } = proof.guard;
    let word = word(&proof.outcome);
    let kinds = match &proof.outcome {
        ProofOutcome::Proved => format!(": {} of requests", counted(proof.cells, "kind")),
        _ => String::new(),
    };
    let head = Line::default()
        .then(tone(&proof.outcome), format!("{word:10}"))
        .then(Tone::Plain, format!(" {id} {}", claim.as_str()))
        .then(Tone::Quiet, format!(" ({})", place.file_and_line()))
        .then(Tone::Plain, kinds)
        .hanging(BODY);
    let indented = |text: String| Line::of(format!("{:BODY$}{text}", "")).hanging(BODY);
    let mut lines = vec![head];
    match &proof.outcome {
        ProofOutcome::Proved => {}
        ProofOutcome::Broken(broken) => {
            lines.push(indented(report.command(&broken.request)).whole());
            lines.push(indented(gives(broken)));
        }
        ProofOutcome::Conflict(rival, request) => {
            lines.push(indented(format!(
                "no policies can keep it and {} ({}): both are about",
                rival.id,
                rival.place.file_and_line()
            )));
            lines.push(indented(report.command(request)).whole());
        }
        ProofOutcome::Empty => lines.push(indented("it covers no request".into())),
        ProofOutcome::NotProved(Unproved::NotCompared(directory)) => {
            lines.push(indented(format!("it compares with {directory}")));
        }
        ProofOutcome::NotProved(Unproved::Left(left)) => {
            lines.push(indented(
                "no request breaks it in what was looked at; left out:".into(),
            ));
            let shown = left.iter().take(LEFT_SHOWN);
            lines.extend(shown.map(|region| indented(format!("  {region}"))));
            if let Some(more @ 1..) = left.len().checked_sub(LEFT_SHOWN) {
                lines.push(indented(format!(
                    "  and {more} more; `--format json` prints all"
                )));
            }
        }
    }
    lines
}

fn gives(broken: &CounterExample) -> String {
    let CounterExample {
        verdict, expected, ..
    } = broken;
    let origin = |answer: &Answer| match answer.rule.info() {
        Some(info) => format!(" at {}", info.origin()),
        None => String::new(),
    };
    let text = format!("gives {}{}", Gives(verdict), origin(verdict));
    match expected {
        Some(expected) => format!("{text} instead of {}{}", Gives(expected), origin(expected)),
        None => text,
    }
}

fn word(outcome: &ProofOutcome<'_>) -> &'static str {
    match outcome {
        ProofOutcome::Proved => "proved",
        ProofOutcome::Broken(_) => "broken",
        ProofOutcome::Conflict(..) => "conflict",
        ProofOutcome::Empty => "empty",
        ProofOutcome::NotProved(_) => "not proved",
    }
}

fn summary(proofs: &[Proof<'_>]) -> String {
    let count = |wanted: &str| {
        let of = proofs.iter().filter(|proof| word(&proof.outcome) == wanted);
        of.count()
    };
    let wrong = count("broken") + count("conflict") + count("empty");
    format!(
        "{}: {} proved, {wrong} broken, {} not proved",
        counted(proofs.len(), "guard"),
        count("proved"),
        count("not proved")
    )
}

/// Returns the report as one JSON document.
pub(super) fn document(report: &Report<'_>) -> Value {
    let guards: Vec<Value> = report
        .proofs
        .iter()
        .map(|proof| guard(proof, report))
        .collect();
    json!({
        "version": 1,
        "revision": report.snapshot.revision().to_string(),
        "now": timestamp(report.now).map(|time| time.to_string()),
        "proved": report.proofs.iter().all(Proof::is_proved),
        "guards": guards,
    })
}

fn guard(proof: &Proof<'_>, report: &Report<'_>) -> Value {
    let Guard {
        id,
        place,
        claim,
        about,
    } = proof.guard;
    let mut document = json!({
        "id": id.as_str(),
        "claim": claim.as_str(),
        "file": &*place.file,
        "line": place.line,
        "owner": about.owner.as_deref(),
        "reason": about.reason.as_deref(),
        "ticket": about.ticket.as_deref(),
        "outcome": outcome(&proof.outcome),
        "cells": proof.cells,
    });
    let more = match &proof.outcome {
        ProofOutcome::Proved | ProofOutcome::Empty => json!({}),
        ProofOutcome::Broken(broken) => {
            let mut example = request(&broken.request, report);
            set(&mut example, "verdict", answer(&broken.verdict));
            if let Some(expected) = &broken.expected {
                set(&mut example, "expected", answer(expected));
            }
            json!({ "counterExample": example })
        }
        ProofOutcome::Conflict(rival, asked) => json!({
            "conflictsWith": rival.id.as_str(),
            "counterExample": request(asked, report),
        }),
        ProofOutcome::NotProved(Unproved::Left(left)) => json!({ "left": left }),
        ProofOutcome::NotProved(Unproved::NotCompared(directory)) => {
            json!({ "notCompared": &**directory })
        }
    };
    if let (Some(document), Value::Object(more)) = (document.as_object_mut(), more) {
        document.extend(more);
    }
    document
}

fn set(document: &mut Value, name: &str, value: Value) {
    if let Some(object) = document.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

fn request(request: &SampleRequest, report: &Report<'_>) -> Value {
    json!({
        "command": report.command(request),
        "request": request.check_request(report.snapshot.settings()),
    })
}

fn answer(answer: &Answer) -> Value {
    json!({
        "effect": answer.effect().as_str(),
        "reason": answer.reason.as_str(),
        "rule": answer.rule.to_string(),
        "origin": answer.rule.info().map(|info| info.origin()),
    })
}

fn outcome(outcome: &ProofOutcome<'_>) -> &'static str {
    match outcome {
        ProofOutcome::NotProved(_) => "notProved",
        other => word(other),
    }
}
