//! `customs audit stats`: counts the records of an audit log, and prints the counts.
//!
//! It counts nothing itself, see [`stats_counts`](super::stats_counts). A file that cannot be read
//! fails the command, and the others are counted all the same.

use std::ops::ControlFlow;
use std::process::ExitCode;

use super::stats_counts::Stats;
use super::stats_report::human;
use crate::app::cli::{StatsArgs, StatsFormat};
use crate::app::commands::print_json;
use crate::app::record_files::{RecordFileError, RecordFiles};
use crate::app::{BAD_SETTING, FAILED, print, print_error};

/// Counts, and prints the result.
pub(super) fn run(args: &StatsArgs) -> ExitCode {
    let period = match args.time.period() {
        Ok(period) => period,
        Err(why) => {
            print_error(&why.to_string());
            return ExitCode::from(BAD_SETTING);
        }
    };
    let files = match RecordFiles::find(&args.files.records) {
        Ok(files) => files,
        Err(why) => {
            print_error(&why.to_string());
            return ExitCode::from(FAILED);
        }
    };
    let mut stats = Stats::new(period);
    let outcome = files.scan(
        "counting",
        |_| Stats::of_part(period),
        |_, part| {
            stats.merge(part);
            ControlFlow::Continue(())
        },
    );
    let mut is_whole = true;
    for (input, file) in files.inputs.iter().zip(&outcome.files) {
        stats.add_file(file);
        if let Some(why) = RecordFileError::of(&input.path, file) {
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
