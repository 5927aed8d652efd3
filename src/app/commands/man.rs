//! `customs man`: a man page for each command, made from the command line and its manual.
//!
//! The rule: a page says nothing of its own. Flags, exit codes, examples and files come from where
//! `--help` has them.

use std::path::Path;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::{Arg, Command};
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::{BAD_SETTING, FAILED, print_error};
use crate::app::cli::manual::{self, CommandManual, GROUPS};
use crate::app::{cli, print, print_document};

/// The day of the pages. A page that changes gets a new one.
const DATE: &str = "2026-11-30";

/// The columns of a line of a page's source, before it is escaped.
const SOURCE: usize = 66;

/// The variables that every command reads.
const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "NO_COLOR",
        "No colours are used, if it is set and `--color` does not say otherwise.",
    ),
    (
        "CLICOLOR_FORCE",
        "Colours are used even where there is no terminal, if it is set and NO_COLOR is not.",
    ),
    (
        "COLUMNS",
        "The columns at which lines are wrapped on a terminal, if they are not the terminal's.",
    ),
];

/// The variables that a server reads besides its settings.
const OF_SERVERS: &[(&str, &str)] = &[
    (
        "CUSTOMS_LOG",
        "The levels of the log on stderr, such as `info` or `customs_audit=debug`.",
    ),
    (
        "OTEL_*",
        "Where traces, metrics and the log go, as OpenTelemetry defines it.",
    ),
];

/// Prints a page, or writes every page into a directory.
pub(super) fn run(command: &[String], output: Option<&Path>) -> ExitCode {
    let mut whole = cli::command();
    whole.build();
    if let Some(directory) = output {
        return write_all(&whole, directory);
    }
    let mut found = &whole;
    for name in command {
        match find(found, name) {
            Some(sub) => found = sub,
            None => return unknown(found, name),
        }
    }
    print_document(&page(found, &command.join(" ")));
    ExitCode::SUCCESS
}

/// Returns the commands below a command, without the one that clap adds.
fn commands(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
}

fn find<'c>(command: &'c Command, name: &str) -> Option<&'c Command> {
    commands(command).find(|sub| sub.get_name() == name)
}

fn unknown(command: &Command, name: &str) -> ExitCode {
    let names: Vec<_> = commands(command)
        .map(|known| format!("`{}`", known.get_name()))
        .collect();
    let known = match names.is_empty() {
        true => format!("`{}` has no commands", command.get_name()),
        false => format!("the commands are {}", names.join(", ")),
    };
    print_error(&format!("there is no command `{name}`; {known}"));
    ExitCode::from(BAD_SETTING)
}

fn write_all(whole: &Command, directory: &Path) -> ExitCode {
    let written = std::fs::create_dir_all(directory)
        .map_err(|why| (directory.to_owned(), why))
        .and_then(|()| write_below(whole, "", directory));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err((path, why)) => {
            print_error(&format!("cannot write {}: {why}", path.display()));
            ExitCode::from(FAILED)
        }
    }
}

fn write_below(
    command: &Command,
    path: &str,
    directory: &Path,
) -> Result<(), (std::path::PathBuf, std::io::Error)> {
    let file = directory.join(format!("{}.1", name(path)));
    std::fs::write(&file, page(command, path)).map_err(|why| (file.clone(), why))?;
    print(&format!("{}\n", file.display()));
    commands(command).try_for_each(|sub| {
        let below = format!("{path} {}", sub.get_name());
        write_below(sub, below.trim(), directory)
    })
}

/// Returns the name of a page: `customs-audit-verify`.
fn name(path: &str) -> String {
    format!("customs {path}").trim().replace(' ', "-")
}

/// Returns the page of a command.
fn page(command: &Command, path: &str) -> String {
    let mut page = Page(Roff::new());
    let version = format!("customs {}", env!("CARGO_PKG_VERSION"));
    let title = name(path).to_uppercase();
    page.0
        .control("TH", [&title, "1", DATE, &version, "customs manual"]);
    let about = command.get_about().map(ToString::to_string);
    let about = about.unwrap_or_default();
    page.section("NAME");
    page.sentences(&format!("{} - {about}", name(path)));
    page.section("SYNOPSIS");
    page.synopsis(command);
    page.section("DESCRIPTION");
    let long = text(command.get_long_about());
    // The first paragraph is in the section before.
    let more = long.split_once("\n\n").map_or("", |(_, more)| more);
    page.prose(if more.is_empty() { &about } else { more });
    page.commands(command, path);
    page.options(command);
    page.exit_codes(path);
    page.environment(command, path);
    if let Some(manual) = manual::manual(path) {
        page.files(manual);
        page.examples(manual);
        page.see_also(manual);
    }
    page.0.to_roff()
}

fn text(styled: Option<&StyledStr>) -> String {
    styled.map(ToString::to_string).unwrap_or_default()
}

/// Returns a text with words between backticks in bold.
fn inlines(text: &str) -> Vec<Inline> {
    let is_code = |number: usize| number % 2 == 1;
    text.split('`')
        .enumerate()
        .filter(|(_, part)| !part.is_empty())
        .map(|(number, part)| {
            if is_code(number) {
                bold(part)
            } else {
                roman(part)
            }
        })
        .collect()
}

/// A page as far as it is written.
struct Page(Roff);

impl Page {
    fn section(&mut self, title: &str) {
        self.0.control("SH", [title]);
    }

    /// Writes paragraphs; each sentence begins a line, as is usual in the source of man pages.
    fn prose(&mut self, text: &str) {
        for (number, paragraph) in text.split("\n\n").enumerate() {
            if number > 0 {
                self.0.control("PP", []);
            }
            self.sentences(paragraph);
        }
    }

    fn sentences(&mut self, paragraph: &str) {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        let mut line = String::new();
        for (number, word) in words.iter().enumerate() {
            let is_longer = line.len() + word.len() >= SOURCE;
            let before = number.checked_sub(1).and_then(|before| words.get(before));
            let ends = before.is_some_and(|word| word.ends_with('.'));
            let begins = word.starts_with(|c: char| c.is_uppercase() || c == '`');
            let is_code = line.matches('`').count() % 2 == 1;
            if !line.is_empty() && !is_code && (is_longer || ends && begins) {
                self.0.text(inlines(&std::mem::take(&mut line)));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.0.text(inlines(&line));
    }

    /// Writes a term and what it is.
    fn term(&mut self, term: Vec<Inline>, text: &str) {
        self.0.control("TP", []);
        self.0.text(term);
        let mut paragraphs = text.split("\n\n");
        self.sentences(paragraphs.next().unwrap_or_default());
        for paragraph in paragraphs {
            self.0.control("IP", []);
            self.sentences(paragraph);
        }
    }

    fn synopsis(&mut self, command: &Command) {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.strip_prefix("Usage:").unwrap_or(&usage);
        let lines = usage.lines().map(str::trim).filter(|line| !line.is_empty());
        for (number, line) in lines.enumerate() {
            if number > 0 {
                self.0.control("br", []);
            }
            let bin = command.get_bin_name().unwrap_or("customs");
            match line.strip_prefix(bin) {
                Some(rest) => self.0.text([bold(bin), roman(rest)]),
                None => self.0.text([roman(line)]),
            };
        }
    }

    fn commands(&mut self, command: &Command, path: &str) {
        if commands(command).next().is_none() {
            return;
        }
        self.section("COMMANDS");
        let item = |page: &mut Page, sub: &Command| {
            let below = format!("{path} {}", sub.get_name());
            let term = vec![bold(name(below.trim())), roman("(1)")];
            page.term(term, &text(sub.get_about()));
        };
        if !path.is_empty() {
            return commands(command).for_each(|sub| item(self, sub));
        }
        for (group, names) in GROUPS {
            self.0.control("SS", [*group]);
            let subs = names.iter().filter_map(|name| find(command, name));
            subs.for_each(|sub| item(self, sub));
        }
    }

    fn options(&mut self, command: &Command) {
        let shown: Vec<&Arg> = command
            .get_arguments()
            .filter(|arg| !arg.is_hide_set())
            .collect();
        let mut headings: Vec<Option<&str>> = vec![None];
        for arg in &shown {
            if !headings.contains(&arg.get_help_heading()) {
                headings.push(arg.get_help_heading());
            }
        }
        self.section("OPTIONS");
        for heading in headings {
            if let Some(heading) = heading {
                self.0.control("SS", [heading]);
            }
            let args = shown.iter().filter(|arg| arg.get_help_heading() == heading);
            args.for_each(|arg| self.option(arg));
        }
    }

    fn option(&mut self, arg: &Arg) {
        let mut term = Vec::new();
        let names = [
            arg.get_short().map(|short| format!("-{short}")),
            arg.get_long().map(|long| format!("--{long}")),
        ];
        for name in names.into_iter().flatten() {
            if !term.is_empty() {
                term.push(roman(", "));
            }
            term.push(bold(name));
        }
        let takes_value = arg
            .get_num_args()
            .is_some_and(|number| number.takes_values());
        let values = arg
            .get_value_names()
            .filter(|_| takes_value || arg.is_positional());
        if let Some(values) = values {
            let values: Vec<&str> = values.iter().map(|value| value.as_str()).collect();
            if !term.is_empty() {
                term.push(roman(" "));
            }
            term.push(italic(values.join(" ")));
        }
        let mut about = text(arg.get_long_help().or(arg.get_help()));
        let defaults: Vec<_> = arg
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        if takes_value && !defaults.is_empty() {
            about.push_str(&format!("\n\n[default: {}]", defaults.join(",")));
        }
        self.term(term, &about);
        let possible = arg.get_possible_values();
        if takes_value && !possible.is_empty() {
            self.0.control("RS", []);
            for value in &possible {
                let about = text(value.get_help());
                self.term(vec![bold(value.get_name())], &about);
            }
            self.0.control("RE", []);
        }
    }

    fn exit_codes(&mut self, path: &str) {
        let codes = manual::codes(path);
        if codes.is_empty() {
            return;
        }
        self.section("EXIT STATUS");
        for (code, meaning) in codes {
            self.term(vec![bold(code.to_string())], meaning);
        }
    }

    fn environment(&mut self, command: &Command, path: &str) {
        self.section("ENVIRONMENT");
        for arg in command.get_arguments() {
            let (Some(variable), Some(flag)) = (arg.get_env(), arg.get_long()) else {
                continue;
            };
            let variable = variable.to_string_lossy().into_owned();
            self.term(
                vec![bold(variable)],
                &format!("The value of `--{flag}`, if the flag is not given."),
            );
        }
        let more = if path == "serve" { OF_SERVERS } else { &[] };
        for (name, about) in more.iter().chain(ENVIRONMENT) {
            self.term(vec![bold(*name)], about);
        }
    }

    fn files(&mut self, manual: &CommandManual) {
        if manual.files.is_empty() {
            return;
        }
        self.section("FILES");
        for (file, about) in manual.files {
            self.term(vec![italic(*file)], &format!("{about}."));
        }
    }

    fn examples(&mut self, manual: &CommandManual) {
        self.section("EXAMPLES");
        for (number, (about, example)) in manual.examples.iter().enumerate() {
            if number > 0 {
                self.0.control("PP", []);
            }
            self.sentences(&format!("{about}:"));
            self.0.control("PP", []);
            self.0.control("RS", ["4"]);
            self.0.control("nf", []);
            for line in example.lines() {
                self.0.text([roman(line)]);
            }
            self.0.control("fi", []);
            self.0.control("RE", []);
        }
    }

    fn see_also(&mut self, manual: &CommandManual) {
        self.section("SEE ALSO");
        let parent = manual
            .path
            .rsplit_once(' ')
            .map_or("", |(parent, _)| parent);
        let mut pages: Vec<String> = manual.see_also.iter().map(|path| name(path)).collect();
        match manual.path {
            "" => pages.extend(
                GROUPS
                    .iter()
                    .flat_map(|(_, names)| *names)
                    .filter(|sub| **sub != "help")
                    .map(|sub| name(sub)),
            ),
            _ => pages.push(name("")),
        }
        if !parent.is_empty() {
            pages.push(name(parent));
        }
        pages.sort();
        pages.dedup();
        let last = pages.len() - 1;
        for (number, page) in pages.iter().enumerate() {
            let end = if number == last { "(1)" } else { "(1)," };
            self.0.text([bold(page.as_str()), roman(end)]);
        }
    }
}
