//! Composition: the only place that knows every edge.
//!
//! [`cli`] and [`settings`] say what is wanted, `serve` joins the edges and starts them in order, `decision_log` joins the
//! checks to record and metrics, `status` tells operators what is in force, `shutdown` ends it all in order.
//! `commands` are the tools of those who write policies, and
//! `explain` is the question that they and operators ask; `client` puts it to a running server.
//! Nothing here decides.

use std::process::ExitCode;

mod audit_settings;
pub mod cli;
mod client;
mod commands;
mod connection_settings;
pub mod decision_log;
mod durations;
mod explain;
mod opening;
mod policy_paths;
mod serve;
mod settings;
mod settings_reload;
mod settings_text;
mod shutdown;
mod status;
mod tail_listeners;

use cli::{Cli, Command, ServeArgs};
use customs_policy::printable;
use customs_sources::SettingsFile;
use settings::{LoadSettingsError, Resolved};

/// The process failed, or a bound was hit while it ended.
const FAILED: u8 = 1;
/// A flag or a setting is wrong.
const BAD_SETTING: u8 = 2;
/// `--require-policy` was given and the policies do not load.
const NO_POLICY: u8 = 3;

/// Runs a command and says how it ended.
pub fn run(cli: Cli) -> ExitCode {
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
    if let Err(why) = crate::ops::telemetry::init() {
        print_error(&why.to_string());
        return BAD_SETTING.into();
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
    let ended = runtime.block_on(serve::serve(settings, file));
    // What still blocks (a file system that hangs) must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
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

/// Prints what is wrong with the settings, a line each.
fn refuse_settings(why: &LoadSettingsError) -> ExitCode {
    why.lines().iter().for_each(|line| print_error(line));
    BAD_SETTING.into()
}

/// Joins an error and its causes with colons; leaves out a cause that the text before it quotes, as most messages do.
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

/// Prints lines for people to stdout, with everything escaped that is not printable. Texts of others that stand within a
/// line have passed [`printable::line`] before, so that none of them ends it.
fn print(lines: &str) {
    print_document(&printable::page(lines));
}

/// Prints to stdout what is of a format of its own (JSON, XML, a shell's script, a drawing in colours) and was made printable
/// where it was made. A reader that has gone away is not an error.
fn print_document(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints what is wrong to stderr, for people, beside any log: one line, whatever the text holds.
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
