//! Prints the results of `customs test`: as text, JSON or JUnit XML.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::cases::Case;
use super::coverage::{Coverage, Uncovered};
use super::finding::Finding;
use super::lint::ProblemLine;
use super::render::{self, Painter};
use super::source_map::SourceMap;
use super::{counted, print_document, print_lines};
use crate::app::terminal::{Line, Terminal, Tone};
use customs_policy::problem::Problem;

/// All results.
pub(super) struct Report {
    /// One suite for each set.
    pub suites: Vec<Suite>,
    /// The text of every file that was read.
    pub source_map: SourceMap,
}

/// The cases of one set.
pub(super) struct Suite {
    /// The set's directories.
    pub name: String,
    /// When it began.
    pub began: Timestamp,
    /// How long it took to load the set and to run its cases.
    pub took: Duration,
    /// The revision of the set, if it loads.
    pub revision: Option<String>,
    /// The problems that prevented cases from running.
    pub problems: Vec<Problem>,
    /// The notes and warnings, which do not prevent cases from running.
    pub notes: Vec<Problem>,
    /// The cases that were run.
    pub results: Vec<CaseResult>,
    /// The rules that the cases exercised.
    pub coverage: Coverage,
}

/// The result of a case.
pub(super) struct CaseResult {
    /// The case.
    pub case: Case,
    /// How long the decision and its comparison took.
    pub took: Duration,
    /// The differences from the expected answer.
    pub failures: Vec<Finding>,
}

impl Report {
    /// Returns whether every case ran and got the expected answers.
    pub(super) fn is_good(&self) -> bool {
        self.suites
            .iter()
            .all(|suite| suite.problems.is_empty() && suite.failed() == 0)
    }
}

impl Suite {
    /// Returns the number of cases that failed.
    pub(super) fn failed(&self) -> usize {
        self.results
            .iter()
            .filter(|result| !result.failures.is_empty())
            .count()
    }
}

/// The totals.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Totals {
    cases: usize,
    passed: usize,
    failed: usize,
    errors: usize,
    rules: usize,
    exercised: usize,
}

impl Totals {
    fn of<'s>(suites: impl IntoIterator<Item = &'s Suite>) -> Totals {
        suites.into_iter().fold(Totals::default(), |totals, suite| {
            let (cases, failed, rules) =
                (suite.results.len(), suite.failed(), suite.coverage.rules());
            Totals {
                cases: totals.cases + cases,
                passed: totals.passed + cases - failed,
                failed: totals.failed + failed,
                errors: totals.errors + suite.problems.len(),
                rules: totals.rules + rules,
                exercised: totals.exercised + rules - suite.coverage.missing().len(),
            }
        })
    }

    fn line(&self, suite: &str) -> Line {
        let Totals {
            cases,
            passed,
            failed,
            errors,
            rules,
            exercised,
        } = *self;
        let errors = if errors == 0 {
            String::new()
        } else {
            format!(", {}", counted(errors, "error"))
        };
        let (cases, rules) = (counted(cases, "case"), counted(rules, "rule"));
        let tone = match failed == 0 && errors.is_empty() {
            true => Tone::Good,
            false => Tone::Bad,
        };
        Line::of(suite)
            .then(
                tone,
                format!("{cases}: {passed} passed, {failed} failed{errors}"),
            )
            .then(Tone::Plain, format!("; {exercised} of {rules} exercised"))
            .hanging(2)
    }
}

/// Returns every problem and every failure as an annotation for GitHub, and the totals as the last
/// line.
pub(super) fn annotations(report: &Report) -> String {
    let mut out = String::new();
    let mut add = |finding: &Finding| out.push_str(&render::github(finding, &report.source_map));
    for suite in &report.suites {
        let problems = suite.problems.iter().chain(&suite.notes);
        problems.for_each(|problem| add(&Finding::from(problem)));
        let failures = suite.results.iter().flat_map(|result| &result.failures);
        failures.for_each(&mut add);
    }
    let totals = Totals::of(&report.suites).line("");
    out.push_str(&Terminal::NONE.render(&[totals]));
    out
}

/// Prints a report as text.
pub(super) fn human(report: &Report) {
    let painter = Painter::for_stdout(&report.source_map);
    for suite in &report.suites {
        suite
            .problems
            .iter()
            .chain(&suite.notes)
            .for_each(|problem| print_document(&painter.paint(&Finding::from(problem))));
        let failures = suite.results.iter().flat_map(|result| &result.failures);
        failures.for_each(|failure| print_document(&painter.paint(failure)));
        let mut lines: Vec<Line> = suite.coverage.missing().iter().map(not_exercised).collect();
        if report.suites.len() > 1 {
            lines.push(Totals::of([suite]).line(&format!("{}: ", suite.name)));
        }
        print_lines(&lines);
    }
    let has_problem = |suite: &Suite| !(suite.problems.is_empty() && suite.notes.is_empty());
    if report.suites.iter().any(has_problem) {
        print_lines(&[Line::of(render::MORE)]);
    }
    print_lines(&[Totals::of(&report.suites).line("")]);
}

fn not_exercised(rule: &Uncovered) -> Line {
    Line::default()
        .then(Tone::Mark, "not exercised")
        .then(Tone::Plain, format!(": {}", rule.id))
        .then(Tone::Quiet, format!(" ({})", rule.origin))
        .hanging(2)
}

/// Returns a report as one JSON document.
pub(super) fn document(report: &Report) -> Value {
    let suites: Vec<Value> = report
        .suites
        .iter()
        .map(|suite| suite_document(suite, &report.source_map))
        .collect();
    json!({"version": 1, "totals": Totals::of(&report.suites), "suites": suites})
}

fn suite_document(suite: &Suite, source_map: &SourceMap) -> Value {
    let lines = |problems: &'_ [Problem]| -> Vec<Value> {
        problems
            .iter()
            .map(|problem| json!(ProblemLine::of(problem, source_map)))
            .collect()
    };
    let cases: Vec<Value> = suite.results.iter().map(case_document).collect();
    json!({
        "name": suite.name,
        "totals": Totals::of([suite]),
        "problems": lines(&suite.problems),
        "notes": lines(&suite.notes),
        "cases": cases,
        "notExercised": suite.coverage.missing(),
    })
}

fn case_document(result: &CaseResult) -> Value {
    let failure = |failure: &Finding| {
        json!({
            "line": failure.place.line,
            "column": failure.place.column,
            "text": failure.text,
            "note": failure.note,
            "help": failure.help,
        })
    };
    json!({
        "name": result.case.name,
        "file": result.case.place.file,
        "line": result.case.place.line,
        "passed": result.failures.is_empty(),
        "failures": result.failures.iter().map(failure).collect::<Vec<_>>(),
    })
}
