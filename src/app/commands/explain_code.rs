//! `customs explain`: prints what a code means. The codes and their texts come from
//! [`explained_codes`](crate::app::explained_codes); this module finds one and prints it.

use std::process::ExitCode;

use super::markdown;
use super::{BAD_SETTING, print, print_document, print_error, print_lines};
use crate::app::cli::ExplainArgs;
use crate::app::explained_codes::{CodeFamily, ExplainedCode};
use crate::app::terminal::{Line, Terminal, Tone};
use customs_policy::suggestion::nearest;

/// The width of text for a pipe, and the most for a terminal, in columns. Longer lines are hard to
/// read.
const WIDTH: usize = 100;

/// Prints the explanation of a code, or all codes.
pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    if args.list {
        print(&list());
        return ExitCode::SUCCESS;
    }
    let codes: Vec<ExplainedCode> = CodeFamily::ALL
        .into_iter()
        .flat_map(CodeFamily::codes)
        .collect();
    let written = args.code.as_deref().unwrap_or_default();
    let name = written.to_lowercase();
    match codes.iter().find(|code| code.name == name) {
        Some(code) => {
            print_lines(&[title(code), Line::default()]);
            print_document(&text(code, Terminal::of_stdout()));
            ExitCode::SUCCESS
        }
        None => {
            print_error(&unknown(written, &codes));
            ExitCode::from(BAD_SETTING)
        }
    }
}

/// Returns a message about a code that does not exist, with the code that was probably meant.
fn unknown(written: &str, codes: &[ExplainedCode]) -> String {
    let names: Vec<&str> = codes.iter().map(|code| code.name).collect();
    match nearest(written, &names) {
        Some(meant) => format!("unknown code `{written}`; did you mean `{meant}`?"),
        None => {
            format!("unknown code `{written}`; `customs explain --list` prints every code")
        }
    }
}

/// Returns the title of the page of a code.
fn title(code: &ExplainedCode) -> Line {
    Line::default()
        .then(Tone::Strong, code.name)
        .then(Tone::Plain, format!(" ({})", code.family.called()))
}

/// Returns the page of a code. A pipe gets the same lines on every machine.
fn text(code: &ExplainedCode, terminal: Terminal) -> String {
    let width = terminal.width().map_or(WIDTH, |width| width.min(WIDTH));
    markdown::plain(&code.text, width)
}

/// Returns every code with its meaning, by family.
fn list() -> String {
    let family = |family: CodeFamily| {
        let codes = family.codes();
        let longest = codes.iter().map(|code| code.name.len()).max();
        let width = longest.unwrap_or_default();
        let line = |code: &ExplainedCode| format!("{:width$}  {}\n", code.name, code.summary());
        codes.iter().map(line).collect::<String>()
    };
    CodeFamily::ALL.map(family).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_that_was_meant_is_suggested() {
        let codes = CodeFamily::Problem.codes();
        for (written, expected) in [
            (
                "bad-hots",
                "unknown code `bad-hots`; did you mean `bad-host`?",
            ),
            (
                "bad_host",
                "unknown code `bad_host`; did you mean `bad-host`?",
            ),
            (
                "everything",
                "unknown code `everything`; `customs explain --list` prints every code",
            ),
        ] {
            assert_eq!(unknown(written, &codes), expected);
        }
    }
}
