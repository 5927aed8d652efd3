//! The attributes beside the caller and the host, level by level: what a clause says of each, in the
//! engine's own words.
//!
//! A level asks a few fields of a clause. Their answers are *bits*; requests with equal bits at every
//! level are alike for the clause. A clause with a bit that says no is dropped from the levels that
//! follow.

use super::clause::{Clause, Variant};
use customs_engine::condition::Condition;
use customs_engine::eval_context::EvalContext;
use customs_engine::header_values::AUTHORITY;
use customs_engine::identity::{Caller, IdentityState};

/// A level, in the order in which cells are cut.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// The port, the gateway's listener port, and the spelling of the authority.
    Port,
    Method,
    Path,
    /// The addresses of both ends.
    Address,
    Sni,
    /// A header, by its name.
    Header(String),
}

/// What a clause says at a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It asks nothing there.
    Nothing,
    /// It may still hold.
    MayHold,
    /// It does not hold.
    Fails,
}

/// The headers that are attributes of a check, and belong to other levels.
const METHOD: &str = ":method";
const PATH: &str = ":path";

impl Level {
    fn of_header(name: &str) -> Level {
        match name {
            AUTHORITY => Level::Port,
            METHOD => Level::Method,
            PATH => Level::Path,
            name => Level::Header(name.to_owned()),
        }
    }

    /// The level that asks a condition; `None` if the caller's identity answers it.
    pub(super) fn of_condition(condition: &Condition) -> Option<Level> {
        Some(match condition {
            Condition::Source(source) if source.asks_identity() => return None,
            Condition::Source(_) | Condition::DestinationIp(_) => Level::Address,
            Condition::DestinationPort(_) => Level::Port,
            Condition::Sni(_) => Level::Sni,
            Condition::Header { name, .. } => Level::of_header(name),
        })
    }

    /// Whether the clause asks something at this level.
    pub(super) fn is_asked_by(&self, clause: &Clause<'_>) -> bool {
        let operation = clause.operation.is_some_and(|operation| match self {
            Level::Port => operation.hosts.is_set() || operation.ports.is_set(),
            Level::Method => operation.methods.is_set(),
            Level::Path => operation.paths.is_set(),
            Level::Address | Level::Sni | Level::Header(_) => false,
        });
        operation
            || (*self == Level::Address && asks_addresses(clause))
            || self.conditions(clause).next().is_some()
    }

    /// The conditions of a clause that this level asks.
    pub(super) fn conditions<'s>(
        &self,
        clause: &Clause<'s>,
    ) -> impl Iterator<Item = &'s Condition> + use<'_, 's> {
        let conditions = clause.when.iter();
        conditions.filter(move |condition| Level::of_condition(condition).as_ref() == Some(self))
    }

    /// Adds the bits of a clause, and says whether it may still hold.
    pub(super) fn ask(
        &self,
        clause: &Clause<'_>,
        context: &EvalContext<'_>,
        variants: &[Variant<'_>],
        bits: &mut Vec<bool>,
    ) -> Said {
        if !self.is_asked_by(clause) {
            return Said::Nothing;
        }
        let (request, effect) = (context.request, clause.effect);
        let begin = bits.len();
        if let Some(operation) = clause.operation {
            match self {
                Level::Port => {
                    bits.push(operation.match_host(request, effect).is_some());
                    bits.push(operation.match_listener(request, effect));
                }
                Level::Method => bits.push(operation.match_method(request, effect)),
                Level::Path => bits.push(operation.match_path(context, effect)),
                Level::Address | Level::Sni | Level::Header(_) => {}
            }
        }
        // Conditions on identity were answered with the caller.
        let nobody = Caller::Unknown(IdentityState::Unauthenticated);
        for condition in self.conditions(clause) {
            bits.push(condition.holds(context, &nobody, effect));
        }
        let mut holds = bits.iter().skip(begin).all(|bit| *bit);
        if *self == Level::Address {
            let sources = clause.sources().iter();
            bits.extend(sources.map(|source| source.matches_addresses(request, effect)));
            holds &= clause.meets_caller(variants, request);
        }
        match holds {
            true => Said::MayHold,
            false => Said::Fails,
        }
    }
}

fn asks_addresses(clause: &Clause<'_>) -> bool {
    let mut sources = clause.sources().iter();
    sources.any(|source| source.ip_blocks.is_set() || source.remote_ip_blocks.is_set())
}
