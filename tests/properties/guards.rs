//! Guards match the answers of their set: whatever is called proved holds for every request that is
//! drawn, whatever is called broken has a request that the set and the naive evaluator answer so, and
//! a deny of a set keeps the guard with its own words.

use std::sync::Arc;

use customs_analysis::guards::{self, Proof, ProofOutcome};
use customs_engine::Snapshot;
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::eval_context::EvalContext;
use customs_engine::reference;
use customs_engine::request::Request;
use customs_engine::rule::Rule;
use customs_engine::rule_info::Family;
use customs_policy::guard::{Claim, Guard};
use proptest::prelude::*;

use super::draw::{ask, set, settings};
use super::{NOW, drawn, guard_template, snapshot};

/// Cells that one search may ask; some searches must end early.
const BUDGET: usize = 2_000;

/// Guards that are looked at in one case.
const GUARDS: usize = 3;

fn guards(of: &Snapshot) -> Vec<Guard> {
    let template = guard_template();
    let is_egress = |rule: &&Arc<Rule>| rule.info.id.family() == Family::Egress;
    let rules = of.rules();
    let never = rules.denies.iter().filter(is_egress);
    let never = never.map(|rule| Claim::Never(rule.clone()));
    let always = rules.grants.iter().map(|rule| Claim::Always(rule.clone()));
    let claims = never.chain(always);
    claims
        .take(GUARDS)
        .map(|claim| Guard {
            claim,
            ..template.clone()
        })
        .collect()
}

/// Whether a guard covers a request.
fn covers(guard: &Guard, snapshot: &Snapshot, request: &Request<'_>) -> bool {
    let rule = guard.claim.rule().unwrap();
    let context = EvalContext::new(request);
    if guard.claim.forbids() {
        return snapshot.would_apply(rule, Effect::Deny, &context, NOW);
    }
    let is_validated = snapshot.settings().request_validation == Enforcement::Enforce;
    !(is_validated && request.finding.is_some())
        && snapshot.would_apply(rule, Effect::Allow, &context, NOW)
}

fn is_broken_by(guard: &Guard, snapshot: &Snapshot, request: &Request<'_>) -> bool {
    let is_allowed = snapshot.decide(request, NOW).verdict.effect() == Effect::Allow;
    covers(guard, snapshot, request) && is_allowed == guard.claim.forbids()
}

/// A search asks thousands of requests, so there are fewer cases than of other properties.
fn fewer_cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.div_ceil(8),
        ..usual
    }
}

proptest! {
    #![proptest_config(fewer_cases())]

    #[test]
    fn a_proof_holds_for_every_request_and_a_counter_example_is_real(
        documents in drawn(set),
        others in drawn(set),
        settings in drawn(settings),
        asks in prop::collection::vec(drawn(ask), 1..60),
    ) {
        let Some(snapshot) = snapshot(&documents, &settings) else { return Ok(()) };
        let Some(others) = super::snapshot(&others, &settings) else { return Ok(()) };
        for guard in guards(&others) {
            let proofs = guards::prove(std::slice::from_ref(&guard), &snapshot, NOW, BUDGET);
            let Proof { outcome, .. } = &proofs[0];
            match outcome {
                ProofOutcome::Broken(broken) => {
                    let naive = broken.request.with(&settings, |request| {
                        prop_assert!(is_broken_by(&guard, &snapshot, request), "{guard:?} {broken:?}");
                        Ok(reference::verdict(snapshot.rules(), &settings, request, NOW))
                    })?;
                    prop_assert_eq!(naive.effect(), broken.verdict.effect());
                }
                ProofOutcome::Proved | ProofOutcome::Empty => {
                    for ask in &asks {
                        let breaks = ask.with(|attributes| {
                            is_broken_by(&guard, &snapshot, &attributes.normalise(&settings))
                        });
                        prop_assert!(!breaks, "{guard:?} is called {outcome:?}, and {ask:?} breaks it");
                    }
                }
                ProofOutcome::NotProved(_) => {}
                ProofOutcome::Conflict(..) => prop_assert!(false, "one guard has no rival"),
            }
        }
    }

    #[test]
    fn a_deny_keeps_the_guard_with_its_own_words(documents in drawn(set), settings in drawn(settings)) {
        let Some(snapshot) = snapshot(&documents, &settings) else { return Ok(()) };
        for guard in guards(&snapshot) {
            let Claim::Never(rule) = &guard.claim else { continue };
            if rule.mode == Enforcement::Report {
                continue;
            }
            let proofs = guards::prove(std::slice::from_ref(&guard), &snapshot, NOW, BUDGET);
            prop_assert!(!matches!(proofs[0].outcome, ProofOutcome::Broken(_)), "{proofs:?}");
        }
    }
}
