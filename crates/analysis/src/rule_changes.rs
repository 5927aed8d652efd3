//! Finds the rules that differ between two sets. The id identifies a rule; its place in a file is
//! not a difference.

use std::collections::BTreeMap;
use std::sync::Arc;

use customs_engine::enforcement::Enforcement;
use customs_engine::rule::{Exception, Rule};
use customs_engine::rule_info::{RuleId, RuleInfo};
use customs_engine::rules::{EgressScope, Rules};

/// What a rule does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// It denies.
    Deny,
    /// It opens Istio's gate.
    IstioAllow,
    /// It opens the isolation gate.
    Grant,
    /// It isolates: a policy as a whole.
    Isolate,
    /// It marks the record.
    Audit,
}

/// A rule of a set, or a policy that isolates.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'s> {
    /// A rule.
    Rule(Action, &'s Rule),
    /// A policy that isolates.
    Isolation(&'s EgressScope),
}

impl<'s> Item<'s> {
    /// Returns everything in a set that can change an answer or mark the record, list by list.
    pub(crate) fn all(rules: &'s Rules) -> impl Iterator<Item = Item<'s>> {
        let of =
            |action, list: &'s [Arc<Rule>]| list.iter().map(move |rule| Item::Rule(action, rule));
        let isolating = rules
            .egress_policies
            .iter()
            .filter(|policy| policy.isolate)
            .map(|policy| Item::Isolation(policy));
        of(Action::Deny, &rules.denies)
            .chain(of(Action::IstioAllow, &rules.istio_allows))
            .chain(of(Action::Grant, &rules.grants))
            .chain(isolating)
            .chain(of(Action::Audit, &rules.audits))
    }

    /// Returns its information.
    pub(crate) fn info(self) -> &'s RuleInfo {
        match self {
            Item::Rule(_, rule) => &rule.info,
            Item::Isolation(policy) => &policy.info,
        }
    }

    /// Returns its action.
    pub(crate) fn action(self) -> Action {
        match self {
            Item::Rule(action, _) => action,
            Item::Isolation(_) => Action::Isolate,
        }
    }

    fn mode(self) -> Enforcement {
        match self {
            Item::Rule(_, rule) => rule.mode,
            Item::Isolation(policy) => policy.mode,
        }
    }

    /// Returns the parts in which two rules differ, as policies name them.
    fn parts(self, other: Item<'s>) -> Vec<&'static str> {
        let (old, new) = (self.info(), other.info());
        let mut parts = vec![
            ("action", self.action() != other.action()),
            ("mode", self.mode() != other.mode()),
            ("owner", old.owner() != new.owner()),
            ("reason", old.reason() != new.reason()),
            ("ticket", old.ticket() != new.ticket()),
            ("expires", old.expires() != new.expires()),
        ];
        match (self, other) {
            (Item::Rule(_, old), Item::Rule(_, new)) => parts.extend([
                ("callers", old.callers != new.callers),
                ("destinations", old.to != new.to),
                ("when", old.when != new.when),
                ("except", !same_exceptions(&old.except, &new.except)),
            ]),
            (Item::Isolation(old), Item::Isolation(new)) => {
                parts.push(("callers", old.subjects != new.subjects))
            }
            _ => {}
        }
        parts
            .into_iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| name)
            .collect()
    }
}

fn same_exceptions(old: &[Exception], new: &[Exception]) -> bool {
    let same = |(old, new): (&Exception, &Exception)| {
        (&old.callers, &old.to) == (&new.callers, &new.to) && old.info.says_the_same(&new.info)
    };
    old.len() == new.len() && old.iter().zip(new).all(same)
}

/// A rule that differs between two sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleChange {
    /// Its id; for an isolating policy, the id of the policy.
    pub id: RuleId,
    /// What happened to it.
    pub change: Change,
    /// Its place, `file:line`: in the new set, or in the old one if it was removed.
    pub origin: String,
}

impl RuleChange {
    /// Returns whether the change can change an answer, and not only what is said of it.
    pub(crate) fn changes_answers(&self) -> bool {
        let says_only = |part: &&'static str| matches!(*part, "owner" | "reason" | "ticket");
        match &self.change {
            Change::Added | Change::Removed => true,
            Change::Changed(parts) => !parts.iter().all(says_only),
        }
    }
}

/// What happened to a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the new set has it.
    Added,
    /// Only the old set has it.
    Removed,
    /// Both have it, and these parts differ.
    Changed(Vec<&'static str>),
}

/// Returns the rules that differ, in the order of ids.
pub(crate) fn between(old: &Rules, new: &Rules) -> Vec<RuleChange> {
    let by_id = |rules| {
        Item::all(rules)
            .map(|item| (&item.info().id, item))
            .collect::<BTreeMap<_, _>>()
    };
    let (old, new) = (by_id(old), by_id(new));
    let change = |id: &RuleId, change, item: Item<'_>| RuleChange {
        id: id.clone(),
        change,
        origin: item.info().origin(),
    };
    let removed = old.iter().filter(|(id, _)| !new.contains_key(*id));
    let mut changes: Vec<RuleChange> = removed
        .map(|(id, item)| change(id, Change::Removed, *item))
        .collect();
    for (id, item) in &new {
        match old.get(id).map(|old| old.parts(*item)) {
            None => changes.push(change(id, Change::Added, *item)),
            Some(parts) if parts.is_empty() => {}
            Some(parts) => changes.push(change(id, Change::Changed(parts), *item)),
        }
    }
    changes.sort_by(|a, b| a.id.cmp(&b.id));
    changes
}
