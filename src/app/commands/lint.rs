//! `customs lint`: reports every problem of every policy file, as `serve` with the same settings
//! would.

use std::process::ExitCode;

use serde::Serialize;

use super::finding::Finding;
use super::render::{self, Painter};
use super::source_map::SourceMap;
use super::sources::{self, Found};
use super::{counted, print, print_document, print_json, sarif, verdict};
use crate::app::cli::{LintFormat, LintOptions};
use crate::app::settings::Resolved;
use customs_analysis::findings::Horizon;
use customs_engine::time::UnixNanos;
use customs_policy::problem::{Problem, Severity};

/// Finds problems and prints them.
pub(super) fn run(settings: &Resolved, options: &LintOptions) -> ExitCode {
    let LintOptions {
        format,
        deny_warnings,
        now,
        expiry_days,
        target,
    } = *options;
    let now = now.map_or_else(customs_record::clock::now, |time| {
        UnixNanos(time.as_nanosecond())
    });
    let horizon = Horizon {
        now: Some(now),
        days: expiry_days,
    };
    let mut found = sources::look(settings, horizon);
    if let Some(target) = target {
        found.require_version(target);
    }
    let totals = Totals::of(&found);
    let findings: Vec<Finding> = found.problems.iter().map(Finding::from).collect();
    match format {
        LintFormat::Human => {
            let painter = Painter::for_stdout(&found.source_map);
            findings
                .iter()
                .for_each(|finding| print_document(&painter.paint(finding)));
            print(&totals.line());
        }
        LintFormat::Github => {
            findings
                .iter()
                .for_each(|finding| print(&render::github(finding, &found.source_map)));
            print(&totals.line());
        }
        LintFormat::Json => print_json(&Report::of(&found, &totals)),
        LintFormat::Sarif => print_json(&sarif::log(&findings, &found.source_map)),
    }
    verdict(totals.errors == 0 && !(deny_warnings && totals.warnings > 0))
}

/// The number of problems by severity.
#[derive(Clone, Copy, Debug, Serialize)]
struct Totals {
    files: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
}

impl Totals {
    fn of(found: &Found) -> Totals {
        let count = |severity| {
            found
                .problems
                .iter()
                .filter(|p| p.severity == severity)
                .count()
        };
        Totals {
            files: found.source_map.len(),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
        }
    }

    fn line(&self) -> String {
        let Totals {
            files,
            errors,
            warnings,
            notes,
        } = *self;
        let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
        format!(
            "{errors}, {warnings}, {} in {}\n",
            counted(notes, "note"),
            counted(files, "file")
        )
    }
}

/// The JSON document.
#[derive(Debug, Serialize)]
struct Report<'f> {
    /// The version of this format.
    version: u32,
    #[serde(flatten)]
    totals: Totals,
    problems: Vec<ProblemLine<'f>>,
}

/// One problem of the JSON document. Line and column are 0 for a problem of a whole file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProblemLine<'f> {
    code: &'static str,
    severity: &'static str,
    file: &'f str,
    line: u32,
    column: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_column: Option<usize>,
    text: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'f str>,
}

impl<'f> ProblemLine<'f> {
    /// Converts a problem, with the text at its place.
    pub(super) fn of(problem: &'f Problem, source_map: &SourceMap) -> ProblemLine<'f> {
        ProblemLine {
            code: problem.code.as_str(),
            severity: problem.severity.as_str(),
            file: &problem.place.file,
            line: problem.place.line,
            column: problem.place.column,
            end_column: source_map
                .mark(&problem.place)
                .map(|marked| marked.end_column()),
            text: &problem.text,
            hint: problem.hint.as_deref(),
        }
    }
}

impl<'f> Report<'f> {
    fn of(found: &'f Found, totals: &Totals) -> Report<'f> {
        let problems = found
            .problems
            .iter()
            .map(|problem| ProblemLine::of(problem, &found.source_map))
            .collect();
        Report {
            version: 1,
            totals: *totals,
            problems,
        }
    }
}
