//! Renders the stages of a decision in words, from the trace of the naive evaluator.
//!
//! This module evaluates no rule. A trace explains the answer of one pass: for the verdict, dry-run
//! rules are left out, except as the nearest rule; for `dry_run` they are in force. Stages are
//! shown only if the trace gives the same answer as the engine.

use std::borrow::Cow;

use customs_engine::eval_context::EvalContext;
use customs_engine::reference::{
    AllowMatches, DefaultTrace, Denied, DenyTrace, Excepted, IsolatedBy, IsolationTrace,
    IstioTrace, Trace, ValidationTrace, trace,
};
use customs_engine::request::DestinationHost;
use customs_engine::{Answer, Pass, Request, Snapshot, UnixNanos};
use serde::{Deserialize, Serialize};

use super::near::{Nearest, nearest};
use super::problem::in_words;
use super::rule_facts::RuleFacts;

/// The stages by name, in their order.
const STAGES: [&str; 5] = ["validation", "deny", "istio", "isolation", "default"];

/// The result of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// `validation`, `deny`, `istio`, `isolation` or `default`.
    pub stage: Cow<'static, str>,
    /// `passed`, `denied`, `notAsked`, `open`, `closed` or `allowed`; `unknown` if the trace gives
    /// another answer than the engine did.
    pub state: Cow<'static, str>,
    /// The result in words, with the rules that matter.
    pub text: String,
    /// The rules that the words name, in their order.
    pub rules: Vec<RuleFacts>,
    /// The nearest entry, if an allow entry was missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<Nearest>,
}

impl Stage {
    fn new(stage: &'static str, state: &'static str, text: impl Into<String>) -> Stage {
        Stage {
            stage: stage.into(),
            state: state.into(),
            text: text.into(),
            rules: Vec::new(),
            nearest: None,
        }
    }

    /// Returns a stage that was skipped because an earlier one denied.
    fn not_asked(stage: &'static str) -> Stage {
        Stage::new(stage, "notAsked", "not asked: an earlier stage denied")
    }
}

/// Explains the answer that the engine gave in a pass. `problem` is what request validation found,
/// in detail.
pub fn stages(
    snapshot: &Snapshot,
    request: &Request<'_>,
    problem: Option<&str>,
    answer: &Answer,
    pass: Pass,
    now: UnixNanos,
) -> Vec<Stage> {
    let all = |state, text: &str| STAGES.map(|name| Stage::new(name, state, text)).into();
    if !snapshot.is_loaded() {
        let text = "not asked: no policy set was loaded yet, so everything is denied";
        return all("notAsked", text);
    }
    let (rules, settings) = (snapshot.rules(), snapshot.settings());
    let trace = trace(rules, settings, request, pass, now);
    let traced = trace.answer();
    if traced != *answer {
        let text = format!(
            "unknown: asking each rule gives {} by {}, and the decision is {} by {}; this is a defect of customs",
            traced.reason.as_str(),
            traced.rule,
            answer.reason.as_str(),
            answer.rule
        );
        return all("unknown", &text);
    }
    let renderer = Renderer {
        unknown_headers: unknown_headers(snapshot, request),
        context: EvalContext::new(request),
        problem,
        trace: &trace,
    };
    vec![
        renderer.validation(),
        renderer.deny(),
        renderer.istio(),
        renderer.isolation(),
        renderer.default(),
    ]
}

/// The headers whose values count as unknown, which satisfies every deny that asks for them and no
/// allow.
fn unknown_headers(snapshot: &Snapshot, request: &Request<'_>) -> String {
    let http = request.http.as_ref();
    let unknown = http
        .map(|http| snapshot.header_tables().unknown(http))
        .unwrap_or_default();
    let clauses = unknown.into_iter().map(|(name, why)| {
        format!(
            "; header `{name}` {}: its value counts as unknown, which satisfies a DENY and no ALLOW",
            why.in_words()
        )
    });
    clauses.collect()
}

/// Renders a trace in words.
struct Renderer<'s> {
    trace: &'s Trace<'s>,
    context: EvalContext<'s>,
    problem: Option<&'s str>,
    unknown_headers: String,
}

impl Renderer<'_> {
    fn validation(&self) -> Stage {
        let stage = |state, text| Stage::new("validation", state, text);
        let found = |finding| {
            let words = in_words(finding);
            let detail = self.problem.map(|problem| format!(": {problem}"));
            format!(
                "{}: {words}{}",
                finding.as_str(),
                detail.unwrap_or_default()
            )
        };
        let host = &self.context.request.destination.host;
        match self.trace.validation {
            ValidationTrace::Passed if *host == DestinationHost::MeshWrapper => stage(
                "passed",
                "nothing found; the SNI is the mesh's wrapper of one of its own names, so where the connection goes is not \
                 known: set `sni` in the DestinationRule's `tls`"
                    .to_owned(),
            ),
            ValidationTrace::Passed => {
                stage("passed", format!("nothing found{}", self.unknown_headers))
            }
            ValidationTrace::Recorded(finding) => {
                stage("passed", format!("only recorded: {}", found(finding)))
            }
            ValidationTrace::Denied(finding) => stage("denied", found(finding)),
        }
    }

    fn deny(&self) -> Stage {
        match &self.trace.deny {
            None => Stage::not_asked("deny"),
            Some(DenyTrace {
                denied: Some(denied),
                ..
            }) => denied_by(denied),
            Some(passed) => passed_denies(passed),
        }
    }

    fn istio(&self) -> Stage {
        let (rules, matches, identity_was_missing) = match &self.trace.istio {
            None => return Stage::not_asked("istio"),
            Some(IstioTrace::NotAsked) => {
                let text = "not asked: no ALLOW policy is in force";
                return Stage::new("istio", "notAsked", text);
            }
            Some(IstioTrace::Asked {
                rules,
                matches,
                identity_was_missing,
            }) => (rules, matches, identity_was_missing),
        };
        if let Some(open) = opened("istio", "open", matches) {
            return open;
        }
        let identity = if *identity_was_missing {
            "; a valid identity was missing"
        } else {
            ""
        };
        let nearest = self.nearest(matches);
        let near = nearest.as_ref().map(|nearest| format!("; {nearest}"));
        let text = format!(
            "closed: none of the rules of ALLOW policies ({rules}) matches{identity}{}",
            near.unwrap_or_default()
        );
        Stage {
            nearest,
            ..Stage::new("istio", "closed", text)
        }
    }

    fn isolation(&self) -> Stage {
        let (by, matches) = match &self.trace.isolation {
            None => return Stage::not_asked("isolation"),
            Some(IsolationTrace::NotAsked) => {
                let text = "not isolated: no `isolate: true` in force is about this caller";
                return Stage::new("isolation", "notAsked", text);
            }
            Some(IsolationTrace::Asked { by, matches }) => (by, matches),
        };
        let entries = opened("isolation", "open", matches)
            .unwrap_or_else(|| self.missed("isolation", "closed", "closed", matches));
        match by {
            IsolatedBy::Policy(policy) => {
                let by = RuleFacts::of(policy);
                let text = format!("isolated by {} ({}); {}", by.id, by.origin, entries.text);
                Stage {
                    text,
                    rules: std::iter::once(by).chain(entries.rules).collect(),
                    ..entries
                }
            }
            IsolatedBy::Unauthenticated => Stage {
                text: format!(
                    "isolated, as callers without a valid identity are; {}",
                    entries.text
                ),
                ..entries
            },
        }
    }

    fn default(&self) -> Stage {
        match &self.trace.default {
            None => Stage::not_asked("default"),
            Some(DefaultTrace::NotAsked) => {
                let text = "not asked: every gate that was asked is open";
                Stage::new("default", "notAsked", text)
            }
            Some(DefaultTrace::Allow) => {
                let text = "nothing concerns this, and the default is allow";
                Stage::new("default", "allowed", text)
            }
            Some(DefaultTrace::Deny(matches)) => {
                let what = "nothing allows this, and the default is deny";
                opened("default", "allowed", matches)
                    .unwrap_or_else(|| self.missed("default", "denied", what, matches))
            }
        }
    }

    /// Returns a stage in which an allow entry was missing.
    fn missed(
        &self,
        name: &'static str,
        state: &'static str,
        what: &str,
        matches: &AllowMatches<'_>,
    ) -> Stage {
        if let Some(rule) = matches.expired {
            let rule = RuleFacts::of(&rule.info);
            let text = format!("{what}: the entry that would open it has expired: {rule}");
            return Stage {
                rules: vec![rule],
                ..Stage::new(name, state, text)
            };
        }
        let nearest = self.nearest(matches);
        let more = match (&nearest, matches.candidates.len()) {
            (Some(nearest), _) => format!("no entry matches; {nearest}"),
            (None, 0) => "no allow entry is about this caller".to_owned(),
            (None, count) => format!(
                "none of the allow entries about this caller ({count}) comes near this host"
            ),
        };
        Stage {
            nearest,
            ..Stage::new(name, state, format!("{what}: {more}"))
        }
    }

    fn nearest(&self, matches: &AllowMatches<'_>) -> Option<Nearest> {
        nearest(&matches.candidates, &self.context, &self.trace.caller)
    }
}

fn denied_by(Denied { rule, expired }: &Denied<'_>) -> Stage {
    let rule = RuleFacts::of(&rule.info);
    let expired = expired.map(|exception| RuleFacts::of(exception));
    let exception = expired
        .as_ref()
        .map(|exception| format!("; this exception has expired: {exception}"));
    let text = format!("denied by {rule}{}", exception.unwrap_or_default());
    Stage {
        rules: std::iter::once(rule).chain(expired).collect(),
        ..Stage::new("deny", "denied", text)
    }
}

/// Describes how many deny rules matched in part, and those that an exception kept from denying.
fn passed_denies(denies: &DenyTrace<'_>) -> Stage {
    let mut text = match denies.rules {
        0 => "passed: there is no deny rule".to_owned(),
        all => format!(
            "passed: of the deny rules ({all}), {} are about this caller and {} about this destination; none denies",
            denies.about_caller, denies.about_destination
        ),
    };
    let mut rules = Vec::new();
    for Excepted { rule, exception } in &denies.excepted {
        let (rule, exception) = (RuleFacts::of(&rule.info), RuleFacts::of(exception));
        text.push_str(&format!(
            "; {} ({}) would deny, opened by exception {exception}",
            rule.id, rule.origin
        ));
        rules.extend([rule, exception]);
    }
    Stage {
        rules,
        ..Stage::new("deny", "passed", text)
    }
}

/// Returns a stage that a rule opened, if one did.
fn opened(name: &'static str, state: &'static str, matches: &AllowMatches<'_>) -> Option<Stage> {
    let rule = RuleFacts::of(&matches.opened_by?.info);
    let text = format!("open by {rule}");
    Some(Stage {
        rules: vec![rule],
        ..Stage::new(name, state, text)
    })
}

#[cfg(test)]
mod tests;
