//! Times by the number of rules: a table with a row for each size and subject, as the benchmarks of
//! `diff` and of proofs write it, and as docs/benchmarks keeps it.
//!
//! It measures nothing. The rule: every time of every round is kept; a file with one time each says
//! in its `how` that it has no intervals.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::document::{count, number};
use super::statistics::Estimate;

/// A run with its rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScalingRun {
    /// Where and when it was measured, as a sentence.
    pub measured: String,
    /// What a time is: the rounds, and what is part of it.
    pub how: String,
    /// The name of the second column: what differs between rows of one size.
    pub subject: String,
    /// The names of the columns between the subject and the time.
    pub columns: Vec<String>,
    pub rows: Vec<ScalingRow>,
}

/// One size and subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScalingRow {
    pub rules: usize,
    pub subject: String,
    /// One for each of the columns of the run.
    pub cells: Vec<String>,
    /// A time for each round.
    pub seconds: Vec<f64>,
}

impl ScalingRun {
    /// Returns the subjects in the order in which they appear first.
    pub fn subjects(&self) -> Vec<&str> {
        let mut known: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !known.contains(&row.subject.as_str()) {
                known.push(&row.subject);
            }
        }
        known
    }

    /// Returns the times of a subject by the number of rules.
    pub fn times(&self, subject: &str) -> Vec<(usize, Estimate)> {
        let of_subject = self.rows.iter().filter(|row| row.subject == subject);
        of_subject
            .filter_map(|row| Some((row.rules, Estimate::of(&row.seconds)?)))
            .collect()
    }

    /// Returns how many rounds each row has at least.
    pub fn rounds(&self) -> usize {
        let rounds = self.rows.iter().map(|row| row.seconds.len());
        rounds.min().unwrap_or_default()
    }

    /// Returns the table in Markdown, with the sentences about the run before it.
    pub fn table(&self) -> String {
        let mut table = format!(
            "{} {}\n\n| rules | {} |",
            self.measured, self.how, self.subject
        );
        for column in &self.columns {
            let _ = write!(table, " {column} |");
        }
        table.push_str(" time |\n| ---: | --- |");
        table.push_str(&" ---: |".repeat(self.columns.len() + 1));
        table.push('\n');
        for row in &self.rows {
            let _ = write!(table, "| {} | {} |", count(row.rules as f64), row.subject);
            for cell in &row.cells {
                let _ = write!(table, " {cell} |");
            }
            let _ = writeln!(
                table,
                " {} |",
                Estimate::of(&row.seconds).map_or_else(String::new, time)
            );
        }
        table
    }
}

/// Formats a time with its interval, in milliseconds below a second.
pub fn time(Estimate { low, median, high }: Estimate) -> String {
    let (factor, unit) = if median < 1.0 {
        (1000.0, "ms")
    } else {
        (1.0, "s")
    };
    if low == high {
        // One value was kept, with as many digits as it had.
        let text = number(median * factor);
        let digits = match text.split_once('.') {
            Some(_) => text.trim_end_matches('0').trim_end_matches('.'),
            None => &text,
        };
        return format!("{digits} {unit}");
    }
    let [low, median, high] = [low, median, high].map(|value| number(value * factor));
    format!("{median} {unit} ({low} to {high})")
}

#[cfg(test)]
mod tests;
