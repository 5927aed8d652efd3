//! Formats a record as one line of text, for people.
//!
//! It selects what matters at a glance; the JSON line has the whole record. A line is not evidence:
//! it has neither the number nor the hash of its record, so no tool can verify it. The rule: a line
//! contains no line feed, and no control character except the colours that this module adds.

mod parts;

pub use parts::{caller, host, or_dash, time, timestamp, visible};

use crate::Loss;
use crate::decode;
use crate::proto::{Record, Refusal};

/// How a line is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Good,
    Bad,
    Mark,
    Plain,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Tone::Good => "32",
            Tone::Bad => "1;31",
            Tone::Mark => "1;33",
            Tone::Plain => "36",
        }
    }
}

/// Returns the line of a record, without its line end.
pub fn line(record: &Record, is_coloured: bool) -> String {
    let (tone, word, rest) = match record.kind.as_str() {
        "decision" => decision(record),
        kind => (tone(kind), visible(kind).into_owned(), event(record)),
    };
    let paint = |code: &str, text: &str| match is_coloured {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    // The width is computed before the colour is added, because the colour has no width.
    let word = paint(tone.code(), &format!("{word:<12}"));
    format!("{} {word} {rest}", paint("2", &time(record.time)))
}

fn tone(kind: &str) -> Tone {
    match kind {
        "gap" | "lag" | "withheld" | "refusals" => Tone::Bad,
        "grantEnd" | "policyChange" | "callerGone" => Tone::Mark,
        _ => Tone::Plain,
    }
}

/// Returns the answer and the request; the answer is a denial if the verdict or the dry run is one.
fn decision(record: &Record) -> (Tone, String, String) {
    let denied = |answer: &str| answer == "deny";
    let (tone, word) = match (
        denied(&record.effect),
        denied(&record.verdict) || denied(&record.dry_run),
    ) {
        (true, _) => (Tone::Bad, "deny"),
        (false, true) => (Tone::Mark, "dry-run-deny"),
        (false, false) => (Tone::Good, "allow"),
    };
    let mut rest = request(record);
    rest.push_str(&answered(record));
    if denied(&record.effect) && record.dry_run == "allow" {
        rest.push_str(" [dry run: allow]");
    }
    if denied(&record.verdict) && !denied(&record.effect) {
        rest.push_str(" [not enforced]");
    }
    if record.caller_gone {
        rest.push_str(" [caller gone]");
    }
    (tone, word.to_owned(), rest)
}

/// Returns the caller and the request.
fn request(record: &Record) -> String {
    let port = record
        .port
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let what = match record.method.is_empty() {
        true => or_dash(&record.protocol).into_owned(),
        false => format!("{} {}", visible(&record.method), or_dash(&record.path)),
    };
    let from = caller(&record.namespace, &record.service_account, &record.identity);
    let to = host(&record.host, &record.raw_host, &record.sni);
    format!("{from} -> {to}{port} {what}")
}

/// Returns reason, rule and owner of the verdict, or of the dry run if only that denies.
fn answered(record: &Record) -> String {
    let is_dry_run = record.verdict != "deny" && record.dry_run == "deny";
    let (reason, rule) = match is_dry_run {
        true => (&record.dry_run_reason, &record.dry_run_rule),
        false => (&record.reason, &record.rule),
    };
    // The owner of the dry run's rule is recorded only if it differs.
    let owner = if is_dry_run && *rule != record.rule {
        &record.dry_run_owner
    } else {
        &record.owner
    };
    let owner = if owner.is_empty() {
        String::new()
    } else {
        format!(" ({})", visible(owner))
    };
    let rule = if rule.is_empty() {
        String::new()
    } else {
        format!(" {}", visible(rule))
    };
    format!(" {}{rule}{owner}", or_dash(reason))
}

fn event(record: &Record) -> String {
    match record.kind.as_str() {
        "policyChange" => policy_change(record),
        "question" => question(record),
        "grantEnd" => format!(
            "{} ended at {}{}{}",
            or_dash(&record.rule),
            time(record.expires),
            named(", owner ", &record.owner),
            named(", ticket ", &record.ticket)
        ),
        "start" => format!(
            "customs {} listens on {}{}",
            or_dash(&record.version),
            or_dash(&record.listen.join(", ")),
            named(", enforcement ", &record.enforcement)
        ),
        "stop" => format!(
            "{}, after {} decisions{}",
            or_dash(&record.cause),
            record.decisions.unwrap_or_default(),
            named(", revision ", &record.revision)
        ),
        "withheld" => format!(
            "decision {} ({}) got no answer: {}",
            record.decision_number,
            or_dash(&record.decision_id),
            or_dash(&record.reason)
        ),
        "callerGone" => format!(
            "decision {} ({}) was not delivered: its caller had given up",
            record.decision_number,
            or_dash(&record.decision_id)
        ),
        "refusals" => refusals(record),
        "stream" => stream(record),
        "gap" => gap(record),
        "lag" => format!(
            "missed the records {} to {}",
            record.missed_from, record.missed_to
        ),
        "checkpoint" => checkpoint(record),
        _ => decode::to_line(record).unwrap_or_default(),
    }
}

fn named(before: &str, text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("{before}{}", visible(text))
    }
}

fn policy_change(record: &Record) -> String {
    let rules = [
        record.istio_deny_rules,
        record.istio_allow_rules,
        record.egress_deny_rules,
        record.egress_allow_rules,
    ];
    let rules: u64 = rules.into_iter().flatten().map(u64::from).sum();
    let mut line = format!(
        "{}, revision {}{}, {} policies, {rules} rules",
        or_dash(&record.outcome),
        or_dash(&record.revision),
        named(" after ", &record.previous_revision),
        record.policies.unwrap_or_default(),
    );
    line.push_str(&named(", refused: ", &record.refused_sources.join(", ")));
    if let Some(first) = record.problems.first() {
        let left_out = usize::try_from(record.problems_left_out).unwrap_or(usize::MAX);
        let count = record.problems.len().saturating_add(left_out);
        let noun = if count == 1 { "problem" } else { "problems" };
        let (file, text) = (visible(&first.file), visible(&first.text));
        line.push_str(&format!(
            "; {count} {noun}, the first: {file}:{} {text}",
            first.line
        ));
    }
    line
}

fn question(record: &Record) -> String {
    let by = or_dash(&record.asked_by);
    match &record.answer {
        Some(answer) => {
            format!(
                "by {by}: {} would get {}{}",
                request(answer),
                or_dash(&answer.effect),
                answered(answer)
            )
        }
        None => format!("by {by}"),
    }
}

fn stream(record: &Record) -> String {
    let from = match record.previous_stream.as_str() {
        "" => ", the first".to_owned(),
        previous => format!(
            ", after {} of {}",
            record.previous_sequence,
            visible(previous)
        ),
    };
    let torn = match record.torn_bytes {
        0 => String::new(),
        bytes => format!(", {bytes} bytes of an unfinished record cut off"),
    };
    let before = match record.previous_file.as_str() {
        "" => String::new(),
        what => format!(", the file before was {} by another process", visible(what)),
    };
    let (sink, filter, format) = (
        or_dash(&record.sink),
        or_dash(&record.filter),
        or_dash(&record.format),
    );
    format!(
        "{} of {sink}, {filter}, as {format}{from}{torn}{before}",
        or_dash(&record.stream)
    )
}

fn refusals(record: &Record) -> String {
    let describe = |refusal: &Refusal| {
        let Refusal {
            peer,
            cause,
            count,
            example,
        } = refusal;
        format!(
            "{count} {} from {}{}",
            or_dash(cause),
            or_dash(peer),
            named(", such as ", example)
        )
    };
    let refusals: Vec<_> = record.refusals.iter().map(describe).collect();
    format!("refused before they were checks: {}", refusals.join("; "))
}

fn gap(record: &Record) -> String {
    let lost = Loss::from(record.lost.unwrap_or_default());
    let classes = [
        (lost.allows, "allowed"),
        (lost.denials, "denied"),
        (lost.differing, "with differing answers"),
        (lost.withheld, "withheld"),
        (lost.events, "events"),
    ];
    let counts: Vec<String> = classes
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
    format!(
        "{} records lost ({}) from {} to {}",
        lost.total(),
        counts.join(", "),
        time(record.first),
        time(record.last)
    )
}

fn checkpoint(record: &Record) -> String {
    let head: String = record.head.chars().take(16).collect();
    let last = if record.r#final { ", the last" } else { "" };
    let signed = match record.key.as_str() {
        "" => "unsigned".to_owned(),
        key => format!("signed by {}", visible(key)),
    };
    let sealed = or_dash(&record.sealed_stream);
    format!(
        "{sealed} had {} records, head {}..{last}, {signed}",
        record.records,
        or_dash(&head)
    )
}

#[cfg(test)]
mod tests;
