//! The counts of an audit log as text: a few sentences, then the tables.
//!
//! Texts are escaped where they are counted.

use std::fmt::Write;

use super::stats_counts::Stats;
use super::top_k::{Top, TopK};
use crate::app::commands::counted;
use customs_record::proto::Loss;

/// Returns all counts, with at most `top` rows of each table.
pub(super) fn human(stats: &Stats, top: usize) -> String {
    let mut out = sentences(stats);
    for table in stats.tables().into_iter().filter(|table| !table.is_empty()) {
        write_table(table, top, &mut out);
    }
    out
}

fn sentences(stats: &Stats) -> String {
    let mut out = format!(
        "{}, {}",
        many(stats.records, "record"),
        many(stats.decisions, "decision")
    );
    if let Some((first, last)) = stats.span {
        let _ = write!(out, ", from {first:.3} to {last:.3}");
    }
    out.push('\n');
    let Loss {
        allows,
        denials,
        differing,
        withheld,
        events,
    } = stats.lost;
    if stats.gaps > 0 {
        let gaps = many(stats.gaps, "gap");
        let _ = writeln!(
            out,
            "lost in {gaps}: {allows} allowed, {denials} denied, {differing} with differing answers, {withheld} withheld, {events} events"
        );
    }
    for (count, what, fate) in [
        (stats.missed, "record", "missed by a subscriber"),
        (stats.withheld, "answer", "withheld after it was recorded"),
        (
            stats.callers_gone,
            "decision",
            "not delivered: the caller had given up",
        ),
        (stats.no_records, "line", "skipped: not a record"),
        (stats.torn, "record", "skipped: incomplete"),
    ] {
        if count > 0 {
            let _ = writeln!(out, "{} {fate}", many(count, what));
        }
    }
    out
}

fn write_table(table: &TopK, count: usize, out: &mut String) {
    let Top { rows, more, others } = table.top(count);
    let mut widths: Vec<usize> = table.columns.iter().map(|name| name.len()).collect();
    for (texts, _) in &rows {
        widths
            .iter_mut()
            .zip(texts)
            .for_each(|(width, text)| *width = (*width).max(text.len()));
    }
    let _ = writeln!(out, "\n{}", table.title);
    let mut line = |number: &str, texts: &mut dyn Iterator<Item = &str>| {
        let cells: String = texts
            .zip(&widths)
            .map(|(text, width)| format!("  {text:<width$}"))
            .collect();
        let _ = writeln!(out, "{}", format!("{number:>10}{cells}").trim_end());
    };
    line("count", &mut table.columns.iter().copied());
    for (texts, number) in rows {
        line(&number.to_string(), &mut texts.iter().copied());
    }
    if more.0 > 0 {
        let _ = writeln!(out, "{:>10}  in {} more rows", more.1, more.0);
    }
    if others > 0 {
        let _ = writeln!(
            out,
            "{others:>10}  others, counted together because there were too many different rows"
        );
    }
}

fn many(count: u64, what: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), what)
}
