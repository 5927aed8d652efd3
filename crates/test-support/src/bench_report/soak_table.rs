//! The table that the mixed load writes, and the picture of its last minutes.
//!
//! Nothing is measured here, and nothing is smoothed: rates are what happened between two samples.

use anyhow::{Context, Result, ensure};

use super::picture::timeline::{self, Panel};

/// How much of the end is drawn.
const SHOWN_MINUTES: f64 = 10.0;

/// The columns that are drawn, as the table names them.
const COLUMNS: [&str; 5] = ["seconds", "memory_kib", "descriptors", "checks", "wrong"];

/// A sample: one value for each of [`COLUMNS`].
#[derive(Clone, Copy, Debug)]
struct Row {
    minute: f64,
    memory_mib: f64,
    descriptors: f64,
    checks: f64,
    wrong: f64,
}

/// A run, in ascending order of time.
#[derive(Clone, Debug)]
pub struct SoakTable(Vec<Row>);

impl SoakTable {
    /// Reads a table of values separated by commas, whose first line names its columns.
    ///
    /// # Errors
    /// If a column is missing, a value is not a number, or there are not two samples.
    pub fn parse(csv: &str) -> Result<SoakTable> {
        let mut lines = csv.lines();
        let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let place = |column: &str| {
            let place = names.iter().position(|name| *name == column);
            place.with_context(|| format!("the table has no column {column:?}"))
        };
        let mut places = [0; COLUMNS.len()];
        for (at, column) in places.iter_mut().zip(COLUMNS) {
            *at = place(column)?;
        }
        let mut rows = Vec::new();
        for (number, line) in (2..).zip(lines) {
            let fields: Vec<&str> = line.split(',').collect();
            let value = |at: usize| -> Result<f64> {
                let field = fields.get(at).copied().unwrap_or_default();
                let value = field.parse();
                value.with_context(|| format!("line {number}: {field:?} is not a number"))
            };
            let [seconds, memory_kib, descriptors, checks, wrong] = places;
            rows.push(Row {
                minute: value(seconds)? / 60.0,
                memory_mib: value(memory_kib)? / 1024.0,
                descriptors: value(descriptors)?,
                checks: value(checks)?,
                wrong: value(wrong)?,
            });
        }
        ensure!(rows.len() >= 2, "the table has fewer than two samples");
        Ok(SoakTable(rows))
    }

    /// Draws the last ten minutes, or all of a shorter run.
    pub fn picture(&self) -> String {
        let end = self.0.last().map_or(0.0, |row| row.minute);
        let begin = (end - SHOWN_MINUTES).max(0.0);
        let title = format!("Mixed load: minutes {begin:.0} to {end:.0} of a run");
        let shown = || self.0.iter().filter(|row| row.minute >= begin);
        let panel = |name: &str, value: fn(&Row) -> f64| Panel {
            name: name.to_owned(),
            points: shown().map(|row| (row.minute, value(row))).collect(),
        };
        let rates = self.0.windows(2).filter_map(|pair| {
            let [before, row] = pair else { return None };
            let seconds = (row.minute - before.minute) * 60.0;
            let is_shown = row.minute >= begin && seconds > 0.0;
            is_shown.then(|| (row.minute, (row.checks - before.checks) / seconds))
        });
        let rates = Panel {
            name: "checks a second".to_owned(),
            points: rates.collect(),
        };
        timeline::draw(
            &title,
            "minutes since the beginning",
            &[
                panel("resident memory, MiB", |row| row.memory_mib),
                panel("open descriptors", |row| row.descriptors),
                rates,
                panel("checks wrong or unanswered since the beginning", |row| {
                    row.wrong
                }),
            ],
        )
    }
}

#[cfg(test)]
mod tests;
