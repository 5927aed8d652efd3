//! Composition: the only module that knows every edge.
//!
//! [`cli`] and [`settings`] hold what the user wants, `serve` connects the edges and starts them in
//! order, `decision_log` connects the checks to the audit log and the metrics, `status` reports
//! what is in force, `shutdown` ends everything in order. `telemetry` sends spans, metrics and the log where the environment says. `commands` are the tools for policy
//! authors and operators, `explain` explains one decision to them, `explained_codes` explains the
//! codes that they meet, `client` sends the question to a
//! running server, `fetch` fetches a document from one, and `server_connection` connects to one.
//! `record_files` finds the files of an audit log, and `progress` shows how far reading them is.
//! `terminal` knows the width and the colours of stdout. `settings_schema` describes the settings file
//! to editors, and `reference` writes the generated pages of the book. Nothing here decides.

use std::process::ExitCode;

mod audit_settings;
pub mod cli;
mod client;
mod commands;
mod connection_settings;
pub mod decision_log;
mod durations;
mod explain;
pub mod explained_codes;
mod fetch;
pub mod json_outputs;
mod opening;
mod policy_paths;
mod ports;
mod progress;
mod record_files;
pub mod reference;
mod replicas;
mod serve;
mod server_connection;
mod settings;
mod settings_reload;
mod settings_schema;
mod settings_text;
mod shutdown;
mod status;
mod tail_listeners;
mod telemetry;
mod terminal;
mod tls_addresses;
mod tls_settings;

use cli::{Cli, Command, ServeArgs};
use customs_policy::printable;
use customs_sources::SettingsFile;
use settings::{LoadSettingsError, Resolved};
use terminal::{Line, Terminal};

/// The process failed, or it exceeded a time limit while it ended.
const FAILED: u8 = 1;
/// A flag or a setting is invalid.
const BAD_SETTING: u8 = 2;
/// `--require-policy` was given and the policies do not load.
const NO_POLICY: u8 = 3;

/// Runs a command and returns its exit code.
pub fn run(cli: Cli) -> ExitCode {
    terminal::set_color(cli.color);
    match cli.command {
        Command::Serve(args) => serve(*args),
        Command::Settings => {
            print_document(&settings_text::commented_defaults());
            ExitCode::SUCCESS
        }
        tool => commands::run(tool),
    }
}

fn serve(args: ServeArgs) -> ExitCode {
    let (settings, file) = match resolve(args) {
        Ok(resolved) => resolved,
        Err(why) => return refuse_settings(&why),
    };
    let telemetry = match telemetry::start(&settings.audit.redact) {
        Ok(telemetry) => telemetry,
        Err(why) => {
            why.to_string().lines().for_each(print_error);
            return BAD_SETTING.into();
        }
    };
    let export = |filter| telemetry.as_ref()?.log_layer(filter);
    let colour = terminal::takes_colours(&std::io::stderr());
    if let Err(why) = crate::ops::telemetry::init(colour, export) {
        print_error(&why.to_string());
        return BAD_SETTING.into();
    }
    telemetry::warn_of_unread();
    crate::ops::panic_log::install();
    if let Err(why) = ports::slots::check_descriptors(&settings) {
        print_error(&why.to_string());
        return FAILED.into();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(why) => {
            print_error(&format!("cannot start the runtime: {why}"));
            return FAILED.into();
        }
    };
    let ended = runtime.block_on(serve::serve(settings, file, telemetry.as_ref()));
    // A thread that still blocks, such as on a file system that hangs, must not keep the process
    // alive.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    if let Some(telemetry) = telemetry {
        telemetry.finish(telemetry::FLUSH_BOUND);
    }
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(serve::ServeError::Policy(why)) => {
            let problems = why.problems.iter();
            problems.for_each(|problem| print_error(&problem.to_string()));
            print_error(&why.to_string());
            NO_POLICY.into()
        }
        Err(serve::ServeError::Other(why)) => {
            print_error(&with_causes(&why));
            FAILED.into()
        }
    }
}

fn resolve(args: ServeArgs) -> Result<(Resolved, Option<SettingsFile>), LoadSettingsError> {
    let started = args.settings()?;
    let resolved = started.resolve()?;
    let file = settings_reload::settings_file(args, started.settings);
    Ok((resolved, file))
}

/// Prints the problems of the settings, one per line.
fn refuse_settings(why: &LoadSettingsError) -> ExitCode {
    why.lines().iter().for_each(|line| print_error(line));
    BAD_SETTING.into()
}

/// Joins an error and its causes with colons. A cause that the text before it quotes, as most
/// messages do, is left out.
fn with_causes(why: &anyhow::Error) -> String {
    let mut causes = why.chain().map(ToString::to_string);
    let mut text = causes.next().unwrap_or_default();
    for cause in causes {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Prints text for people to stdout and escapes every character that is not printable. Foreign text
/// within a line has passed [`printable::line`] before, so it cannot end the line.
fn print(lines: &str) {
    print_document(&printable::page(lines));
}

/// Prints lines to stdout, wrapped and coloured if that is a terminal.
fn print_lines(lines: &[Line]) {
    print_document(&Terminal::of_stdout().render(lines));
}

/// Prints output that has its own format (JSON, XML, a shell script, coloured text) to stdout; the
/// code that made it has escaped it. A reader that has gone away is not an error.
fn print_document(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints an error to stderr for people, apart from the log: one line, whatever the text contains.
fn print_error(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "customs: {}", printable::line(why));
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open `x`: {0}; name another file")]
    struct OpenError(#[source] std::io::Error);

    #[test]
    fn a_cause_is_said_once() {
        let gone = || std::io::Error::other("it is gone");
        let quoted: Result<(), _> = Err(OpenError(gone())).context("cannot start");
        assert_eq!(
            with_causes(&quoted.unwrap_err()),
            "cannot start: cannot open `x`: it is gone; name another file"
        );
        let unquoted: Result<(), _> = Err(gone()).context("cannot listen to signals");
        assert_eq!(
            with_causes(&unquoted.unwrap_err()),
            "cannot listen to signals: it is gone"
        );
    }
}
