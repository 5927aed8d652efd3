//! `customs audit stats`: counts the records of an audit log, and prints the counts.
//!
//! It counts nothing itself, see [`stats_counts`](super::stats_counts). A file that cannot be read
//! fails the command, and the others are counted all the same.

use std::process::ExitCode;

use super::stats_counts::Stats;
use super::stats_report::human;
use crate::app::cli::{StatsArgs, StatsFormat};
use crate::app::commands::print_json;
use crate::app::{FAILED, print, print_error};

/// Counts, and prints the result.
pub(super) fn run(args: &StatsArgs) -> ExitCode {
    let mut stats = Stats::new(args.since, args.until);
    let mut is_whole = true;
    for file in &args.files {
        if let Err(why) = stats.read(file) {
            print_error(&why.to_string());
            is_whole = false;
        }
    }
    match args.format {
        StatsFormat::Human => print(&human(&stats, args.top)),
        StatsFormat::Json => print_json(&stats.json(args.top)),
    }
    if is_whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}
