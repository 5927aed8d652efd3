//! The immutable, compiled policy set, and the one function that decides.
//!
//! The stages, in this order; the first that says deny wins:
//!
//! 1. request validation: the request cannot be read safely;
//! 2. deny: any matching DENY rule of either family;
//! 3. the Istio gate: where an ALLOW policy is in force, one must match;
//! 4. the isolation gate: an isolated caller needs an allow entry;
//! 5. otherwise the default.
//!
//! They are walked in two passes: what is enforced gives the *verdict*, everything in the dry run
//! enforced as well gives the *dry-run answer*. `decide` is total: it returns no `Result` and
//! cannot panic. The snapshot makes answers; the outcome of them is made with the [`Decision`].

use std::ops::ControlFlow;
use std::sync::Arc;

use super::decision::{Answer, Decision, Gate, Gates, NamedRule};
use super::effect::Effect;
use super::enforcement::Enforcement;
use super::eval_context::EvalContext;
use super::header_table::HeaderTables;
use super::header_uses::HeaderUse;
use super::identity::{Caller, IdentityState, Principal};
use super::index::Index;
use super::pass::Pass;
use super::path::Readings;
use super::pattern::Match;
use super::reason::Reason;
use super::request::Request;
use super::rule::Rule;
use super::rule_info::Family;
use super::rule_number::RuleList;
use super::rules::{EgressScope, RuleCounts, Rules};
use super::settings::{DefaultEffect, Settings};
use super::subject::UnknownCallers;
use super::time::UnixNanos;
use pass_context::PassContext;
use rule_table::{DenyMatches, GrantMatches, RuleTable};

mod outside_rule;
mod pass_context;
mod revision;
mod rule_table;

pub use revision::Revision;

/// The policy set in force.
#[derive(Debug)]
pub struct Snapshot {
    revision: Revision,
    settings: Settings,
    rules: Rules,
    verdict: PassContext,
    /// `None` where nothing is in a dry run, so that `dry_run` is the verdict.
    dry_run: Option<PassContext>,
    tables: Tables,
    header_tables: Arc<HeaderTables>,
    loaded: bool,
}

/// The lookup tables over the rules, list by list.
#[derive(Debug)]
struct Tables {
    denies: Index,
    istio_allows: Index,
    grants: Index,
    audits: Index,
    egress_policies: Index,
}

impl Tables {
    fn of(rules: &Rules) -> Tables {
        Tables {
            denies: Index::of_rules(&rules.denies, Match::Broad),
            // Also looked up broadly, to see whether only an identity was missing.
            istio_allows: Index::of_rules(&rules.istio_allows, Match::Broad),
            grants: Index::of_rules(&rules.grants, Match::Strict),
            audits: Index::of_rules(&rules.audits, Match::Broad),
            egress_policies: Index::of_subjects(
                rules.egress_policies.iter().map(|p| p.subjects.as_ref()),
            ),
        }
    }
}

impl Snapshot {
    /// A compiled set.
    pub fn new(revision: Revision, settings: Settings, mut rules: Rules) -> Snapshot {
        for list in [
            &mut rules.denies,
            &mut rules.istio_allows,
            &mut rules.audits,
            &mut rules.grants,
        ] {
            list.sort_by(|a, b| a.info.id.cmp(&b.info.id));
        }
        rules
            .egress_policies
            .sort_by(|a, b| a.info.id.cmp(&b.info.id));
        let dry_run = settings.request_validation == Enforcement::Report
            || [&rules.denies, &rules.istio_allows, &rules.grants]
                .into_iter()
                .flatten()
                .any(|r| r.mode == Enforcement::Report)
            || rules
                .egress_policies
                .iter()
                .any(|p| p.mode == Enforcement::Report)
            || rules.istio_allow_policies.contains(&Enforcement::Report)
            || rules
                .istio_bound_allow_policies
                .iter()
                .any(|(mode, _)| *mode == Enforcement::Report);
        let dry_run = dry_run.then(|| PassContext::new(Pass::DryRun, &settings, &rules));
        let verdict = PassContext::new(Pass::Enforced, &settings, &rules);
        let (tables, header_tables) =
            (Tables::of(&rules), Arc::new(HeaderTables::of_rules(&rules)));
        Snapshot {
            revision,
            verdict,
            dry_run,
            tables,
            header_tables,
            settings,
            rules,
            loaded: true,
        }
    }

    /// What is in force before the first good set: every check is denied with `no_policy`.
    pub fn unloaded(settings: Settings) -> Snapshot {
        Snapshot {
            loaded: false,
            ..Snapshot::new(Revision::none(), settings, Rules::default())
        }
    }

    /// The set's revision.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The settings that the set was compiled with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The compiled rules, sorted by the order in which they are named.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The headers that conditions ask for.
    pub fn header_uses(&self) -> &[HeaderUse] {
        self.header_tables.uses()
    }

    /// What compares the headers of a request with all conditions at once.
    pub fn header_tables(&self) -> &Arc<HeaderTables> {
        &self.header_tables
    }

    /// Whether a good set has been loaded.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// Which kind of caller a principal is in one pass.
    pub fn classify<'r>(&self, principal: Principal<'r>, pass: Pass) -> Caller<'r> {
        self.pass_context(pass).trust_domains.classify(principal)
    }

    /// Whether some policy of one pass names callers without a valid identity.
    pub fn unknown_callers(&self, pass: Pass) -> UnknownCallers {
        self.pass_context(pass).unknown_callers
    }

    /// Whether some policy of one pass isolates somebody.
    pub fn isolates_somebody(&self, pass: Pass) -> bool {
        self.pass_context(pass).isolates_somebody
    }

    /// Whether an ALLOW policy that is about every destination is in one pass.
    pub fn has_istio_gate(&self, pass: Pass) -> bool {
        self.pass_context(pass).istio_gate
    }

    fn pass_context(&self, pass: Pass) -> &PassContext {
        match pass {
            Pass::Enforced => &self.verdict,
            Pass::DryRun => self.dry_run.as_ref().unwrap_or(&self.verdict),
        }
    }

    /// How many rules there are.
    pub fn counts(&self) -> RuleCounts {
        let of = |rules: &[Arc<Rule>], family| {
            rules
                .iter()
                .filter(|r| r.info.id.family() == family)
                .count()
        };
        RuleCounts {
            istio_deny: of(&self.rules.denies, Family::Istio),
            istio_allow: self.rules.istio_allows.len(),
            egress_deny: of(&self.rules.denies, Family::Egress),
            egress_allow: self.rules.grants.len(),
            policies: self.rules.policies,
        }
    }

    /// Decides one request. Total: trouble is a reason inside the decision.
    pub fn decide(&self, request: &Request<'_>, now: UnixNanos) -> Decision {
        self.decide_in(EvalContext::of_set(request, &self.header_tables), now)
    }

    /// Decides a request as if its path had these readings. No path may have them: this is for
    /// those who ask about all requests at once, never for a check.
    pub fn decide_with_readings<'r>(
        &self,
        request: &'r Request<'r>,
        readings: Readings<'r>,
        now: UnixNanos,
    ) -> Decision {
        self.decide_in(EvalContext::with_readings(request, readings), now)
    }

    fn decide_in(&self, context: EvalContext<'_>, now: UnixNanos) -> Decision {
        let request = context.request;
        let (caller, verdict) = self.answer(&self.verdict, &context, now);
        let dry_run = self.dry_run.as_ref().map_or_else(
            || verdict.clone(),
            |pass_context| self.answer(pass_context, &context, now).1,
        );
        let audits = self.table(RuleList::Audits);
        let audit = audits
            .match_denies(&self.verdict, &context, &caller, now)
            .first;
        let audit = audit.map(|(rule, _)| rule.info.clone());
        let identity_detail = match request.principal {
            Principal::Invalid(detail) => Some(detail),
            Principal::Workload(_) | Principal::Absent => None,
        };
        Decision {
            identity_detail,
            audit,
            ..Decision::new(verdict, dry_run, caller.state(), self.settings.enforcement)
        }
    }

    fn answer<'r>(
        &self,
        pass_context: &PassContext,
        context: &EvalContext<'r>,
        now: UnixNanos,
    ) -> (Caller<'r>, Answer) {
        let caller = pass_context
            .trust_domains
            .classify(context.request.principal);
        let answer = if !self.loaded {
            Answer::built_in(Reason::NoPolicy)
        } else {
            self.request_validation(pass_context, context.request)
                .unwrap_or_else(|| self.rules_say(pass_context, context, &caller, now))
        };
        (caller, answer)
    }

    /// A list of rules with its index.
    fn table(&self, list: RuleList) -> RuleTable<'_> {
        RuleTable {
            list,
            rules: self.rules.list(list),
            index: match list {
                RuleList::Denies => &self.tables.denies,
                RuleList::IstioAllows => &self.tables.istio_allows,
                RuleList::Audits => &self.tables.audits,
                RuleList::Grants => &self.tables.grants,
            },
        }
    }

    /// Stage 1.
    fn request_validation(
        &self,
        pass_context: &PassContext,
        request: &Request<'_>,
    ) -> Option<Answer> {
        request
            .finding
            .filter(|_| pass_context.request_validation == Enforcement::Enforce)
            .map(Answer::built_in)
    }

    /// Stage 2: the first matching DENY in the order of names; then the others.
    fn rules_say(
        &self,
        pass_context: &PassContext,
        context: &EvalContext<'_>,
        caller: &Caller<'_>,
        now: UnixNanos,
    ) -> Answer {
        let denies = self.table(RuleList::Denies);
        let DenyMatches { first, excepted } =
            denies.match_denies(pass_context, context, caller, now);
        let Some((rule, expired)) = first else {
            return Answer {
                exception: excepted.cloned(),
                ..self.gates(pass_context, context, caller, now)
            };
        };
        Answer {
            reason: Reason::DeniedByRule,
            rule: NamedRule::Policy(rule.info.clone()),
            gates: Gates::NONE,
            by_identity: caller.workload().is_none() && rule.asks_identity(),
            expired: expired.cloned(),
            exception: None,
        }
    }

    /// Stages 3 to 5.
    fn gates(
        &self,
        pass_context: &PassContext,
        context: &EvalContext<'_>,
        caller: &Caller<'_>,
        now: UnixNanos,
    ) -> Answer {
        let pass = pass_context.pass;
        let istio_applies = pass_context.istio_gate || self.is_bound(pass, context);
        let istio = match istio_applies {
            true => self
                .table(RuleList::IstioAllows)
                .match_grants(pass, context, caller, now),
            false => GrantMatches::default(),
        };
        let isolation = self.isolation(pass_context, caller);
        let asks_grant = isolation.is_some() || self.settings.default_effect == DefaultEffect::Deny;
        let grant = match asks_grant {
            true => self
                .table(RuleList::Grants)
                .match_grants(pass, context, caller, now),
            false => GrantMatches::default(),
        };
        let gates = Gates {
            istio: gate(istio_applies, istio.alive.is_some()),
            isolation: gate(isolation.is_some(), grant.alive.is_some()),
        };
        let answer = |reason, rule, by_identity| Answer {
            reason,
            rule,
            gates,
            by_identity,
            expired: None,
            exception: None,
        };
        let named = |rule: &Rule| NamedRule::Policy(rule.info.clone());

        if gates.istio == Gate::Closed {
            let by_identity =
                caller.workload().is_none() && self.identity_was_missing(pass, context);
            return answer(
                Reason::NoIstioAllow,
                NamedRule::BuiltIn(Reason::NoIstioAllow),
                by_identity,
            );
        }
        match (isolation, grant.alive, istio.alive) {
            (Some(isolated_by), None, _) => match grant.expired {
                Some(entry) => answer(Reason::ExpiredException, named(entry), false),
                None => {
                    let unnamed = isolated_by == NamedRule::Unauthenticated;
                    answer(Reason::NotInAllowList, isolated_by, unnamed)
                }
            },
            (Some(_), Some(entry), Some(rule)) => answer(
                Reason::AllowedByRule,
                NamedRule::Both(entry.info.clone(), rule.info.clone()),
                false,
            ),
            (None, _, Some(only)) | (_, Some(only), None) => {
                answer(Reason::AllowedByRule, named(only), false)
            }
            (None, None, None) => match (self.settings.default_effect, grant.expired) {
                (DefaultEffect::Allow, _) => Answer {
                    gates,
                    ..Answer::built_in(Reason::DefaultAllow)
                },
                (DefaultEffect::Deny, Some(entry)) => {
                    answer(Reason::ExpiredException, named(entry), false)
                }
                (DefaultEffect::Deny, None) => Answer {
                    gates,
                    ..Answer::built_in(Reason::DefaultDeny)
                },
            },
        }
    }

    /// Whether an ALLOW policy that is bound to hosts may be about this destination.
    fn is_bound(&self, pass: Pass, context: &EvalContext<'_>) -> bool {
        let mut bound = self.rules.istio_bound_allow_policies.iter();
        bound.any(|(mode, to)| pass.includes(*mode) && to.matches(context, Effect::Deny).is_some())
    }

    /// The policy that isolates the caller: of its own namespace before others', root last, then in
    /// the order of names.
    fn isolation(&self, pass_context: &PassContext, caller: &Caller<'_>) -> Option<NamedRule> {
        if matches!(caller, Caller::Unknown(_))
            && pass_context.unknown_callers == UnknownCallers::Unnamed
        {
            return pass_context
                .isolates_somebody
                .then_some(NamedRule::Unauthenticated);
        }
        let own = caller.workload().map(|id| id.namespace);
        let mut first: Option<(bool, u32, &EgressScope)> = None;
        self.tables.egress_policies.selections(caller, |position| {
            let Some(policy) = self.rules.egress_policies.get(position as usize) else {
                return;
            };
            let foreign = Some(policy.info.id.namespace()) != own;
            let earlier = first.is_none_or(|(f, p, _)| (foreign, position) < (f, p));
            let isolates = policy.isolate && pass_context.pass.includes(policy.mode);
            if earlier && isolates && policy.subjects.select(caller, Effect::Deny) {
                first = Some((foreign, position, policy));
            }
        });
        first.map(|(.., policy)| NamedRule::Policy(policy.info.clone()))
    }

    /// Whether some ALLOW rule covers the destination and only asks for an identity.
    fn identity_was_missing(&self, pass: Pass, context: &EvalContext<'_>) -> bool {
        let mut found = false;
        // The index finds rules by who asks, and here that is unknown: every rule about the host is
        // looked at.
        let everyone = Caller::Unknown(IdentityState::Unauthenticated);
        self.tables
            .istio_allows
            .lists(&everyone, context.request, Match::Broad, |list| {
                let rules = list
                    .iter()
                    .filter_map(|position| self.rules.istio_allows.get(*position as usize));
                let mut missing =
                    rules.filter(|rule| pass.includes(rule.mode) && rule.asks_identity());
                found = missing.any(|rule| rule.grants_destination(context).is_some());
                if found {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
        found
    }
}

fn gate(applies: bool, opens: bool) -> Gate {
    match (applies, opens) {
        (false, _) => Gate::NotAsked,
        (true, true) => Gate::Open,
        (true, false) => Gate::Closed,
    }
}
