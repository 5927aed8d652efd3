//! `customs completions`: generated from the command line.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::app::{cli, print_document};

/// Prints the completion script of a shell.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "customs", &mut text);
    print_document(&String::from_utf8_lossy(&text));
    ExitCode::SUCCESS
}
