//! Prints what a replay found, as text or as one JSON document.
//!
//! Texts of records are escaped where they are printed.

use serde_json::{Value, json};

use super::counts::ReplayTotals;
use super::expected::Expectations;
use super::flips::{FlipKind, FlipRow, Occurrences};
use crate::app::cli::Period;
use crate::app::commands::audit::losses::losses_json;
use crate::app::commands::counted;
use crate::app::terminal::{Line, Tone};
use customs_policy::printable;

/// What is reported.
pub(super) struct Report<'r> {
    /// The revision of the new set.
    pub revision: &'r str,
    /// The counts.
    pub counts: &'r ReplayTotals,
    /// The expected changes, if a file names some.
    pub expectations: Option<&'r Expectations>,
    /// The period.
    pub period: Period,
    /// The most rows of a table.
    pub top: usize,
}

/// Returns the report as text.
pub(super) fn lines(report: &Report<'_>) -> Vec<Line> {
    let mut out = Vec::new();
    head(report, &mut out);
    for kind in FlipKind::ALL {
        table(kind, report, &mut out);
    }
    unanswerable(report.counts, &mut out);
    expected(report, &mut out);
    out.push(Line::default());
    out.push(
        Line::default()
            .then(Tone::Strong, summary(report))
            .hanging(2),
    );
    out
}

/// Begins a part with its title.
fn heading(out: &mut Vec<Line>, tone: Tone, title: String) {
    out.extend([Line::default(), Line::default().then(tone, title)]);
}

/// Returns a count and what is counted.
fn count_line(count: u64, what: &str) -> Line {
    Line::of(format!("{count:>10}  {what}")).hanging(12)
}

fn head(report: &Report<'_>, out: &mut Vec<Line>) {
    let counts = report.counts;
    let decisions = many(counts.log.decisions, "decision");
    let span = match counts.log.span {
        Some((first, last)) => format!(" from {first:.3} to {last:.3}"),
        None => String::new(),
    };
    let revision = report.revision;
    let title = format!("{decisions}{span}, decided again by revision {revision}");
    out.push(Line::of(title).hanging(2));
    let flips = FlipKind::ALL.map(|kind| (counts.flips.count(kind), kind.title()));
    let fixed = [
        (counts.same, "the same"),
        (
            counts.other_reason,
            "the same answers, for another reason or by another rule",
        ),
        (
            counts.unknown_reason,
            "the same answers; the record does not say by which rule",
        ),
    ];
    let apart = [
        (counts.unanswerable, "unanswerable"),
        (
            counts.outages,
            "not replayed: no policy decided them, the server was in trouble",
        ),
    ];
    for (count, what) in fixed.into_iter().chain(flips).chain(apart) {
        if count > 0 {
            out.push(count_line(count, what));
        }
    }
    notes(counts, out);
}

fn notes(counts: &ReplayTotals, out: &mut Vec<Line>) {
    for (count, what, fate) in [
        (
            counts.log.lost_decisions(),
            "decision",
            "lost: the record does not hold them",
        ),
        (counts.log.questions, "question", "skipped: nothing crossed"),
        (counts.log.others, "other record", "skipped"),
        (counts.log.no_records, "line", "skipped: not a record"),
        (counts.log.torn, "record", "skipped: incomplete"),
    ] {
        if count > 0 {
            out.push(count_line(count, &format!("{} {fate}", noun(count, what))));
        }
    }
    for filter in &counts.log.filters {
        let note = format!(
            "note: a sink of this log takes `{filter}` only, so other decisions are not in it"
        );
        out.push(Line::of(note).hanging(6));
    }
    let own = env!("CARGO_PKG_VERSION");
    for version in counts.log.versions.iter().filter(|version| *version != own) {
        let note = format!(
            "note: customs {version} wrote some of it, and this is {own}; answers may differ for that"
        );
        out.push(Line::of(note).hanging(6));
    }
}

fn table(kind: FlipKind, report: &Report<'_>, out: &mut Vec<Line>) {
    let rows = report.counts.flips.rows(kind);
    if rows.is_empty() {
        return;
    }
    let tone = match kind {
        FlipKind::Allowed => Tone::Good,
        FlipKind::Denied => Tone::Bad,
        _ => Tone::Mark,
    };
    let count = report.counts.flips.count(kind);
    heading(out, tone, format!("{} ({count})", kind.title()));
    let header = [
        "count", "caller", "host", "was by", "now by", "first", "last", "",
    ];
    let mut lines = vec![header.map(str::to_owned)];
    for (row, occurrences) in rows.iter().take(report.top) {
        let (first, last) = span(*occurrences);
        let is_meant = report
            .expectations
            .filter(|_| kind.is_verdict())
            .is_some_and(|expectations| expectations.means(row));
        lines.push([
            occurrences.count.to_string(),
            caller(row),
            host(row),
            or_dash(&row.old_rule),
            or_unknown(&row.new_rule),
            first,
            last,
            if is_meant { "expected" } else { "" }.to_owned(),
        ]);
    }
    write_lines(&lines, out);
    let more = rows.get(report.top..).unwrap_or_default();
    let count: u64 = more.iter().map(|(_, occurrences)| occurrences.count).sum();
    if count > 0 {
        out.push(count_line(count, &format!("in {} more rows", more.len())));
    }
    let others = report.counts.flips.others(kind).count;
    if others > 0 {
        out.push(count_line(
            others,
            "others, counted together because there were too many different rows",
        ));
    }
}

fn write_lines<const N: usize>(lines: &[[String; N]], out: &mut Vec<Line>) {
    let mut widths = [0; N];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.len());
        }
    }
    for line in lines {
        let cells: Vec<String> = line
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(at, (cell, width))| match at {
                0 => format!("{cell:>10}"),
                _ => format!("{cell:<width$}"),
            })
            .collect();
        out.push(Line::of(cells.join("  ").trim_end()).whole());
    }
}

fn unanswerable(counts: &ReplayTotals, out: &mut Vec<Line>) {
    if counts.missing.is_empty() {
        return;
    }
    let title = format!("unanswerable ({}): the record lacks", counts.unanswerable);
    heading(out, Tone::Mark, title);
    for ((cause, input), count) in &counts.missing {
        out.push(count_line(*count, &format!("{input} ({cause})")));
    }
}

fn expected(report: &Report<'_>, out: &mut Vec<Line>) {
    let Some(expectations) = report.expectations else {
        return;
    };
    let title = format!("expected changes ({})", expectations.expected.len());
    heading(out, Tone::Strong, title);
    for (flip, happened) in &expectations.expected {
        let (from, to, expect) = (&flip.from, &flip.to, flip.expect.as_str());
        let line = count_line(happened.count, &format!("{from} to {to}: {expect}"));
        out.push(match flip.complaint(*happened) {
            Some(complaint) => line.then(Tone::Bad, format!("; {complaint} ({})", flip.place)),
            None => line,
        });
    }
}

/// Returns the last line.
fn summary(report: &Report<'_>) -> String {
    let counts = report.counts;
    let flips = |kind| counts.flips.count(kind);
    let mut parts = vec![
        format!("{} newly allowed", flips(FlipKind::Allowed)),
        format!("{} newly denied", flips(FlipKind::Denied)),
    ];
    if let Some(expectations) = report.expectations {
        parts.push(format!("{} of them unexpected", expectations.unexpected));
    }
    parts.push(format!("{} unanswerable", counts.unanswerable));
    parts.join(", ")
}

/// Returns the report as JSON.
pub(super) fn json(report: &Report<'_>) -> Value {
    let counts = report.counts;
    let flips: Vec<Value> = FlipKind::ALL
        .into_iter()
        .map(|kind| {
            let rows: Vec<Value> = counts
                .flips
                .rows(kind)
                .into_iter()
                .map(|row| row_json(row, report))
                .collect();
            json!({
                "change": kind.as_str(),
                "count": counts.flips.count(kind),
                "rows": rows,
                "othersCount": counts.flips.others(kind).count,
            })
        })
        .collect();
    let missing: Vec<Value> = counts
        .missing
        .iter()
        .map(|((cause, input), count)| json!({"cause": cause, "input": input, "count": count}))
        .collect();
    let expectations = report.expectations.map(|expectations| {
        let entries: Vec<Value> = expectations
            .expected
            .iter()
            .map(|(flip, happened)| {
                let (first, last) = times(*happened);
                json!({
                    "place": flip.place.to_string(), "from": flip.from, "to": flip.to,
                    "expect": flip.expect.as_str(), "count": happened.count,
                    "first": first, "last": last, "complaint": flip.complaint(*happened),
                })
            })
            .collect();
        json!({"unexpected": expectations.unexpected, "entries": entries})
    });
    json!({
        "version": 1,
        "revision": report.revision,
        "since": report.period.since.map(|time| time.to_string()),
        "until": report.period.until.map(|time| time.to_string()),
        "span": counts.log.span.map(|(first, last)| json!({
            "first": first.to_string(), "last": last.to_string(),
        })),
        "decisions": counts.log.decisions,
        "same": counts.same,
        "otherReason": counts.other_reason,
        "unknownReason": counts.unknown_reason,
        "flips": flips,
        "unanswerable": {"count": counts.unanswerable, "missing": missing},
        "outages": counts.outages,
        "questions": counts.log.questions,
        "otherRecords": counts.log.others,
        "gaps": counts.log.gaps,
        "lost": losses_json(counts.log.lost),
        "noRecords": counts.log.no_records,
        "torn": counts.log.torn,
        "streams": counts.log.streams.len(),
        "versions": counts.log.versions,
        "filters": counts.log.filters,
        "expected": expectations,
    })
}

fn row_json((row, occurrences): (&FlipRow, Occurrences), report: &Report<'_>) -> Value {
    let (first, last) = times(occurrences);
    let is_expected = report
        .expectations
        .filter(|_| row.kind.is_verdict())
        .map(|expectations| expectations.means(row));
    json!({
        "foreignDomain": row.foreign_domain,
        "namespace": row.namespace,
        "serviceAccount": row.account,
        "identity": row.identity,
        "host": row.host,
        "rawHost": row.raw_host,
        "port": row.port,
        "becomes": row.becomes,
        "oldRule": row.old_rule,
        "newRule": row.new_rule,
        "newReason": row.new_reason,
        "count": occurrences.count,
        "first": first,
        "last": last,
        "isExpected": is_expected,
    })
}

fn times(occurrences: Occurrences) -> (Option<String>, Option<String>) {
    match occurrences.span {
        None => (None, None),
        Some((first, last)) => (Some(first.to_string()), Some(last.to_string())),
    }
}

fn span(occurrences: Occurrences) -> (String, String) {
    match occurrences.span {
        None => ("-".to_owned(), "-".to_owned()),
        Some((first, last)) => (format!("{first:.0}"), format!("{last:.0}")),
    }
}

fn caller(row: &FlipRow) -> String {
    match row.namespace.is_empty() {
        true => or_dash(&row.identity),
        false => {
            let foreign = match row.foreign_domain.as_str() {
                "" => String::new(),
                domain => format!(" ({})", printable::line(domain)),
            };
            let (namespace, account) = (printable::line(&row.namespace), or_dash(&row.account));
            format!("{namespace}/{account}{foreign}")
        }
    }
}

fn host(row: &FlipRow) -> String {
    let host = match row.host.is_empty() {
        true if row.raw_host.is_empty() => return "-".to_owned(),
        true => format!("?{}", printable::line(&row.raw_host)),
        false => printable::line(&row.host).into_owned(),
    };
    match row.port {
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

fn or_dash(text: &str) -> String {
    match text.is_empty() {
        true => "-".to_owned(),
        false => printable::line(text).into_owned(),
    }
}

fn or_unknown(rule: &str) -> String {
    match rule.is_empty() {
        true => "(not on record)".to_owned(),
        false => printable::line(rule).into_owned(),
    }
}

fn many(count: u64, what: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), what)
}

fn noun(count: u64, what: &str) -> String {
    match count {
        1 => what.to_owned(),
        _ => format!("{what}s"),
    }
}
