//! Findings are sound: removing a rule that is reported as covered, never matching, always denied
//! or without a gate changes no answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use customs_analysis::findings::{Horizon, findings};
use customs_engine::rule::Rule;
use customs_engine::rules::Rules;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_policy::problem::{Code, Problem};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::draw::{Ask, ask, settings, some_more};
use super::{decide, drawn, snapshot};

const UNSEEN: Horizon = Horizon { now: None, days: 0 };

/// Returns the set without what a finding is about; `None` if removing it may change an answer.
fn without(snapshot: &Snapshot, finding: &Problem) -> Option<Snapshot> {
    let removable = match finding.code {
        Code::Covered | Code::AlwaysDenied | Code::IstioGateClosed => true,
        Code::NeverMatches => finding.text.contains("never"),
        _ => false,
    };
    let id = finding.text.split('`').nth(1)?;
    let mut rules: Rules = snapshot.rules().clone();
    let before = size(&rules);
    for list in [
        &mut rules.denies,
        &mut rules.istio_allows,
        &mut rules.grants,
        &mut rules.audits,
    ] {
        list.retain(|rule| rule.info.id.to_string() != id);
        list.iter_mut()
            .for_each(|rule| *rule = without_exception(rule, id));
    }
    assert!(
        !removable || size(&rules) < before,
        "{finding} names no rule"
    );
    removable.then(|| {
        Snapshot::new(
            snapshot.revision().clone(),
            snapshot.settings().clone(),
            rules,
        )
    })
}

fn without_exception(rule: &Arc<Rule>, id: &str) -> Arc<Rule> {
    let except = rule
        .except
        .iter()
        .filter(|except| except.info.id.to_string() != id)
        .cloned()
        .collect();
    Arc::new(Rule {
        except,
        ..Rule::clone(rule)
    })
}

fn size(rules: &Rules) -> usize {
    let lists = [
        &rules.denies,
        &rules.istio_allows,
        &rules.grants,
        &rules.audits,
    ];
    lists
        .iter()
        .flat_map(|list| list.iter())
        .map(|rule| 1 + rule.except.len())
        .sum()
}

fn effects(
    snapshot: &Snapshot,
    asks: &[Ask],
) -> Vec<(
    customs_engine::effect::Effect,
    customs_engine::effect::Effect,
)> {
    let one = |ask| {
        let (verdict, dry_run) = decide(snapshot, ask);
        (verdict.effect(), dry_run.effect())
    };
    asks.iter().map(one).collect()
}

proptest! {
    #[test]
    fn removing_what_is_reported_changes_no_answer(documents in drawn(some_more), settings in drawn(settings), asks in prop::collection::vec(drawn(ask), 16..48)) {
        let Some(snapshot) = snapshot(&documents, &settings) else { return Ok(()) };
        let before = effects(&snapshot, &asks);
        for finding in findings(&snapshot, UNSEEN) {
            let Some(less) = without(&snapshot, &finding) else { continue };
            let after = effects(&less, &asks);
            for ((ask, before), after) in asks.iter().zip(&before).zip(&after) {
                prop_assert_eq!(before, after, "{}\n{:?}\n{}", finding, ask, documents.join("---\n"));
            }
        }
    }
}

/// The drawn sets must have such findings, or the property would hold of nothing.
#[test]
fn drawn_sets_have_findings() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..400 {
        let documents = drawn(some_more).new_tree(&mut runner).unwrap().current();
        let Some(snapshot) = snapshot(&documents, &Settings::default()) else {
            continue;
        };
        for finding in findings(&snapshot, UNSEEN) {
            *found.entry(finding.code.as_str()).or_default() += 1;
        }
    }
    for code in [
        "covered",
        "always-denied",
        "never-matches",
        "istio-gate-closed",
        "grant-overruled",
    ] {
        assert!(found.get(code) > Some(&5), "{code}: {found:?}");
    }
}
