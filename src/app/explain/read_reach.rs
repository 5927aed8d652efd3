//! Parses the questions about all callers and all destinations that are posted to a server.
//!
//! They have the fields of a question to explain, but for the one that they ask for.

use super::can_reach::{self, Callers};
use super::query::{self, ExplainQuery};
use super::read::{Question, Shorthand, posted_node, put, query as shorthand_query, timestamp};
use customs_engine::effect::Effect;
use customs_engine::time::UnixNanos;
use customs_policy::document::{Node, Value};
use customs_policy::mapping;
use customs_policy::problem::{Code, Problem};
use customs_policy::reader::{FromNode, Placed, Text};
use customs_policy::spec::{Shape, Word};

/// The values of `effect`.
const EFFECT: Shape = Shape::OneOf(&[Word::new("allow"), Word::new("deny"), Word::new("all")]);

mapping! {
    /// Which callers may go to a destination.
    struct WhoCanQuestion<'n> = "the question" {
        /// The verdict of the callers that are listed; `allow` if it is left out.
        effect: Option<Text<'n>> = "effect" as EFFECT,
        /// The time of the request. The current time if it is left out.
        now: Option<Text<'n>> = "now",
        shorthand: Shorthand<'n> = flatten,
    }
}

mapping! {
    /// Where callers may go. One of `from`, `fromNamespace` and `all`.
    struct CanReachQuestion<'n> = "the question" {
        /// `namespace/account`, a whole `spiffe://` id, or `unauthenticated`.
        from: Option<Text<'n>> = "from",
        /// Every caller of this namespace.
        from_namespace: Option<Text<'n>> = "fromNamespace",
        /// Every caller: `true`.
        all: Option<bool> = "all",
        /// The time of the requests. The current time if it is left out.
        now: Option<Text<'n>> = "now",
    }
}

/// Parses a question about all callers, and returns the verdict of those that are wanted.
///
/// # Errors
/// Returns everything that is wrong with it.
pub(super) fn who_can(body: &[u8]) -> Result<(ExplainQuery, Option<Effect>), Vec<Problem>> {
    let node = posted_node(body).map_err(|problem| vec![*problem])?;
    let everyone = Node {
        value: Value::Text("unauthenticated".into()),
        quoted: true,
        place: node.place.clone(),
    };
    let mut problems = Vec::new();
    let whole: Option<Placed<'_, WhoCanQuestion<'_>>> = Placed::from_node(&node, "", &mut problems);
    let Some(whole) = whole else {
        return Err(problems);
    };
    if let Some(from) = whole.shorthand.from {
        let what = "this asks for every caller, so `from` says nothing";
        problems
            .push(Problem::error(Code::Conflict, from.place.clone(), what).hint("remove `from`"));
    }
    let wanted = match whole.effect.map_or("allow", |effect| effect.text) {
        "allow" => Some(Effect::Allow),
        "deny" => Some(Effect::Deny),
        "all" => None,
        other => {
            let what = format!("invalid effect `{other}`");
            let place = whole.effect.map_or(whole.place, |effect| effect.place);
            let problem = Problem::error(Code::BadValue, place.clone(), what);
            problems.push(problem.hint("write `allow`, `deny` or `all`"));
            None
        }
    };
    let question = Question {
        request: None,
        now: whole.now,
        shorthand: Shorthand {
            from: Some(&everyone),
            ..whole.shorthand
        },
    };
    let query = shorthand_query(&question, &whole, &mut problems);
    match query {
        Some(query) if !problems.iter().any(Problem::is_error) => Ok((query, wanted)),
        _ => Err(problems),
    }
}

/// Parses a question about all destinations, with the time that it asks about.
///
/// # Errors
/// Returns everything that is wrong with it.
pub(super) fn can_reach(body: &[u8]) -> Result<(Callers, Option<UnixNanos>), Vec<Problem>> {
    let node = posted_node(body).map_err(|problem| vec![*problem])?;
    let mut problems = Vec::new();
    let whole: Option<Placed<'_, CanReachQuestion<'_>>> =
        Placed::from_node(&node, "", &mut problems);
    let Some(whole) = whole else {
        return Err(problems);
    };
    let CanReachQuestion {
        from,
        from_namespace,
        all,
        now,
    } = whole.fields;
    let now = now.and_then(|text| put(timestamp(text), &mut problems));
    let from = from.map(|text| query::caller(text).map(Callers::One));
    let namespace = from_namespace.map(can_reach::namespace);
    let all = all.filter(|all| *all).map(|_| Ok(Callers::All));
    let mut named = [from, namespace, all].into_iter().flatten();
    let callers = match (named.next(), named.next()) {
        (Some(callers), None) => put(callers, &mut problems),
        _ => {
            let what = "the question needs one of `from`, `fromNamespace` and `all`";
            problems.push(Problem::error(
                Code::MissingField,
                whole.place.clone(),
                what,
            ));
            None
        }
    };
    match callers {
        Some(callers) if !problems.iter().any(Problem::is_error) => Ok((callers, now)),
        _ => Err(problems),
    }
}
