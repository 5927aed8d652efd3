//! Explanations match the answer that was given: for every set, request and time, the trace of the
//! naive evaluator gives the engine's answer, whole, and the stages made from it say the same and
//! name the rule that decided.

use std::collections::BTreeSet;

use customs_analysis::explain::{Stage, stages};
use customs_engine::decision::NamedRule;
use customs_engine::reference;
use customs_engine::{Answer, Effect, Gate, Pass, Reason, Request, Snapshot, UnixNanos};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::draw::{Ask, Choices, ask, set, settings};
use super::{drawn, snapshot};

const SECONDS: i128 = 1_000_000_000;

/// Draws moments before, at, between and after the expirations of what sets grant.
fn moment(choices: &mut Choices<'_>) -> UnixNanos {
    let ends = [1_767_225_600, 1_893_456_000];
    let end = ends[choices.below(ends.len())] * SECONDS;
    UnixNanos(end + [-SECONDS, -1, 0, 1, SECONDS][choices.below(5)])
}

/// Returns the answers of both passes with their stages.
fn explained(
    snapshot: &Snapshot,
    request: &Request<'_>,
    now: UnixNanos,
) -> [(Pass, Answer, Vec<Stage>); 2] {
    let decision = snapshot.decide(request, now);
    [
        (Pass::Enforced, decision.verdict),
        (Pass::DryRun, decision.dry_run),
    ]
    .map(|(pass, answer)| {
        let stages = stages(snapshot, request, None, &answer, pass, now);
        (pass, answer, stages)
    })
}

/// Returns which stages decided, by their positions.
fn deciding(answer: &Answer) -> Vec<usize> {
    match (answer.reason, answer.gates.istio, answer.gates.isolation) {
        (Reason::DeniedByRule, ..) => vec![1],
        (Reason::NoIstioAllow, ..) => vec![2],
        (Reason::NotInAllowList, ..) | (Reason::ExpiredException, _, Gate::Closed) => vec![3],
        (Reason::DefaultAllow | Reason::DefaultDeny | Reason::ExpiredException, ..)
        | (Reason::AllowedByRule, Gate::NotAsked, Gate::NotAsked) => vec![4],
        (Reason::AllowedByRule, Gate::Open, Gate::NotAsked) => vec![2],
        (Reason::AllowedByRule, Gate::NotAsked, Gate::Open) => vec![3],
        (Reason::AllowedByRule, ..) => vec![2, 3],
        _ => vec![0],
    }
}

/// Returns what the stages of an answer do not say about it; empty if they are right.
fn missing(answer: &Answer, stages: &[Stage]) -> Vec<String> {
    let mut missing = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            missing.push(what.to_owned());
        }
    };
    let state = |at: usize| stages[at].state.as_ref();
    for (at, gate) in [(2, answer.gates.istio), (3, answer.gates.isolation)] {
        let expected = match gate {
            Gate::NotAsked => "notAsked",
            Gate::Open => "open",
            Gate::Closed => "closed",
        };
        must(state(at) == expected, "a gate");
    }
    let deciding = deciding(answer);
    let denies = ["denied", "closed"];
    for at in 0..stages.len() {
        let may_deny = answer.effect() == Effect::Deny
            && (deciding.contains(&at) || answer.gates.istio == Gate::Closed && at == 3);
        must(may_deny || !denies.contains(&state(at)), "that it passed");
    }
    if answer.effect() == Effect::Deny {
        must(denies.contains(&state(deciding[0])), "that it denied");
    }
    let named: BTreeSet<&str> = deciding
        .iter()
        .flat_map(|at| &stages[*at].rules)
        .map(|rule| rule.id.as_str())
        .collect();
    match &answer.rule {
        NamedRule::BuiltIn(reason) if deciding == [0] => {
            must(stages[0].text.contains(reason.as_str()), "the finding");
        }
        NamedRule::BuiltIn(_) => {}
        NamedRule::Unauthenticated => {
            let words = "isolated, as callers without a valid identity are";
            must(stages[3].text.starts_with(words), "whom it isolates");
        }
        NamedRule::Policy(info) => must(named.contains(&*info.id.to_string()), "the rule"),
        NamedRule::Both(entry, istio) => {
            must(named.contains(&*entry.id.to_string()), "the entry");
            must(named.contains(&*istio.id.to_string()), "the Istio rule");
        }
    }
    for info in answer.expired.iter().chain(&answer.exception) {
        let id = info.id.to_string();
        let names = stages[1].rules.iter().any(|rule| rule.id == id);
        must(names, "the exception");
    }
    missing
}

proptest! {
    #[test]
    fn an_explanation_is_of_the_answer_that_was_given(documents in drawn(set), settings in drawn(settings), asks in prop::collection::vec((drawn(ask), drawn(moment)), 1..12)) {
        let Some(snapshot) = snapshot(&documents, &settings) else { return Ok(()) };
        for (ask, now) in asks {
            let explained_passes = ask.with(|attributes| explained(&snapshot, &attributes.normalise(&settings), now));
            for (pass, answer, stages) in explained_passes {
                let traced = ask.with(|attributes| {
                    let request = attributes.normalise(&settings);
                    reference::trace(snapshot.rules(), &settings, &request, pass, now).answer()
                });
                prop_assert_eq!(&traced, &answer, "{:?} {:?}\n{}", ask, now, documents.join("---\n"));
                let missing = missing(&answer, &stages);
                prop_assert!(missing.is_empty(), "{:?}: {:?}\n{:?}\n{:?}\n{}", missing, answer, stages, ask, documents.join("---\n"));
            }
        }
    }
}

/// The generators must draw every kind of answer, or the property would hold of little.
#[test]
fn explanations_of_every_kind_of_answer_are_drawn() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut reasons, mut exceptions) = (BTreeSet::new(), 0);
    for _ in 0..600 {
        let documents = drawn(set).new_tree(&mut runner).unwrap().current();
        let settings = drawn(settings).new_tree(&mut runner).unwrap().current();
        let Some(snapshot) = snapshot(&documents, &settings) else {
            continue;
        };
        for _ in 0..12 {
            let ask: Ask = drawn(ask).new_tree(&mut runner).unwrap().current();
            let now = drawn(moment).new_tree(&mut runner).unwrap().current();
            let decision =
                ask.with(|attributes| snapshot.decide(&attributes.normalise(&settings), now));
            for answer in [decision.verdict, decision.dry_run] {
                exceptions += usize::from(answer.exception.is_some() || answer.expired.is_some());
                reasons.insert(answer.reason.as_str());
            }
        }
    }
    for reason in [
        Reason::MalformedHost,
        Reason::DeniedByRule,
        Reason::NoIstioAllow,
        Reason::NotInAllowList,
        Reason::ExpiredException,
        Reason::AllowedByRule,
        Reason::DefaultAllow,
        Reason::DefaultDeny,
    ] {
        assert!(
            reasons.contains(reason.as_str()),
            "{reason:?} of {reasons:?}"
        );
    }
    assert!(exceptions > 10, "only {exceptions} exceptions were drawn");
}
