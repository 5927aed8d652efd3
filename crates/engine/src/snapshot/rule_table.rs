//! One list of a set's rules with its index: which of the rules match a request.
//!
//! The index only leaves rules out. A list is in the order of names, and so are the positions that
//! the index gives, in each of its lists.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::pass_context::PassContext;
use crate::eval_context::EvalContext;
use crate::identity::Caller;
use crate::index::Index;
use crate::pass::Pass;
use crate::pattern::{Match, Specificity};
use crate::rule::{DenyMatch, Rule};
use crate::rule_info::RuleInfo;
use crate::rule_number::{RuleList, RuleNumber};
use crate::time::UnixNanos;

/// One list of a set's rules with its index.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleTable<'s> {
    pub(super) list: RuleList,
    pub(super) rules: &'s [Arc<Rule>],
    pub(super) index: &'s Index,
}

/// The order of exceptions that open: those that end first, the soonest first, then the order of
/// names.
type OpeningRank = (bool, Option<UnixNanos>, u32);

/// How the denies match a request.
pub(super) struct DenyMatches<'s> {
    /// The rule that denies, and the exception that expired.
    pub(super) first: Option<(&'s Rule, Option<&'s Arc<RuleInfo>>)>,
    /// The exception that opened a deny.
    pub(super) excepted: Option<&'s Arc<RuleInfo>>,
}

/// The matching ALLOWs that matter: the one to be named, and one that would have matched, had it
/// not expired.
#[derive(Default)]
pub(super) struct GrantMatches<'s> {
    pub(super) alive: Option<&'s Rule>,
    pub(super) expired: Option<&'s Rule>,
}

impl<'s> RuleTable<'s> {
    /// The first rule that denies, and the exception that expired; else the exception that opened,
    /// of several the one that ends first. None of the index's lists is read beyond the first rule
    /// that was found before.
    pub(super) fn match_denies(
        self,
        pass_context: &PassContext,
        context: &EvalContext<'_>,
        caller: &Caller<'_>,
        now: UnixNanos,
    ) -> DenyMatches<'s> {
        let RuleTable { rules, index, .. } = self;
        let mut first: Option<(u32, &Rule, Option<&Arc<RuleInfo>>)> = None;
        let mut excepted: Option<(OpeningRank, &Arc<RuleInfo>)> = None;
        index.lists(caller, context.request, Match::Broad, |list| {
            let before = first.map_or(u32::MAX, |(position, ..)| position);
            for position in list
                .iter()
                .copied()
                .take_while(|position| *position < before)
            {
                if pass_context.pass == Pass::Enforced && index.is_dry_run(position) {
                    continue;
                }
                let Some(rule) = rules.get(position as usize) else {
                    continue;
                };
                let number = Some(self.number(position));
                let unknown = pass_context.unknown_callers;
                match rule.deny_numbered(number, context, caller, unknown, now) {
                    DenyMatch::NoMatch => {}
                    DenyMatch::Excepted(by) => {
                        let rank = (by.expires().is_none(), by.expires(), position);
                        if excepted.is_none_or(|(first, _)| rank < first) {
                            excepted = Some((rank, by));
                        }
                    }
                    DenyMatch::Denied(expired) => {
                        first = Some((position, rule, expired));
                        break;
                    }
                }
            }
            ControlFlow::Continue(())
        });
        DenyMatches {
            first: first.map(|(_, rule, expired)| (rule, expired)),
            excepted: excepted.map(|(_, by)| by),
        }
    }

    fn number(self, position: u32) -> RuleNumber {
        RuleNumber {
            list: self.list,
            position,
        }
    }

    /// Of the rules that are alive: those without an end before those with one, then the narrowest
    /// pattern, then the order of names. Of those that expired likewise.
    pub(super) fn match_grants(
        self,
        pass: Pass,
        context: &EvalContext<'_>,
        caller: &Caller<'_>,
        now: UnixNanos,
    ) -> GrantMatches<'s> {
        let RuleTable { rules, index, .. } = self;
        let mut alive: Option<((bool, Specificity, u32), &Rule)> = None;
        let mut expired: Option<((Specificity, u32), &Rule)> = None;
        index.lists(caller, context.request, Match::Strict, |list| {
            for position in list.iter().copied() {
                if pass == Pass::Enforced && index.is_dry_run(position) {
                    continue;
                }
                let Some(rule) = rules.get(position as usize) else {
                    continue;
                };
                let number = Some(self.number(position));
                let Some(specificity) = rule.grant_numbered(number, context, caller) else {
                    continue;
                };
                let rank = (rule.info.expires().is_some(), specificity, position);
                if rule.info.is_expired(now) {
                    if expired.is_none_or(|(first, _)| (specificity, position) < first) {
                        expired = Some(((specificity, position), rule));
                    }
                } else if alive.is_none_or(|(first, _)| rank < first) {
                    alive = Some((rank, rule));
                }
            }
            ControlFlow::Continue(())
        });
        GrantMatches {
            alive: alive.map(|(_, rule)| rule),
            expired: expired.map(|(_, rule)| rule),
        }
    }
}
