//! Guards as they are read: what each one is about, and every mistake with its place and hint.

use super::*;
use crate::compile;
use crate::source::{PolicyFile, Source, load};

const HEAD: &str = "apiVersion: egress.customs/v1alpha1\nkind: PolicyGuard\n\
                    metadata: {name: org, namespace: istio-system}\n";

fn source(text: &str) -> Source {
    let file = PolicyFile {
        name: "a.yaml".into(),
        bytes: text.as_bytes().into(),
    };
    Source {
        name: "p".into(),
        files: vec![file],
        ..Source::default()
    }
}

/// The problems of a document with these guards.
fn problems(guards: &str) -> Vec<String> {
    whole(&format!("{HEAD}spec:\n  guards:\n{guards}"))
}

fn whole(text: &str) -> Vec<String> {
    let settings = Settings::default();
    let loaded = load(&source(text), &settings);
    let found = match loaded.has_errors() {
        true => loaded.problems().to_vec(),
        false => match compile::compile(&[loaded], &settings) {
            Ok(compiled) => compiled.problems,
            Err(problems) => problems,
        },
    };
    found.iter().map(Problem::to_string).collect()
}

fn guards(text: &str) -> Vec<Guard> {
    let settings = Settings::default();
    let loaded = load(&source(text), &settings);
    assert!(!loaded.has_errors(), "{:?}", loaded.problems());
    compile::compile(&[loaded], &settings).unwrap().guards
}

#[test]
fn a_guard_is_read_like_the_entries_of_an_egress_policy() {
    let text = format!(
        "{HEAD}spec:
  owner: security
  guards:
  - name: pci
    never:
      from: [{{namespaces: [pci]}}]
      to: {{hosts: ['**']}}
      except:
      - to: {{destinations: [payments], methods: [POST], paths: ['/v1/*']}}
    reason: what card data may leave for
    ticket: SEC-1
  - name: bad
    never: {{to: {{hosts: ['*.bad.example', 'bad.example:*']}}}}
  - name: pays
    always: {{from: [{{serviceAccounts: [shop/pay]}}], to: {{destinations: [payments]}}}}
  - name: bots
    only: {{from: [{{namespaces: [bots-*]}}], to: {{hosts: [partner.example]}}}}
  - name: frozen
    unchangedFrom: ../release
---
apiVersion: egress.customs/v1alpha1
kind: DestinationSet
metadata: {{name: payments, namespace: istio-system}}
spec: {{hosts: [api.psp.example]}}
"
    );
    let guards = guards(&text);
    let of = |at: usize| &guards[at];
    let ids: Vec<_> = guards.iter().map(|guard| guard.id.as_str()).collect();
    assert_eq!(
        ids,
        ["pci", "bad", "pays", "bots", "frozen"].map(|name| format!("pg:istio-system/org#{name}"))
    );
    let fields: Vec<_> = guards.iter().map(|guard| guard.claim.as_str()).collect();
    assert_eq!(
        fields,
        ["never", "never", "always", "only", "unchangedFrom"]
    );
    assert_eq!(of(0).place.line, 7);
    assert_eq!(of(0).about.owner.as_deref(), Some("security"));
    assert_eq!(
        of(0).about.reason.as_deref(),
        Some("what card data may leave for")
    );
    assert_eq!(of(0).about.ticket.as_deref(), Some("SEC-1"));

    let rule = |at: usize| of(at).claim.rule().unwrap().as_ref();
    let psp = crate::egress_patterns::hosts(
        &[Text {
            text: "api.psp.example",
            quoted: true,
            place: &Place::default(),
        }],
        &mut Vec::new(),
    );
    assert_eq!(
        rule(0).except[0].to.hosts.any_of(),
        psp,
        "the set of an exception"
    );
    assert!(rule(0).except[0].to.is_http_only());
    assert_eq!(
        rule(2).to[0].hosts.any_of(),
        psp,
        "the set of a destination"
    );
    assert_eq!(
        rule(1).callers,
        CallerMatch::Anyone,
        "nobody is named: everyone"
    );
    let CallerMatch::Subjects(pci) = &rule(0).callers else {
        panic!("{:?}", rule(0).callers);
    };
    assert_eq!(
        rule(0).except[0].callers,
        CallerMatch::Subjects(Arc::new(pci.own_workloads())),
        "an exception without callers is for those of the guard that have an identity"
    );
    assert_eq!(rule(3).callers, CallerMatch::Anyone);
    assert_eq!(
        rule(3).except.len(),
        1,
        "those who alone may go are excepted"
    );
    assert!(!rule(3).except[0].to.hosts.is_set(), "wherever they go");
    assert_eq!(of(4).claim, Claim::UnchangedFrom("../release".into()));
}

#[test]
fn a_guard_is_no_policy_and_its_bytes_count() {
    let policy = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {name: p, namespace: n}\n\
                  spec: {isolate: true}\n";
    let guard =
        format!("{HEAD}spec: {{guards: [{{name: a, never: {{to: {{hosts: [a.example]}}}}}}]}}\n");
    let settings = Settings::default();
    let compiled =
        |text: &str| compile::compile(&[load(&source(text), &settings)], &settings).unwrap();
    let (without, with) = (compiled(policy), compiled(&format!("{policy}---\n{guard}")));
    assert_eq!(without.snapshot.counts(), with.snapshot.counts());
    assert_eq!(
        without.snapshot.rules().denies,
        with.snapshot.rules().denies
    );
    assert_ne!(without.snapshot.revision(), with.snapshot.revision());
}

#[test]
fn each_mistake_has_its_place_and_says_what_to_do() {
    for (guards, expected) in [
        (
            "  - {name: a}",
            "p/a.yaml:6:5: error[missing-field]: a guard needs `never`, `always`, `only` or `unchangedFrom`; \
             write what must hold: `never: {to: {hosts: [...]}}`",
        ),
        (
            "  - {name: a, nevr: {to: {hosts: [a.example]}}}",
            "p/a.yaml:6:15: error[unknown-field]: unknown field `nevr` in a guard; did you mean `never`?",
        ),
        (
            "  - {name: a, unchanged-from: ../b}",
            "p/a.yaml:6:15: error[unknown-field]: unknown field `unchanged-from` in a guard; did you mean \
             `unchangedFrom`?",
        ),
        (
            "  - {never: {to: {hosts: [a.example]}}}",
            "p/a.yaml:6:5: error[missing-field]: `name` is missing in a guard; add `name`",
        ),
        (
            "  - {name: a#b, never: {to: {hosts: [a.example]}}}",
            "p/a.yaml:6:12: error[bad-name]: invalid entry name `a#b`; use letters, digits, `-`, `_` and `.`, at \
             most 63 characters",
        ),
        (
            "  - {name: a, never: {to: {hosts: [a.example]}}, always: {from: [{namespaces: [n]}], to: {hosts: ['**']}}}",
            "p/a.yaml:6:58: error[conflict]: `never` and `always` exclude each other in one guard; write two \
             guards, each with a name",
        ),
        (
            "  - {name: a, never: {from: [{namespaces: [n]}]}}",
            "p/a.yaml:6:22: error[missing-field]: `to` is missing in `never`; add `to`",
        ),
        (
            "  - {name: a, never: {to: {methods: [GET]}}}",
            "p/a.yaml:6:27: error[missing-field]: `hosts` or `destinations` is missing in a destination; name \
             them: `hosts: [\"api.example.com\"]`",
        ),
        (
            "  - {name: a, never: {to: {}}}",
            "p/a.yaml:6:27: error[empty-value]: `a destination` is empty; say what it holds; without the field \
             every value is meant",
        ),
        (
            "  - {name: a, never: {to: {hosts: []}}}",
            "p/a.yaml:6:35: error[empty-value]: `hosts` is empty; say what it holds; without the field every \
             value is meant",
        ),
        (
            "  - {name: a, never: {from: [], to: {hosts: ['**']}}}",
            "p/a.yaml:6:29: error[empty-value]: `from` is empty; say what it holds; without the field every \
             value is meant",
        ),
        (
            "  - {name: a, never: {to: {hosts: ['**']}, except: [{}]}}",
            "p/a.yaml:6:53: error[empty-value]: `an exception of a guard` is empty; say what it holds; without \
             the field every value is meant",
        ),
        (
            "  - {name: a, always: {to: {hosts: ['**']}}}",
            "p/a.yaml:6:23: error[missing-field]: `from` is missing in `always`; add `from`",
        ),
        (
            "  - {name: a, only: {from: [{namespaces: [n]}], to: {hosts: [A.example]}}}",
            "p/a.yaml:6:62: error[host-spelling]: `A.example` is not the canonical spelling; write `a.example`",
        ),
        (
            "  - {name: a, only: {from: [{namespaces: ['*']}], to: {hosts: [a.example]}}}",
            "p/a.yaml:6:43: error[bad-identity]: invalid namespace `*`; write `**` for every namespace",
        ),
        (
            "  - {name: a, always: {from: [{namespaces: [n]}], to: {hosts: [a.example]}, except: [{to: {hosts: [b.example]}}]}}",
            "p/a.yaml:6:77: error[unknown-field]: unknown field `except` in `always`; only `never` has exceptions",
        ),
        (
            "  - {name: a, from: [{namespaces: [n]}], never: {to: {hosts: [a.example]}}}",
            "p/a.yaml:6:15: error[unknown-field]: unknown field `from` in a guard; `from` belongs in `never`, \
             `always` or `only`: `never: {from: ...}`",
        ),
        (
            "  - {name: a, never: {hosts: [a.example], to: {hosts: [a.example]}}}",
            "p/a.yaml:6:23: error[unknown-field]: unknown field `hosts` in `never`; `hosts` belongs in `to`: \
             `to: {hosts: ...}`",
        ),
        (
            "  - {name: a, never: {subjects: [{namespaces: [n]}], to: {hosts: [a.example]}}}",
            "p/a.yaml:6:23: error[unknown-field]: unknown field `subjects` in `never`; the callers of a guard are \
             written in `from`",
        ),
        (
            "  - {name: a, deny: [], never: {to: {hosts: [a.example]}}}",
            "p/a.yaml:6:15: error[unknown-field]: unknown field `deny` in a guard; a guard grants and denies \
             nothing: write `never`, `always` or `only`",
        ),
        (
            "  - {name: a, unchangedFrom: ''}",
            "p/a.yaml:6:30: error[empty-value]: `unchangedFrom` is empty; say what it holds; without the field \
             every value is meant",
        ),
        (
            "  - {name: a, never: {to: {destinations: [none]}}}",
            "p/a.yaml:6:43: error[missing-set]: there is no DestinationSet `none`; it is looked up in \
             `istio-system`, then in `istio-system`",
        ),
        (
            "  - {name: a, unchangedFrom: b}\n  - {name: a, unchangedFrom: c}",
            "p/a.yaml:7:5: error[duplicate]: duplicate guard `a` in one document; the other is at p/a.yaml:6:5",
        ),
    ] {
        assert_eq!(problems(guards), [expected], "{guards}");
    }
    assert_eq!(
        whole(&format!("{HEAD}spec: {{guards: []}}\n")),
        [
            "p/a.yaml:4:16: error[empty-value]: `guards` is empty; say what it holds; without the field every value is meant"
        ]
    );
    assert_eq!(
        whole(&format!("{HEAD}spec: {{name: a, never: {{}}}}\n"))
            .iter()
            .filter(|line| line.contains("belongs in a guard"))
            .count(),
        2
    );
}

#[test]
fn only_the_root_namespace_has_guards() {
    let text = format!(
        "{}spec: {{guards: [{{name: a, never: {{to: {{hosts: [a.example]}}}}}}]}}\n",
        HEAD.replace("istio-system", "shop")
    );
    let expected = "PolicyGuard `shop/org` is not in the root namespace: a guard says something about every \
                    caller; move it to namespace `istio-system`, in a directory that is not bound to a namespace";
    assert_eq!(
        whole(&text),
        [format!("p/a.yaml:1:1: error[not-yours]: {expected}")]
    );
    let bound = Source {
        namespace: Some("shop".into()),
        ..source(&text)
    };
    let loaded = load(&bound, &Settings::default());
    assert!(
        loaded.problems()[0].to_string().ends_with(expected),
        "{:?}",
        loaded.problems()
    );
}

#[test]
fn a_misspelt_guard_is_an_error_and_never_skipped() {
    for (from, to, hint) in [
        (
            "kind: PolicyGuard",
            "kind: PolicyGaurd",
            "did you mean `PolicyGuard`?",
        ),
        (
            "kind: PolicyGuard",
            "kind: PolicyGuards",
            "did you mean `PolicyGuard`?",
        ),
        ("v1alpha1", "v1", "write `egress.customs/v1alpha1`"),
        (
            "egress.customs",
            "other.example",
            "write `egress.customs/v1alpha1`",
        ),
    ] {
        let text =
            format!("{HEAD}spec: {{guards: [{{name: a, unchangedFrom: b}}]}}\n").replace(from, to);
        let problems = whole(&text);
        assert!(
            problems.len() == 1 && problems[0].contains("error[") && problems[0].ends_with(hint),
            "{to}: {problems:?}"
        );
    }
}

#[test]
fn guards_that_say_the_same_are_known_wherever_they_are() {
    let text = |host: &str, more: &str| {
        format!("{HEAD}{more}spec: {{guards: [{{name: a, never: {{to: {{hosts: [{host}]}}}}}}]}}\n")
    };
    let [one, moved, other] = [
        text("a.example", ""),
        text("a.example", "\n\n"),
        text("b.example", ""),
    ]
    .map(|text| guards(&text).remove(0));
    assert!(one.says_the_same(&moved) && one.place != moved.place);
    assert!(!one.says_the_same(&other));
}
