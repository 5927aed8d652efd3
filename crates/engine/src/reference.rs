//! A naive evaluator, obviously right: every rule is asked, nothing is looked up, and the stages are spelt out one after
//! the other. Tests and fuzzers hold [`snapshot`](super::snapshot) equal to it; the server never runs it.
//!
//! It shares with the engine how *one* rule matches a request. What it does not share is which rules are asked, in what
//! order, and what follows from their answers.

use std::sync::Arc;

use super::decision::{Gate, Gates};
use super::effect::Effect;
use super::enforcement::Enforcement;
use super::eval_context::EvalContext;
use super::identity::{Accepted, Caller, TrustDomains};
use super::operation::Operation;
use super::reason::Reason;
use super::request::Request;
use super::rule::{DenyMatch, Rule};
use super::rules::Rules;
use super::settings::{DefaultEffect, Settings};
use super::subject::UnknownCallers;
use super::time::UnixNanos;

/// An answer, as far as two evaluators can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Why.
    pub reason: Reason,
    /// The rule that spoke, as it is named.
    pub rule: String,
    /// What the gates did.
    pub gates: Gates,
}

impl Said {
    /// Allow or deny.
    pub fn effect(&self) -> Effect {
        self.reason.effect()
    }
}

/// The verdict: only what is enforced.
pub fn verdict(rules: &Rules, settings: &Settings, request: &Request<'_>, now: UnixNanos) -> Said {
    decide(
        rules,
        settings,
        request,
        now,
        &|mode| mode == Enforcement::Enforce,
        settings.request_validation,
    )
}

/// What the verdict would be with everything on trial enforced.
pub fn dry_run(rules: &Rules, settings: &Settings, request: &Request<'_>, now: UnixNanos) -> Said {
    decide(
        rules,
        settings,
        request,
        now,
        &|_| true,
        Enforcement::Enforce,
    )
}

fn decide(
    rules: &Rules,
    settings: &Settings,
    request: &Request<'_>,
    now: UnixNanos,
    sees: &dyn Fn(Enforcement) -> bool,
    request_validation: Enforcement,
) -> Said {
    let said = |reason: Reason, rule: String, gates| Said {
        reason,
        rule,
        gates,
    };
    let built_in =
        |reason: Reason, gates| said(reason, format!("builtin#{}", reason.as_str()), gates);
    let context = EvalContext::new(request);
    let caller = trust_domains(rules, settings, sees).judge(request.principal);
    let names_unknown = rules
        .egress_policies
        .iter()
        .any(|p| sees(p.mode) && p.subjects.name_unauthenticated());
    let unknown = if names_unknown {
        UnknownCallers::Named
    } else {
        UnknownCallers::Unnamed
    };

    // 1. Request validation.
    if let (Some(finding), Enforcement::Enforce) = (request.finding, request_validation) {
        return built_in(finding, Gates::NONE);
    }
    // 2. Deny.
    let denies = |rule: &&Arc<Rule>| {
        sees(rule.mode)
            && matches!(
                rule.deny(&context, &caller, unknown, now),
                DenyMatch::Denied(_)
            )
    };
    let mut denying: Vec<&Arc<Rule>> = rules.denies.iter().filter(denies).collect();
    denying.sort_by_key(|rule| &rule.info.id);
    if let Some(rule) = denying.first() {
        return said(Reason::DeniedByRule, rule.info.id.to_string(), Gates::NONE);
    }
    // 3. The Istio gate.
    let bound = |(mode, to): &(Enforcement, Operation)| {
        sees(*mode) && to.matches(&context, Effect::Deny).is_some()
    };
    let istio_applies = rules.istio_allow_policies.iter().any(|mode| sees(*mode))
        || rules.istio_bound_allow_policies.iter().any(bound);
    let istio = if istio_applies {
        grants(&rules.istio_allows, &context, &caller, now, sees)
    } else {
        (None, None)
    };
    // 4. The isolation gate.
    let isolated_by = isolation(rules, &caller, unknown, sees);
    let deny_by_default = settings.default_effect == DefaultEffect::Deny;
    let asked = isolated_by.is_some() || deny_by_default;
    let grant = if asked {
        grants(&rules.grants, &context, &caller, now, sees)
    } else {
        (None, None)
    };
    let gate = |applies: bool, opens: bool| match (applies, opens) {
        (false, _) => Gate::NotAsked,
        (true, true) => Gate::Open,
        (true, false) => Gate::Closed,
    };
    let gates = Gates {
        istio: gate(istio_applies, istio.0.is_some()),
        isolation: gate(isolated_by.is_some(), grant.0.is_some()),
    };

    if istio_applies && istio.0.is_none() {
        return built_in(Reason::NoIstioAllow, gates);
    }
    if let (Some(isolated_by), None) = (&isolated_by, grant.0) {
        return match grant.1 {
            Some(expired) => said(Reason::ExpiredException, expired.info.id.to_string(), gates),
            None => said(Reason::NotInAllowList, isolated_by.clone(), gates),
        };
    }
    // 5. Both gates are open, or did not apply.
    match (isolated_by.is_some(), grant.0, istio.0) {
        (true, Some(entry), Some(rule)) => said(
            Reason::AllowedByRule,
            format!("{},{}", entry.info.id, rule.info.id),
            gates,
        ),
        (_, _, Some(rule)) => said(Reason::AllowedByRule, rule.info.id.to_string(), gates),
        (_, Some(entry), None) => said(Reason::AllowedByRule, entry.info.id.to_string(), gates),
        (_, None, None) if !deny_by_default => built_in(Reason::DefaultAllow, gates),
        (_, None, None) => match grant.1 {
            Some(expired) => said(Reason::ExpiredException, expired.info.id.to_string(), gates),
            None => built_in(Reason::DefaultDeny, gates),
        },
    }
}

fn trust_domains(
    rules: &Rules,
    settings: &Settings,
    sees: &dyn Fn(Enforcement) -> bool,
) -> TrustDomains {
    let mut trust = settings.trust_domains.clone();
    if let Accepted::Only(domains) = &mut trust.accepted {
        for (domain, mode) in &rules.accepted_trust_domains {
            if sees(*mode) {
                domains.insert(domain.clone());
            }
        }
    }
    trust
}

/// The grant to be named, and one that would have been, had it not expired.
fn grants<'r>(
    rules: &'r [Arc<Rule>],
    context: &EvalContext<'_>,
    caller: &Caller<'_>,
    now: UnixNanos,
    sees: &dyn Fn(Enforcement) -> bool,
) -> (Option<&'r Rule>, Option<&'r Rule>) {
    let mut matching: Vec<_> = rules
        .iter()
        .filter(|rule| sees(rule.mode))
        .filter_map(|rule| Some((rule.grant(context, caller)?, rule.as_ref())))
        .collect();
    matching.sort_by_key(|(specificity, rule)| {
        (rule.info.expires().is_some(), *specificity, &rule.info.id)
    });
    let alive = matching
        .iter()
        .find(|(_, rule)| !rule.info.is_expired(now))
        .map(|(_, rule)| *rule);
    let expired = matching
        .iter()
        .find(|(_, rule)| rule.info.is_expired(now))
        .map(|(_, rule)| *rule);
    (alive, expired)
}

fn isolation(
    rules: &Rules,
    caller: &Caller<'_>,
    unknown: UnknownCallers,
    sees: &dyn Fn(Enforcement) -> bool,
) -> Option<String> {
    let isolating = rules
        .egress_policies
        .iter()
        .filter(|p| p.isolate && sees(p.mode));
    let Some(id) = caller.workload() else {
        return match unknown {
            UnknownCallers::Unnamed => isolating
                .clone()
                .next()
                .map(|_| "builtin#unauthenticated".to_owned()),
            UnknownCallers::Named => {
                let mut naming: Vec<_> = isolating
                    .filter(|p| p.subjects.name_unauthenticated())
                    .collect();
                naming.sort_by_key(|p| &p.info.id);
                naming.first().map(|p| p.info.id.to_string())
            }
        };
    };
    let mut selecting: Vec<_> = isolating
        .filter(|p| p.subjects.select(caller, Effect::Deny))
        .collect();
    selecting.sort_by_key(|p| (p.info.id.namespace() != id.namespace, &p.info.id));
    selecting.first().map(|p| p.info.id.to_string())
}
