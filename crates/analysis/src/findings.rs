//! Findings that only a whole set shows: rules that never match, that others cover, or that others
//! overrule; grants that expire; gates that no rule opens; patterns that cover less than they seem
//! to. Findings never change a verdict.
//!
//! Every reported finding is certain. Findings that are expensive to prove are not reported: rules
//! are compared in pairs, never against several at once, and a limit on comparisons keeps the cost
//! of a large set below that of reading it.

mod candidates;
mod clashes;
mod covers;
mod expiry;
mod gates;
mod hosts;
mod never;
mod overlap;

use std::collections::BTreeMap;

use candidates::Budget;
use customs_engine::enforcement::Enforcement;
use customs_engine::rule::Rule;
use customs_engine::rule_info::{RuleId, RuleInfo};
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::problem::{Code, Place, Problem, Severity};

/// The default number of days for which expiring grants are reported in advance.
pub const EXPIRY_DAYS: u32 = 14;
/// The most comparisons of two rules for one set.
const COMPARISONS: usize = 2_000_000;
/// The most findings of one code that are listed.
const MOST_OF_A_CODE: usize = 1_000;

/// Which expiring grants are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// The current time. Without it, expiring grants are not reported.
    pub now: Option<UnixNanos>,
    /// The number of days ahead; 0 reports expired grants only.
    pub days: u32,
}

impl Horizon {
    /// Returns the horizon of a server.
    pub fn at(now: UnixNanos) -> Horizon {
        Horizon {
            now: Some(now),
            days: EXPIRY_DAYS,
        }
    }
}

/// Returns every finding of a set: warnings before notes, each in the order of places.
pub fn findings(snapshot: &Snapshot, horizon: Horizon) -> Vec<Problem> {
    let rules = snapshot.rules();
    let mut budget = Budget::new(COMPARISONS);
    let mut found = Vec::new();
    never::look(snapshot, &mut found);
    clashes::look(snapshot, &mut budget, &mut found);
    gates::look(snapshot, &mut budget, &mut found);
    hosts::look(rules, &mut found);
    expiry::look(rules, horizon, &mut found);
    found.sort_by(|a, b| {
        (a.severity, &a.place, a.code, &a.text).cmp(&(b.severity, &b.place, b.code, &b.text))
    });
    found.dedup();
    limit(&mut found);
    if budget.is_spent() {
        let what = format!(
            "the set is too large to compare all rules: the search stopped after {COMPARISONS} comparisons"
        );
        found.push(Problem::note(Code::LeftOff, nowhere(snapshot), what));
    }
    found
}

/// Returns only the grants that have expired or expire soon, which a server reports to its
/// operators.
pub fn expirations(snapshot: &Snapshot, horizon: Horizon) -> Vec<Problem> {
    let mut found = Vec::new();
    expiry::look(snapshot.rules(), horizon, &mut found);
    limit(&mut found);
    found
}

/// Keeps the first findings of each code, and adds a note with the number of the others.
fn limit(found: &mut Vec<Problem>) {
    let mut counts: BTreeMap<Code, (usize, Place)> = BTreeMap::new();
    found.retain(|problem| {
        let (count, _) = counts
            .entry(problem.code)
            .or_insert_with(|| (0, problem.place.clone()));
        *count += 1;
        *count <= MOST_OF_A_CODE
    });
    for (code, (count, place)) in counts
        .into_iter()
        .filter(|(_, (count, _))| *count > MOST_OF_A_CODE)
    {
        let what = format!(
            "{} more findings of `{}` are not listed",
            count - MOST_OF_A_CODE,
            code.as_str()
        );
        found.push(Problem::note(Code::LeftOff, place, what));
    }
}

/// Returns the place of findings about the set as a whole: that of its first rule or policy.
fn nowhere(snapshot: &Snapshot) -> Place {
    let rules = snapshot.rules();
    let first = [&rules.denies, &rules.istio_allows, &rules.grants]
        .into_iter()
        .find_map(|list| list.first());
    first.map(|rule| place(&rule.info)).unwrap_or_default()
}

/// Returns the id of a rule.
fn id(info: &RuleInfo) -> &RuleId {
    &info.id
}

/// Returns the place of a rule.
fn place(info: &RuleInfo) -> Place {
    info.place.clone()
}

/// Returns the id and the place of a rule, for messages.
fn named(info: &RuleInfo) -> String {
    format!("`{}` at {}", id(info), info.place.file_and_line())
}

/// Whether one rule is in force whenever another is.
fn in_force_with(one: &Rule, other: &Rule) -> bool {
    one.mode == Enforcement::Enforce || other.mode == Enforcement::Report
}

fn warning(code: Code, info: &RuleInfo, what: impl Into<String>) -> Problem {
    Problem::warning(code, place(info), what)
}

fn note(code: Code, info: &RuleInfo, what: impl Into<String>) -> Problem {
    Problem {
        severity: Severity::Note,
        ..warning(code, info, what)
    }
}

#[cfg(test)]
mod tests;
