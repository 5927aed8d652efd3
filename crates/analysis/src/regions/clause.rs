//! What the rules of a space ask, in the smallest parts that hold or fail as a whole.
//!
//! A clause is one operation of one rule with everything that must hold beside it: the rule's
//! callers and its conditions. Exceptions, isolating policies and policies that are bound to hosts
//! are clauses as well. Two requests for which every clause holds or fails alike get equal answers.
//! A clause is asked with the engine's own functions, one field at a time; none is written again.

use customs_engine::condition::Condition;
use customs_engine::effect::Effect;
use customs_engine::identity::Caller;
use customs_engine::operation::Operation;
use customs_engine::request::Request;
use customs_engine::rule::{Exception, Rule};
use customs_engine::subject::{CallerMatch, Source, SubjectList, UnknownCallers};

/// The number of a clause.
pub(super) type ClauseId = u32;

/// The callers of a clause.
#[derive(Clone, Copy, Debug)]
pub(super) enum ClauseCallers<'s> {
    Rule(&'s CallerMatch),
    Policy(&'s SubjectList),
    Everyone,
}

/// One operation of one rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clause<'s> {
    pub callers: ClauseCallers<'s>,
    /// `None` for every destination.
    pub operation: Option<&'s Operation>,
    pub when: &'s [Condition],
    /// How its fields are read.
    pub effect: Effect,
    /// The rule that it is part of; for an exception, the rule that it opens.
    pub owner: u32,
    pub is_exception: bool,
    /// Whether no TCP connection can satisfy it, because its rule, read as an ALLOW, has a field
    /// that only HTTP has.
    pub is_void_on_tcp: bool,
}

/// A kind of caller that a principal may be, in one set and one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant<'r> {
    pub caller: Caller<'r>,
    pub unknown: UnknownCallers,
}

impl<'s> Clause<'s> {
    /// The clauses of a rule that is read with an effect, without its exceptions.
    pub(super) fn of_rule(rule: &'s Rule, effect: Effect, owner: u32) -> Vec<Clause<'s>> {
        let is_http_only = rule.to.iter().any(Operation::is_http_only)
            || rule.when.iter().any(Condition::is_http_only);
        let whole = Clause {
            callers: ClauseCallers::Rule(&rule.callers),
            operation: None,
            when: &rule.when,
            effect,
            owner,
            is_exception: false,
            is_void_on_tcp: effect == Effect::Allow && is_http_only,
        };
        if rule.to.is_empty() {
            return vec![whole];
        }
        let of = |operation| Clause {
            operation: Some(operation),
            ..whole
        };
        rule.to.iter().map(of).collect()
    }

    /// The clause of an exception.
    pub(super) fn of_exception(exception: &'s Exception, owner: u32) -> Clause<'s> {
        Clause {
            callers: ClauseCallers::Rule(&exception.callers),
            operation: Some(&exception.to),
            when: &[],
            effect: Effect::Allow,
            owner,
            is_exception: true,
            is_void_on_tcp: exception.to.is_http_only(),
        }
    }

    /// The clause of callers alone.
    pub(super) fn of_callers(callers: ClauseCallers<'s>, owner: u32) -> Clause<'s> {
        Clause {
            callers,
            operation: None,
            when: &[],
            effect: Effect::Deny,
            owner,
            is_exception: false,
            is_void_on_tcp: false,
        }
    }

    /// The clause of a destination alone.
    pub(super) fn of_destination(operation: &'s Operation, owner: u32) -> Clause<'s> {
        Clause {
            operation: Some(operation),
            ..Clause::of_callers(ClauseCallers::Everyone, owner)
        }
    }

    /// The sources of an AuthorizationPolicy's rule.
    pub(super) fn sources(&self) -> &'s [Source] {
        match self.callers {
            ClauseCallers::Rule(CallerMatch::Sources(sources)) => sources,
            _ => &[],
        }
    }

    /// The conditions of `when` about the caller.
    pub(super) fn caller_conditions(&self) -> impl Iterator<Item = &'s Source> + use<'s> {
        self.when.iter().filter_map(|condition| match condition {
            Condition::Source(source) => Some(&**source),
            _ => None,
        })
    }

    /// Says what the clause makes of a caller's identity, one kind after the other: a bit for each
    /// of its sources. Addresses are left aside. No bit is set if no kind of caller can satisfy
    /// the clause.
    pub(super) fn identity_bits(
        &self,
        variants: &[Variant<'_>],
        request: &Request<'_>,
        bits: &mut Vec<bool>,
    ) {
        bits.clear();
        for Variant { caller, unknown } in variants {
            let meets_conditions = self
                .caller_conditions()
                .all(|source| source.matches_identity(caller, self.effect));
            let before = bits.len();
            match (self.callers, self.effect) {
                (ClauseCallers::Rule(CallerMatch::Sources(sources)), effect) => {
                    let matches = |source: &Source| source.matches_identity(caller, effect);
                    bits.extend(sources.iter().map(matches));
                }
                (ClauseCallers::Everyone, _) => bits.push(true),
                (ClauseCallers::Rule(rule), Effect::Deny) => {
                    bits.push(rule.denies(caller, request, *unknown));
                }
                (ClauseCallers::Rule(rule), Effect::Allow) => {
                    bits.push(rule.grants(caller, request));
                }
                (ClauseCallers::Policy(subjects), effect) => {
                    bits.push(subjects.select(caller, effect));
                }
            }
            if !meets_conditions {
                for bit in bits.iter_mut().skip(before) {
                    *bit = false;
                }
            }
        }
    }

    /// Returns whether some source holds, identity and addresses.
    pub(super) fn meets_caller(&self, variants: &[Variant<'_>], request: &Request<'_>) -> bool {
        let sources = self.sources();
        let holds = |Variant { caller, .. }: &Variant<'_>| {
            sources.iter().any(|source| {
                source.matches_identity(caller, self.effect)
                    && source.matches_addresses(request, self.effect)
            })
        };
        sources.is_empty() || variants.iter().any(holds)
    }
}
