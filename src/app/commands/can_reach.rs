//! `customs can-reach`: prints where callers may go, and what lets them, by policy files or by a
//! running server.
//!
//! The exit code is 0 if there is an answer, whatever it is, 3 if something is not known, and 2 if
//! there is none.

use std::process::ExitCode;

use serde_json::json;

use super::check;
use super::questions::{Asked, answer_by};
use crate::app::cli::CanReachArgs;
use crate::app::explain::can_reach::{self, Callers, CanReach};
use crate::app::explain::query;
use crate::ops::questions::QuestionKind;
use customs_engine::time::UnixNanos;
use customs_policy::problem::Place;
use customs_policy::reader::Text;

/// Asks the question and prints the answer.
pub(super) fn run(args: CanReachArgs) -> ExitCode {
    let CanReachArgs {
        read,
        from,
        from_namespace,
        all: _,
        now,
        ask,
    } = args;
    let text = |text, flag: &str, to: fn(Text<'_>) -> _| {
        let place = Place::whole(flag);
        to(Text {
            text,
            quoted: true,
            place: &place,
        })
    };
    let callers = match (&from, &from_namespace) {
        (Some(from), _) => text(from, "--from", |text| query::caller(text).map(Callers::One)),
        (None, Some(name)) => text(name, "--from-namespace", can_reach::namespace),
        (None, None) => Ok(Callers::All),
    };
    let callers = match callers {
        Ok(callers) => callers,
        Err(problem) => return check::refuse(&[problem]),
    };
    let mut body = match (from, from_namespace) {
        (Some(from), _) => json!({ "from": from }),
        (None, Some(namespace)) => json!({ "fromNamespace": namespace }),
        (None, None) => json!({ "all": true }),
    };
    if let (Some(body), Some(time)) = (body.as_object_mut(), now) {
        body.insert("now".into(), time.to_string().into());
    }
    let asked = Asked {
        kind: QuestionKind::CanReach,
        body,
        is_complete: CanReach::is_complete,
        lines: CanReach::lines,
    };
    let now = now.map(|time| UnixNanos(time.as_nanosecond()));
    answer_by(ask, read, &asked, |snapshot, current| {
        can_reach::ask(&callers, snapshot, now.unwrap_or(current))
    })
}
