//! What a change of policies lets through or stops: two sets compared by their rules and by their answers.
//!
//! Answers are compared question by question: `sample_requests` draws them from the rules' own values, and
//! both sets decide each as a server would. What is not asked is not known to be equal, so the outcome says how much was
//! asked and what was left out. Both sets have the same settings; nothing here looks at files.

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

/// In what two decisions of one question differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shift {
    /// It was denied and is allowed.
    Allowed,
    /// It was allowed and is denied.
    Denied,
    /// The verdict is the same, and what it would be with everything on trial enforced is not.
    DryRun,
    /// Only the reason or the rule differs.
    Reason,
}

impl Shift {
    /// Every shift, those that matter most first.
    pub const ALL: [Shift; 4] = [Shift::Allowed, Shift::Denied, Shift::DryRun, Shift::Reason];

    /// Whether the verdict is another one.
    pub fn is_verdict(self) -> bool {
        matches!(self, Shift::Allowed | Shift::Denied)
    }
}

/// How one question is answered by two sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shifted {
    /// In what the answers differ.
    pub shift: Shift,
    /// The old answer: the verdict, or what would be where that differs.
    pub old: Answer,
    /// The new one.
    pub new: Answer,
}

impl Shifted {
    /// Compares two decisions; `None` if they say the same.
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

/// A question whose answer changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictChange {
    /// Who asks.
    pub caller: SampleCaller,
    /// Where to.
    pub destination: SampleDestination,
}

/// All questions whose answer changes in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How.
    pub answers: Shifted,
    /// The questions, in the order in which they were asked.
    pub changes: Vec<VerdictChange>,
}

/// How two sets differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// The rules that differ, in the order of ids.
    pub rules: Vec<RuleChange>,
    /// The answers that differ, those that matter most first.
    pub groups: Vec<Group>,
    /// How many questions were asked.
    pub asked: usize,
    /// How many more there would have been, at most.
    pub left_out: usize,
}

impl Diff {
    /// Whether some verdict is another one.
    pub fn changes_verdicts(&self) -> bool {
        self.groups
            .iter()
            .any(|group| group.answers.shift.is_verdict())
    }
}

/// Compares two sets at one moment.
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
