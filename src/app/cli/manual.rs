//! What the help and the man page of a command say beside its flags: examples, files and related
//! commands. Its exit codes are in [`exit_codes`].
//!
//! Each command has one row in a table of [`authors`], [`auditors`] or [`operators`]. Help and man
//! pages show the rows, and a test parses every example with the command line itself.

mod auditors;
mod authors;
mod operators;

use std::fmt::Write;

use clap::Command;
use clap::builder::StyledStr;

use super::exit_codes;
use crate::app::terminal;

/// The columns of help that customs formats itself.
const WIDTH: usize = 80;

/// What is said of a command beside its flags.
#[derive(Debug)]
pub(crate) struct CommandManual {
    /// The command, such as `audit verify`; empty for customs itself.
    pub path: &'static str,
    /// Command lines, each with what it does.
    pub examples: &'static [(&'static str, &'static str)],
    /// The files that the command reads or writes, each with what it is.
    pub files: &'static [(&'static str, &'static str)],
    /// The paths of related commands.
    pub see_also: &'static [&'static str],
}

/// The commands in the groups in which help shows them: by what a user does.
pub(crate) const GROUPS: &[(&str, &[&str])] = &[
    (
        "Write policies",
        &[
            "lint", "test", "check", "diff", "prove", "replay", "suggest", "schema", "revision",
        ],
    ),
    ("Ask what is allowed", &["who-can", "can-reach", "at"]),
    ("Read the audit log", &["audit"]),
    (
        "Run customs",
        &["serve", "settings", "status", "doctor", "mesh"],
    ),
    (
        "Learn and install",
        &["explain", "help", "man", "completions"],
    ),
];

/// What help says of the command that clap adds.
const HELP: &str = "Print the help of a command";

/// What the exit codes of every command have in common.
const COMMON: &[(u8, &str)] = &[
    (0, "The command succeeds."),
    (1, "The command finds something, or it fails."),
    (2, "A flag or a setting is invalid, or there is no answer."),
    (
        3,
        "The answer is not complete. For serve, the policies do not load.",
    ),
];

/// Returns the exit codes of a command; a group of commands has none.
pub(crate) fn codes(path: &str) -> &'static [(u8, &'static str)] {
    match path {
        "" => COMMON,
        path => exit_codes::of(path).unwrap_or_default(),
    }
}

/// Returns every row.
pub(crate) fn manuals() -> impl Iterator<Item = &'static CommandManual> {
    let tables = [authors::MANUALS, auditors::MANUALS, operators::MANUALS];
    tables.into_iter().flatten()
}

/// Returns the row of a command.
pub(crate) fn manual(path: &str) -> Option<&'static CommandManual> {
    manuals().find(|manual| manual.path == path)
}

/// Adds the manuals to the help of every command.
pub(crate) fn add_manuals(command: Command) -> Command {
    let template = grouped(&command);
    with_manual(command, "").help_template(template)
}

fn with_manual(command: Command, path: &str) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    let command = names.iter().fold(command, |command, name| {
        let below = format!("{path} {name}").trim().to_owned();
        command.mut_subcommand(name, |sub| with_manual(sub, &below))
    });
    match manual(path) {
        Some(manual) => {
            let (short, long) = (short_help(manual, &command), long_help(manual, &command));
            command.after_help(short).after_long_help(long)
        }
        None => command,
    }
}

/// Returns the template of the help of customs itself: its commands in groups.
fn grouped(command: &Command) -> StyledStr {
    let mut text = StyledStr::new();
    push(&mut text, "{about-with-newline}\n{usage-heading} {usage}\n");
    let names = GROUPS.iter().flat_map(|(_, names)| *names);
    let column = names.map(|name| name.len()).max().unwrap_or_default() + 2;
    let header = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    for (group, names) in GROUPS {
        push(&mut text, &format!("\n{header}{group}:{header:#}\n"));
        for name in *names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map_or_else(|| HELP.to_owned(), ToString::to_string);
            let padding = " ".repeat(column - name.len());
            push(
                &mut text,
                &format!("  {literal}{name}{literal:#}{padding}{about}\n"),
            );
        }
    }
    push(
        &mut text,
        &format!("\n{header}Options:{header:#}\n{{options}}{{after-help}}"),
    );
    text
}

/// Returns what ends `-h`: the examples alone, and where to read more.
fn short_help(manual: &CommandManual, command: &Command) -> StyledStr {
    let mut text = StyledStr::new();
    heading(&mut text, command, "Examples");
    for (_, example) in manual.examples {
        push(&mut text, &format!("  {example}\n"));
    }
    let path = manual.path;
    let more = match path {
        "" => "`customs help COMMAND` explains a command with examples.".to_owned(),
        _ => format!("`customs help {path}` explains each flag and the exit codes."),
    };
    push(&mut text, &format!("\n{more}"));
    text
}

/// Returns what ends `--help`: exit codes, and examples with what they do.
fn long_help(manual: &CommandManual, command: &Command) -> StyledStr {
    let mut text = StyledStr::new();
    let codes = codes(manual.path);
    if !codes.is_empty() {
        heading(&mut text, command, "Exit codes");
        for (code, meaning) in codes {
            let meaning = meaning.replace('`', "");
            let lines = terminal::wrap(&format!("  {code}  "), &meaning, WIDTH, 5);
            push(&mut text, &format!("{}\n", lines.join("\n")));
        }
        push(&mut text, "\n");
    }
    heading(&mut text, command, "Examples");
    for (number, (about, example)) in manual.examples.iter().enumerate() {
        let gap = if number == 0 { "" } else { "\n" };
        let about = terminal::wrap("  ", &format!("{about}:"), WIDTH, 2).join("\n");
        push(&mut text, &format!("{gap}{about}\n    {example}\n"));
    }
    text
}

fn heading(text: &mut StyledStr, command: &Command, name: &str) {
    let header = *command.get_styles().get_header();
    push(text, &format!("{header}{name}:{header:#}\n"));
}

fn push(text: &mut StyledStr, part: &str) {
    // Writing to a text cannot fail.
    let _ = text.write_str(part);
}

#[cfg(test)]
mod tests;
