//! What the pages about benchmarks publish: tables between marks, and plots, all derived from the
//! data in docs/benchmarks.
//!
//! Nothing is measured here. The rule: a benchmark that publishes writes its data and calls
//! [`write_all`], so that a page never says what the data does not.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::bench_report::document::{render, take_in};
use crate::bench_report::grants::Grants;
use crate::bench_report::scaling::ScalingRun;
use crate::bench_report::serving_run::ServingRun;
use crate::fleet::report::FleetRuns;
use crate::plots::sheet::wrap;
use crate::plots::{self, Plot, read};

const SERVING_PAGE: &str = "docs/explanation/benchmarks-serving.md";
const TOOLS_PAGE: &str = "docs/explanation/benchmarks-tools.md";
const SCALE_PAGE: &str = "docs/explanation/scale.md";
/// The folder of the plots, seen from the pages.
const PLOTS: &str = "../benchmarks/";

/// A table: the page that has it, the name of the marks around it, and its text.
#[derive(Clone, Debug)]
pub struct Table {
    pub page: &'static str,
    pub marks: &'static str,
    pub text: String,
}

/// Renders every table whose data is in a folder.
///
/// # Errors
/// If data cannot be read.
pub fn tables(folder: &Path, plots: &[Plot]) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    let mut add = |page, marks, text| tables.push(Table { page, marks, text });
    if let Some(run) = read::<ServingRun>(folder, plots::serving::DATA)? {
        let beside = plots::serving::beside_tables(plots);
        let text = render(&run.machine.sentence(), &run.parts, &beside, PLOTS);
        add(SERVING_PAGE, "serving", text);
    }
    for (marks, data) in [("diff", "diff.json"), ("prove", "prove.json")] {
        if let Some(run) = read::<ScalingRun>(folder, data)? {
            let plot = link(plots, &format!("{marks}.svg"));
            add(TOOLS_PAGE, marks, format!("{plot}{}", run.table()));
        }
    }
    if let Some(found) = read::<Grants>(folder, plots::grants::DATA)? {
        let plot = link(plots, "grants.svg");
        add(TOOLS_PAGE, "grants", format!("{plot}{}", found.table()));
    }
    if let Some(runs) = read::<FleetRuns>(folder, plots::fleet::DATA)? {
        let both = ["fleet-waits.svg", "fleet-distribution.svg"].map(|file| link(plots, file));
        let text = format!("{}{}", both.concat(), runs.tables());
        add(SCALE_PAGE, crate::fleet::report::FLEET, text);
    }
    Ok(tables)
}

/// Breaks the prose of a text into lines as long as those of a page; tables and plots have no breaks.
fn wrapped(text: &str) -> String {
    const LONGEST: usize = 100;
    let is_prose = |line: &str| !line.starts_with(['|', '!', '#']);
    let lines = text.lines().map(|line| match is_prose(line) {
        true => wrap(line, LONGEST).join("\n"),
        false => line.to_owned(),
    });
    lines.collect::<Vec<String>>().join("\n")
}

/// Returns a plot as Markdown, with its finding for readers who cannot see it.
fn link(plots: &[Plot], file: &str) -> String {
    let plot = plots.iter().find(|plot| plot.file == file);
    plot.map_or_else(String::new, |plot| {
        format!("![{}]({PLOTS}{file})\n\n", plot.shows)
    })
}

/// Writes every table and plot that is not as its data says. Returns the names of what was written.
///
/// # Errors
/// If data cannot be read, a page has no marks, or a file cannot be written.
pub fn write_all() -> Result<Vec<String>> {
    let mut written = Vec::new();
    for (path, text) in expected()? {
        let file = crate::repository().join(&path);
        if fs::read_to_string(&file).ok().as_ref() != Some(&text) {
            fs::write(&file, &text).context(path.clone())?;
            written.push(path);
        }
    }
    Ok(written)
}

/// Returns the files that are not as their data says.
///
/// # Errors
/// If data cannot be read, or a page has no marks.
pub fn stale() -> Result<Vec<String>> {
    let is_stale = |(path, text): &(String, String)| {
        let file = crate::repository().join(path);
        fs::read_to_string(file).ok().as_ref() != Some(text)
    };
    let expected = expected()?.into_iter().filter(is_stale);
    Ok(expected.map(|(path, _)| path).collect())
}

/// Returns each plot and each page with its tables, by its path in the repository.
fn expected() -> Result<Vec<(String, String)>> {
    let folder = plots::folder();
    let plots = plots::draw_all(&folder)?;
    let mut files: Vec<(String, String)> = Vec::new();
    for table in tables(&folder, &plots)? {
        let known = files.iter().position(|(path, _)| path == table.page);
        let old = match known {
            Some(place) => files.remove(place).1,
            None => fs::read_to_string(crate::repository().join(table.page)).context(table.page)?,
        };
        let new = take_in(&old, table.marks, &wrapped(&table.text))
            .with_context(|| format!("{} has no marks of {}", table.page, table.marks))?;
        files.push((table.page.to_owned(), new));
    }
    let plots = plots.into_iter();
    files.extend(plots.map(|plot| (format!("{}/{}", plots::FOLDER, plot.file), plot.svg)));
    Ok(files)
}

#[cfg(test)]
mod tests;
