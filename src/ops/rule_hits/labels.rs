//! Which rules have a series of their own in the metrics.
//!
//! There are at most [`MAX_LABELS`]. If the set has no more rules than that, each has one from the
//! beginning. Otherwise a rule gets one with its first hit, as long as there are some left; the hits
//! of the others are counted together. The rule: a series never falls while its rule is in force,
//! and neither does the common one: a rule keeps what it was given until it is no longer in force.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use super::{CountedRule, RuleHits};

/// The most rules that have a series.
pub const MAX_LABELS: usize = 1_000;

/// What a rule has in the metrics: nothing so far.
const NO_SERIES: u8 = 0;
/// A series of its own.
const OWN_SERIES: u8 = 1;
/// A part of the common one.
const COMMON_SERIES: u8 = 2;

/// The hits as the metrics show them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelledHits {
    /// The rules with a series, by their ids.
    pub rules: Vec<(String, u64)>,
    /// The hits of all others.
    pub others: u64,
}

impl RuleHits {
    /// Returns the hits for the metrics, and decides which rules have a series.
    pub fn labelled(&self) -> LabelledHits {
        let _series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.table.load_full();
        let rules = &table.rules;
        let mut left =
            MAX_LABELS.saturating_sub(rules.iter().filter(|rule| rule.is(OWN_SERIES)).count());
        let all_fit = rules.len() <= MAX_LABELS;
        let mut labelled = LabelledHits {
            rules: Vec::new(),
            others: self.retired.load(Relaxed),
        };
        for rule in rules {
            // Read before it is decided, so that a hit meanwhile is shown next time.
            let hits = rule.count.hits();
            if rule.is(NO_SERIES) && (hits > 0 || all_fit) {
                let has_own = left > 0;
                left = left.saturating_sub(1);
                let series = if has_own { OWN_SERIES } else { COMMON_SERIES };
                rule.count.series.store(series, Relaxed);
            }
            match rule.is(OWN_SERIES) {
                true => labelled.rules.push((rule.label(), hits)),
                false => labelled.others += hits,
            }
        }
        labelled
    }

    /// Keeps the hits of a rule that is no longer in force in the common series, unless it had its
    /// own, which ends.
    pub(super) fn retire(&self, rule: &CountedRule) {
        if !rule.is(OWN_SERIES) {
            self.retired.fetch_add(rule.count.hits(), Relaxed);
        }
    }
}

impl CountedRule {
    fn is(&self, series: u8) -> bool {
        self.count.series.load(Relaxed) == series
    }
}
