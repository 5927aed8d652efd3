//! `customs audit tail`: records as they come, one line each.
//!
//! Where they come from is [`follow`]'s and [`subscribe`]'s, how they are shown [`output`](super::output)'s.

use std::process::ExitCode;

use super::output::RecordOutput;
use super::{follow, subscribe};
use crate::app::cli::TailArgs;
use crate::app::{FAILED, print_error};

/// Shows records until there are no more, or somebody interrupts.
pub fn run(args: &TailArgs) -> ExitCode {
    let mut output = RecordOutput::of(args);
    let ended = match (&args.server, &args.file) {
        (Some(server), _) => {
            subscribe::run(server, args, &mut output).map_err(|why| why.to_string())
        }
        (None, Some(file)) => follow::run(file, args, &mut output).map_err(|why| why.to_string()),
        // The command line asks for one of them.
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
