//! What a change of policies allows or denies: compares two sets by their rules and by their
//! answers.
//!
//! The answers are compared region by region ([`regions`](super::regions)): every request for which
//! something that changed matters is in a cell, and both sets are asked one request of each cell. So
//! a difference that is not reported does not exist, unless a region is left. Both sets have the
//! same settings. This module reads no files.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::regions::{Cell, LeftRegion, SampleRequest, Space};
pub use super::rule_changes::{Change, RuleChange};
use customs_engine::decision::{Answer, Decision};
use customs_engine::effect::Effect;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;

/// The most cells that both sets are asked.
pub const BUDGET: usize = 5_000_000;

/// The most regions that are kept of one group; the others are counted.
const MAX_REGIONS: usize = 10_000;

/// The most callers that are kept of one region; the others are counted.
const MAX_CALLERS: usize = 1_000;

/// How two decisions of one request differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shift {
    /// It was denied and is allowed.
    Allowed,
    /// It was allowed and is denied.
    Denied,
    /// The verdict is the same, but the dry-run answer differs.
    DryRun,
    /// Only the reason or the rule differs.
    Reason,
}

impl Shift {
    /// Every shift, the most important first.
    pub const ALL: [Shift; 4] = [Shift::Allowed, Shift::Denied, Shift::DryRun, Shift::Reason];

    /// Whether the verdict differs.
    pub fn is_verdict(self) -> bool {
        matches!(self, Shift::Allowed | Shift::Denied)
    }
}

/// The answers of two sets to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shifted {
    /// How the answers differ.
    pub shift: Shift,
    /// The old answer: the verdict, or the dry-run answer if only that differs.
    pub old: Answer,
    /// The new answer.
    pub new: Answer,
}

impl Shifted {
    /// Compares two decisions. Returns `None` if they are the same.
    pub fn between(old: &Decision, new: &Decision) -> Option<Shifted> {
        let same = |old: &Answer, new: &Answer| {
            old.reason == new.reason
                && (old.rule == new.rule || old.rule.to_string() == new.rule.to_string())
        };
        let (shift, is_verdict) = match (old.verdict.effect(), new.verdict.effect()) {
            (Effect::Deny, Effect::Allow) => (Shift::Allowed, true),
            (Effect::Allow, Effect::Deny) => (Shift::Denied, true),
            _ if old.dry_run.effect() != new.dry_run.effect() => (Shift::DryRun, false),
            _ if !same(&old.verdict, &new.verdict) => (Shift::Reason, true),
            _ if !same(&old.dry_run, &new.dry_run) => (Shift::Reason, false),
            _ => return None,
        };
        let answer = |decision: &Decision| match is_verdict {
            true => decision.verdict.clone(),
            false => decision.dry_run.clone(),
        };
        Some(Shifted {
            shift,
            old: answer(old),
            new: answer(new),
        })
    }
}

/// Requests whose answer changes in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The callers, as policies write them.
    pub callers: BTreeSet<String>,
    /// How many more callers there are.
    pub more_callers: usize,
    /// The destinations, and what else the requests have in common.
    pub destination: String,
    /// One of the requests, which both sets were asked.
    pub witness: SampleRequest,
}

/// All regions whose answer changes in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How the answers differ.
    pub answers: Shifted,
    /// The regions, in the order in which they were found.
    pub regions: Vec<Region>,
    /// How many more regions there are.
    pub more: usize,
}

impl Group {
    /// How many regions there are.
    pub fn count(&self) -> usize {
        self.regions.len() + self.more
    }
}

/// A region of which nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The region, and why it was left, in words.
    pub words: String,
    /// A request near it.
    pub sample: Option<SampleRequest>,
}

/// How two sets differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// The rules that differ, in the order of ids.
    pub rules: Vec<RuleChange>,
    /// The answers that differ, the most important first.
    pub groups: Vec<Group>,
    /// The number of requests that both sets were asked, one of each cell.
    pub asked: usize,
    /// What was not compared. If this is empty, every difference in effect is in `groups`.
    pub left: Vec<Left>,
}

impl Diff {
    /// Whether any verdict differs.
    pub fn changes_verdicts(&self) -> bool {
        self.groups
            .iter()
            .any(|group| group.answers.shift.is_verdict())
    }

    /// Whether every difference is known.
    pub fn is_proved(&self) -> bool {
        self.left.is_empty()
    }
}

/// Compares two sets at one time.
pub fn diff(old: &Snapshot, new: &Snapshot, now: UnixNanos) -> Diff {
    diff_within(old, new, now, BUDGET)
}

/// Compares two sets, asking them no more than so many requests.
fn diff_within(old: &Snapshot, new: &Snapshot, now: UnixNanos, budget: usize) -> Diff {
    let space = Space::new(&[old, new], &[], now);
    let mut found = Found::default();
    let mut left = Vec::new();
    let outcome = space.explore_changes(budget, |cell| {
        if let [old, new] = cell.decisions()
            && let Some(answers) = Shifted::between(old, new)
        {
            match cell.witness() {
                Some(witness) => found.add(answers, cell, witness),
                None if answers.shift != Shift::Reason => left.push(cell.to_left()),
                None => {}
            }
        }
        ControlFlow::Continue(())
    });
    let in_words = |region: &LeftRegion<'_>| Left {
        words: region.to_string(),
        sample: region.sample().cloned(),
    };
    Diff {
        rules: super::rule_changes::between(old.rules(), new.rules()),
        groups: found
            .groups
            .into_values()
            .map(|found| found.group)
            .collect(),
        asked: outcome.asked,
        left: outcome.left.iter().chain(&left).map(in_words).collect(),
    }
}

/// The groups in the making.
#[derive(Default)]
struct Found {
    groups: BTreeMap<(Shift, [String; 2]), FoundGroup>,
}

struct FoundGroup {
    group: Group,
    /// The number of the region of each destination.
    numbers: BTreeMap<String, usize>,
}

impl Found {
    fn add(&mut self, answers: Shifted, cell: &Cell<'_>, witness: &SampleRequest) {
        let said = |answer: &Answer| format!("{} {}", answer.reason.as_str(), answer.rule);
        let key = (answers.shift, [said(&answers.old), said(&answers.new)]);
        let found = self.groups.entry(key).or_insert_with(|| FoundGroup {
            group: Group {
                answers,
                regions: Vec::new(),
                more: 0,
            },
            numbers: BTreeMap::new(),
        });
        let (group, destination) = (&mut found.group, cell.destination());
        let number = found.numbers.get(&destination).copied();
        if number.is_none() && group.regions.len() >= MAX_REGIONS {
            group.more += 1;
            return;
        }
        let number = number.unwrap_or_else(|| {
            found
                .numbers
                .insert(destination.clone(), group.regions.len());
            group.regions.push(Region {
                callers: BTreeSet::new(),
                more_callers: 0,
                destination,
                witness: witness.clone(),
            });
            group.regions.len() - 1
        });
        let Some(region) = group.regions.get_mut(number) else {
            return;
        };
        for caller in cell.callers() {
            match region.callers.len() < MAX_CALLERS || region.callers.contains(&caller) {
                true => drop(region.callers.insert(caller)),
                false => region.more_callers += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests;
