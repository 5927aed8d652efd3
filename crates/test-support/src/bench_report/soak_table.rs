//! The table that the mixed load writes, and its last minutes.
//!
//! Nothing is measured here, and nothing is smoothed: rates are what happened between two samples.

use anyhow::{Context, Result, ensure};

/// How much of the end is shown.
const SHOWN_MINUTES: f64 = 10.0;

/// The columns that are read, as the table names them.
const COLUMNS: [&str; 5] = ["seconds", "memory_kib", "descriptors", "checks", "wrong"];

/// A sample: one value for each of [`COLUMNS`].
#[derive(Clone, Copy, Debug)]
pub struct SoakRow {
    pub minute: f64,
    pub memory_mib: f64,
    pub descriptors: f64,
    pub checks: f64,
    pub wrong: f64,
}

/// A run, in ascending order of time.
#[derive(Clone, Debug)]
pub struct SoakTable(Vec<SoakRow>);

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
            rows.push(SoakRow {
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

    /// Returns the samples of the last ten minutes, or all of a shorter run.
    pub fn rows(&self) -> &[SoakRow] {
        let (begin, _) = self.minutes();
        let first = self.0.partition_point(|row| row.minute < begin);
        self.0.get(first..).unwrap_or_default()
    }

    /// Returns the minutes that are shown: from when, and until when.
    pub fn minutes(&self) -> (f64, f64) {
        let first = self.0.first().map_or(0.0, |row| row.minute);
        let end = self.0.last().map_or(0.0, |row| row.minute);
        ((end - SHOWN_MINUTES).max(first), end)
    }

    /// Returns the checks a second between each two samples that are shown.
    pub fn rates(&self) -> Vec<(f64, f64)> {
        let rates = self.rows().windows(2).filter_map(|pair| {
            let [before, row] = pair else { return None };
            let seconds = (row.minute - before.minute) * 60.0;
            (seconds > 0.0).then(|| (row.minute, (row.checks - before.checks) / seconds))
        });
        rates.collect()
    }

    /// Returns the table of what is shown, as the mixed load writes it.
    pub fn csv(&self) -> String {
        let mut csv = format!("{}\n", COLUMNS.join(","));
        for row in self.rows() {
            csv.push_str(&format!(
                "{:.2},{:.0},{},{},{}\n",
                row.minute * 60.0,
                row.memory_mib * 1024.0,
                row.descriptors,
                row.checks,
                row.wrong
            ));
        }
        csv
    }
}

#[cfg(test)]
mod tests;
