//! The answer to a question, with its explanation: one document, printed as JSON or as text.
//!
//! A client that asks a server gets the document and prints it as if it had decided itself, so the
//! text contains nothing that is not in the document.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::query::{ExplainQuery, Summary};
use crate::app::terminal::{Line, Terminal, Tone};
use customs_analysis::explain::{self, RuleFacts, Stage};
use customs_engine::decision::{self, Decision};
use customs_engine::effect::Effect;
use customs_engine::pass::Pass;
use customs_engine::pattern::Port;
use customs_engine::request::{Attributes, DestinationHost, Request};
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::problem::Problem;

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    /// The version of this format; that of servers which do not say it is 1.
    #[serde(default = "version")]
    version: u32,
    /// The revision of the policy set that decided.
    pub revision: String,
    from: String,
    to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// The canonical host that rules are compared with, if the host is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// The port of the destination, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// Why the host, or another attribute, is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    identity: Cow<'static, str>,
    identity_detail: Option<Cow<'static, str>>,
    stages: Vec<Stage>,
    /// The stages of `dry_run`, if that answer differs from the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dry_run_stages: Option<Vec<Stage>>,
    effect: Cow<'static, str>,
    verdict: Answer,
    dry_run: Answer,
    audit: Option<RuleFacts>,
    /// The parts of the question that were not understood and are ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

fn version() -> u32 {
    1
}

/// One of the two answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    effect: Cow<'static, str>,
    reason: Cow<'static, str>,
    rule: String,
    about: Option<RuleFacts>,
    by_identity: bool,
}

/// Decides a question, at its own time or at `now`. `each` sees everything while the inputs exist.
pub(crate) fn ask<T>(
    query: &ExplainQuery,
    snapshot: &Snapshot,
    now: UnixNanos,
    each: impl FnOnce(&Attributes<'_>, &Request<'_>, &Decision, Explanation) -> T,
) -> T {
    let now = query.now.unwrap_or(now);
    query.put(snapshot, |attributes, request| {
        let decision = snapshot.decide(request, now);
        let explanation = Explanation::of(
            query.summary(),
            snapshot,
            (attributes, request),
            &decision,
            now,
        );
        each(attributes, request, &decision, explanation)
    })
}

/// Decides a question without an explanation.
pub(crate) fn decide(query: &ExplainQuery, snapshot: &Snapshot, now: UnixNanos) -> Decision {
    query.put(snapshot, |_, request| {
        snapshot.decide(request, query.now.unwrap_or(now))
    })
}

impl Explanation {
    fn of(
        summary: Summary,
        snapshot: &Snapshot,
        (attributes, request): (&Attributes<'_>, &Request<'_>),
        decision: &Decision,
        now: UnixNanos,
    ) -> Explanation {
        let Summary { from, to, method } = summary;
        let Decision {
            outcome,
            verdict,
            dry_run,
            identity,
            identity_detail,
            audit,
        } = decision;
        let problem = explain::problem(attributes, request);
        let stages = |answer, pass| {
            explain::stages(snapshot, request, problem.as_deref(), answer, pass, now)
        };
        let destination = &request.destination;
        Explanation {
            version: version(),
            revision: snapshot.revision().to_string(),
            from,
            to,
            method,
            host: match &destination.host {
                DestinationHost::Known(host) => Some(host.to_string()),
                DestinationHost::Unnamed
                | DestinationHost::MeshWrapper
                | DestinationHost::Unreadable => None,
            },
            port: match destination.port {
                Port::Known(port) => Some(port),
                Port::Absent(_) | Port::Unknown => None,
            },
            problem: problem.clone(),
            identity: identity.as_str().into(),
            identity_detail: identity_detail.map(|detail| detail.as_str().into()),
            stages: stages(verdict, Pass::Enforced),
            dry_run_stages: (verdict != dry_run).then(|| stages(dry_run, Pass::DryRun)),
            effect: outcome.effect().as_str().into(),
            verdict: Answer::of(verdict),
            dry_run: Answer::of(dry_run),
            audit: audit.as_deref().map(RuleFacts::of),
            notes: Vec::new(),
        }
    }

    /// Returns the document with the ignored parts of the question.
    pub(crate) fn noting(self, notes: &[Problem]) -> Explanation {
        Explanation {
            notes: notes.iter().map(Problem::to_string).collect(),
            ..self
        }
    }

    /// Returns whether Envoy would let the request pass.
    pub(crate) fn allows(&self) -> bool {
        self.effect == Effect::Allow.as_str()
    }
}

impl Answer {
    fn of(answer: &decision::Answer) -> Answer {
        Answer {
            effect: answer.effect().as_str().into(),
            reason: answer.reason.as_str().into(),
            rule: answer.rule.to_string(),
            about: answer.rule.info().map(RuleFacts::of),
            by_identity: answer.by_identity,
        }
    }
}

impl Answer {
    fn line(&self, label: &str) -> Line {
        let origin = self
            .about
            .as_ref()
            .map(|rule| format!(" ({})", rule.origin));
        labelled(label)
            .then(Tone::of_effect(&self.effect), self.effect.as_ref())
            .then(Tone::Plain, format!(": {} by {}", self.reason, self.rule))
            .then(Tone::Quiet, origin.unwrap_or_default())
    }
}

/// The answer as text, line by line. It may come from a server, so each line is escaped for the
/// terminal, whatever it contains.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Terminal::NONE.render(&self.lines()))
    }
}

/// The column of what a label or a stage says.
const VALUE: usize = 13;

impl Explanation {
    /// Returns the answer line by line.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self.notes.iter().map(Line::of).collect();
        let method = self
            .method
            .as_ref()
            .map(|method| format!("{method} "))
            .unwrap_or_default();
        let detail = self
            .identity_detail
            .as_ref()
            .map(|detail| format!(", {detail}"))
            .unwrap_or_default();
        lines.push(labelled("from").then(
            Tone::Plain,
            format!("{} (identity: {}{detail})", self.from, self.identity),
        ));
        lines.push(labelled("to").then(Tone::Plain, format!("{method}{}", self.to)));
        let port = self
            .port
            .map_or("no known port".to_owned(), |port| format!("port {port}"));
        lines.extend(
            self.host
                .as_ref()
                .map(|host| labelled("host").then(Tone::Plain, format!("{host}, {port}"))),
        );
        lines.push(Line::default());
        lines.extend(in_lines(&self.stages));
        if let Some(stages) = &self.dry_run_stages {
            lines.extend([Line::of("in the dry run:"), Line::default()]);
            lines.extend(in_lines(stages));
        }
        let effect = labelled("effect");
        lines.push(effect.then(Tone::of_effect(&self.effect), self.effect.as_ref()));
        lines.push(self.verdict.line("verdict"));
        lines.push(self.dry_run.line("dry run"));
        let marked = self.audit.as_ref();
        lines.extend(marked.map(|rule| labelled("marked by").then(Tone::Plain, rule.to_string())));
        lines
    }
}

/// Begins a line with a label.
fn labelled(label: &str) -> Line {
    Line::of(format!("{label:VALUE$}")).hanging(VALUE)
}

/// Returns one line for each stage, after an empty one.
fn in_lines(stages: &[Stage]) -> impl Iterator<Item = Line> {
    let line = |(number, stage): (usize, &Stage)| {
        let tone = match stage.state.as_ref() {
            "denied" | "closed" => Tone::Bad,
            "open" | "allowed" => Tone::Good,
            _ => Tone::Plain,
        };
        Line::of(format!("{number} "))
            .then(tone, format!("{:<10}", stage.stage))
            .then(Tone::Plain, format!(" {}", stage.text))
            .hanging(VALUE)
    };
    (1..).zip(stages).map(line).chain([Line::default()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::explain::read;
    use customs_engine::enforcement::Enforcement;
    use customs_engine::settings::{DefaultEffect, Settings};
    use customs_policy::compile;
    use customs_policy::source::{self, PolicyFile, Source};

    const POLICIES: &str = "
{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: gate, namespace: istio-system},
 spec: {action: ALLOW, rules: [{to: [{operation: {notHosts: [c.example]}}]}]}}
---
{apiVersion: egress.customs/v1alpha1, kind: EgressPolicy, metadata: {name: own, namespace: shop},
 spec: {isolate: true, deny: [{name: d, hosts: ['*.example'], methods: [PUT], except: [{hosts: [a.example]}]}],
        allow: [{name: a, hosts: [a.example, c.example]}, {name: o, hosts: [o.example], expires: '2026-01-01T00:00:00Z'}]}}
---
{apiVersion: egress.customs/v1alpha1, kind: EgressPolicy, metadata: {name: trial, namespace: shop},
 spec: {mode: Report, deny: [{name: d, hosts: [a.example]}], allow: [{name: b, hosts: [b.example]}]}}
---
{apiVersion: egress.customs/v1alpha1, kind: EgressPolicy, metadata: {name: trial, namespace: batch},
 spec: {mode: Report, isolate: true}}
";

    fn snapshots() -> impl Iterator<Item = Snapshot> {
        let effects = [DefaultEffect::Allow, DefaultEffect::Deny];
        let settings = effects.into_iter().flat_map(|default_effect| {
            [Enforcement::Enforce, Enforcement::Report].map(|request_validation| Settings {
                default_effect,
                request_validation,
                ..Settings::default()
            })
        });
        let compiled = |settings: Settings| {
            let files = vec![PolicyFile {
                name: "a.yaml".into(),
                bytes: POLICIES.as_bytes().into(),
            }];
            let source = source::load(
                &Source {
                    name: "p".into(),
                    files,
                    ..Source::default()
                },
                &settings,
            );
            compile::compile(&[source], &settings).unwrap().snapshot
        };
        settings.map(compiled)
    }

    /// Returns whether the stages show a denial.
    fn deny(stages: &[Stage]) -> bool {
        stages
            .iter()
            .any(|stage| matches!(stage.state.as_ref(), "denied" | "closed"))
    }

    #[test]
    fn the_stages_agree_with_the_answer_that_they_explain() {
        let mut seen = std::collections::BTreeSet::new();
        for snapshot in snapshots() {
            for from in ["shop/web", "batch/job", "other/job", "unauthenticated"] {
                for host in [
                    "a.example",
                    "b.example",
                    "c.example",
                    "o.example",
                    "x.test",
                    "bad..host",
                ] {
                    for method in ["GET", "PUT"] {
                        let body = format!(
                            "{{\"from\":\"{from}\",\"to\":\"http://{host}/\",\"method\":\"{method}\"}}"
                        );
                        let (query, _) = read::posted(body.as_bytes()).unwrap();
                        let now = UnixNanos(1_795_392_000_000_000_000);
                        let answer_document =
                            ask(&query, &snapshot, now, |_, _, _, explanation| explanation);
                        let dry_run = answer_document
                            .dry_run_stages
                            .as_ref()
                            .unwrap_or(&answer_document.stages);
                        for (stages, answer) in [
                            (&answer_document.stages, &answer_document.verdict),
                            (dry_run, &answer_document.dry_run),
                        ] {
                            assert_eq!(
                                deny(stages),
                                answer.effect == "deny",
                                "{body}\n{answer_document}"
                            );
                        }
                        let json = serde_json::to_string(&answer_document).unwrap();
                        assert_eq!(
                            serde_json::from_str::<Explanation>(&json).unwrap(),
                            answer_document,
                            "it reads back"
                        );
                        seen.insert((
                            answer_document.verdict.reason,
                            answer_document.dry_run.reason,
                        ));
                    }
                }
            }
        }
        assert!(seen.len() >= 8, "{seen:?}");
    }
}
