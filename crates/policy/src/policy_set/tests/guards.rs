//! Guards at a reload: which change is refused for one, and which is not.

use super::*;
use crate::compile::Compiled;
use crate::guard::Claim;
use std::sync::atomic::{AtomicBool, Ordering};

/// A substitute for the proofs, so that these tests know the answer: a guard of `no-NAME` is broken
/// while the set has no deny entry of that name, and one of `yes-NAME` while it has one. A guard of
/// `expires` is broken once the grant is said to have expired.
#[derive(Debug, Default)]
struct Proofs {
    expired: AtomicBool,
    /// Whether guards are only reported.
    reports: AtomicBool,
}

impl SnapshotReview for Proofs {
    fn review(&self, _: &Snapshot, _: UnixNanos) -> Vec<Problem> {
        Vec::new()
    }

    fn unkept_guards(&self, compiled: &Compiled, _: UnixNanos) -> Vec<UnkeptGuard> {
        let denies = |name: &str| {
            let denies = &compiled.snapshot.rules().denies;
            denies
                .iter()
                .find(|rule| rule.info.id.part().to_string() == format!("no-{name}"))
        };
        let unkept = |guard: &Guard| {
            let name = guard.id.as_str().split_once('#')?.1;
            let culprit = match name.split_once('-') {
                Some(("no", host)) if denies(host).is_none() => None,
                Some(("yes", host)) => Some(denies(host)?),
                None if self.expired.load(Ordering::Relaxed) => None,
                _ => return None,
            };
            let problem =
                |place: &Place, text| Problem::error(Code::GuardBroken, place.clone(), text);
            let broken = problem(&guard.place, format!("`{}` is broken", guard.id));
            let cause = culprit.map(|rule| problem(&rule.info.place, "this breaks a guard".into()));
            Some(UnkeptGuard {
                id: guard.id.clone(),
                demands: matches!(guard.claim, Claim::Always(_)),
                is_enforced: !self.reports.load(Ordering::Relaxed),
                problems: std::iter::once(broken).chain(cause).collect(),
            })
        };
        compiled.guards.iter().filter_map(unkept).collect()
    }
}

const ALL: &str = "{from: [{namespaces: ['**']}], to: {hosts: ['**']}}";

fn guards(guards: &[&str]) -> String {
    let guard = |name: &&str| {
        let claim = if name.starts_with("no") {
            "never"
        } else {
            "always"
        };
        format!("  - {{name: {name}, {claim}: {ALL}}}\n")
    };
    let guards: String = guards.iter().map(guard).collect();
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: PolicyGuard\nmetadata: {{name: g, namespace: istio-system}}\n\
         spec:\n  guards:\n{guards}"
    )
}

fn rounds(names: &[&str]) -> (Rounds, Arc<Proofs>) {
    let (Rounds(set), proofs) = (Rounds::new(names), Arc::new(Proofs::default()));
    (Rounds(set.with_review(proofs.clone())), proofs)
}

fn texts(reload: &ReloadOutcome) -> Vec<String> {
    let change = reload.change.as_ref().unwrap();
    change.problems.iter().map(Problem::to_string).collect()
}

#[test]
fn a_change_that_breaks_a_guard_is_refused_and_names_the_guard() {
    let (mut rounds, _) = rounds(&["a", "b"]);
    let first = rounds.files(&[&guards(&["no-x-example"]), &denies("p", &["x.example"])]);
    assert_eq!(outcome(&first), Some("published"));
    assert_eq!(rounds.0.guards().len(), 1);
    let second = rounds.files(&[&guards(&["no-x-example"]), &denies("p", &["y.example"])]);
    assert_eq!(outcome(&second), Some("refused"));
    assert_eq!(rounds.states(), ["good", "refused"]);
    assert_eq!(
        texts(&second),
        [
            "b: error[guard-broken]: this change would break `a`; the last good content of `b` stays in force; \
             change both at once, or undo this change",
            "a/0.yaml:6:5: error[guard-broken]: `pg:istio-system/g#no-x-example` is broken",
        ]
    );
    let mended = rounds.files(&[
        &guards(&["no-x-example"]),
        &denies("p", &["y.example", "x.example"]),
    ]);
    assert_eq!((outcome(&mended), rounds.denies()), (Some("published"), 2));
}

#[test]
fn a_new_guard_that_the_set_does_not_keep_is_refused_itself() {
    let (mut rounds, _) = rounds(&["a", "b"]);
    rounds.files(&[&guards(&["no-x-example"]), &denies("p", &["x.example"])]);
    let stricter = rounds.files(&[
        &guards(&["no-x-example", "no-y-example"]),
        &denies("p", &["x.example"]),
    ]);
    assert_eq!(outcome(&stricter), Some("refused"));
    assert_eq!(
        (rounds.states(), rounds.0.guards().len()),
        (vec!["refused", "good"], 1)
    );
    let both = rounds.files(&[
        &guards(&["no-x-example", "no-y-example"]),
        &denies("p", &["x.example", "y.example"]),
    ]);
    assert_eq!(
        (outcome(&both), rounds.0.guards().len()),
        (Some("published"), 2)
    );
}

#[test]
fn of_several_changes_only_the_one_that_breaks_a_guard_is_refused() {
    let (mut rounds, _) = rounds(&["a", "b", "c"]);
    let guard = guards(&["no-x-example"]);
    rounds.files(&[
        &guard,
        &denies("p", &["x.example"]),
        &denies("q", &["q.example"]),
    ]);
    let second = rounds.files(&[
        &guard,
        &denies("p", &["y.example"]),
        &denies("q", &["q.example", "r.example"]),
    ]);
    assert_eq!(outcome(&second), Some("published_in_part"));
    assert_eq!(
        (rounds.states(), rounds.denies()),
        (vec!["good", "refused", "good"], 3)
    );
}

#[test]
fn a_first_set_that_breaks_a_guard_is_never_in_force() {
    let (mut rounds, _) = rounds(&["a", "b"]);
    let first = rounds.files(&[&guards(&["no-x-example"]), &denies("p", &["y.example"])]);
    assert_eq!(outcome(&first), Some("refused"));
    assert!(!rounds.0.is_ready());
    let mended = rounds.files(&[&guards(&["no-x-example"]), &denies("p", &["x.example"])]);
    assert_eq!(outcome(&mended), Some("published"));
}

#[test]
fn what_must_be_allowed_keeps_no_server_from_starting() {
    let (mut rounds, _) = rounds(&["a", "b"]);
    let guard = guards(&["yes-x-example"]);
    let first = rounds.files(&[&guard, &denies("p", &["x.example"])]);
    assert_eq!(
        outcome(&first),
        Some("published"),
        "without a set everything is denied"
    );
    assert_eq!(
        texts(&first),
        [
            "a/0.yaml:6:5: warning[guard-broken]: `pg:istio-system/g#yes-x-example` is broken",
            "b/0.yaml:7:5: warning[guard-broken]: this breaks a guard",
        ]
    );
    let still = rounds.files(&[&guard, &denies("p", &["x.example", "y.example"])]);
    assert_eq!(
        outcome(&still),
        Some("published"),
        "what is in force breaks it as well"
    );
    let mended = rounds.files(&[&guard, &denies("p", &["y.example"])]);
    assert_eq!(
        (outcome(&mended), rounds.0.warnings().count()),
        (Some("published"), 0)
    );
    let broken = rounds.files(&[&guard, &denies("p", &["x.example"])]);
    assert_eq!(
        outcome(&broken),
        Some("refused"),
        "what is in force keeps it"
    );
}

#[test]
fn a_guard_that_time_broke_refuses_no_change() {
    let (mut rounds, proofs) = rounds(&["a", "b"]);
    rounds.files(&[&guards(&["expires"]), &denies("p", &["x.example"])]);
    assert_eq!(rounds.0.warnings().count(), 0);
    proofs.expired.store(true, Ordering::Relaxed);
    let change = rounds.files(&[&guards(&["expires"]), &denies("p", &["y.example"])]);
    assert_eq!(outcome(&change), Some("published"));
    assert_eq!(rounds.0.warnings().count(), 1);
    let reworded = guards(&["expires"]).replace("'**']}}", "a.example]}}");
    let change = rounds.files(&[&reworded, &denies("p", &["y.example"])]);
    assert_eq!(
        outcome(&change),
        Some("refused"),
        "other words are another guard"
    );
}

#[test]
fn a_namespace_whose_first_policies_break_a_guard_is_isolated_and_holds_up_nobody() {
    let (Rounds(set), proofs) = (Rounds::new(&["a"]), Arc::new(Proofs::default()));
    let declaration = SourceDeclaration {
        id: "teams".into(),
        scope: SourceScope::NamespaceRoot,
        default_namespace: None,
    };
    let declarations = [SourceDeclaration::any_namespace("a"), declaration];
    drop(set);
    let mut set = PolicySet::new(declarations, Settings::default()).with_review(proofs);
    let listing = NamespaceListing {
        namespaces: ["shop".to_owned(), "web".to_owned()].into(),
        problems: Vec::new(),
    };
    set.discover_namespaces(&"teams".into(), Ok(listing));
    let team = |namespace: &str, host: &str| {
        let policy = denies("p", &[host])
            .replace("istio-system", namespace)
            .replace("'**'", namespace);
        let Ok(source) = content(&format!("teams/{namespace}"), &[&policy]) else {
            panic!("it is readable");
        };
        Ok(Source {
            namespace: Some(namespace.into()),
            ..source
        })
    };
    let policies = [
        (
            "a".into(),
            content(
                "a",
                &[&guards(&["yes-x-example"]).replace("always", "never")],
            ),
        ),
        ("teams/shop".into(), team("shop", "x.example")),
        ("teams/web".into(), team("web", "y.example")),
    ];
    let reload = set.reload(
        SourceReadings {
            policies: policies.into(),
            settings: None,
        },
        NOW,
    );
    assert_eq!(outcome(&reload), Some("published_in_part"));
    let states: Vec<_> = set
        .statuses()
        .iter()
        .map(|s| (s.name.clone(), s.state.as_str()))
        .collect();
    assert_eq!(
        states,
        [
            ("a", "good"),
            ("teams", "good"),
            ("teams/shop", "never_loaded"),
            ("teams/web", "good")
        ]
        .map(|(name, state)| (name.to_owned(), state))
    );
    assert!(
        texts(&reload)
            .iter()
            .any(|text| text.contains("namespace `shop` is isolated"))
    );
    assert!(texts(&reload).iter().any(|text| {
        text.contains("teams/shop/0.yaml:7:5: error[guard-broken]: this breaks a guard")
    }));
}

#[test]
fn guards_that_are_only_reported_refuse_nothing() {
    let (mut rounds, proofs) = rounds(&["a", "b"]);
    proofs.reports.store(true, Ordering::Relaxed);
    let first = rounds.files(&[&guards(&["no-x-example"]), &denies("p", &["y.example"])]);
    assert_eq!(outcome(&first), Some("published"));
    assert_eq!(
        texts(&first),
        ["a/0.yaml:6:5: warning[guard-broken]: `pg:istio-system/g#no-x-example` is broken"]
    );
}

#[test]
fn guards_alone_are_not_a_set() {
    let (mut rounds, _) = rounds(&["a"]);
    let reload = rounds.files(&[&guards(&["yes-x-example"])]);
    assert_eq!(outcome(&reload), Some("refused"));
    assert!(
        texts(&reload)[0].contains("error[no-policy]: there is no policy document"),
        "{:?}",
        texts(&reload)
    );
}
