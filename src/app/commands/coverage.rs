//! Counts which rules the test cases exercised. A rule is exercised if an answer names it, in the
//! verdict or in the dry run, or if it marks the request for the record. Exceptions of a deny are
//! not counted as rules, because an answer does not name an exception that matched.

use std::collections::{BTreeMap, BTreeSet};

use customs_engine::decision::{Decision, NamedRule};
use customs_engine::rules::Rules;
use customs_engine::snapshot::Snapshot;

/// The rules of a set, and those that were exercised.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    /// The place of each rule, by its id.
    rules: BTreeMap<String, String>,
    named: BTreeSet<String>,
}

/// A rule that no case exercised.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Uncovered {
    /// Its id.
    pub id: String,
    /// `file:line`.
    pub origin: String,
}

impl Coverage {
    /// Collects the rules of a set: entries, Istio's rules, and policies that isolate.
    pub(super) fn of(snapshot: &Snapshot) -> Coverage {
        let Rules {
            denies,
            istio_allows,
            audits,
            grants,
            egress_policies,
            ..
        } = snapshot.rules();
        let rules = [denies, istio_allows, audits, grants]
            .into_iter()
            .flatten()
            .map(|rule| &rule.info);
        let isolating = egress_policies
            .iter()
            .filter(|policy| policy.isolate)
            .map(|policy| &policy.info);
        let rules = rules
            .chain(isolating)
            .map(|info| (info.id.to_string(), info.origin()))
            .collect();
        Coverage {
            rules,
            named: BTreeSet::new(),
        }
    }

    /// Marks the rules that a decision names.
    pub(super) fn note(&mut self, decision: &Decision) {
        self.named
            .extend(decision.audit.iter().map(|info| info.id.to_string()));
        for answer in [&decision.verdict, &decision.dry_run] {
            match &answer.rule {
                NamedRule::Policy(info) => self.named.extend([info.id.to_string()]),
                NamedRule::Both(entry, istio) => self
                    .named
                    .extend([entry.id.to_string(), istio.id.to_string()]),
                NamedRule::BuiltIn(_) | NamedRule::Unauthenticated => {}
            }
        }
    }

    /// Returns the number of rules.
    pub(super) fn rules(&self) -> usize {
        self.rules.len()
    }

    /// Returns the ids of all rules.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(String::as_str)
    }

    /// Returns the rules that no case exercised, sorted by id.
    pub(super) fn missing(&self) -> Vec<Uncovered> {
        let missing = self
            .rules
            .iter()
            .filter(|(id, _)| !self.named.contains(*id));
        missing
            .map(|(id, origin)| Uncovered {
                id: id.clone(),
                origin: origin.clone(),
            })
            .collect()
    }
}
