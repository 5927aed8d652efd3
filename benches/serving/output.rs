//! Writes findings to `target/bench/`, and into docs/ if `--publish` is given.
//!
//! The rule: every round's raw value is kept in the JSON, so that everything else can be derived
//! from it again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::arguments::Arguments;
use crate::machine::Machine;
use customs_test_support::bench_report::document;
use customs_test_support::bench_report::findings::Findings;
use customs_test_support::repository;

/// Returns the folder `bench` in cargo's target folder.
fn folder() -> Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .context("cargo's folder has no parent")?;
    Ok(target.join("bench"))
}

/// Writes everything that was found so far.
pub(crate) fn write(machine: &Machine, arguments: &Arguments, found: &[Findings]) -> Result<()> {
    let folder = folder()?;
    fs::create_dir_all(&folder)?;
    let all = json!({ "machine": machine, "sizes": arguments.sizes(), "parts": found });
    fs::write(
        folder.join("serving.json"),
        serde_json::to_string_pretty(&all)? + "\n",
    )?;
    fs::write(
        folder.join("table.md"),
        document::render(&machine.sentence(), found, ""),
    )?;
    write_pictures(&folder, found)
}

/// Puts tables and pictures into docs/, replacing those of an earlier run.
pub(crate) fn publish(machine: &Machine, found: &[Findings]) -> Result<()> {
    let docs = repository().join("docs");
    let (pictures, page) = (docs.join("benchmarks"), docs.join("BENCHMARKS.md"));
    fs::create_dir_all(&pictures)?;
    write_pictures(&pictures, found)?;
    fs::copy(
        folder()?.join("serving.json"),
        pictures.join("serving.json"),
    )?;
    let text = document::render(&machine.sentence(), found, "benchmarks/");
    let old = fs::read_to_string(&page)?;
    let new = document::take_in(&old, document::SERVING, &text)
        .context("docs/BENCHMARKS.md has no marks of serving")?;
    Ok(fs::write(&page, new)?)
}

fn write_pictures(folder: &Path, found: &[Findings]) -> Result<()> {
    for picture in found.iter().flat_map(|part| &part.pictures) {
        fs::write(folder.join(picture.file), &picture.svg)?;
    }
    Ok(())
}
