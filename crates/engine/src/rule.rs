//! Compiled rules, and whether one matches a request.
//!
//! Both families of documents compile to these. A rule asks [who calls](super::subject), [to where](super::operation) and, for
//! Istio's `when`, [more](super::condition). Which rules are asked, and what follows from a match, is
//! [`snapshot`](super::snapshot)'s business.

use std::sync::Arc;

use super::condition::Condition;
use super::effect::Effect;
use super::enforcement::Enforcement;
use super::eval_context::EvalContext;
use super::identity::Caller;
use super::operation::Operation;
use super::pattern::{NO_HOST, Specificity};
use super::rule_info::RuleInfo;
use super::subject::{CallerMatch, UnknownCallers};
use super::time::UnixNanos;
use super::work_count;

/// A rule that denies or grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What is told of it.
    pub info: Arc<RuleInfo>,
    /// Whether it takes effect.
    pub mode: Enforcement,
    /// Who it is about.
    pub callers: CallerMatch,
    /// To where: any of these; empty is anywhere.
    pub to: Box<[Operation]>,
    /// Istio's `when`: all of these.
    pub when: Box<[Condition]>,
    /// What opens a deny of an EgressPolicy, in the order of the file.
    pub except: Box<[Exception]>,
}

/// An exception of one deny, read as a grant (rule R0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// `ep:ns/name#entry.except[0]`
    pub info: Arc<RuleInfo>,
    /// Who it is for; without subjects, whom the deny selects.
    pub callers: CallerMatch,
    /// To where; without hosts, wherever the deny applies.
    pub to: Operation,
}

/// How a deny matches a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyMatch<'r> {
    /// It does not apply.
    NoMatch,
    /// It applies, and an exception opens it.
    Excepted(&'r Arc<RuleInfo>),
    /// It applies; perhaps an exception would have opened it, had it not expired.
    Denied(Option<&'r Arc<RuleInfo>>),
}

impl Rule {
    /// What the rule says, read as a DENY.
    pub fn deny(
        &self,
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
            && self
                .when
                .iter()
                .all(|condition| condition.holds(context, caller, Effect::Deny));
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

    /// How narrowly the rule, read as an ALLOW, covers a request, or `None` if it does not. On TCP one HTTP-only field
    /// voids the whole rule, as istiod drops it.
    pub fn grant(&self, context: &EvalContext<'_>, caller: &Caller<'_>) -> Option<Specificity> {
        work_count::steps(1);
        let request = context.request;
        if !self.callers.grants(caller, request) {
            return None;
        }
        let specificity = self.grants_destination(context)?;
        self.when
            .iter()
            .all(|c| c.holds(context, caller, Effect::Allow))
            .then_some(specificity)
    }

    /// The same for where the request goes alone.
    pub fn grants_destination(&self, context: &EvalContext<'_>) -> Option<Specificity> {
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

    /// Whether it matters who asks.
    pub fn asks_identity(&self) -> bool {
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
