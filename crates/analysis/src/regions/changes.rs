//! Where two sets may differ: the requests of what changed, and of nothing else.
//!
//! Every answer follows from the rules that hold for a request, and from a few facts about the whole
//! set. A request for which no rule that changed holds, in either set, and for which no fact that
//! changed matters, gets the same answer from both.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::cell::Cell;
use super::clause::{Clause, ClauseCallers};
use super::explore::{Exploration, explore};
use super::frame::{Focus, Frame};
use super::space::{ClauseList, Owner, PASSES, Space};
use super::text_cache::TextCache;
use crate::rule_changes::{self, RuleChange};
use customs_engine::rule_info::RuleId;
use customs_engine::snapshot::Snapshot;
use customs_engine::subject::CallerMatch;

impl Space<'_> {
    /// Visits every cell in which the first two sets may differ, until the visitor stops. A request
    /// outside of these cells, and outside of what is left, gets equal effects from both. `budget`
    /// is the most cells that are asked.
    pub fn explore_changes<'e>(
        &'e self,
        budget: usize,
        visit: impl FnMut(&Cell<'e>) -> ControlFlow<()>,
    ) -> Exploration<'e> {
        let [old, new, ..] = *self.snapshots.as_slice() else {
            return Exploration {
                cells: 0,
                asked: 0,
                left: Vec::new(),
            };
        };
        let changes = rule_changes::between(old.rules(), new.rules());
        let changed: BTreeSet<&RuleId> = changes
            .iter()
            .filter(|change| change.changes_answers())
            .map(|change: &RuleChange| &change.id)
            .collect();
        let bound = |set: &Snapshot| set.rules().istio_bound_allow_policies.clone();
        let is_bound_changed = bound(old) != bound(new);
        let is_changed = |clause: &Clause<'_>| match self.owners.get(clause.owner as usize) {
            Some(Owner::Item(id)) => changed.contains(id),
            Some(Owner::Bound) => is_bound_changed,
            Some(Owner::Guard) | None => false,
        };
        let mut list = ClauseList::default();
        let differs = |fact: &dyn Fn(&Snapshot) -> [bool; 2]| fact(old) != fact(new);
        let unauthenticated = ClauseCallers::Policy(&self.pseudo.unauthenticated);
        if differs(&|set| PASSES.map(|pass| set.isolates_somebody(pass)))
            || PASSES.map(|pass| old.unknown_callers(pass))
                != PASSES.map(|pass| new.unknown_callers(pass))
        {
            list.alone(Owner::Guard, |owner| {
                Clause::of_callers(unauthenticated, owner)
            });
        }
        if matches!(&self.pseudo.domains, CallerMatch::Sources(sources) if !sources.is_empty()) {
            let domains = ClauseCallers::Rule(&self.pseudo.domains);
            list.alone(Owner::Guard, |owner| Clause::of_callers(domains, owner));
        }
        let marks = self.clauses.iter().map(is_changed);
        let marks: Vec<bool> = marks.chain(list.clauses.iter().map(|_| true)).collect();
        let is_everywhere = differs(&|set| PASSES.map(|pass| set.has_istio_gate(pass)))
            || old.is_loaded() != new.is_loaded();
        let focus = match is_everywhere {
            true => Focus::Everything,
            false => Focus::Only(marks),
        };
        let frame = Frame {
            space: self,
            extra: list.clauses,
            focus,
            texts: TextCache::default(),
        };
        explore(frame, budget, visit)
    }
}
