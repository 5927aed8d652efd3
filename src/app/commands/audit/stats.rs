//! `customs audit stats`: counts what a record says, and tells it.
//!
//! What is counted is [`counts`](super::counts)' business; how it is told to people, [`stats_report`](super::stats_report)'s.

use std::process::ExitCode;

use super::counts::Stats;
use super::stats_report::human;
use crate::app::cli::{StatsArgs, StatsFormat};
use crate::app::commands::tell_json;
use crate::app::{FAILED, complain, tell};

/// Counts, and tells.
pub fn run(args: &StatsArgs) -> ExitCode {
    let mut stats = Stats::new(args.since, args.until);
    let mut is_whole = true;
    for file in &args.files {
        if let Err(why) = stats.read(file) {
            complain(&why.to_string());
            is_whole = false;
        }
    }
    match args.format {
        StatsFormat::Human => tell(&human(&stats, args.top)),
        StatsFormat::Json => tell_json(&stats.json(args.top)),
    }
    if is_whole { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}
