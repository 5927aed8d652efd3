//! What only reading a whole set shows: rules that never speak, that say what others say, or that others overrule;
//! grants that end; gates that nobody opens; patterns that cover less than they seem to. Nothing here changes a verdict.
//!
//! A finding is only told where it is so. What cannot be told cheaply is not told: rules are compared by pairs, never
//! against several at once, and a bound on comparisons keeps a large set from costing more than its reading.

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

/// For how many days grants that end are told ahead, where nobody says otherwise.
pub const EXPIRY_DAYS: u32 = 14;
/// How many comparisons of two rules one set may take.
const COMPARISONS: usize = 2_000_000;
/// How many findings of one code are told.
const MOST_OF_A_CODE: usize = 1_000;

/// Which ends of grants are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// The moment; with none, nothing is told of ends.
    pub now: Option<UnixNanos>,
    /// How many days ahead; 0 is only what has ended.
    pub days: u32,
}

impl Horizon {
    /// As a server looks ahead.
    pub fn at(now: UnixNanos) -> Horizon {
        Horizon {
            now: Some(now),
            days: EXPIRY_DAYS,
        }
    }
}

/// Every finding of a set: warnings before notes, each in the order of places.
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

/// The grants that have ended or end soon, alone: what a server tells whoever runs it.
pub fn expirations(snapshot: &Snapshot, horizon: Horizon) -> Vec<Problem> {
    let mut found = Vec::new();
    expiry::look(snapshot.rules(), horizon, &mut found);
    limit(&mut found);
    found
}

/// Keeps the first findings of each code, and tells how many there are more.
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

/// The place of what is about the set as a whole: that of its first rule or policy.
fn nowhere(snapshot: &Snapshot) -> Place {
    let rules = snapshot.rules();
    let first = [&rules.denies, &rules.istio_allows, &rules.grants]
        .into_iter()
        .find_map(|list| list.first());
    first.map(|rule| place(&rule.info)).unwrap_or_default()
}

/// What a rule is called.
fn id(info: &RuleInfo) -> &RuleId {
    &info.id
}

/// Where a rule stands.
fn place(info: &RuleInfo) -> Place {
    info.place.clone()
}

/// What a rule is called and where it stands.
fn named(info: &RuleInfo) -> String {
    format!("`{}` at {}", id(info), info.place.file_and_line())
}

/// Whether one rule is in force wherever another is.
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
