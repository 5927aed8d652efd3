//! `customs diff`: shows what a change of policies newly allows or denies, before it is merged.
//!
//! Both sets are loaded as `serve` would, with the same settings. `customs_analysis` compares their
//! answers to all requests, region by region, and this module compares their answers to the test
//! cases. The exit code is 0 if it is proved that no verdict differs, 1 if some do, 2 if a set does
//! not load, and 3 if no verdict is known to differ and a region was not compared. Differences in
//! the dry run, the reason or the rule alone are printed and do not fail.

use std::collections::BTreeSet;
use std::process::ExitCode;

use super::cases::{Case, Expected, Wanted, WantedAnswer};
use super::diff_report::{self, CaseChange, Cases, Report};
use super::finding::Finding;
use super::lint::ProblemLine;
use super::render::{self, print_problems};
use super::source_map::SourceMap;
use super::sources;
use super::{
    BAD_SETTING, print, print_error, print_json, print_lines, refuse_settings, test, verdict,
    with_resolved,
};
use crate::app::cli::{DiffArgs, DiffFormat};
use crate::app::explain::answer;
use crate::app::policy_paths::directories;
use customs_analysis::diff::{self, Shifted};
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::problem::Problem;
use customs_sources::PolicyDirectory;

/// The exit code if no verdict is known to differ, and a region was not compared.
const NOT_PROVED: u8 = 3;

/// Compares two sets and prints how they differ.
pub(super) fn run(args: DiffArgs) -> ExitCode {
    let (old, new, format) = (args.old.clone(), args.new.clone(), args.format);
    let now = args.now.map_or_else(customs_record::clock::now, |time| {
        UnixNanos(time.as_nanosecond())
    });
    with_resolved(args.settings.settings(), |settings| {
        let mut read = Read::default();
        let (old, new) = match (directories("OLD", &old), directories("NEW", &new)) {
            (Ok(old), Ok(new)) => (old, new),
            (old, new) => {
                for wrong in [old, new].into_iter().filter_map(Result::err) {
                    refuse_settings(&wrong.into());
                }
                return ExitCode::from(BAD_SETTING);
            }
        };
        let old = read.set(&old, &settings.engine);
        let new = read.set(&new, &settings.engine);
        let (Some(old), Some(new), []) = (old, new, read.problems.as_slice()) else {
            read.print_problems(format);
            print_error("the policies or their cases do not load, so there is nothing to compare");
            return ExitCode::from(BAD_SETTING);
        };
        let report = Report {
            diff: diff::diff(&old, &new, now),
            cases: ask(std::mem::take(&mut read.cases), &old, &new, now),
            own: settings.engine.trust_domains.own.clone(),
        };
        match format {
            DiffFormat::Human => print_lines(&diff_report::paper(&report)),
            DiffFormat::Json => print_json(&diff_report::document(&report)),
            DiffFormat::Github => print(&diff_report::annotations(&report, &read.source_map)),
        }
        match (report.changes_verdicts(), report.is_proved()) {
            (false, false) => ExitCode::from(NOT_PROVED),
            (differs, _) => verdict(!differs),
        }
    })
}

/// The two sets as they were read.
#[derive(Default)]
struct Read {
    source_map: SourceMap,
    problems: Vec<Problem>,
    cases: Vec<Case>,
}

impl Read {
    fn set(&mut self, directories: &[PolicyDirectory], settings: &Settings) -> Option<Snapshot> {
        let found = sources::load(directories, settings);
        self.problems
            .extend(found.problems.into_iter().filter(Problem::is_error));
        if found.snapshot.is_some() {
            let (_, cases) =
                test::cases_beside(&found.sources, &mut self.source_map, &mut self.problems);
            self.cases.extend(cases);
        }
        self.source_map.take_in(found.source_map);
        found.snapshot
    }

    fn print_problems(&self, format: DiffFormat) {
        match format {
            DiffFormat::Human => {
                print_problems(&self.source_map, &self.problems);
            }
            DiffFormat::Github => self.problems.iter().for_each(|problem| {
                print(&render::github(&Finding::from(problem), &self.source_map));
            }),
            DiffFormat::Json => {
                let problems: Vec<_> = self
                    .problems
                    .iter()
                    .map(|p| ProblemLine::of(p, &self.source_map))
                    .collect();
                print_json(&serde_json::json!({ "version": 1, "problems": problems }));
            }
        }
    }
}

/// Asks both sets the test cases of both; a case that is unchanged in both is asked once.
fn ask(cases: Vec<Case>, old: &Snapshot, new: &Snapshot, now: UnixNanos) -> Cases {
    let mut known = BTreeSet::new();
    let once: Vec<Case> = cases
        .into_iter()
        .filter(|case| known.insert(words(case)))
        .collect();
    let asked = once.len();
    let change = |case: Case| {
        let decisions = [old, new].map(|set| answer::decide(&case.query, set, now));
        let [before, after] = decisions;
        let holds = (test::passes(&case, &before), test::passes(&case, &after));
        let answers = Shifted::between(&before, &after);
        (answers.is_some() || holds.0 != holds.1).then_some(CaseChange {
            case,
            answers,
            holds,
        })
    };
    Cases {
        asked,
        changes: once.into_iter().filter_map(change).collect(),
    }
}

/// Returns a case without its place.
fn words(case: &Case) -> String {
    let Wanted {
        verdict,
        dry_run,
        effect,
        gate,
        expired,
    } = &case.wanted;
    let answer = |wanted: &WantedAnswer| {
        let WantedAnswer {
            effect,
            reason,
            rule,
        } = wanted;
        format!("{:?}", (value(effect), value(reason), value(rule)))
    };
    let answers = (
        answer(verdict),
        answer(dry_run),
        value(effect),
        value(gate),
        value(expired),
    );
    format!("{:?}", (&case.name, &case.query, answers))
}

fn value<T>(expected: &Option<Expected<T>>) -> Option<&T> {
    expected.as_ref().map(|expected| &expected.value)
}
