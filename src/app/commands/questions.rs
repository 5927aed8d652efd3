//! Questions about all callers or all destinations: answered by policy files, or by a running server
//! at its admin address.

use std::process::ExitCode;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{BAD_SETTING, print_error, print_json, print_lines, sources, with_settings};
use crate::app::cli::{AskArgs, ProofFormat, ReadArgs};
use crate::app::client;
use crate::app::server_connection::{ServerAddress, ServerPort};
use crate::app::terminal::Line;
use crate::ops::questions::QuestionKind;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::problem::Problem;
use customs_record::clock;

/// The exit code of an answer that leaves something out.
const INCOMPLETE: u8 = 3;

/// A question to a server, whether an answer leaves nothing out, and its lines.
pub(super) struct Asked<T> {
    pub(super) kind: QuestionKind,
    pub(super) body: Value,
    pub(super) is_complete: fn(&T) -> bool,
    pub(super) lines: fn(&T) -> Vec<Line>,
}

/// Prints the answer of a server, or the one that `decide` finds with the policies of the
/// directories.
pub(super) fn answer_by<T: Serialize + DeserializeOwned>(
    ask: AskArgs,
    read: ReadArgs,
    asked: &Asked<T>,
    decide: impl FnOnce(&Snapshot, UnixNanos) -> T,
) -> ExitCode {
    let AskArgs { admin, format, tls } = ask;
    let show = |answer: &T| {
        match format {
            ProofFormat::Human => print_lines(&(asked.lines)(answer)),
            ProofFormat::Json => print_json(answer),
        }
        match (asked.is_complete)(answer) {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(INCOMPLETE),
        }
    };
    let Some(admin) = admin else {
        if let Some(option) = tls.given() {
            print_error(&format!(
                "{option} is for a running server: write `--admin https://HOST:PORT`, or remove it"
            ));
            return ExitCode::from(BAD_SETTING);
        }
        return with_settings(read, |settings| {
            let found = sources::load(&settings.policies, &settings.engine);
            let errors = found.problems.iter().filter(|problem| problem.is_error());
            errors.for_each(|problem: &Problem| print_error(&problem.to_string()));
            match &found.snapshot {
                Some(snapshot) => show(&decide(snapshot, clock::now())),
                None => {
                    print_error("the policies do not load, so there is no answer");
                    ExitCode::from(BAD_SETTING)
                }
            }
        });
    };
    let answer = ServerAddress::open(ServerPort::Admin, &admin, &tls)
        .map_err(|why| why.to_string())
        .and_then(|server| {
            client::ask(&server, asked.kind, &asked.body).map_err(|why| why.to_string())
        });
    match answer {
        Ok(answer) => show(&answer),
        Err(why) => {
            // A server reports one problem per line.
            why.lines().for_each(print_error);
            ExitCode::from(BAD_SETTING)
        }
    }
}
