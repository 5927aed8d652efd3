//! Compiled rules, and whether one matches a request.
//!
//! Both families of documents compile to these. A rule has conditions on [the
//! caller](super::subject), [the destination](super::operation) and, for Istio's `when`,
//! [more](super::condition). Which rules are evaluated, and what follows from a match, is decided
//! in [`snapshot`](super::snapshot).

use std::sync::Arc;

use super::condition::Condition;
use super::effect::Effect;
use super::enforcement::Enforcement;
use super::eval_context::EvalContext;
use super::identity::Caller;
use super::operation::Operation;
use super::pattern::{NO_HOST, Specificity};
use super::rule_info::RuleInfo;
use super::rule_number::{ConditionNumber, RuleNumber};
use super::subject::{CallerMatch, UnknownCallers};
use super::time::UnixNanos;
use super::work_count;

/// A rule that denies or grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The rule's id, place and owner, for records and messages.
    pub info: Arc<RuleInfo>,
    /// Whether it takes effect.
    pub mode: Enforcement,
    /// The callers it is about.
    pub callers: CallerMatch,
    /// The destinations, any of these; empty is every destination.
    pub to: Box<[Operation]>,
    /// Istio's `when`: all of these.
    pub when: Box<[Condition]>,
    /// The exceptions of a deny of an EgressPolicy, in the order of the file.
    pub except: Box<[Exception]>,
}

/// An exception of one deny, read as a grant (rule R0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// `ep:ns/name#entry.except[0]`
    pub info: Arc<RuleInfo>,
    /// The callers it is for; without subjects, those that the deny selects.
    pub callers: CallerMatch,
    /// The destination; without hosts, wherever the deny applies.
    pub to: Operation,
}

/// How a deny matches a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DenyMatch<'r> {
    /// The deny does not apply.
    NoMatch,
    /// The deny applies, and an exception opens it.
    Excepted(&'r Arc<RuleInfo>),
    /// The deny applies. The exception, if any, would have opened it had it not expired.
    Denied(Option<&'r Arc<RuleInfo>>),
}

impl Rule {
    /// Evaluates the rule as a DENY.
    pub(crate) fn deny(
        &self,
        context: &EvalContext<'_>,
        caller: &Caller<'_>,
        unknown: UnknownCallers,
        now: UnixNanos,
    ) -> DenyMatch<'_> {
        self.deny_numbered(None, context, caller, unknown, now)
    }

    /// Returns the same for the rule of this number in the set that the context is of.
    pub(crate) fn deny_numbered(
        &self,
        number: Option<RuleNumber>,
        context: &EvalContext<'_>,
        caller: &Caller<'_>,
        unknown: UnknownCallers,
        now: UnixNanos,
    ) -> DenyMatch<'_> {
        work_count::steps(1);
        let request = context.request;
        let applies = self.callers.denies(caller, request, unknown)
            && (self.to.is_empty()
                || self
                    .to
                    .iter()
                    .any(|op| op.matches(context, Effect::Deny).is_some()))
            && self.conditions_hold(number, context, caller, Effect::Deny);
        if !applies {
            return DenyMatch::NoMatch;
        }
        let (mut opened, mut expired): (Option<&Arc<RuleInfo>>, _) = (None, None);
        for exception in self.except.iter().filter(|e| e.opens(context, caller)) {
            let info = &exception.info;
            if info.is_expired(now) {
                expired = expired.or(Some(info));
            } else if opened
                .is_none_or(|first| first.expires().is_some() && info.expires().is_none())
            {
                opened = Some(info);
            }
        }
        opened.map_or(DenyMatch::Denied(expired), DenyMatch::Excepted)
    }

    /// Returns how narrowly the rule, read as an ALLOW, covers a request, or `None` if it does not.
    /// On TCP, one HTTP-only field voids the whole rule, because istiod drops such a rule.
    pub(crate) fn grant(
        &self,
        context: &EvalContext<'_>,
        caller: &Caller<'_>,
    ) -> Option<Specificity> {
        self.grant_numbered(None, context, caller)
    }

    /// Returns the same for the rule of this number in the set that the context is of.
    pub(crate) fn grant_numbered(
        &self,
        number: Option<RuleNumber>,
        context: &EvalContext<'_>,
        caller: &Caller<'_>,
    ) -> Option<Specificity> {
        work_count::steps(1);
        let request = context.request;
        if !self.callers.grants(caller, request) {
            return None;
        }
        let specificity = self.grants_destination(context)?;
        self.conditions_hold(number, context, caller, Effect::Allow)
            .then_some(specificity)
    }

    /// Returns whether everything under `when` holds.
    fn conditions_hold(
        &self,
        number: Option<RuleNumber>,
        context: &EvalContext<'_>,
        caller: &Caller<'_>,
        effect: Effect,
    ) -> bool {
        self.when.iter().enumerate().all(|(position, condition)| {
            let number = number.map(|rule| ConditionNumber { rule, position });
            condition.holds_numbered(number, context, caller, effect)
        })
    }

    /// Returns the same, considering only the destination.
    pub(crate) fn grants_destination(&self, context: &EvalContext<'_>) -> Option<Specificity> {
        let http_only = || {
            self.to.iter().any(Operation::is_http_only)
                || self.when.iter().any(Condition::is_http_only)
        };
        if context.request.http.is_none() && http_only() {
            return None;
        }
        if self.to.is_empty() {
            return Some(NO_HOST);
        }
        self.to
            .iter()
            .filter_map(|op| op.matches(context, Effect::Allow))
            .min()
    }

    /// Returns whether the answer depends on the caller's identity.
    pub(crate) fn asks_identity(&self) -> bool {
        self.callers.asks_identity() || self.when.iter().any(Condition::asks_identity)
    }
}

impl Exception {
    fn opens(&self, context: &EvalContext<'_>, caller: &Caller<'_>) -> bool {
        let http_only = context.request.http.is_none() && self.to.is_http_only();
        !http_only
            && self.callers.grants(caller, context.request)
            && self.to.matches(context, Effect::Allow).is_some()
    }
}
