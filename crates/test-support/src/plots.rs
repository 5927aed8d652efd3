//! The plots of docs/benchmarks, drawn with plotters from the data beside them.
//!
//! Nothing is measured here, and no statistic is computed that `bench_report` does not have. The
//! rule: every title is a finding that is computed from the data, every value has its interval, and
//! a plot whose data has no interval says so.

pub mod axis;
pub mod curves;
pub mod fleet;
pub mod grants;
pub mod panels;
pub mod rows;
pub mod scaling;
pub mod serving;
pub mod sheet;
pub mod soak;
pub mod theme;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

/// The folder of data and plots, below the repository's root.
pub const FOLDER: &str = "docs/benchmarks";

/// A plot: the name of its file, what it shows, and its SVG.
#[derive(Clone, Debug)]
pub struct Plot {
    pub file: &'static str,
    /// The finding, for readers who cannot see the plot.
    pub shows: String,
    pub svg: String,
}

/// Draws every plot whose data is in a folder.
///
/// # Errors
/// If data cannot be read.
pub fn draw_all(folder: &Path) -> Result<Vec<Plot>> {
    let mut plots = Vec::new();
    if let Some(run) = read(folder, serving::DATA)? {
        plots.extend(serving::draw(&run)?);
    }
    if let Some(runs) = read(folder, fleet::DATA)? {
        plots.push(fleet::waits(&runs)?);
    }
    plots.push(fleet::distribution()?);
    for subject in scaling::SUBJECTS {
        if let Some(run) = read(folder, subject.data)? {
            plots.push(scaling::draw(subject, &run)?);
        }
    }
    if let Some(found) = read(folder, grants::DATA)? {
        plots.push(grants::draw(&found)?);
    }
    let table = folder.join(soak::DATA);
    if table.exists() {
        let csv = fs::read_to_string(&table)?;
        plots.push(soak::draw(&csv).with_context(|| table.display().to_string())?);
    }
    Ok(plots)
}

/// Returns the folder of data and plots of this checkout.
pub fn folder() -> PathBuf {
    crate::repository().join(FOLDER)
}

/// Reads data as JSON; `None` if there is no such file.
///
/// # Errors
/// If the file cannot be read, or has another form.
pub fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path)?;
    let value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(Some(value))
}

#[cfg(test)]
mod tests;
