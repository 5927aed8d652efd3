//! Every command has a manual, and every example is a command line.

use std::collections::BTreeSet;

use super::*;
use crate::app::cli;
use customs_test_support::words::avoided;

/// Returns the paths of every command.
fn paths(command: &Command, path: &str, found: &mut BTreeSet<String>) {
    found.insert(path.to_owned());
    for sub in command.get_subcommands() {
        paths(sub, format!("{path} {}", sub.get_name()).trim(), found);
    }
}

/// Splits a command line as a shell does: at spaces outside of single quotes, and over lines that
/// end in a backslash.
fn words(line: &str) -> Vec<String> {
    let line = line.replace("\\\n", " ");
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for c in line.chars() {
        match c {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    assert!(!is_quoted, "{line}");
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_has_one_manual_with_examples() {
    let mut known = BTreeSet::new();
    paths(&cli::command(), "", &mut known);
    let described: Vec<String> = manuals().map(|manual| manual.path.to_owned()).collect();
    assert_eq!(described.iter().cloned().collect::<BTreeSet<_>>(), known);
    assert_eq!(described.len(), known.len(), "one is described twice");
    for manual in manuals() {
        let CommandManual {
            path,
            examples,
            see_also,
            ..
        } = manual;
        assert!(!examples.is_empty(), "{path}");
        for related in *see_also {
            assert!(
                known.contains(*related) && related != path,
                "{path}: {related}"
            );
        }
    }
}

#[test]
fn every_example_is_a_command_line() {
    for manual in manuals() {
        for (about, example) in manual.examples {
            let words = words(example);
            let is_of_it = words[1..].join(" ").starts_with(manual.path);
            assert!(words[0] == "customs" && is_of_it, "{example}");
            let parsed = cli::command().try_get_matches_from(&words);
            assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            for line in example.lines() {
                assert!(line.len() + 4 <= WIDTH, "{line}");
            }
            assert!(
                about.len() < WIDTH && !about.ends_with(['.', ':']),
                "{about}"
            );
        }
    }
}

#[test]
fn every_command_is_in_one_group() {
    let grouped: Vec<&str> = GROUPS
        .iter()
        .flat_map(|(_, names)| *names)
        .copied()
        .collect();
    let command = cli::command();
    let mut known: BTreeSet<&str> = command.get_subcommands().map(Command::get_name).collect();
    known.insert("help");
    assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), known);
    assert_eq!(grouped.len(), known.len(), "one is named twice");
}

fn short(path: &str) -> String {
    help(path, Command::render_help)
}

fn long(path: &str) -> String {
    help(path, Command::render_long_help)
}

fn help(path: &str, render: fn(&mut Command) -> StyledStr) -> String {
    let mut command = cli::command().term_width(WIDTH);
    command.build();
    for name in path.split_whitespace() {
        command = command.find_subcommand(name).unwrap().clone();
    }
    render(&mut command).to_string()
}

#[test]
fn the_help_of_customs_shows_commands_by_what_a_user_does() {
    let text = short("");
    let headings: Vec<&str> = text
        .lines()
        .filter(|line| line.ends_with(':') && !line.starts_with(' '))
        .collect();
    assert_eq!(
        headings,
        [
            "Write policies:",
            "Ask what is allowed:",
            "Read the audit log:",
            "Run customs:",
            "Learn and install:",
            "Options:",
            "Examples:"
        ]
    );
    assert!(
        text.contains("\n  lint         Report every problem"),
        "{text}"
    );
}

#[test]
fn short_help_is_shorter_and_every_line_fits() {
    let mut known = BTreeSet::new();
    paths(&cli::command(), "", &mut known);
    for path in &known {
        let (short, long) = (short(path), long(path));
        assert!(short.lines().count() < long.lines().count(), "{path}");
        assert!(short.contains("\nExamples:\n"), "{path}: {short}");
        let has_codes = !codes(path).is_empty();
        assert_eq!(long.contains("\nExit codes:\n"), has_codes, "{path}");
        for line in short.lines().chain(long.lines()) {
            let is_usage = line.starts_with("Usage:");
            assert!(line.chars().count() <= WIDTH || is_usage, "{path}: {line}");
        }
    }
}

#[test]
fn no_sentence_of_help_uses_a_word_to_avoid() {
    // Help is shorter than other texts, so that it can do without these too.
    let avoided_here = ["is no ", " of it ", "nobody"];
    let mut known = BTreeSet::new();
    paths(&cli::command(), "", &mut known);
    for path in &known {
        let text = long(path);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(avoided(&text), None, "{path}");
        let text = text.to_lowercase().replace("there is no ", "");
        for word in avoided_here {
            assert!(!text.contains(word), "{path}: {word}");
        }
    }
}
