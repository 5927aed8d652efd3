//! Prints what a replay found, as text or as one JSON document.
//!
//! Texts of records are escaped where they are printed.

use std::fmt::Write;

use serde_json::{Value, json};

use super::counts::ReplayTotals;
use super::expected::Expectations;
use super::flips::{FlipKind, FlipRow, Occurrences};
use crate::app::cli::Period;
use crate::app::commands::audit::losses::losses_json;
use crate::app::commands::counted;
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
pub(super) fn text(report: &Report<'_>) -> String {
    let mut out = String::new();
    head(report, &mut out);
    for kind in FlipKind::ALL {
        table(kind, report, &mut out);
    }
    unanswerable(report.counts, &mut out);
    expected(report, &mut out);
    out.push_str(&summary(report));
    out
}

fn head(report: &Report<'_>, out: &mut String) {
    let counts = report.counts;
    let _ = write!(out, "{}", many(counts.log.decisions, "decision"));
    if let Some((first, last)) = counts.log.span {
        let _ = write!(out, " from {first:.3} to {last:.3}");
    }
    let _ = writeln!(out, ", decided again by revision {}", report.revision);
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
            let _ = writeln!(out, "{count:>10}  {what}");
        }
    }
    notes(counts, out);
}

fn notes(counts: &ReplayTotals, out: &mut String) {
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
            let _ = writeln!(out, "{count:>10}  {} {fate}", noun(count, what));
        }
    }
    for filter in &counts.log.filters {
        let filter = printable::line(filter);
        let _ = writeln!(
            out,
            "note: a sink of this log takes `{filter}` only, so other decisions are not in it"
        );
    }
    let own = env!("CARGO_PKG_VERSION");
    for version in counts.log.versions.iter().filter(|version| *version != own) {
        let version = printable::line(version);
        let _ = writeln!(
            out,
            "note: customs {version} wrote some of it, and this is {own}; answers may differ for that"
        );
    }
}

fn table(kind: FlipKind, report: &Report<'_>, out: &mut String) {
    let rows = report.counts.flips.rows(kind);
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n{} ({})",
        kind.title(),
        report.counts.flips.count(kind)
    );
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
        let _ = writeln!(out, "{count:>10}  in {} more rows", more.len());
    }
    let others = report.counts.flips.others(kind).count;
    if others > 0 {
        let _ = writeln!(
            out,
            "{others:>10}  others, counted together because there were too many different rows"
        );
    }
}

fn write_lines<const N: usize>(lines: &[[String; N]], out: &mut String) {
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
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
}

fn unanswerable(counts: &ReplayTotals, out: &mut String) {
    if counts.missing.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\nunanswerable ({}): the record lacks",
        counts.unanswerable
    );
    for ((cause, input), count) in &counts.missing {
        let input = printable::line(input);
        let _ = writeln!(out, "{count:>10}  {input} ({cause})");
    }
}

fn expected(report: &Report<'_>, out: &mut String) {
    let Some(expectations) = report.expectations else {
        return;
    };
    let _ = writeln!(out, "\nexpected changes ({})", expectations.expected.len());
    for (flip, happened) in &expectations.expected {
        let complaint = flip.complaint(*happened);
        let _ = writeln!(
            out,
            "{:>10}  {} to {}: {}{}",
            happened.count,
            printable::line(&flip.from),
            printable::line(&flip.to),
            flip.expect.as_str(),
            complaint.map_or_else(String::new, |complaint| format!(
                "; {complaint} ({})",
                flip.place
            ))
        );
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
    format!("\n{}\n", parts.join(", "))
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
