//! `customs who-can`: prints which callers may go to a destination, and what lets or stops them, by
//! policy files or by a running server.
//!
//! The exit code is 0 if there is an answer, whatever it is, 3 if callers are missing from it, and 2
//! if there is none.

use std::process::ExitCode;

use serde_json::Value;

use super::check::{self, PreparedQuery};
use super::questions::{Asked, answer_by};
use crate::app::cli::{CheckQueryArgs, EffectShown, WhoCanArgs};
use crate::app::explain::who_can::{self, WhoCan};
use crate::ops::questions::QuestionKind;
use customs_engine::effect::Effect;

/// Asks the question and prints the answer.
pub(super) fn run(args: WhoCanArgs) -> ExitCode {
    let WhoCanArgs {
        read,
        to,
        method,
        header,
        listener_port,
        source_ip,
        sni,
        now,
        effect,
        ask,
    } = args;
    let query = CheckQueryArgs {
        // Every caller is asked for in turn.
        from: Some("unauthenticated".into()),
        to: Some(to),
        request: None,
        method,
        header,
        listener_port,
        source_ip,
        sni,
    };
    let prepared = match PreparedQuery::of(&query) {
        Ok(prepared) => prepared.at(now),
        Err(problems) => return check::refuse(&problems),
    };
    let mut body = prepared.body.clone();
    body.remove("from");
    let (wanted, word) = match effect {
        EffectShown::Allow => (Some(Effect::Allow), "allow"),
        EffectShown::Deny => (Some(Effect::Deny), "deny"),
        EffectShown::All => (None, "all"),
    };
    body.insert("effect".into(), word.into());
    let asked = Asked {
        kind: QuestionKind::WhoCan,
        body: Value::Object(body),
        is_complete: WhoCan::is_complete,
        lines: WhoCan::lines,
    };
    answer_by(ask, read, &asked, |snapshot, now| {
        who_can::ask(&prepared.query, wanted, snapshot, now)
    })
}
