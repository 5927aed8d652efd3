//! `customs test`: asks the cases beside policies, and compares the answers with those that were expected.
//!
//! `expect`, `rule` and `reason` are about the verdict and `would` about what it would be with everything on trial
//! enforced, so a server that only reports makes no difference here.

use std::path::PathBuf;
use std::process::ExitCode;

use super::cases::{self, Case, Wanted};
use super::coverage::Coverage;
use super::finding::Finding;
use super::sources;
use super::test_report::{self, CaseResult, Report, Suite};
use super::texts::Texts;
use super::verdict;
use crate::app::cli::TestFormat;
use crate::app::settings::Resolved;
use crate::engine::decision::{Answer, Decision, Effect};
use crate::engine::policy::problem::{Code, Place, Problem, Severity};
use crate::engine::policy::reader;
use crate::engine::record::UnixNanos;
use crate::engine::snapshot::Snapshot;

/// Runs the cases and tells how they went.
pub fn run(settings: &Resolved, format: TestFormat, together: bool) -> ExitCode {
    let sets: Vec<&[PathBuf]> =
        if together { vec![settings.policies.as_slice()] } else { settings.policies.chunks(1).collect() };
    let now = crate::clock::now();
    let mut texts = Texts::default();
    let suites = sets.into_iter().map(|set| suite(set, settings, now, &mut texts)).collect();
    let report = Report { suites, texts };
    test_report::tell_report(&report, format);
    verdict(report.is_good())
}

/// Runs the cases of one set.
fn suite(directories: &[PathBuf], settings: &Resolved, now: UnixNanos, texts: &mut Texts) -> Suite {
    let name = directories.iter().map(|d| d.display().to_string()).collect::<Vec<_>>().join(", ");
    let found = sources::load(directories, &settings.engine);
    let mut problems: Vec<Problem> = found.problems.iter().filter(|problem| problem.is_error()).cloned().collect();
    let cases = read_cases(directories, &name, texts, &mut problems);
    let mut coverage = found.snapshot.as_ref().map(Coverage::of).unwrap_or_default();
    let results = match &found.snapshot {
        Some(snapshot) => cases.iter().map(|case| ask(case, snapshot, now, &mut coverage)).collect(),
        None => Vec::new(),
    };
    texts.take_in(found.texts);
    Suite { name, problems, results, coverage }
}

fn read_cases(directories: &[PathBuf], name: &str, texts: &mut Texts, problems: &mut Vec<Problem>) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut files = 0;
    for directory in directories {
        for file in sources::cases_files(directory, problems) {
            files += 1;
            cases.extend(cases::read(&file.path, &file.bytes, problems));
            texts.add(file.path, &file.bytes);
        }
    }
    if files == 0 && problems.is_empty() {
        let problem = Problem::error(Code::MissingField, Place::whole(name), "there is no file of cases");
        problems.push(problem.hint("write one whose name ends in `.cases.yaml`, with kind `PolicyTest`"));
    }
    cases
}

fn ask(case: &Case, snapshot: &Snapshot, now: UnixNanos, coverage: &mut Coverage) -> CaseResult {
    let decision = case.question.ask(snapshot, now);
    coverage.note(&decision);
    CaseResult { case: case.clone(), failures: differences(&case.name, &case.wanted, &decision, coverage) }
}

/// What was answered otherwise than expected. Where the effect is another one, reason and rule are too, and the note
/// tells them.
fn differences(name: &str, wanted: &Wanted, decision: &Decision, coverage: &Coverage) -> Vec<Finding> {
    let Decision { verdict, would, .. } = decision;
    let effect = (wanted.effect.value != verdict.effect()).then(|| {
        let what = format!("wanted {}, got {}", spelt(wanted.effect.value), spelt(verdict.effect()));
        difference(name, &wanted.effect.place, what, verdict)
    });
    let would = wanted.would.as_ref().filter(|wanted| wanted.value != would.effect()).map(|wanted| {
        let what = format!("wanted would {}, got {}", spelt(wanted.value), spelt(would.effect()));
        difference(name, &wanted.place, what, would)
    });
    let more = if effect.is_none() { reason_and_rule(name, wanted, verdict, coverage) } else { Vec::new() };
    effect.into_iter().chain(more).chain(would).collect()
}

fn reason_and_rule(name: &str, wanted: &Wanted, verdict: &Answer, coverage: &Coverage) -> Vec<Finding> {
    let reason = wanted.reason.as_ref().filter(|wanted| wanted.value != verdict.reason).map(|wanted| {
        let what = format!("wanted reason `{}`, got `{}`", wanted.value.as_str(), verdict.reason.as_str());
        difference(name, &wanted.place, what, verdict)
    });
    let got = verdict.rule.to_string();
    let rule = wanted.rule.as_ref().filter(|wanted| wanted.value != got).map(|wanted| {
        let what = format!("wanted rule `{}`, got `{got}`", wanted.value);
        Finding { help: unknown_rule(&wanted.value, coverage), ..difference(name, &wanted.place, what, verdict) }
    });
    reason.into_iter().chain(rule).collect()
}

fn difference(name: &str, place: &Place, what: String, answer: &Answer) -> Finding {
    Finding {
        severity: Severity::Error,
        code: "case",
        place: place.clone(),
        text: format!("case `{name}`: {what}"),
        note: Some(format!("the answer is {}", told(answer))),
        help: None,
    }
}

/// Says so if a rule that is wanted does not exist at all.
fn unknown_rule(wanted: &str, coverage: &Coverage) -> Option<String> {
    let ids: Vec<&str> = coverage.ids().collect();
    let exists = |id: &str| id.starts_with("builtin#") || ids.contains(&id);
    let unknown = wanted.split(',').find(|id| !exists(id))?;
    Some(match reader::nearest(unknown, &ids) {
        Some(meant) => format!("there is no rule `{unknown}`; did you mean `{meant}`?"),
        None => format!("there is no rule `{unknown}`"),
    })
}

/// An answer in words: effect, reason, rule, and where that stands.
pub fn told(answer: &Answer) -> String {
    let origin = answer.rule.info().map(|info| format!(", at {}", info.origin())).unwrap_or_default();
    format!("{}: {} by {}{origin}", spelt(answer.effect()), answer.reason.as_str(), answer.rule)
}

/// An effect as cases spell it.
fn spelt(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    }
}
