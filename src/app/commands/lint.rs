//! `customs lint`: reports every problem of every policy file, as `serve` with the same settings
//! would, and fixes those for which only one fix can be meant.

mod edit;
mod fix;
mod input;
mod lines;

use std::process::ExitCode;

use serde::Serialize;

use super::finding::Finding;
use super::render::{self, Painter};
use super::source_map::SourceMap;
use super::sources::{self, Found, PolicyText};
use super::{
    BAD_SETTING, FAILED, counted, print, print_document, print_error, print_json, print_lines,
    sarif, verdict,
};
use crate::app::cli::{LintFormat, LintOptions};
use crate::app::settings::Resolved;
use crate::app::terminal::{Line, Tone};
use customs_analysis::findings::Horizon;
use customs_engine::time::UnixNanos;
use customs_policy::problem::{Problem, Severity};
pub(super) use edit::{Edit, LineChange, edit};
use fix::Fixed;
use input::LintInput;

/// Finds problems, fixes what can be fixed if that is wanted, and prints them.
pub(super) fn run(settings: &Resolved, options: &LintOptions) -> ExitCode {
    let now = options.now.map_or_else(customs_record::clock::now, |time| {
        UnixNanos(time.as_nanosecond())
    });
    let horizon = Horizon {
        now: Some(now),
        days: options.expiry_days,
    };
    let input = LintInput::read(&settings.policies, options.stdin_filename.as_ref());
    if options.fix && !options.diff && input.stdin.is_some() {
        print_error("stdin cannot be fixed in place; add --diff, which prints the changes");
        return ExitCode::from(BAD_SETTING);
    }
    let look = |changed: &[PolicyText]| {
        let mut found = match input.texts.is_empty() && input.directories.is_empty() {
            true => Found::default(),
            false => {
                let texts = with_changed(&input.texts, changed);
                sources::look(settings, &input.directories, &texts, horizon)
            }
        };
        found.problems.extend(input.problems.iter().cloned());
        if let Some(target) = options.target {
            found.require_version(target);
        }
        found
    };
    let found = look(&[]);
    if !options.fix {
        return report(&found, None, options);
    }
    if options.diff {
        let clean = is_clean(&Totals::of(&found), options);
        let fixed = fix::fix(found, &look);
        fixed.files.iter().for_each(|file| print(&file.diff()));
        return verdict(clean);
    }
    let fixed = fix::fix(found, &look);
    let mut written = true;
    for file in &fixed.files {
        if let Err(why) = file.write() {
            print_error(&format!("cannot write {}: {why}", file.name));
            written = false;
        }
    }
    match written {
        true => report(&fixed.found, Some(&fixed), options),
        false => ExitCode::from(FAILED),
    }
}

/// Returns the texts, with the changed ones in place of those of the same path or beside them.
fn with_changed(texts: &[PolicyText], changed: &[PolicyText]) -> Vec<PolicyText> {
    let is_kept = |text: &&PolicyText| changed.iter().all(|other| other.path != text.path);
    let kept = texts.iter().filter(is_kept);
    kept.chain(changed).cloned().collect()
}

/// Prints what was found and what was fixed, and returns the exit code.
fn report(found: &Found, fixed: Option<&Fixed>, options: &LintOptions) -> ExitCode {
    let totals = Totals::of(found);
    let findings: Vec<Finding> = found.problems.iter().map(Finding::from).collect();
    let edits = fixed.map_or(&[][..], |fixed| &fixed.edits);
    match options.format {
        LintFormat::Human => {
            edits
                .iter()
                .for_each(|edit| print_lines(&[fixed_line(edit)]));
            let painter = Painter::for_stdout(&found.source_map);
            findings
                .iter()
                .for_each(|finding| print_document(&painter.paint(finding)));
            print_lines(&[totals.line()]);
            print_lines(&advice(found, fixed));
        }
        LintFormat::Github => {
            edits
                .iter()
                .for_each(|edit| print_lines(&[fixed_line(edit)]));
            findings
                .iter()
                .for_each(|finding| print(&render::github(finding, &found.source_map)));
            print_lines(&[totals.line()]);
        }
        LintFormat::Json => print_json(&Report::of(found, &totals, fixed)),
        LintFormat::Sarif => {
            let docs = options.docs_url.as_deref();
            print_json(&sarif::log(&found.problems, &found.source_map, docs));
        }
    }
    verdict(is_clean(&totals, options))
}

fn is_clean(totals: &Totals, options: &LintOptions) -> bool {
    totals.errors == 0 && !(options.deny_warnings && totals.warnings > 0)
}

fn fixed_line(edit: &Edit) -> Line {
    Line::default()
        .then(Tone::Good, format!("fixed[{}]", edit.code))
        .then(Tone::Plain, format!(": {}: {}", edit.place, edit.what))
        .hanging(2)
}

/// Returns the lines after the totals: how much was fixed or can be, and how to learn more.
fn advice(found: &Found, fixed: Option<&Fixed>) -> Vec<Line> {
    let mut out = Vec::new();
    match fixed {
        Some(fixed) => {
            let (edits, files) = (fixed.edits.len(), fixed.files.len());
            let (edits, files) = (counted(edits, "problem"), counted(files, "file"));
            out.push(Line::of(format!("{edits} fixed in {files}")));
        }
        None => {
            let problems = found.problems.iter();
            let fixable = problems.filter_map(|problem| edit(problem, &found.source_map));
            if let count @ 1.. = fixable.count() {
                let count = counted(count, "problem");
                out.push(Line::of(format!("{count} can be fixed with --fix")));
            }
        }
    }
    if !found.problems.is_empty() {
        out.push(Line::of(render::MORE));
    }
    out
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

    fn line(&self) -> Line {
        let Totals {
            files,
            errors,
            warnings,
            notes,
        } = *self;
        let tone = match (errors, warnings) {
            (0, 0) => Tone::Good,
            (0, _) => Tone::Mark,
            (_, _) => Tone::Bad,
        };
        let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
        let (notes, files) = (counted(notes, "note"), counted(files, "file"));
        let total = format!("{errors}, {warnings}, {notes} in {files}");
        Line::default().then(tone, total)
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
    /// With `--fix`: what was fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    fixed: Option<Vec<FixedLine<'f>>>,
}

/// One fixed problem of the JSON document.
#[derive(Debug, Serialize)]
struct FixedLine<'f> {
    code: &'static str,
    file: &'f str,
    line: u32,
    column: u32,
    text: &'f str,
}

impl<'f> From<&'f Edit> for FixedLine<'f> {
    fn from(edit: &'f Edit) -> FixedLine<'f> {
        FixedLine {
            code: edit.code,
            file: &edit.place.file,
            line: edit.place.line,
            column: edit.place.column,
            text: &edit.what,
        }
    }
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
    fn of(found: &'f Found, totals: &Totals, fixed: Option<&'f Fixed>) -> Report<'f> {
        let problems = found
            .problems
            .iter()
            .map(|problem| ProblemLine::of(problem, &found.source_map))
            .collect();
        Report {
            version: 1,
            totals: *totals,
            problems,
            fixed: fixed.map(|fixed| fixed.edits.iter().map(FixedLine::from).collect()),
        }
    }
}
