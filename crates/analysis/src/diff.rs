//! What a change of policies allows or denies: compares two sets by their rules and by their
//! answers.
//!
//! Both sets decide each sample request as a server would; `sample_requests` draws the samples from
//! the rules' own values. Requests that are not drawn are not known to have equal answers, so the
//! outcome counts the requests that were decided and those that were left out. Both sets have the
//! same settings. This module reads no files.

use std::collections::BTreeMap;

pub use super::rule_changes::{Change, RuleChange};
use super::sample_callers::SampleCaller;
use super::sample_destinations::SampleDestination;
use super::sample_requests::{SampleRequests, with_request};
use customs_engine::decision::{Answer, Decision};
use customs_engine::effect::Effect;
use customs_engine::rule_info::RuleId;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;

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
    pub fn between(old: Decision, new: Decision) -> Option<Shifted> {
        let same = |old: &Answer, new: &Answer| {
            old.reason == new.reason
                && (old.rule == new.rule || old.rule.to_string() == new.rule.to_string())
        };
        let verdict = match (old.verdict.effect(), new.verdict.effect()) {
            (Effect::Deny, Effect::Allow) => Some(Shift::Allowed),
            (Effect::Allow, Effect::Deny) => Some(Shift::Denied),
            _ if old.dry_run.effect() != new.dry_run.effect() => None,
            _ if !same(&old.verdict, &new.verdict) => Some(Shift::Reason),
            _ if same(&old.dry_run, &new.dry_run) => return None,
            _ => {
                return Some(Shifted {
                    shift: Shift::Reason,
                    old: old.dry_run,
                    new: new.dry_run,
                });
            }
        };
        Some(match verdict {
            Some(shift) => Shifted {
                shift,
                old: old.verdict,
                new: new.verdict,
            },
            None => Shifted {
                shift: Shift::DryRun,
                old: old.dry_run,
                new: new.dry_run,
            },
        })
    }
}

/// A request whose answer changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictChange {
    /// The caller.
    pub caller: SampleCaller,
    /// The destination.
    pub destination: SampleDestination,
}

/// All requests whose answer changes in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How the answers differ.
    pub answers: Shifted,
    /// The requests, in the order in which they were decided.
    pub changes: Vec<VerdictChange>,
}

/// How two sets differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// The rules that differ, in the order of ids.
    pub rules: Vec<RuleChange>,
    /// The answers that differ, the most important first.
    pub groups: Vec<Group>,
    /// The number of requests that were decided.
    pub asked: usize,
    /// The number of requests that were left out, at most.
    pub left_out: usize,
}

impl Diff {
    /// Whether any verdict differs.
    pub fn changes_verdicts(&self) -> bool {
        self.groups
            .iter()
            .any(|group| group.answers.shift.is_verdict())
    }
}

/// Compares two sets at one time.
pub fn diff(old: &Snapshot, new: &Snapshot, now: UnixNanos) -> Diff {
    let rules = super::rule_changes::between(old.rules(), new.rules());
    let differs = |id: &RuleId| rules.binary_search_by(|change| change.id.cmp(id)).is_ok();
    let requests = SampleRequests::draw(old, new, &differs);
    let mut groups: BTreeMap<(Shift, [String; 2]), Group> = BTreeMap::new();
    for (caller, destination) in requests.iter() {
        let ask = |set: &Snapshot| {
            with_request(caller, destination, set.settings(), |request| {
                set.decide(request, now)
            })
        };
        let Some(answers) = Shifted::between(ask(old), ask(new)) else {
            continue;
        };
        let said = |answer: &Answer| format!("{} {}", answer.reason.as_str(), answer.rule);
        let key = (answers.shift, [said(&answers.old), said(&answers.new)]);
        let group = groups.entry(key).or_insert_with(|| Group {
            answers,
            changes: Vec::new(),
        });
        group.changes.push(VerdictChange {
            caller: caller.clone(),
            destination: destination.clone(),
        });
    }
    Diff {
        rules,
        groups: groups.into_values().collect(),
        asked: requests.len(),
        left_out: requests.left_out,
    }
}

#[cfg(test)]
mod tests;
