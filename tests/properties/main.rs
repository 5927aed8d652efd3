//! Properties that hold for every policy set and every request. The engine agrees with the naive
//! evaluator, and the order of files makes no difference. A deny never allows more, and an allow
//! never denies more than isolation says. Canonical forms are their own canonical forms. Regions are
//! exact, and so is the comparison of two sets.
//!
//! Sets and requests are drawn from small alphabets, so that rules and requests meet.
//! `PROPTEST_CASES` sets how many cases run (the default is small enough for every test run).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod explanations;
mod findings;
mod guards;
mod recorded;
mod regions;

use std::sync::atomic::{AtomicUsize, Ordering};

use customs_engine::decision::{Answer, Gates};
use customs_engine::effect::Effect;
use customs_engine::host::Authority;
use customs_engine::path::{MAX_READINGS, Readings};
use customs_engine::reason::Reason;
use customs_engine::reference;
use customs_engine::request::{Attributes, HttpAttributes};
use customs_engine::settings::{DefaultEffect, Settings};
use customs_engine::snapshot::Snapshot;
use customs_policy::compile;
use customs_policy::guard::Guard;
use customs_policy::source::{self, PolicyFile, Source};
use customs_test_support::draw::{self, Ask, Choices, NOW, ask, set, settings};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// Draws from random bytes.
fn drawn<T: std::fmt::Debug>(draw: fn(&mut Choices<'_>) -> T) -> impl Strategy<Value = T> {
    prop::collection::vec(any::<u8>(), 0..400).prop_map(move |bytes| draw(&mut Choices::of(&bytes)))
}

fn snapshot(documents: &[String], settings: &Settings) -> Option<Snapshot> {
    let file = |(index, text): (usize, &String)| PolicyFile {
        name: format!("{index}.yaml"),
        bytes: text.as_bytes().into(),
    };
    let files = documents.iter().enumerate().map(file).collect();
    let loaded = source::load(
        &Source {
            name: "p".into(),
            files,
            ..Source::default()
        },
        settings,
    );
    compile::compile(&[loaded], settings)
        .ok()
        .map(|compiled| compiled.snapshot)
}

/// A guard whose claim is to be replaced.
fn guard_template() -> Guard {
    let text = "apiVersion: egress.customs/v1alpha1\nkind: PolicyGuard\n\
                metadata: {name: g, namespace: istio-system}\n\
                spec: {guards: [{name: a, unchangedFrom: b}]}\n";
    let file = PolicyFile {
        name: "g.yaml".into(),
        bytes: text.as_bytes().into(),
    };
    let source = Source {
        name: "p".into(),
        files: vec![file],
        ..Source::default()
    };
    let settings = Settings::default();
    let loaded = source::load(&source, &settings);
    let mut compiled = compile::compile(&[loaded], &settings).unwrap();
    compiled.guards.remove(0)
}

fn decide(snapshot: &Snapshot, ask: &Ask) -> (Answer, Answer) {
    ask.with(|attributes| {
        let request = attributes.normalise(snapshot.settings());
        let decision = snapshot.decide(&request, NOW);
        (decision.verdict, decision.dry_run)
    })
}

fn effect(snapshot: &Snapshot, ask: &Ask) -> Effect {
    decide(snapshot, ask).0.effect()
}

/// Returns what an answer says, without the places of the rules that it names.
fn spelt(answer: &Answer) -> (Reason, String, Gates) {
    (answer.reason, answer.rule.to_string(), answer.gates)
}

proptest! {
    #[test]
    fn the_engine_agrees_with_the_naive_evaluator(documents in drawn(set), settings in drawn(settings), asks in prop::collection::vec(drawn(ask), 1..24)) {
        let Some(snapshot) = snapshot(&documents, &settings) else { return Ok(()) };
        for ask in asks {
            let (verdict, dry_run) = decide(&snapshot, &ask);
            let expected = ask.with(|attributes| {
                let request = attributes.normalise(&settings);
                let rules = snapshot.rules();
                (reference::verdict(rules, &settings, &request, NOW), reference::dry_run(rules, &settings, &request, NOW))
            });
            prop_assert_eq!((verdict, dry_run), expected, "{:?}\n{}", ask, documents.join("---\n"));
        }
    }

    #[test]
    fn the_order_of_files_makes_no_difference(documents in drawn(set), settings in drawn(settings), asks in prop::collection::vec(drawn(ask), 1..8)) {
        let mut reversed = documents.clone();
        reversed.reverse();
        let (Some(a), Some(b)) = (snapshot(&documents, &settings), snapshot(&reversed, &settings)) else { return Ok(()) };
        for ask in asks {
            let (a, b) = (decide(&a, &ask), decide(&b, &ask));
            prop_assert_eq!((spelt(&a.0), spelt(&a.1)), (spelt(&b.0), spelt(&b.1)), "{:?}\n{}", ask, documents.join("---\n"));
        }
    }

    #[test]
    fn a_deny_never_allows_more(documents in drawn(set), deny in drawn(|choices| draw::any_deny(choices, "x")), asks in prop::collection::vec(drawn(ask), 1..8)) {
        let settings = Settings::default();
        let more: Vec<String> = documents.iter().cloned().chain([deny]).collect();
        let (Some(less), Some(more)) = (snapshot(&documents, &settings), snapshot(&more, &settings)) else { return Ok(()) };
        for ask in asks {
            let allowed_more = effect(&less, &ask) == Effect::Deny && effect(&more, &ask) == Effect::Allow;
            prop_assert!(!allowed_more, "{:?}", ask);
        }
    }

    #[test]
    fn an_allow_without_isolation_never_denies_more(documents in drawn(set), allow in drawn(|choices| draw::allow_only(choices, "x")), asks in prop::collection::vec(drawn(ask), 1..8)) {
        let settings = Settings { default_effect: DefaultEffect::Deny, ..Settings::default() };
        let more: Vec<String> = documents.iter().cloned().chain([allow]).collect();
        let (Some(less), Some(more)) = (snapshot(&documents, &settings), snapshot(&more, &settings)) else { return Ok(()) };
        for ask in asks {
            let denied_more = effect(&less, &ask) == Effect::Allow && effect(&more, &ask) == Effect::Deny;
            prop_assert!(!denied_more, "{:?}", ask);
        }
    }

    #[test]
    fn a_canonical_host_is_its_own_canonical_form(text in "[a-zA-Z0-9.:\\[\\]_-]{1,40}|[0-9a-f:.]{2,30}|\\PC{1,20}") {
        if let Ok(read) = Authority::parse(&text) {
            let once = read.host.to_string();
            let again = Authority::parse(&once).map(|read| read.host.to_string());
            prop_assert_eq!(again, Ok(once));
        }
    }

    #[test]
    fn any_path_has_readings_or_none(path in "[/a-c.;%0-9\\\\]{0,24}|\\PC{0,24}") {
        match Readings::of(&path) {
            Readings::One(one) => prop_assert_eq!(one, path.split('?').next().unwrap()),
            Readings::Many(all) => {
                prop_assert!(all.len() > 1 && all.len() <= MAX_READINGS);
                prop_assert_eq!(all[0].as_ref(), path.split('?').next().unwrap());
            }
            Readings::Unknown => {}
        }
    }

    #[test]
    fn any_text_is_decided(host in "\\PC{0,40}", path in "\\PC{0,40}", principal in "\\PC{0,60}", documents in drawn(set)) {
        let settings = Settings::default();
        let Some(snapshot) = snapshot(&documents, &settings) else { return Ok(()) };
        let http = HttpAttributes { method: "GET", path: &path, host: &host, ..HttpAttributes::default() };
        let attributes = Attributes { source_principal: &principal, http: Some(http), ..Attributes::default() };
        let decision = snapshot.decide(&attributes.normalise(&settings), NOW);
        prop_assert_eq!(decision.outcome.effect(), decision.verdict.effect());
    }

    #[test]
    fn any_policy_text_is_loaded_or_reported(text in "\\PC{0,200}|([a-z]{1,5}: ?[\\[{]?[a-z\\*\"']{0,6}[\\]}]?\n ?){0,20}") {
        let settings = Settings::default();
        let file = PolicyFile { name: "p.yaml".into(), bytes: text.into_bytes().into() };
        let loaded = source::load(&Source { name: "p".into(), files: vec![file], ..Source::default() }, &settings);
        match compile::compile(std::slice::from_ref(&loaded), &settings) {
            Ok(compiled) => prop_assert!(!loaded.has_errors() && compiled.problems.iter().all(|p| !p.is_error())),
            Err(problems) => prop_assert!(!problems.is_empty() && problems.iter().all(|p| p.is_error())),
        }
    }
}

/// The generators must draw sets that load, or the properties would hold of nothing.
#[test]
fn most_sets_load_and_answers_vary() {
    let (loaded, allowed, denied) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let cases = 300;
    for _ in 0..cases {
        let documents = drawn(set).new_tree(&mut runner).unwrap().current();
        let ask = drawn(ask).new_tree(&mut runner).unwrap().current();
        let Some(snapshot) = snapshot(&documents, &Settings::default()) else {
            continue;
        };
        loaded.fetch_add(1, Ordering::Relaxed);
        let counter = if effect(&snapshot, &ask) == Effect::Allow {
            &allowed
        } else {
            &denied
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
    let of = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    assert!(
        of(&loaded) > cases * 9 / 10,
        "only {} of {cases} sets load",
        of(&loaded)
    );
    assert!(
        of(&allowed) > 20 && of(&denied) > 20,
        "{} allowed, {} denied",
        of(&allowed),
        of(&denied)
    );
}
