//! Simulates a fleet and writes its tables and pictures into docs/.
//!
//! ```text
//! cargo run --example simulate-fleet
//! ```
//!
//! The model is `customs_test_support::fleet`; it is seeded, so this writes the same each time.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use customs_test_support::bench_report::document::take_in;
use customs_test_support::fleet::report;

/// Checks of each run: a thousandth of them is enough for the last percentile.
const CHECKS: usize = 1_000_000;

const DOCUMENT: &str = "docs/SCALE.md";

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = report::make(CHECKS);
    let document = root.join(DOCUMENT);
    let text = fs::read_to_string(&document).context(DOCUMENT)?;
    let text = take_in(&text, report::FLEET, &made.tables)
        .with_context(|| format!("{DOCUMENT} has no marks for the tables"))?;
    fs::write(&document, text).context(DOCUMENT)?;
    for (name, picture) in [
        ("fleet-waits.svg", made.waits),
        ("fleet-distribution.svg", made.distribution),
    ] {
        let path = root.join("docs/benchmarks").join(name);
        fs::write(path, picture).context(name)?;
    }
    Ok(())
}
