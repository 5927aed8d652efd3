//! The tools for an audit log, on the log of a week: how long each takes, and how much memory.
//!
//! ```text
//! cargo bench --bench week -- make DIR --crossings 10000000 --gzip
//! cargo bench --bench week -- measure DIR
//! cargo bench --bench week -- grants DIR SUGGESTED
//! ```
//!
//! `make` writes the week, and `measure` runs customs on it, one command after the other. It
//! measures and gives no opinion. The rule: what a command prints is not looked at, only whether it
//! ended as it does for a log like this one; a command that this build does not have is listed as
//! such.

#![allow(clippy::print_stdout, missing_docs)]

mod commands;
mod grants;
mod measure;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use customs_record::stream::Format;
use customs_test_support::week::{self, WeekOptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The tools for an audit log, on the log of a week.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the audit log of a week, with its policies and keys
    Make(MakeArgs),
    /// Run the tools on a week, and print what each took
    Measure(MeasureArgs),
    /// Compare what the policies of a week open with what suggested ones do
    Grants(GrantsArgs),
}

#[derive(Debug, Args)]
struct MakeArgs {
    /// An empty directory, or one that does not exist
    directory: PathBuf,
    /// How many crossings are decided
    #[arg(long, default_value_t = 10_000_000)]
    crossings: u64,
    /// What the random choices begin with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How records are written: json or protobuf
    #[arg(long, default_value = "json")]
    format: Format,
    /// Compress closed files
    #[arg(long)]
    gzip: bool,
    /// The size at which a file is closed, in bytes [default: by the number of crossings]
    #[arg(long)]
    rotate_bytes: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct MeasureArgs {
    /// The directory of the week
    pub directory: PathBuf,
    /// The binary of customs [default: the one that Cargo built]
    #[arg(long)]
    pub customs: Option<PathBuf>,
    /// Run only the commands whose names contain one of these words
    pub only: Vec<String>,
    /// Where commands may write; removed afterwards [default: a directory beside the week]
    #[arg(long)]
    pub scratch: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct GrantsArgs {
    /// The directory of the week
    directory: PathBuf,
    /// The directory that `customs suggest --output` wrote
    suggested: PathBuf,
    /// Put the counts, their table and their plot into docs/
    #[arg(long)]
    publish: bool,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Make(args) => make(&args),
        Command::Measure(args) => measure::run(&args),
        Command::Grants(args) => grants::run(&args.directory, &args.suggested, args.publish),
    }
}

fn make(args: &MakeArgs) -> Result<()> {
    let started = Instant::now();
    let summary = week::make(
        &args.directory,
        &WeekOptions {
            crossings: args.crossings,
            seed: args.seed,
            format: args.format,
            gzip: args.gzip,
            rotate_bytes: args.rotate_bytes,
        },
    )?;
    println!("{}", serde_json::to_string_pretty(&summary)?);
    println!("made in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}
