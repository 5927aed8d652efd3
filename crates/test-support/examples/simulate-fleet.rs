//! Simulates a fleet, keeps the runs in docs/benchmarks, and writes their tables and plots.
//!
//! ```text
//! make simulate-fleet
//! ```
//!
//! The model is `customs_test_support::fleet`; it is seeded, so this writes the same each time.

#![allow(clippy::print_stdout)]

use std::fs;

use anyhow::Result;
use customs_test_support::fleet::report::FleetRuns;
use customs_test_support::{plots, published};

/// Checks of each run: a thousandth of them is enough for the last percentile.
const CHECKS: usize = 1_000_000;

/// Runs of each cell, as many as the rounds of the serving benchmark.
const SEEDS: u64 = 9;

fn main() -> Result<()> {
    let runs = FleetRuns::simulate(CHECKS, SEEDS);
    let text = serde_json::to_string_pretty(&runs)? + "\n";
    fs::write(plots::folder().join(plots::fleet::DATA), text)?;
    for file in published::write_all()? {
        println!("{file}");
    }
    Ok(())
}
