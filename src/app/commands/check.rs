//! `customs check`: one question, answered as `serve` would, with the reasons stage by stage.
//!
//! The exit code is the answer that Envoy would get: 0 for allow, 1 for deny. 2 says that there is no answer, because
//! the question is none or the policies do not load.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::cases::Question;
use super::explain::{self, RuleFacts, Stage};
use super::finding::Finding;
use super::lint::ProblemLine;
use super::question::{self, Target};
use super::render::Painter;
use super::sources::{self, Found};
use super::{BAD_SETTING, complain, tell, tell_json, verdict};
use crate::app::cli::{AskedArgs, CheckFormat};
use crate::app::settings::Resolved;
use crate::engine::decision::{Answer, Decision, Effect};
use crate::engine::policy::problem::{Code, Place, Problem};
use crate::engine::policy::reader::Text;
use crate::engine::record::UnixNanos;
use crate::engine::snapshot::Snapshot;

/// Asks the question and tells the answer.
pub fn run(settings: &Resolved, asked: &AskedArgs, format: CheckFormat) -> ExitCode {
    let question = match question(asked) {
        Ok(question) => question,
        Err(problem) => {
            complain(&problem.to_string());
            return ExitCode::from(BAD_SETTING);
        }
    };
    let found = sources::load(&settings.policies, &settings.engine);
    let Some(snapshot) = &found.snapshot else {
        tell_problems(&found, format);
        complain("the policies do not load, so there is no answer");
        return ExitCode::from(BAD_SETTING);
    };
    let (decision, stages) = answer(&question, snapshot);
    match format {
        CheckFormat::Human => tell(&paper(asked, &decision, &stages)),
        CheckFormat::Json => tell_json(&document(asked, snapshot, &decision, &stages)),
    }
    verdict(decision.outcome.effect() == Effect::Allow)
}

fn answer(question: &Question, snapshot: &Snapshot) -> (Decision, Vec<Stage>) {
    let now = question.now.unwrap_or_else(crate::clock::now);
    question.put(snapshot, |request| {
        let decision = snapshot.decide(request, now);
        let stages = explain::stages(snapshot, request, &decision.verdict, now);
        (decision, stages)
    })
}

/// The question that the flags ask; a flag that is wrong is told as its place.
fn question(asked: &AskedArgs) -> Result<Question, Problem> {
    let caller = question::caller(Text { text: &asked.from, place: &Place::whole("--from") })?;
    let target = question::target(Text { text: &asked.to, place: &Place::whole("--to") })?;
    if let Target::Tcp { .. } = target {
        only_http("--method", asked.method.is_some())?;
        only_http("--header", !asked.header.is_empty())?;
    }
    Ok(Question {
        caller,
        target,
        method: asked.method.clone(),
        headers: asked.header.clone(),
        listener_port: asked.listener_port,
        source_ip: asked.source_ip,
        sni: asked.sni.clone(),
        now: asked.now.map(|moment| UnixNanos(moment.as_nanosecond())),
    })
}

/// A connection has neither a method nor headers.
fn only_http(flag: &str, is_there: bool) -> Result<(), Problem> {
    let what = "this belongs to HTTP, and `--to` is a TCP connection";
    if is_there { Err(Problem::error(Code::Conflict, Place::whole(flag), what)) } else { Ok(()) }
}

fn tell_problems(found: &Found, format: CheckFormat) {
    let errors = found.problems.iter().filter(|problem| problem.is_error());
    match format {
        CheckFormat::Human => {
            let painter = Painter::for_stdout(&found.texts);
            errors.for_each(|problem| tell(&painter.paint(&Finding::from(problem))));
        }
        CheckFormat::Json => {
            let problems: Vec<_> = errors.map(|problem| ProblemLine::of(problem, &found.texts)).collect();
            tell_json(&json!({ "problems": problems }));
        }
    }
}

/// The answer for people.
fn paper(asked: &AskedArgs, decision: &Decision, stages: &[Stage]) -> String {
    let method = asked.method.as_ref().map(|method| format!("{method} ")).unwrap_or_default();
    let from = format!("from         {} ({})", asked.from, identity(decision));
    let mut lines = vec![from, format!("to           {method}{}", asked.to), String::new()];
    for (number, stage) in (1..).zip(stages) {
        lines.push(format!("{number} {:<10} {}", stage.stage, stage.text));
    }
    lines.push(String::new());
    lines.push(format!("effect       {}", decision.outcome.effect().as_str()));
    lines.push(format!("verdict      {}", told(&decision.verdict)));
    lines.push(format!("would        {}", told(&decision.would)));
    if let Some(info) = &decision.audit {
        lines.push(format!("marked by    {}", RuleFacts::of(info)));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

fn identity(decision: &Decision) -> String {
    let state = decision.identity.as_str();
    match decision.identity_detail {
        Some(detail) => format!("identity: {state}, {}", detail.as_str()),
        None => format!("identity: {state}"),
    }
}

fn told(answer: &Answer) -> String {
    let origin = answer.rule.info().map(|info| format!(" ({})", info.origin())).unwrap_or_default();
    format!("{}: {} by {}{origin}", answer.effect().as_str(), answer.reason.as_str(), answer.rule)
}

/// The same as one JSON object.
fn document(asked: &AskedArgs, snapshot: &Snapshot, decision: &Decision, stages: &[Stage]) -> Value {
    json!({
        "revision": snapshot.revision().as_str(),
        "from": asked.from,
        "to": asked.to,
        "identity": decision.identity.as_str(),
        "identityDetail": decision.identity_detail.map(|detail| detail.as_str()),
        "stages": stages,
        "effect": decision.outcome.effect().as_str(),
        "verdict": answer_document(&decision.verdict),
        "would": answer_document(&decision.would),
        "audit": decision.audit.as_deref().map(RuleFacts::of),
    })
}

fn answer_document(answer: &Answer) -> Value {
    json!({
        "effect": answer.effect().as_str(),
        "reason": answer.reason.as_str(),
        "rule": answer.rule.to_string(),
        "about": answer.rule.info().map(RuleFacts::of),
        "byIdentity": answer.by_identity,
    })
}
