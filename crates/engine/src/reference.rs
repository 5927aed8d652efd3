//! A naive evaluator, obviously right: it asks every rule, looks nothing up, and spells the stages
//! out one after the other. Tests and fuzzers hold [`snapshot`](super::snapshot) equal to it. The
//! server runs it for people alone: to explain an answer, never to give one.
//!
//! It shares with the engine how *one* rule matches a request. It shares neither which rules are
//! asked, nor in what order, nor what follows from their answers. What it found is a [`Trace`], and
//! its answer is what the trace says.

use std::sync::Arc;

use super::decision::{Answer, Gates};
use super::effect::Effect;
use super::eval_context::EvalContext;
use super::identity::{Accepted, Caller, TrustDomains};
use super::pass::Pass;
use super::request::Request;
use super::rule::{DenyMatch, Rule};
use super::rules::Rules;
use super::settings::{DefaultEffect, Settings};
use super::subject::UnknownCallers;
use super::time::UnixNanos;

mod trace;

pub use trace::{
    AllowMatches, Candidate, DefaultTrace, Denied, DenyTrace, Excepted, IsolatedBy, IsolationTrace,
    IstioTrace, Trace, ValidationTrace,
};

/// Returns the verdict: only what is enforced.
pub fn verdict(
    rules: &Rules,
    settings: &Settings,
    request: &Request<'_>,
    now: UnixNanos,
) -> Answer {
    trace(rules, settings, request, Pass::Enforced, now).answer()
}

/// Returns what the verdict would be if every dry run were enforced.
pub fn dry_run(
    rules: &Rules,
    settings: &Settings,
    request: &Request<'_>,
    now: UnixNanos,
) -> Answer {
    trace(rules, settings, request, Pass::DryRun, now).answer()
}

/// Evaluates a request stage after stage, and returns what each stage found.
///
/// A stage is asked only if no stage before it denied. The two gates are asked together, because an
/// answer says of both what they did.
pub fn trace<'t>(
    rules: &'t Rules,
    settings: &Settings,
    request: &Request<'t>,
    pass: Pass,
    now: UnixNanos,
) -> Trace<'t> {
    let caller = trust_domains(rules, settings, pass).classify(request.principal);
    let evaluator = Evaluator {
        rules,
        settings,
        context: EvalContext::new(request),
        pass,
        now,
        caller,
        unknown: unknown_callers(rules, pass),
    };
    let mut trace = Trace::of(caller, evaluator.validation());
    if trace.is_denied() {
        return trace;
    }
    trace.deny = Some(evaluator.deny());
    if trace.is_denied() {
        return trace;
    }
    trace.istio = Some(evaluator.istio());
    trace.isolation = Some(evaluator.isolation());
    if trace.is_denied() {
        return trace;
    }
    trace.default = Some(evaluator.default(&trace));
    trace
}

/// The trust domains that the settings and the rules of a pass accept.
fn trust_domains(rules: &Rules, settings: &Settings, pass: Pass) -> TrustDomains {
    let mut trust = settings.trust_domains.clone();
    if let Accepted::Only(domains) = &mut trust.accepted {
        for (domain, mode) in &rules.accepted_trust_domains {
            if pass.includes(*mode) {
                domains.insert(domain.clone());
            }
        }
    }
    trust
}

/// Whether some policy of a pass names callers without a valid identity.
fn unknown_callers(rules: &Rules, pass: Pass) -> UnknownCallers {
    let mut policies = rules.egress_policies.iter();
    if policies.any(|policy| pass.includes(policy.mode) && policy.subjects.name_unauthenticated()) {
        UnknownCallers::Named
    } else {
        UnknownCallers::Unnamed
    }
}

/// One request and everything that the stages ask of it.
struct Evaluator<'t, 'r> {
    rules: &'t Rules,
    settings: &'r Settings,
    context: EvalContext<'r>,
    pass: Pass,
    now: UnixNanos,
    caller: Caller<'t>,
    unknown: UnknownCallers,
}

impl<'t> Evaluator<'t, '_> {
    /// Stage 1: the request cannot be read safely.
    fn validation(&self) -> ValidationTrace {
        let is_in_force = self.pass.includes(self.settings.request_validation);
        match (self.context.request.finding, is_in_force) {
            (None, _) => ValidationTrace::Passed,
            (Some(finding), false) => ValidationTrace::Recorded(finding),
            (Some(finding), true) => ValidationTrace::Denied(finding),
        }
    }

    /// Stage 2: any matching DENY rule of either family denies.
    fn deny(&self) -> DenyTrace<'t> {
        let in_pass = self.in_pass(&self.rules.denies);
        let about_caller = in_pass.iter().filter(|rule| {
            let request = self.context.request;
            rule.callers.denies(&self.caller, request, self.unknown)
        });
        let about_destination = in_pass.iter().filter(|rule| {
            let mut to = rule.to.iter();
            rule.to.is_empty() || to.any(|to| to.matches(&self.context, Effect::Deny).is_some())
        });
        let (mut denied, mut excepted) = (Vec::new(), Vec::new());
        for rule in &in_pass {
            match rule.deny(&self.context, &self.caller, self.unknown, self.now) {
                DenyMatch::NoMatch => {}
                DenyMatch::Excepted(exception) => excepted.push(Excepted { rule, exception }),
                DenyMatch::Denied(expired) => denied.push(Denied { rule, expired }),
            }
        }
        denied.sort_by_key(|denied| &denied.rule.info.id);
        excepted.sort_by_key(|excepted| &excepted.rule.info.id);
        DenyTrace {
            rules: in_pass.len(),
            about_caller: about_caller.count(),
            about_destination: about_destination.count(),
            denied: denied.first().copied(),
            excepted,
        }
    }

    /// Stage 3: where an ALLOW policy is in force, one must match.
    fn istio(&self) -> IstioTrace<'t> {
        let mut everywhere = self.rules.istio_allow_policies.iter();
        let mut bound = self.rules.istio_bound_allow_policies.iter();
        let applies = everywhere.any(|mode| self.pass.includes(*mode))
            || bound.any(|(mode, to)| {
                self.pass.includes(*mode) && to.matches(&self.context, Effect::Deny).is_some()
            });
        if !applies {
            return IstioTrace::NotAsked;
        }
        let in_pass = self.in_pass(&self.rules.istio_allows);
        let misses_identity =
            |rule: &Rule| rule.asks_identity() && rule.grants_destination(&self.context).is_some();
        IstioTrace::Asked {
            rules: in_pass.len(),
            identity_was_missing: self.caller.workload().is_none()
                && in_pass.iter().any(|rule| misses_identity(rule)),
            matches: self.allows(&self.rules.istio_allows, |_| true),
        }
    }

    /// Stage 4: an isolated caller needs an allow entry.
    fn isolation(&self) -> IsolationTrace<'t> {
        match self.isolated_by() {
            None => IsolationTrace::NotAsked,
            Some(by) => IsolationTrace::Asked {
                by,
                matches: self.grants(),
            },
        }
    }

    /// What isolates the caller: a policy of its own namespace before others', then in the order of
    /// names.
    fn isolated_by(&self) -> Option<IsolatedBy<'t>> {
        let policies = self.rules.egress_policies.iter();
        let mut isolating =
            policies.filter(|policy| policy.isolate && self.pass.includes(policy.mode));
        if self.caller.workload().is_none() && self.unknown == UnknownCallers::Unnamed {
            return isolating.next().map(|_| IsolatedBy::Unauthenticated);
        }
        let own = self.caller.workload().map(|id| id.namespace);
        let mut selecting: Vec<_> = isolating
            .filter(|policy| policy.subjects.select(&self.caller, Effect::Deny))
            .collect();
        selecting.sort_by_key(|policy| {
            let is_foreign = Some(policy.info.id.namespace()) != own;
            (is_foreign, &policy.info.id)
        });
        selecting
            .first()
            .map(|policy| IsolatedBy::Policy(&policy.info))
    }

    /// Stage 5: what happens if no gate was asked.
    fn default(&self, trace: &Trace<'_>) -> DefaultTrace<'t> {
        match self.settings.default_effect {
            _ if trace.gates() != Gates::NONE => DefaultTrace::NotAsked,
            DefaultEffect::Allow => DefaultTrace::Allow,
            DefaultEffect::Deny => DefaultTrace::Deny(self.grants()),
        }
    }

    /// What the allow entries say; those that come near must select the caller.
    fn grants(&self) -> AllowMatches<'t> {
        let selects = |rule: &Rule| rule.callers.grants(&self.caller, self.context.request);
        self.allows(&self.rules.grants, selects)
    }

    /// The ALLOW rules that match, the one to be named first, and if none opens, those that might
    /// have been meant.
    fn allows(
        &self,
        rules: &'t [Arc<Rule>],
        is_candidate: impl Fn(&Rule) -> bool,
    ) -> AllowMatches<'t> {
        let mut matching: Vec<_> = self
            .in_pass(rules)
            .into_iter()
            .filter_map(|rule| Some((rule.grant(&self.context, &self.caller)?, rule)))
            .collect();
        matching.sort_by_key(|(specificity, rule)| {
            (rule.info.expires().is_some(), *specificity, &rule.info.id)
        });
        let first = |is_expired: bool| {
            matching
                .iter()
                .find(|(_, rule)| rule.info.is_expired(self.now) == is_expired)
                .map(|(_, rule)| *rule)
        };
        let opened_by = first(false);
        let candidates = if opened_by.is_some() {
            Vec::new()
        } else {
            let candidates = rules.iter().filter(|rule| is_candidate(rule));
            let in_force = |rule: &Rule| self.pass.includes(rule.mode);
            candidates
                .map(|rule| Candidate {
                    rule,
                    is_in_force: in_force(rule),
                })
                .collect()
        };
        AllowMatches {
            opened_by,
            expired: first(true),
            candidates,
        }
    }

    /// The rules of a list that the pass looks at.
    fn in_pass(&self, rules: &'t [Arc<Rule>]) -> Vec<&'t Arc<Rule>> {
        let rules = rules.iter();
        rules.filter(|rule| self.pass.includes(rule.mode)).collect()
    }
}
