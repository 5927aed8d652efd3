//! `customs test`: runs the test cases next to policies, and compares the answers with the expected
//! ones.
//!
//! `expect`, `rule` and `reason` are about the verdict; the fields that begin with `dryRun` are
//! about the dry run. `enforcement: report` changes only `effect`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use jiff::Timestamp;

use super::cases::{self, Case, Wanted, WantedAnswer};
use super::coverage::Coverage;
use super::finding::Finding;
use super::source_map::SourceMap;
use super::sources;
use super::test_report::{self, CaseResult, Report, Suite};
use super::{junit, print, print_document, print_json, verdict};
use crate::app::cli::TestFormat;
use crate::app::explain::answer;
use crate::app::settings::Resolved;
use customs_engine::decision::{Answer, Decision};
use customs_engine::effect::Effect;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::problem::{Code, Place, Problem, Severity};
use customs_policy::suggestion;
use customs_sources::PolicyDirectory;

/// Runs the cases and prints the results.
pub(super) fn run(settings: &Resolved, format: TestFormat, together: bool) -> ExitCode {
    let sets: Vec<&[PolicyDirectory]> = if together {
        vec![settings.policies.as_slice()]
    } else {
        settings.policies.chunks(1).collect()
    };
    let now = customs_record::clock::now();
    let mut source_map = SourceMap::default();
    let suites = sets
        .into_iter()
        .map(|set| suite(set, settings, now, &mut source_map))
        .collect();
    let report = Report { suites, source_map };
    match format {
        TestFormat::Human => test_report::human(&report),
        TestFormat::Json => print_json(&test_report::document(&report)),
        TestFormat::Github => print(&test_report::annotations(&report)),
        TestFormat::Junit => print_document(&junit::document(&report)),
    }
    verdict(report.is_good())
}

/// Runs the cases of one set.
fn suite(
    directories: &[PolicyDirectory],
    settings: &Resolved,
    now: UnixNanos,
    source_map: &mut SourceMap,
) -> Suite {
    let name = directories
        .iter()
        .map(|d| d.path().display().to_string())
        .collect::<Vec<_>>()
        .join(", ");
    let (began, clock) = (Timestamp::now(), Instant::now());
    let found = sources::load(directories, &settings.engine);
    let mut problems: Vec<Problem> = found
        .problems
        .iter()
        .filter(|problem| problem.is_error())
        .cloned()
        .collect();
    let cases = read_cases(&found.sources, &name, source_map, &mut problems);
    let mut coverage = found
        .snapshot
        .as_ref()
        .map(Coverage::of)
        .unwrap_or_default();
    let (problems, notes) = problems.into_iter().partition(Problem::is_error);
    let results = match &found.snapshot {
        Some(snapshot) => cases
            .iter()
            .map(|case| ask(case, snapshot, now, &mut coverage))
            .collect(),
        None => Vec::new(),
    };
    source_map.take_in(found.source_map);
    let revision = found.snapshot.as_ref();
    Suite {
        name,
        began,
        took: clock.elapsed(),
        revision: revision.map(|snapshot| snapshot.revision().to_string()),
        problems,
        notes,
        results,
        coverage,
    }
}

fn read_cases(
    directories: &[(String, bool)],
    name: &str,
    source_map: &mut SourceMap,
    problems: &mut Vec<Problem>,
) -> Vec<Case> {
    let (files, cases) = cases_beside(directories, source_map, problems);
    if files == 0 && problems.is_empty() {
        let problem = Problem::error(
            Code::MissingField,
            Place::whole(name),
            "there is no file of cases",
        );
        problems.push(
            problem.hint("write one whose name ends in `.cases.yaml`, with kind `PolicyTest`"),
        );
    }
    cases
}

/// Returns the cases next to the policies, and the number of their files.
pub(super) fn cases_beside(
    directories: &[(String, bool)],
    source_map: &mut SourceMap,
    problems: &mut Vec<Problem>,
) -> (usize, Vec<Case>) {
    let (mut files, mut cases) = (0, Vec::new());
    for (directory, recursive) in directories {
        for file in sources::cases_files(Path::new(directory), *recursive, problems) {
            files += 1;
            cases.extend(cases::read(&file.path, &file.bytes, problems));
            source_map.add(file.path, file.bytes);
        }
    }
    (files, cases)
}

/// Returns whether a decision is what a case expects.
pub(super) fn passes(case: &Case, decision: &Decision) -> bool {
    differences(&case.name, &case.wanted, decision, &Coverage::default()).is_empty()
}

fn ask(case: &Case, snapshot: &Snapshot, now: UnixNanos, coverage: &mut Coverage) -> CaseResult {
    let clock = Instant::now();
    let decision = answer::decide(&case.query, snapshot, now);
    coverage.note(&decision);
    let failures = differences(&case.name, &case.wanted, &decision, coverage);
    CaseResult {
        case: case.clone(),
        took: clock.elapsed(),
        failures,
    }
}

/// Returns the differences between the answer and the expectation.
fn differences(
    name: &str,
    wanted: &Wanted,
    decision: &Decision,
    coverage: &Coverage,
) -> Vec<Finding> {
    let Decision {
        outcome,
        verdict,
        dry_run,
        ..
    } = decision;
    let effects = wanted
        .effect
        .as_ref()
        .filter(|wanted| wanted.value != outcome.effect())
        .map(|wanted| {
            let what = format!(
                "wanted effect {}, got {}",
                spelt(wanted.value),
                spelt(outcome.effect())
            );
            difference(name, &wanted.place, what, verdict)
        });
    let expired = verdict
        .expired
        .as_ref()
        .map(|info| info.id.to_string())
        .unwrap_or_default();
    let texts = [
        ("gate", &wanted.gate, verdict.gate()),
        ("expired", &wanted.expired, expired.as_str()),
    ];
    let texts = texts.into_iter().filter_map(|(field, wanted, got)| {
        let wanted = wanted.as_ref().filter(|wanted| wanted.value != got)?;
        let what = format!("wanted {field} `{}`, got `{got}`", wanted.value);
        Some(difference(name, &wanted.place, what, verdict))
    });
    let mut found = answer_differences(name, "", &wanted.verdict, verdict, coverage);
    found.extend(answer_differences(
        name,
        "dry run ",
        &wanted.dry_run,
        dry_run,
        coverage,
    ));
    found.extend(effects.into_iter().chain(texts));
    found
}

/// Returns how an answer differs. If the effect differs, reason and rule differ too, and the note
/// contains them.
fn answer_differences(
    name: &str,
    which: &str,
    wanted: &WantedAnswer,
    answer: &Answer,
    coverage: &Coverage,
) -> Vec<Finding> {
    if let Some(wanted) = wanted
        .effect
        .as_ref()
        .filter(|wanted| wanted.value != answer.effect())
    {
        let what = format!(
            "wanted {which}{}, got {}",
            spelt(wanted.value),
            spelt(answer.effect())
        );
        return vec![difference(name, &wanted.place, what, answer)];
    }
    let reason = wanted
        .reason
        .as_ref()
        .filter(|wanted| wanted.value != answer.reason)
        .map(|wanted| {
            let what = format!(
                "wanted {which}reason `{}`, got `{}`",
                wanted.value.as_str(),
                answer.reason.as_str()
            );
            difference(name, &wanted.place, what, answer)
        });
    let got = answer.rule.to_string();
    let rule = wanted
        .rule
        .as_ref()
        .filter(|wanted| wanted.value != got)
        .map(|wanted| {
            let what = format!("wanted {which}rule `{}`, got `{got}`", wanted.value);
            Finding {
                help: unknown_rule(&wanted.value, coverage),
                ..difference(name, &wanted.place, what, answer)
            }
        });
    reason.into_iter().chain(rule).collect()
}

fn difference(name: &str, place: &Place, what: String, answer: &Answer) -> Finding {
    Finding {
        severity: Severity::Error,
        code: "case",
        place: place.clone(),
        text: format!("case `{name}`: {what}"),
        note: Some(format!("the answer is {}", describe(answer))),
        help: None,
    }
}

/// Returns a hint if an expected rule does not exist at all.
fn unknown_rule(wanted: &str, coverage: &Coverage) -> Option<String> {
    let ids: Vec<&str> = coverage.ids().collect();
    let exists = |id: &str| id.starts_with("builtin#") || ids.contains(&id);
    let unknown = wanted.split(',').find(|id| !exists(id))?;
    Some(match suggestion::nearest(unknown, &ids) {
        Some(meant) => format!("there is no rule `{unknown}`; did you mean `{meant}`?"),
        None => format!("there is no rule `{unknown}`"),
    })
}

/// Describes an answer: effect, reason, rule, and the rule's place.
pub(super) fn describe(answer: &Answer) -> String {
    let origin = answer
        .rule
        .info()
        .map(|info| format!(", at {}", info.origin()))
        .unwrap_or_default();
    format!(
        "{}: {} by {}{origin}",
        spelt(answer.effect()),
        answer.reason.as_str(),
        answer.rule
    )
}

/// Returns an effect as test cases spell it.
fn spelt(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    }
}
