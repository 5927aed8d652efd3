//! Whether a rule that is not part of a set would apply in it: the rules of guards are asked so.
//!
//! It is asked as the enforced rules of the set are, so the set says who has a valid identity and
//! whether some policy names callers without one.

use crate::effect::Effect;
use crate::eval_context::EvalContext;
use crate::identity::Caller;
use crate::rule::{DenyMatch, Rule};
use crate::snapshot::Snapshot;
use crate::time::UnixNanos;

impl Snapshot {
    /// Returns whether a rule, as a DENY of this set, would deny a request. As an ALLOW, returns
    /// whether it would cover it.
    pub fn would_apply(
        &self,
        rule: &Rule,
        effect: Effect,
        context: &EvalContext<'_>,
        now: UnixNanos,
    ) -> bool {
        let caller: Caller<'_> = self
            .verdict
            .trust_domains
            .classify(context.request.principal);
        match effect {
            Effect::Deny => {
                let denial = rule.deny(context, &caller, self.verdict.unknown_callers, now);
                matches!(denial, DenyMatch::Denied(_))
            }
            Effect::Allow => rule.grant(context, &caller).is_some(),
        }
    }
}
