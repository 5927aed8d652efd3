//! `customs audit tail`: prints records as they arrive, one line each.
//!
//! [`follow`] and [`subscribe`] read them, [`output`](super::output) prints them.

use std::process::ExitCode;

use super::output::RecordOutput;
use super::{follow, subscribe};
use crate::app::cli::TailArgs;
use crate::app::{FAILED, print_error};

/// Prints records until there are no more, or the user interrupts.
pub(super) fn run(args: &TailArgs) -> ExitCode {
    let mut output = RecordOutput::of(args);
    let ended = match (&args.server, &args.file) {
        (Some(server), _) => {
            subscribe::run(server, args, &mut output).map_err(|why| why.to_string())
        }
        (None, Some(_)) if let Some(option) = args.tls.given() => Err(format!(
            "{option} is for a running server: write `--server https://HOST:PORT`, or remove it"
        )),
        (None, Some(file)) => follow::run(file, args, &mut output).map_err(|why| why.to_string()),
        // The command line requires one of them.
        (None, None) => Ok(()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            print_error(&why);
            ExitCode::from(FAILED)
        }
    }
}
