//! `customs replay`: decides recorded requests again with other policies, and prints what changes.
//!
//! Each decision of an audit log is decided by the new set at its recorded time, and compared with
//! the recorded answer. The rule: what a record cannot answer is counted apart, with the cause, and
//! never guessed. The exit code is 0 if no verdict changes but the expected ones and every decision
//! was answered; 1 if another verdict changes, or if a required change did not happen; 3 if no
//! other verdict changes, but some decision is unanswerable or lost; 2 for no answer.

use std::path::Path;
use std::process::ExitCode;

pub(super) mod answer_cache;
mod counts;
mod expected;
pub(super) mod flips;
mod report;

use super::recorded;
use super::render::print_problems;
use super::source_map::SourceMap;
use super::sources;
use super::{
    BAD_SETTING, FAILED, print_error, print_json, print_lines, refuse_settings, with_resolved,
};
use crate::app::cli::{ReplayArgs, ReplayFormat};
use crate::app::policy_paths::directories;
use crate::app::settings::Resolved;
use answer_cache::AnswerCache;
use counts::ReplayCounts;
use customs_engine::snapshot::Snapshot;
use customs_policy::problem::Problem;
use customs_record::recorded_request::RecordedPolicies;
use customs_sources::PolicyDirectory;
use expected::{Expectations, ExpectedFlip};
use report::Report;

/// Nothing contradicts the expectation, but not every decision could be decided again.
const NOT_ALL_ANSWERED: u8 = 3;

/// Replays, and prints the result.
pub(super) fn run(args: ReplayArgs) -> ExitCode {
    with_resolved(args.settings.settings(), |settings| {
        replay(&args, settings).unwrap_or_else(|code| code)
    })
}

fn replay(args: &ReplayArgs, settings: &Resolved) -> Result<ExitCode, ExitCode> {
    let snapshot = load(args, settings)?;
    let expected = args
        .expect
        .as_deref()
        .map(read_expected)
        .transpose()?
        .unwrap_or_default();
    let answers = AnswerCache::new(RecordedPolicies::new(snapshot));
    let period = recorded::period(&args.time)?;
    let counts = || ReplayCounts::new(&answers, period);
    let (counts, is_read) = recorded::fold(&args.records, "replaying", counts)?;
    let totals = counts.finish();
    if totals.log.decisions == 0 {
        let why = totals.log.nothing_found(period);
        print_error(&format!("no decision to replay: {why}"));
        return Err(ExitCode::from(BAD_SETTING));
    }
    let checked = Expectations::check(expected, &totals.flips);
    let report = Report {
        revision: answers.revision(),
        counts: &totals,
        expectations: args.expect.is_some().then_some(&checked),
        period,
        top: args.top,
    };
    match args.format {
        ReplayFormat::Human => print_lines(&report::lines(&report)),
        ReplayFormat::Json => print_json(&report::json(&report)),
    }
    Ok(exit_code(args, &report, &checked, is_read))
}

fn exit_code(
    args: &ReplayArgs,
    report: &Report<'_>,
    checked: &Expectations,
    is_read: bool,
) -> ExitCode {
    let is_missed = args.require_expected && checked.is_missed();
    if checked.unexpected > 0 || checked.is_out_of_bounds() || is_missed {
        return ExitCode::from(FAILED);
    }
    if !is_read {
        return ExitCode::from(BAD_SETTING);
    }
    if report.counts.is_complete() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_ALL_ANSWERED)
    }
}

/// Loads the new set; what is wrong with it is printed.
fn load(args: &ReplayArgs, settings: &Resolved) -> Result<Snapshot, ExitCode> {
    let directories = directories("--policies", &args.policies)
        .map_err(|wrong| refuse_settings(&wrong.into()))?;
    load_set(&directories, settings)
}

/// Loads a set as `serve` does; what is wrong with it is printed.
pub(super) fn load_set(
    directories: &[PolicyDirectory],
    settings: &Resolved,
) -> Result<Snapshot, ExitCode> {
    let found = sources::load(directories, &settings.engine);
    let errors: Vec<&Problem> = found.problems.iter().filter(|p| p.is_error()).collect();
    match (found.snapshot, errors.as_slice()) {
        (Some(snapshot), []) => Ok(snapshot),
        _ => {
            print_problems(&found.source_map, errors);
            print_error("the policies do not load, so no record can be decided by them");
            Err(ExitCode::from(BAD_SETTING))
        }
    }
}

/// Reads the file of expected flips; what is wrong with it is printed.
fn read_expected(path: &Path) -> Result<Vec<ExpectedFlip>, ExitCode> {
    let file = path.display().to_string();
    let bytes = sources::bytes(path).map_err(|why| {
        print_error(&format!("--expect: cannot read {file}: {why}"));
        ExitCode::from(BAD_SETTING)
    })?;
    let mut problems = Vec::new();
    let flips = expected::read(&file, &bytes, &mut problems);
    if problems.is_empty() {
        return Ok(flips);
    }
    let mut source_map = SourceMap::default();
    source_map.add(file, bytes);
    print_problems(&source_map, &problems);
    print_error("--expect: the file is invalid, so nothing was replayed");
    Err(ExitCode::from(BAD_SETTING))
}
