//! The space of all requests, cut by the rules of some sets.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::clause::{Clause, ClauseCallers, ClauseId, Variant};
use super::exact_namespaces;
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::field::Field;
use customs_engine::identity::{Caller, Principal};
use customs_engine::operation::Operation;
use customs_engine::pass::Pass;
use customs_engine::pattern::TextPattern;
use customs_engine::rule::Rule;
use customs_engine::rule_info::RuleId;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::subject::{CallerMatch, Source, Subject, SubjectList};
use customs_engine::time::UnixNanos;

/// Both passes, in the order in which facts about them are listed.
pub(super) const PASSES: [Pass; 2] = [Pass::Enforced, Pass::DryRun];

/// All requests, cut into cells by the rules of some sets. The sets have the same settings.
#[derive(Debug)]
pub struct Space<'s> {
    pub(super) snapshots: Vec<&'s Snapshot>,
    pub(super) now: UnixNanos,
    pub(super) clauses: Vec<Clause<'s>>,
    /// The clauses that are about some namespaces only, by namespace.
    pub(super) by_namespace: FxHashMap<&'s str, Vec<ClauseId>>,
    /// The other clauses.
    pub(super) generic: Vec<ClauseId>,
    /// What the clauses are of.
    pub(super) owners: Vec<Owner<'s>>,
    pub(super) pseudo: PseudoClauses,
}

/// What a clause is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner<'s> {
    /// A rule of a set, or a policy that isolates.
    Item(&'s RuleId),
    /// A policy that is bound to hosts.
    Bound,
    /// A rule of no set.
    Guard,
}

/// What clauses that are of no rule point to.
#[derive(Debug)]
pub(super) struct PseudoClauses {
    /// Callers without a valid identity.
    pub unauthenticated: SubjectList,
    /// Callers of the trust domains that only one of the sets accepts.
    pub domains: CallerMatch,
}

impl PseudoClauses {
    fn of(snapshots: &[&Snapshot]) -> PseudoClauses {
        let accepted = |set: &&Snapshot| -> BTreeSet<(String, bool)> {
            let named = set.rules().accepted_trust_domains.iter();
            named
                .map(|(domain, mode)| (domain.clone(), *mode == Enforcement::Enforce))
                .collect()
        };
        let accepted: Vec<BTreeSet<(String, bool)>> = snapshots.iter().map(accepted).collect();
        let all: BTreeSet<&(String, bool)> = accepted.iter().flatten().collect();
        let differing = all
            .into_iter()
            .filter(|named| !accepted.iter().all(|of_set| of_set.contains(*named)));
        let source = |(domain, _): &(String, bool)| Source {
            trust_domains: Field::of([TextPattern::Exact(domain.clone())]),
            ..Source::default()
        };
        PseudoClauses {
            unauthenticated: SubjectList([Subject::Unauthenticated].into()),
            domains: CallerMatch::Sources(differing.map(source).collect()),
        }
    }
}

/// Clauses in the making, with the number of rules that they are of.
#[derive(Debug, Default)]
pub(super) struct ClauseList<'s> {
    pub clauses: Vec<Clause<'s>>,
    /// The numbers of owners that are used.
    pub owners: Vec<Owner<'s>>,
}

impl<'s> ClauseList<'s> {
    /// Adds a rule that is read with an effect, and its exceptions.
    pub(super) fn rule(&mut self, rule: &'s Rule, effect: Effect, of: Owner<'s>) {
        let owner = self.owner(of);
        self.clauses.extend(Clause::of_rule(rule, effect, owner));
        let exceptions = rule.except.iter();
        self.clauses
            .extend(exceptions.map(|exception| Clause::of_exception(exception, owner)));
    }

    /// Adds a clause that is a rule of its own.
    pub(super) fn alone(&mut self, of: Owner<'s>, clause: impl FnOnce(u32) -> Clause<'s>) {
        let owner = self.owner(of);
        self.clauses.push(clause(owner));
    }

    fn owner(&mut self, of: Owner<'s>) -> u32 {
        self.owners.push(of);
        u32::try_from(self.owners.len() - 1).unwrap_or(u32::MAX)
    }
}

impl<'s> Space<'s> {
    /// Creates the space of some sets at one time. Guards are rules of no set: they only cut, so
    /// that each of them, read as a DENY or as an ALLOW, holds for all requests of a cell or for
    /// none.
    pub fn new(snapshots: &[&'s Snapshot], guards: &'s [Arc<Rule>], now: UnixNanos) -> Space<'s> {
        let mut list = ClauseList::default();
        let mut known: FxHashMap<(u8, &'s RuleId), &'s Rule> = FxHashMap::default();
        let mut policies: FxHashMap<&RuleId, &SubjectList> = FxHashMap::default();
        for set in snapshots {
            let rules = set.rules();
            let lists = [
                (0, &rules.denies, Effect::Deny),
                (1, &rules.istio_allows, Effect::Allow),
                (2, &rules.grants, Effect::Allow),
            ];
            for (number, rules, effect) in lists {
                for rule in rules {
                    let same = known.insert((number, &rule.info.id), rule);
                    if !same.is_some_and(|same| cuts_alike(same, rule)) {
                        list.rule(rule, effect, Owner::Item(&rule.info.id));
                    }
                }
            }
            for policy in rules.egress_policies.iter().filter(|policy| policy.isolate) {
                let callers = ClauseCallers::Policy(&policy.subjects);
                let same = policies.insert(&policy.info.id, &policy.subjects);
                if same.is_none_or(|same| *same != *policy.subjects) {
                    let of = Owner::Item(&policy.info.id);
                    list.alone(of, |owner| Clause::of_callers(callers, owner));
                }
            }
            for (_, operation) in &rules.istio_bound_allow_policies {
                list.alone(Owner::Bound, |owner| {
                    Clause::of_destination(operation, owner)
                });
            }
        }
        for guard in guards {
            list.rule(guard, Effect::Deny, Owner::Guard);
            list.rule(guard, Effect::Allow, Owner::Guard);
        }
        let ClauseList { clauses, owners } = list;
        let mut space = Space {
            snapshots: snapshots.to_vec(),
            now,
            clauses,
            by_namespace: FxHashMap::default(),
            generic: Vec::new(),
            owners,
            pseudo: PseudoClauses::of(snapshots),
        };
        for (number, clause) in (0..).zip(&space.clauses) {
            match exact_namespaces::of(clause) {
                None => space.generic.push(number),
                Some(namespaces) => {
                    for namespace in namespaces {
                        let filed = space.by_namespace.entry(namespace).or_default();
                        if filed.last() != Some(&number) {
                            filed.push(number);
                        }
                    }
                }
            }
        }
        space
    }

    /// The settings of the sets.
    pub(super) fn settings(&self) -> Option<&'s Settings> {
        self.snapshots.first().map(|set| set.settings())
    }

    /// The kinds of caller that a principal is, each once, and which one it is for each set and
    /// pass.
    pub(super) fn variants<'r>(&self, principal: Principal<'r>) -> (Vec<u64>, Vec<Variant<'r>>) {
        let (mut kinds, mut variants): (Vec<u64>, Vec<Variant<'r>>) = (Vec::new(), Vec::new());
        for set in &self.snapshots {
            for pass in PASSES {
                // Callers without a valid identity differ in the record only.
                let caller = match set.classify(principal, pass) {
                    Caller::Unknown(_) => {
                        Caller::Unknown(customs_engine::IdentityState::Unauthenticated)
                    }
                    known => known,
                };
                let variant = Variant {
                    caller,
                    unknown: set.unknown_callers(pass),
                };
                let at = variants.iter().position(|known| *known == variant);
                let at = at.unwrap_or_else(|| {
                    variants.push(variant);
                    variants.len() - 1
                });
                kinds.push(match caller {
                    Caller::Unknown(_) => 0,
                    Caller::Own(_) => 1,
                    Caller::Foreign(_) => 2,
                });
                kinds.push(at as u64);
            }
        }
        (kinds, variants)
    }
}

/// Whether two rules of one list hold for the same requests. What follows from that is left aside.
fn cuts_alike(one: &Rule, other: &Rule) -> bool {
    fn exceptions(rule: &Rule) -> impl Iterator<Item = (&CallerMatch, &Operation)> {
        rule.except
            .iter()
            .map(|except| (&except.callers, &except.to))
    }
    std::ptr::eq(one, other)
        || ((&one.callers, &one.to, &one.when) == (&other.callers, &other.to, &other.when)
            && exceptions(one).eq(exceptions(other)))
}
