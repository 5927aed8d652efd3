//! Draws the plots and tables of the pages about benchmarks again, from the data in docs/benchmarks.
//! Nothing is measured.
//!
//! ```text
//! make plots
//! make soak-picture
//! ```
//!
//! `--soak` first keeps the last ten minutes of a mixed load, whose table `make soak` writes.

#![allow(clippy::print_stdout)]

use std::{env, fs};

use anyhow::{Context, Result, bail};
use customs_test_support::bench_report::soak_table::SoakTable;
use customs_test_support::{plots, published};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &*arguments {
        [] => {}
        [option, table] if option == "--soak" => {
            let csv = fs::read_to_string(table).with_context(|| table.clone())?;
            let shown = SoakTable::parse(&csv).with_context(|| table.clone())?;
            fs::write(plots::folder().join(plots::soak::DATA), shown.csv())?;
        }
        _ => bail!("usage: draw-plots [--soak TABLE.csv]"),
    }
    for file in published::write_all()? {
        println!("{file}");
    }
    Ok(())
}
