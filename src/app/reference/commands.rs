//! The pages of the commands and of their exit codes, from the command line itself.

use clap::{Arg, ArgAction, Command};

use super::markdown::{anchor, cell, code, codes, table};
use super::template::Slot;
use crate::app::cli;
use crate::app::cli::exit_codes;

/// Returns the table of the commands, and a section for each.
pub(super) fn commands() -> Vec<Slot> {
    let whole = built();
    let leaves = leaves(&whole, "");
    let rows: Vec<_> = leaves
        .iter()
        .map(|(path, command)| {
            let about = command.get_about().map(ToString::to_string);
            let first = about.unwrap_or_default();
            let first = first.split("; ").next().unwrap_or_default().to_owned();
            let link = format!("[{}](#{})", code(path), anchor(&format!("customs {path}")));
            [link, cell(&first)]
        })
        .collect();
    let sections: Vec<_> = leaves
        .iter()
        .map(|(path, command)| section(path, command))
        .collect();
    vec![
        ("commands", table(["command", "what it does"], &rows)),
        ("global", global(&whole)),
        ("sections", sections.join("\n")),
    ]
}

/// Returns a table for each command.
pub(super) fn exit_codes() -> Vec<Slot> {
    let whole = built();
    let leaves = leaves(&whole, "");
    let sections = leaves.iter().filter_map(|(path, _)| {
        let codes = exit_codes::of(path)?;
        Some(format!("## customs {path}\n\n{}", exits(codes)))
    });
    vec![("commands", sections.collect::<Vec<_>>().join("\n"))]
}

/// Returns the command line with the flags that clap adds.
fn built() -> Command {
    let mut whole = cli::command();
    whole.build();
    whole
}

/// Returns the commands that do something, each with its words.
fn leaves<'c>(command: &'c Command, path: &str) -> Vec<(String, &'c Command)> {
    let below = command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help");
    let below: Vec<_> = below
        .flat_map(|sub| leaves(sub, format!("{path} {}", sub.get_name()).trim()))
        .collect();
    match below.is_empty() {
        true => vec![(path.to_owned(), command)],
        false => below,
    }
}

/// Returns the flags of every command.
fn global(whole: &Command) -> String {
    let flags = whole
        .get_arguments()
        .filter(|arg| arg.is_global_set() || is_clap_own(arg));
    let rows: Vec<_> = flags.map(flag).collect();
    table(["flag", "default", "variable", "meaning"], &rows)
}

fn section(path: &str, command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let (first, rest) = about.split_once("\n\n").unwrap_or((&about, ""));
    let rest = match rest.trim() {
        "" => String::new(),
        rest => format!("{rest}\n\n"),
    };
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let mut text = format!(
        "## customs {path}\n\n{}.\n\n{rest}```text\n{usage}\n```\n",
        cell(first)
    );
    let shown = |arg: &&Arg| !arg.is_hide_set() && !arg.is_global_set() && !is_clap_own(arg);
    let (places, flags): (Vec<&Arg>, Vec<&Arg>) = command
        .get_arguments()
        .filter(shown)
        .partition(|arg| arg.is_positional());
    if !places.is_empty() {
        let rows: Vec<_> = places.iter().map(|arg| place(arg)).collect();
        text.push_str(&format!("\n{}", table(["argument", "meaning"], &rows)));
    }
    for (heading, flags) in groups(&flags) {
        if let Some(heading) = heading {
            text.push_str(&format!("\n{heading}:\n"));
        }
        let rows: Vec<_> = flags.iter().map(|arg| flag(arg)).collect();
        let head = ["flag", "default", "variable", "meaning"];
        text.push_str(&format!("\n{}", table(head, &rows)));
    }
    if let Some(codes) = exit_codes::of(path) {
        text.push_str(&format!("\n{}", exits(codes)));
    }
    text
}

/// Returns whether clap adds the flag by itself.
fn is_clap_own(arg: &Arg) -> bool {
    ["help", "version"].contains(&arg.get_id().as_str())
}

/// Returns the flags below each heading of the help, in their order.
fn groups<'a>(flags: &[&'a Arg]) -> Vec<(Option<&'a str>, Vec<&'a Arg>)> {
    let mut groups: Vec<(Option<&str>, Vec<&Arg>)> = Vec::new();
    for flag in flags {
        let heading = flag.get_help_heading();
        match groups.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, group)) => group.push(flag),
            None => groups.push((heading, vec![flag])),
        }
    }
    groups
}

fn value_names(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default().iter();
    names
        .map(|name| name.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

fn place(arg: &Arg) -> [String; 2] {
    let name = match value_names(arg).as_str() {
        "" => arg.get_id().as_str().to_uppercase(),
        names => names.to_owned(),
    };
    [code(&name), meaning(arg)]
}

fn flag(arg: &Arg) -> [String; 4] {
    let mut written = arg
        .get_long()
        .map(|long| format!("--{long}"))
        .unwrap_or_default();
    if let Some(short) = arg.get_short() {
        written = format!("-{short}, {written}");
    }
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    if takes_value {
        written = format!("{written} {}", value_names(arg));
    }
    let defaults: Vec<String> = arg
        .get_default_values()
        .iter()
        .map(|value| code(&value.to_string_lossy()))
        .collect();
    let default = match (takes_value && !defaults.is_empty(), described_default(arg)) {
        (true, _) => defaults.join(", "),
        (false, Some(default)) => default,
        (false, None) if arg.is_required_set() => "required".to_owned(),
        (false, None) => String::new(),
    };
    let variable = arg.get_env().map(|name| code(&name.to_string_lossy()));
    [
        code(&cell(written.trim())),
        default,
        variable.unwrap_or_default(),
        meaning(arg),
    ]
}

/// The help names defaults that clap does not know in brackets at its end: `[default: now]`.
const DEFAULT: &str = " [default: ";

fn described_default(arg: &Arg) -> Option<String> {
    let help = help(arg);
    let (_, default) = help.split_once(DEFAULT)?;
    let default = default.trim_end_matches(']');
    // Words are a description; a value is one word, or a list.
    let is_value = !default.contains(' ') || default.contains(", ");
    Some(match is_value && default != "none" {
        true => codes(default.split(", ")),
        false => cell(default),
    })
}

fn help(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

fn meaning(arg: &Arg) -> String {
    let help = help(arg);
    let sentence = help.split(DEFAULT).next().unwrap_or_default();
    let values = arg.get_possible_values();
    let words: Vec<String> = values
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| match value.get_help() {
            Some(help) => format!(
                "{} ({})",
                code(value.get_name()),
                lower_first(&help.to_string())
            ),
            None => code(value.get_name()),
        })
        .collect();
    // clap knows the values of a flag that takes none, too. Some sentences name the values.
    let is_named = values.iter().all(|value| {
        let mut named = sentence.split(|c: char| !c.is_alphanumeric() && c != '-');
        named.any(|word| word == value.get_name())
    });
    let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    match takes_value && !is_named {
        true => cell(&format!("{sentence}: {}", words.join(", "))),
        false => cell(sentence),
    }
}

/// Begins a text in lower case, unless its first word is a name.
fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

fn exits(codes: &[(u8, &str)]) -> String {
    let rows = codes
        .iter()
        .map(|(code, meaning)| [code.to_string(), cell(meaning)]);
    table(["exit code", "meaning"], &rows.collect::<Vec<_>>())
}
