//! Writes findings to `target/bench/`, and into docs/ if `--publish` is given.
//!
//! The rule: every round's raw value is kept in the JSON, so that tables and plots can be derived from
//! it again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::arguments::Arguments;
use customs_test_support::bench_report::document;
use customs_test_support::bench_report::findings::Findings;
use customs_test_support::bench_report::machine::Machine;
use customs_test_support::{plots, published};

/// Returns the folder `bench` in cargo's target folder.
fn folder() -> Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .context("cargo's folder has no parent")?;
    Ok(target.join("bench"))
}

/// Writes everything that was found so far: the data, its tables and its plots.
pub(crate) fn write(machine: &Machine, arguments: &Arguments, found: &[Findings]) -> Result<()> {
    let folder = folder()?;
    fs::create_dir_all(&folder)?;
    let all = json!({ "machine": machine, "sizes": arguments.sizes(), "parts": found });
    let text = serde_json::to_string_pretty(&all)? + "\n";
    fs::write(folder.join(plots::serving::DATA), &text)?;
    let plots = plots::serving::draw(&serde_json::from_str(&text)?)?;
    for plot in &plots {
        fs::write(folder.join(plot.file), &plot.svg)?;
    }
    let beside = plots::serving::beside_tables(&plots);
    let tables = document::render(&machine.sentence(), found, &beside, "");
    fs::write(folder.join("table.md"), tables)?;
    Ok(())
}

/// Puts the data into docs/, and with it the tables and plots that are derived from it.
pub(crate) fn publish() -> Result<()> {
    let data = plots::serving::DATA;
    fs::copy(folder()?.join(data), plots::folder().join(data))?;
    published::write_all()?;
    Ok(())
}
