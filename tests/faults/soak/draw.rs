//! Draws the last ten minutes of a mixed load from the table that `make soak` writes.
//!
//! ```text
//! cargo run --example draw-soak -- target/tmp/soak.csv docs/benchmarks/soak.svg
//! ```

use std::{env, fs};

use anyhow::{Context, Result, bail};
use customs_test_support::bench_report::soak_table::SoakTable;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [table, picture] = &*arguments else {
        bail!("usage: draw-soak TABLE.csv PICTURE.svg");
    };
    let csv = fs::read_to_string(table).with_context(|| table.clone())?;
    let drawn = SoakTable::parse(&csv)
        .with_context(|| table.clone())?
        .picture();
    fs::write(picture, drawn).with_context(|| picture.clone())
}
