//! `customs completions` and `customs man`: generated from the command line.

use std::process::ExitCode;

use clap_complete::Shell;
use clap_mangen::Man;

use super::{BAD_SETTING, FAILED, print_error};
use crate::app::{cli, print_document};

/// Prints the completion script of a shell.
pub(super) fn completions(shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "customs", &mut text);
    print_document(&String::from_utf8_lossy(&text));
    ExitCode::SUCCESS
}

/// Prints the man page of customs, or of one of its commands.
pub(super) fn man(command: Option<&str>) -> ExitCode {
    let mut whole = cli::command();
    whole.build();
    let page = match command {
        None => Some(whole.clone()),
        Some(name) => whole.find_subcommand(name).cloned(),
    };
    let Some(page) = page else {
        let names: Vec<_> = whole
            .get_subcommands()
            .map(|known| format!("`{}`", known.get_name()))
            .collect();
        print_error(&format!(
            "there is no command `{}`; the commands are {}",
            command.unwrap_or_default(),
            names.join(", ")
        ));
        return ExitCode::from(BAD_SETTING);
    };
    let mut text = Vec::new();
    if let Err(why) = Man::new(page).render(&mut text) {
        print_error(&format!("cannot write the man page: {why}"));
        return ExitCode::from(FAILED);
    }
    print_document(&String::from_utf8_lossy(&text));
    ExitCode::SUCCESS
}
