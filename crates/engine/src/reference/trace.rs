//! What the naive evaluator found, stage after stage, and the answer that follows from it.
//!
//! A trace says what was found and not how it reads: words are made of it elsewhere.

use std::sync::Arc;

use crate::decision::{Answer, Gate, Gates, NamedRule};
use crate::identity::Caller;
use crate::reason::Reason;
use crate::rule::Rule;
use crate::rule_info::RuleInfo;

/// What each stage of a pass found. A stage is `None` if an earlier one denied.
#[derive(Clone, Debug)]
pub struct Trace<'t> {
    /// The caller, by the trust domains that the pass accepts.
    pub caller: Caller<'t>,
    /// Stage 1, which is always asked.
    pub validation: ValidationTrace,
    /// Stage 2.
    pub deny: Option<DenyTrace<'t>>,
    /// Stage 3.
    pub istio: Option<IstioTrace<'t>>,
    /// Stage 4, which is asked even if stage 3 denied.
    pub isolation: Option<IsolationTrace<'t>>,
    /// Stage 5.
    pub default: Option<DefaultTrace<'t>>,
}

/// What request validation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidationTrace {
    /// Nothing.
    Passed,
    /// A finding that the pass only records.
    Recorded(Reason),
    /// A finding that denies.
    Denied(Reason),
}

/// What the DENY rules of both families say.
#[derive(Clone, Debug)]
pub struct DenyTrace<'t> {
    /// How many the pass looks at.
    pub rules: usize,
    /// How many of them are about the caller.
    pub about_caller: usize,
    /// How many of them are about the destination.
    pub about_destination: usize,
    /// The one that denies, the first in the order of names.
    pub denied: Option<Denied<'t>>,
    /// Those that would deny if no exception opened them, in the order of names.
    pub excepted: Vec<Excepted<'t>>,
}

/// A rule that denies.
#[derive(Clone, Copy, Debug)]
pub struct Denied<'t> {
    /// The rule.
    pub rule: &'t Arc<Rule>,
    /// The exception that would have opened it, had it not expired.
    pub expired: Option<&'t Arc<RuleInfo>>,
}

/// A rule that an exception keeps from denying.
#[derive(Clone, Copy, Debug)]
pub struct Excepted<'t> {
    /// The rule.
    pub rule: &'t Arc<Rule>,
    /// The exception.
    pub exception: &'t Arc<RuleInfo>,
}

/// What the Istio gate did.
#[derive(Clone, Debug)]
pub enum IstioTrace<'t> {
    /// No ALLOW policy is in force for this destination.
    NotAsked,
    /// One is.
    Asked {
        /// How many rules of ALLOW policies the pass looks at.
        rules: usize,
        /// Which of them match.
        matches: AllowMatches<'t>,
        /// Whether the caller has no valid identity and some rule about the destination asks for
        /// one.
        identity_was_missing: bool,
    },
}

/// What the isolation gate did.
#[derive(Clone, Debug)]
pub enum IsolationTrace<'t> {
    /// Nothing isolates the caller.
    NotAsked,
    /// Something does.
    Asked {
        /// What isolates the caller.
        by: IsolatedBy<'t>,
        /// Which allow entries match.
        matches: AllowMatches<'t>,
    },
}

/// What isolates a caller.
#[derive(Clone, Copy, Debug)]
pub enum IsolatedBy<'t> {
    /// A policy that selects the caller.
    Policy(&'t Arc<RuleInfo>),
    /// Some policy isolates, and the caller has no valid identity, which no policy names.
    Unauthenticated,
}

/// What the default did.
#[derive(Clone, Debug)]
pub enum DefaultTrace<'t> {
    /// Some gate was asked, and each that was is open.
    NotAsked,
    /// The default is allow.
    Allow,
    /// The default is deny, so that an allow entry must match.
    Deny(AllowMatches<'t>),
}

/// Which ALLOW rules match.
#[derive(Clone, Debug)]
pub struct AllowMatches<'t> {
    /// The rule that opens. Of several the one to be named: one that never expires before one that
    /// does, then the one with the narrowest pattern, then the first in the order of names.
    pub opened_by: Option<&'t Arc<Rule>>,
    /// The rule that would open if it had not expired, of several the one to be named.
    pub expired: Option<&'t Arc<Rule>>,
    /// If no rule opens, those that might have been meant: of ALLOW policies all, of allow entries
    /// those that are about the caller; in a dry run or enforced.
    pub candidates: Vec<Candidate<'t>>,
}

/// An ALLOW rule that does not match, and that might have been meant.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'t> {
    /// The rule.
    pub rule: &'t Rule,
    /// Whether the pass looks at it.
    pub is_in_force: bool,
}

impl<'t> Trace<'t> {
    /// A trace of which only the first stage was asked.
    pub(super) fn of(caller: Caller<'t>, validation: ValidationTrace) -> Trace<'t> {
        Trace {
            caller,
            validation,
            deny: None,
            istio: None,
            isolation: None,
            default: None,
        }
    }

    /// Whether a stage that was asked denied, the last one aside.
    pub(super) fn is_denied(&self) -> bool {
        let gates = self.gates();
        matches!(self.validation, ValidationTrace::Denied(_))
            || self.denied().is_some()
            || gates.istio == Gate::Closed
            || gates.isolation == Gate::Closed
    }

    /// What the gates did.
    pub(crate) fn gates(&self) -> Gates {
        Gates {
            istio: match &self.istio {
                None | Some(IstioTrace::NotAsked) => Gate::NotAsked,
                Some(IstioTrace::Asked { matches, .. }) => matches.gate(),
            },
            isolation: match &self.isolation {
                None | Some(IsolationTrace::NotAsked) => Gate::NotAsked,
                Some(IsolationTrace::Asked { matches, .. }) => matches.gate(),
            },
        }
    }

    /// The answer that follows.
    pub fn answer(&self) -> Answer {
        if let ValidationTrace::Denied(finding) = self.validation {
            return Answer::built_in(finding);
        }
        if let Some(Denied { rule, expired }) = self.denied() {
            return Answer {
                rule: named(rule),
                by_identity: self.caller.workload().is_none() && rule.asks_identity(),
                expired: expired.cloned(),
                ..Answer::built_in(Reason::DeniedByRule)
            };
        }
        Answer {
            gates: self.gates(),
            exception: self.exception().cloned(),
            ..self.gates_and_default()
        }
    }

    /// What stages 3 to 5 say, the first that denies before the others.
    fn gates_and_default(&self) -> Answer {
        let answer = |reason, rule| Answer {
            rule,
            ..Answer::built_in(reason)
        };
        let (mut istio_rule, mut entry) = (None, None);
        if let Some(IstioTrace::Asked {
            matches,
            identity_was_missing,
            ..
        }) = &self.istio
        {
            let Some(rule) = matches.opened_by else {
                return Answer {
                    by_identity: *identity_was_missing,
                    ..Answer::built_in(Reason::NoIstioAllow)
                };
            };
            istio_rule = Some(rule);
        }
        if let Some(IsolationTrace::Asked { by, matches }) = &self.isolation {
            entry = matches.opened_by;
            match (matches.opened_by, matches.expired, by) {
                (Some(_), ..) => {}
                (None, Some(expired), _) => {
                    return answer(Reason::ExpiredException, named(expired));
                }
                (None, None, IsolatedBy::Policy(info)) => {
                    return answer(Reason::NotInAllowList, NamedRule::Policy(Arc::clone(info)));
                }
                (None, None, IsolatedBy::Unauthenticated) => {
                    return Answer {
                        by_identity: true,
                        ..answer(Reason::NotInAllowList, NamedRule::Unauthenticated)
                    };
                }
            }
        }
        if let Some(DefaultTrace::Deny(matches)) = &self.default {
            entry = matches.opened_by;
        }
        match (entry, istio_rule, &self.default) {
            (Some(entry), Some(rule), _) => answer(
                Reason::AllowedByRule,
                NamedRule::Both(entry.info.clone(), rule.info.clone()),
            ),
            (Some(only), None, _) | (None, Some(only), _) => {
                answer(Reason::AllowedByRule, named(only))
            }
            (None, None, Some(DefaultTrace::Allow)) => Answer::built_in(Reason::DefaultAllow),
            (
                None,
                None,
                Some(DefaultTrace::Deny(AllowMatches {
                    expired: Some(expired),
                    ..
                })),
            ) => answer(Reason::ExpiredException, named(expired)),
            (None, None, _) => Answer::built_in(Reason::DefaultDeny),
        }
    }

    /// The rule that denies.
    fn denied(&self) -> Option<Denied<'t>> {
        self.deny.as_ref()?.denied
    }

    /// Of the exceptions that keep rules from denying the one that an answer names: one that
    /// expires, the soonest first, before one that does not, then the first in the order of the
    /// rules' names.
    fn exception(&self) -> Option<&'t Arc<RuleInfo>> {
        let excepted = self.deny.as_ref()?.excepted.iter();
        let exceptions = excepted.map(|excepted| excepted.exception);
        exceptions.min_by_key(|exception| (exception.expires().is_none(), exception.expires()))
    }
}

impl AllowMatches<'_> {
    fn gate(&self) -> Gate {
        match self.opened_by {
            Some(_) => Gate::Open,
            None => Gate::Closed,
        }
    }
}

fn named(rule: &Rule) -> NamedRule {
    NamedRule::Policy(rule.info.clone())
}
