//! Which callers may go to a destination: every kind of caller asks for it as `customs check` would,
//! and gets an answer of its own.
//!
//! A kind of caller is cut out by the policies: they say the same about all of its callers. So the
//! answer holds for every caller that there is or may be. What the question leaves out (headers,
//! addresses) is unknown to the policies, as in `customs check`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::query::{Caller, ExplainQuery, QueryInput, ShorthandQuery};
use crate::app::terminal::{Line, Tone};
use customs_analysis::regions::{CallerKind, CallerKinds, PartName, caller_kinds};
use customs_engine::decision::Decision;
use customs_engine::effect::Effect;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;

/// The most kinds of callers that one answer has.
const MOST: usize = 50_000;

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WhoCan {
    version: u32,
    /// The revision of the policy set that decided.
    revision: String,
    to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// The kinds of callers that were asked for, sorted.
    callers: Vec<CallerAnswer>,
    /// How many kinds of callers may go.
    allowed: usize,
    /// How many kinds of callers may not go.
    denied: usize,
    /// How many kinds of callers were asked for, and are left off.
    #[serde(default, skip_serializing_if = "is_zero")]
    left_off: usize,
    /// Why some callers are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incomplete: Option<String>,
}

// serde requires this signature.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

/// The answer to one kind of caller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CallerAnswer {
    /// The callers in words: `shop/web`, `shop/*`.
    callers: String,
    /// One of them, as Envoy names it; empty for a caller without an identity.
    example: String,
    /// Their namespace, if they have one in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    effect: Cow<'static, str>,
    reason: Cow<'static, str>,
    rule: String,
    /// The file and line of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    /// The effect if every dry run were enforced too.
    dry_run: Cow<'static, str>,
}

/// Which verdicts are wanted; all without one.
pub(crate) fn ask(
    query: &ExplainQuery,
    wanted: Option<Effect>,
    snapshot: &Snapshot,
    now: UnixNanos,
) -> WhoCan {
    let now = query.now.unwrap_or(now);
    let CallerKinds { kinds, incomplete } = caller_kinds(snapshot, now);
    let (mut callers, mut allowed, mut denied, mut left_off) = (Vec::new(), 0, 0, 0);
    for kind in &kinds {
        let decision = decide(query, kind, snapshot, now);
        let effect = decision.verdict.effect();
        match effect {
            Effect::Allow => allowed += 1,
            Effect::Deny => denied += 1,
        }
        if wanted.is_some_and(|wanted| wanted != effect) {
            continue;
        }
        match callers.len() < MOST {
            true => callers.push(CallerAnswer::of(kind, &decision)),
            false => left_off += 1,
        }
    }
    let summary = query.summary();
    WhoCan {
        version: 1,
        revision: snapshot.revision().to_string(),
        to: summary.to,
        method: summary.method,
        callers,
        allowed,
        denied,
        left_off,
        incomplete,
    }
}

fn decide(
    query: &ExplainQuery,
    kind: &CallerKind,
    snapshot: &Snapshot,
    now: UnixNanos,
) -> Decision {
    query
        .by(&kind.principal)
        .put(snapshot, |_, request| snapshot.decide(request, now))
}

impl ExplainQuery {
    /// Returns the same question of another caller, which is empty for one without an identity. A
    /// whole check stays as it is.
    fn by(&self, principal: &str) -> ExplainQuery {
        let QueryInput::Shorthand(shorthand) = &self.input else {
            return self.clone();
        };
        let caller = match principal {
            "" => Caller::Unauthenticated,
            id => Caller::Id(id.to_owned()),
        };
        let shorthand = ShorthandQuery {
            caller,
            ..ShorthandQuery::clone(shorthand)
        };
        ExplainQuery {
            input: QueryInput::Shorthand(Box::new(shorthand)),
            now: self.now,
        }
    }
}

impl CallerAnswer {
    fn of(kind: &CallerKind, decision: &Decision) -> CallerAnswer {
        let Decision {
            verdict, dry_run, ..
        } = decision;
        let namespace = kind
            .names
            .as_ref()
            .and_then(|names| match &names.namespace {
                PartName::Exactly(name) => Some(name.clone()),
                PartName::Matching(_) | PartName::Other => None,
            });
        CallerAnswer {
            callers: kind.to_string(),
            example: kind.principal.clone(),
            namespace,
            effect: verdict.effect().as_str().into(),
            reason: verdict.reason.as_str().into(),
            rule: verdict.rule.to_string(),
            origin: verdict.rule.info().map(|info| info.origin()),
            dry_run: dry_run.effect().as_str().into(),
        }
    }

    /// Why the callers get their answer, in words.
    fn why(&self) -> String {
        let CallerAnswer {
            effect,
            reason,
            rule,
            origin,
            dry_run,
            ..
        } = self;
        let origin = origin
            .as_ref()
            .map(|origin| format!(" ({origin})"))
            .unwrap_or_default();
        let differs = match effect == dry_run {
            true => String::new(),
            false => format!("; dry run: {dry_run}"),
        };
        format!("{reason} by {rule}{origin}{differs}")
    }
}

impl WhoCan {
    /// Returns whether every caller is in it.
    pub(crate) fn is_complete(&self) -> bool {
        self.incomplete.is_none()
    }

    /// Returns the answer line by line.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let method = self
            .method
            .as_ref()
            .map(|method| format!("{method} "))
            .unwrap_or_default();
        let title = format!("{method}{}", self.to);
        let mut lines = vec![Line::default().then(Tone::Strong, title)];
        // Neighbours with one answer are one line.
        let is_same = |a: &CallerAnswer, b: &CallerAnswer| {
            a.namespace.is_some()
                && a.namespace == b.namespace
                && a.effect == b.effect
                && a.why() == b.why()
        };
        for run in self.callers.chunk_by(is_same) {
            let names: Vec<&str> = run.iter().map(|row| row.callers.as_str()).collect();
            let Some(first) = run.first() else { continue };
            let row = Line::of("  ")
                .then(
                    Tone::of_effect(&first.effect),
                    format!("{:5}", first.effect),
                )
                .then(Tone::Plain, format!("  {}: ", names.join(", ")))
                .then(Tone::Plain, first.why());
            lines.push(row.hanging(9));
        }
        if self.left_off > 0 {
            lines.push(Line::of(format!("  and {} more", self.left_off)));
        }
        let kinds = self.allowed + self.denied;
        let noun = if kinds == 1 { "kind" } else { "kinds" };
        let (allowed, denied) = (self.allowed, self.denied);
        let total = format!("{kinds} {noun} of callers: {allowed} may go, {denied} may not");
        lines.push(Line::default().then(Tone::Strong, total));
        if let Some(why) = &self.incomplete {
            let missing = Line::default().then(Tone::Mark, "some callers are missing");
            lines.push(missing.then(Tone::Plain, format!(": {why}")));
        }
        lines
    }
}
