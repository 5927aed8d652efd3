//! The tools: commands for policy authors, which read policies without serving, and for operators,
//! which ask running servers.
//!
//! The tools for authors load policies as `serve` does, with the same settings and the same reader
//! ([`sources`]), so their results apply to a server. They decide nothing themselves and change no
//! file. Results go
//! to stdout; errors that prevent a result go to stderr. The exit code is 0 if nothing is found, 1
//! if something is, 2 for an invalid flag; of `check` it is the answer: 0 for allow, 1 for deny, 2
//! for no answer; of `at` it is that too, and 3 if servers differ; `diff` exits with 1 if some
//! verdict differs, `prove` with 3 if a guard is not proved; `replay` says its own.

use std::process::ExitCode;

use super::cli::{Command, ProveArgs, ReadArgs};
use super::settings::{LayeredSettings, Resolved, SettingsFileError};
use super::{
    BAD_SETTING, FAILED, print, print_document, print_error, print_lines, refuse_settings,
};
use customs_policy::printable;

mod at;
mod audit;
mod can_reach;
pub(super) mod cases;
mod check;
mod completions;
mod coverage;
mod diff;
mod diff_report;
mod doctor;
mod explain_code;
mod finding;
mod junit;
mod lint;
mod man;
mod markdown;
mod mesh;
mod prove;
mod prove_report;
mod questions;
mod recorded;
mod render;
mod replay;
mod revision;
mod sarif;
pub(super) mod schema;
mod source_map;
mod sources;
mod status;
mod suggest;
mod test;
mod test_report;
mod who_can;

/// Runs a tool; `serve` and `settings` are not among them.
pub(super) fn run(command: Command) -> ExitCode {
    match command {
        Command::Lint(args) => {
            let settings = args.read.settings();
            with_resolved(settings, |settings| lint::run(settings, &args.options))
        }
        Command::Test(args) => with_settings(args.read, |settings| {
            test::run(settings, args.format, args.together)
        }),
        Command::Check(args) => check::run(*args),
        Command::Diff(args) => diff::run(*args),
        Command::Replay(args) => replay::run(*args),
        Command::Suggest(args) => suggest::run(*args),
        Command::Audit { command } => audit::run(command),
        Command::At(args) => at::run(&args),
        Command::Revision(args) => revision::run(*args),
        Command::Prove(args) => {
            let ProveArgs { read, options } = *args;
            with_settings(read, |settings| prove::run(settings, &options))
        }
        Command::WhoCan(args) => who_can::run(*args),
        Command::CanReach(args) => can_reach::run(*args),
        Command::Doctor(args) => doctor::run(*args),
        Command::Mesh { command } => mesh::run(&command),
        Command::Status(args) => status::run(*args),
        Command::Explain(args) => explain_code::run(&args),
        Command::Schema { kind } => schema::run(kind),
        Command::Completions { shell } => completions::completions(shell),
        Command::Man { command, output } => man::run(&command, output.as_deref()),
        Command::Serve(_) | Command::Settings => ExitCode::from(FAILED),
    }
}

/// Runs a tool with the settings that a server would have.
fn with_settings(args: ReadArgs, tool: impl FnOnce(&Resolved) -> ExitCode) -> ExitCode {
    with_resolved(args.settings(), tool)
}

fn with_resolved(
    settings: Result<LayeredSettings, SettingsFileError>,
    tool: impl FnOnce(&Resolved) -> ExitCode,
) -> ExitCode {
    let settings = settings.map_err(Into::into);
    match settings.and_then(|settings| settings.resolve().map_err(Into::into)) {
        Ok(settings) => tool(&settings),
        Err(why) => refuse_settings(&why),
    }
}

/// Runs the async part of a tool on this thread.
///
/// # Errors
/// The exit code, if the runtime cannot be started; why is printed.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => Ok(runtime.block_on(work)),
        Err(why) => {
            print_error(&format!("cannot start the runtime: {why}"));
            Err(ExitCode::from(FAILED))
        }
    }
}

/// Returns the exit code of a tool that has a result.
fn verdict(clean: bool) -> ExitCode {
    if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

/// Prints a value as one JSON document.
fn print_json(value: &impl serde::Serialize) {
    // Only maps with keys that are not strings could fail, and there are none.
    if let Ok(text) = serde_json::to_string_pretty(value) {
        print_document(&printable::json(&format!("{text}\n")));
    }
}

/// Formats a number with its noun: `1 error`, `2 errors`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
