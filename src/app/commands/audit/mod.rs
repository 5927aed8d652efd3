//! The tools for readers of the audit log: `customs audit`.
//!
//! They read what a server wrote, from its files or its `tail:` sink, and change nothing. Results
//! go to stdout, errors go to stderr. Text that a client controls is always escaped.

use std::process::ExitCode;

use super::{print_error, print_json};
use crate::app::cli::AuditCommand;

mod bundle;
mod export;
mod filter;
mod follow;
pub(super) mod losses;
mod output;
mod read;
mod search;
mod stats;
mod stats_counts;
mod stats_report;
mod subscribe;
mod tail;
mod top_k;
mod verify;

/// Runs one of the tools.
pub(super) fn run(command: AuditCommand) -> ExitCode {
    match command {
        AuditCommand::Verify(args) => verify::run(args),
        AuditCommand::Extract(args) => bundle::extract::run(&args),
        AuditCommand::Tail(args) => tail::run(&args),
        AuditCommand::Stats(args) => stats::run(&args),
        AuditCommand::Export(args) => export::run(&args),
        AuditCommand::Search(args) => search::run(&args),
    }
}
