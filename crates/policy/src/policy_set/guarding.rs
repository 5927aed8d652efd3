//! When a guard refuses a set.
//!
//! The rule: a set is refused for a guard that it may not keep, if refusing it helps. It does not
//! help in two cases, and there the guard is a warning:
//!
//! - What is in force does not keep the guard either. A grant that expires can do that to an
//!   `always`. Otherwise no change at all would be accepted from then on, also none that mends
//!   others.
//! - Nothing is in force yet, and the guard says what must be allowed. Without a set every request
//!   is denied, which breaks such a guard even more.
//!
//! The review says which guards a set may not keep. Nothing here compares them.

use std::cell::OnceCell;
use std::sync::Arc;

use super::{PolicySet, SetInForce, SnapshotReview, UnkeptGuard};
use crate::compile::{self, Compiled};
use crate::guard::Guard;
use crate::problem::{Problem, Severity};
use customs_engine::time::UnixNanos;

/// What the attempts of one reload share about guards.
pub(super) struct GuardRound {
    now: UnixNanos,
    review: Option<Arc<dyn SnapshotReview>>,
    in_force: Option<Arc<SetInForce>>,
    /// The guards that what is in force has and does not keep; found when a set breaks a guard.
    unkept_in_force: OnceCell<Vec<Guard>>,
}

impl PolicySet {
    pub(super) fn guard_round(&self, now: UnixNanos) -> GuardRound {
        GuardRound {
            now,
            review: self.review.clone(),
            in_force: self.in_force.clone(),
            unkept_in_force: OnceCell::new(),
        }
    }
}

impl GuardRound {
    /// Returns the set with a warning for each guard that it need not keep.
    ///
    /// # Errors
    /// Returns what is wrong with the guards for which the set is refused.
    pub(super) fn keep_guards(&self, mut compiled: Compiled) -> Result<Compiled, Vec<Problem>> {
        let Some(review) = &self.review else {
            return Ok(compiled);
        };
        if compiled.guards.is_empty() {
            return Ok(compiled);
        }
        let unkept = review.unkept_guards(&compiled, self.now);
        let (reported, refused): (Vec<_>, Vec<_>) = unkept
            .into_iter()
            .partition(|unkept| self.is_reported_only(unkept, &compiled.guards));
        let problems = |guards: Vec<UnkeptGuard>| guards.into_iter().flat_map(|g| g.problems);
        if !refused.is_empty() {
            return Err(problems(refused).collect());
        }
        compiled.problems.extend(problems(reported).map(as_warning));
        Ok(compiled)
    }

    /// Whether no refusal helps the guard. A guard that is in force with other words does not count
    /// as the same.
    fn is_reported_only(&self, unkept: &UnkeptGuard, guards: &[Guard]) -> bool {
        if !unkept.is_enforced {
            return true;
        }
        let Some(in_force) = &self.in_force else {
            return unkept.demands;
        };
        let says_the_same = |old: &Guard| {
            let new = guards.iter().find(|guard| guard.id == unkept.id);
            old.id == unkept.id && new.is_some_and(|new| new.says_the_same(old))
        };
        self.unkept_in_force
            .get_or_init(|| self.find_unkept(in_force))
            .iter()
            .any(says_the_same)
    }

    fn find_unkept(&self, in_force: &SetInForce) -> Vec<Guard> {
        // It compiled before, so it does so now.
        let compiled = compile::compile(&in_force.sources, &in_force.settings).ok();
        let Some((review, compiled)) = self.review.as_ref().zip(compiled) else {
            return Vec::new();
        };
        let unkept = review.unkept_guards(&compiled, self.now);
        let is_unkept = |guard: &Guard| unkept.iter().any(|unkept| unkept.id == guard.id);
        compiled.guards.into_iter().filter(is_unkept).collect()
    }
}

fn as_warning(problem: Problem) -> Problem {
    Problem {
        severity: problem.severity.max(Severity::Warning),
        ..problem
    }
}
