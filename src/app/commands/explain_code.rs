//! `customs explain`: prints what a code means. The codes and their texts come from
//! [`explained_codes`](crate::app::explained_codes); this module finds one and prints it.

use std::process::ExitCode;

use super::markdown;
use super::{BAD_SETTING, print, print_document, print_error};
use crate::app::cli::ExplainArgs;
use crate::app::explained_codes::{CodeFamily, ExplainedCode};
use crate::app::output_style;
use customs_policy::suggestion::nearest;

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
            print_document(&page(code));
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

/// Returns the explanation of a code as text for a terminal or a pipe.
fn page(code: &ExplainedCode) -> String {
    let (title, width) = (code.name, output_style::width());
    let title = match output_style::is_coloured() {
        true => format!("\u{1b}[1m{title}\u{1b}[0m"),
        false => title.to_owned(),
    };
    let text = markdown::plain(&code.text, width);
    format!("{title} ({})\n\n{text}", code.family.called())
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
