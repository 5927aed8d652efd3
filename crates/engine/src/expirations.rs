//! The grants of a set that expire, and when. An expiration changes no set: from its moment on, the
//! grant no longer applies (rule R14). That deserves a record, and an alert before it.

use std::sync::Arc;

use super::enforcement::Enforcement;
use super::rule_info::RuleInfo;
use super::rules::Rules;
use super::time::UnixNanos;

/// The allow entries and exceptions of a set that expire, the soonest first. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expirations(Arc<[Arc<RuleInfo>]>);

impl Expirations {
    /// Returns the expirations of a set. Rules in a dry run are left out, since they grant nothing
    /// that could end.
    pub fn of(rules: &Rules) -> Expirations {
        let enforced = |mode| mode == Enforcement::Enforce;
        let grants = rules
            .grants
            .iter()
            .filter(|rule| enforced(rule.mode))
            .map(|rule| &rule.info);
        let denies = rules.denies.iter().filter(|rule| enforced(rule.mode));
        let exceptions = denies
            .flat_map(|rule| &rule.except)
            .map(|except| &except.info);
        let mut ending: Vec<Arc<RuleInfo>> = grants
            .chain(exceptions)
            .filter(|info| info.expires().is_some())
            .cloned()
            .collect();
        ending.sort_by(|a, b| (a.expires(), &a.id).cmp(&(b.expires(), &b.id)));
        Expirations(ending.into())
    }

    /// Returns the grants that expire after `moment`, the soonest first, each with its expiration.
    pub fn after(&self, moment: UnixNanos) -> impl Iterator<Item = (&RuleInfo, UnixNanos)> {
        let ends = self
            .0
            .iter()
            .filter_map(|info| Some((info.as_ref(), info.expires()?)));
        ends.skip_while(move |(_, end)| *end <= moment)
    }

    /// Returns the grants that expired after `from` and no later than `now`, the soonest first,
    /// each with its expiration.
    pub fn passed(
        &self,
        from: UnixNanos,
        now: UnixNanos,
    ) -> impl Iterator<Item = (&RuleInfo, UnixNanos)> {
        self.after(from).take_while(move |(_, end)| *end <= now)
    }
}
