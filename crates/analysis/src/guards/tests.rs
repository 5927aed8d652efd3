//! Guards over small sets: which are kept, which are broken and by what, and which nobody can keep.

use super::*;
use customs_policy::compile;
use customs_policy::compile::Compiled;
use customs_policy::source::{PolicyFile, Source, load};

const NOW: UnixNanos = UnixNanos(1_800_000_000_000_000_000);

fn compiled(text: &str, settings: &Settings) -> Compiled {
    let file = PolicyFile {
        name: "a.yaml".into(),
        bytes: text.as_bytes().into(),
    };
    let source = Source {
        name: "p".into(),
        files: vec![file],
        ..Source::default()
    };
    let loaded = load(&source, settings);
    assert!(!loaded.has_errors(), "{:#?}", loaded.problems());
    compile::compile(&[loaded], settings).unwrap()
}

fn egress(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
    )
}

/// A policy of the root namespace about every caller.
fn root(spec: &str) -> String {
    egress(
        "istio-system",
        "root",
        &format!("{{subjects: [{{namespaces: ['**']}}], {spec}}}"),
    )
}

fn guards(claims: &[&str]) -> String {
    let guards: String = claims
        .iter()
        .zip("abcdefg".chars())
        .map(|(claim, name)| format!("  - {{name: {name}, {claim}}}\n"))
        .collect();
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: PolicyGuard\n\
         metadata: {{name: g, namespace: istio-system}}\nspec:\n  owner: security\n  guards:\n{guards}"
    )
}

/// What is known of each guard: the outcome, and the request that breaks it.
fn outcomes(policies: &str, claims: &[&str]) -> Vec<String> {
    outcomes_with(policies, claims, &Settings::default())
}

fn outcomes_with(policies: &str, claims: &[&str], settings: &Settings) -> Vec<String> {
    let Compiled {
        snapshot, guards, ..
    } = compiled(&format!("{policies}{}", guards(claims)), settings);
    let proofs = prove(&guards, &snapshot, NOW, 1_000_000);
    let said = |proof: &Proof<'_>| match &proof.outcome {
        ProofOutcome::Proved => "proved".to_owned(),
        ProofOutcome::Empty => "empty".to_owned(),
        ProofOutcome::NotProved(why) => format!("not proved: {why:?}"),
        ProofOutcome::Conflict(rival, request) => {
            format!(
                "conflict with {}: {}",
                rival.id,
                request.command_line(settings)
            )
        }
        ProofOutcome::Broken(broken) => {
            // The answer is the one of the set, whatever the search made of it.
            let asked = broken.request.with(settings, |r| snapshot.decide(r, NOW));
            assert_eq!(asked.verdict, broken.verdict);
            let covered = broken.request.with(settings, |request| {
                let context = EvalContext::new(request);
                let rule = proof.guard.claim.rule().unwrap();
                let effect = match proof.guard.claim.forbids() {
                    true => Effect::Deny,
                    false => Effect::Allow,
                };
                snapshot.would_apply(rule, effect, &context, NOW)
            });
            assert!(covered, "{broken:?}");
            format!("broken: {}", broken.request.command_line(settings))
        }
    };
    proofs.iter().map(said).collect()
}

fn outcome(policies: &str, claim: &str) -> String {
    outcomes(policies, &[claim]).remove(0)
}

const NEVER_FILES: &str = "never: {from: [{namespaces: [pci]}], to: {hosts: [files.example]}}";

#[test]
fn a_deny_with_the_words_of_the_guard_keeps_it() {
    for (subjects, to) in [
        ("{namespaces: [pci]}", "hosts: [files.example]"),
        (
            "{namespaces: ['**']}",
            "hosts: ['*.files.example', files.example]",
        ),
        (
            "{namespaces: [pci]}, {unauthenticated: true}",
            "hosts: ['**']",
        ),
        (
            "{namespaces: [pci-*]}",
            "hosts: [192.0.2.0/24, '[2001:db8::]:443']",
        ),
        (
            "{serviceAccounts: [pci/web]}",
            "hosts: [files.example], methods: [PUT, POST]",
        ),
        (
            "{namespaces: [pci]}",
            "hosts: ['files.example:8443'], paths: [/up, '/v1/*', '/a/{*}/b']",
        ),
    ] {
        let policy = egress(
            "istio-system",
            "p",
            &format!("{{subjects: [{subjects}], deny: [{{name: d, {to}}}]}}"),
        );
        let guard = format!("never: {{from: [{subjects}], to: {{{to}}}}}");
        assert_eq!(outcome(&policy, &guard), "proved", "{guard}");
        let elsewhere = root("deny: [{name: d, hosts: [other.example]}]");
        assert!(
            outcome(&elsewhere, &guard).starts_with("broken: customs check "),
            "{guard}"
        );
    }
}

#[test]
fn each_hole_has_a_request() {
    for (policy, guard, expected) in [
        (
            root("deny: [{name: d, hosts: ['files.example:443']}]"),
            NEVER_FILES,
            "http://files.example",
        ),
        (
            root("deny: [{name: d, hosts: ['*.bad.example']}]"),
            "never: {to: {hosts: [bad.example, '*.bad.example']}}",
            "://bad.example",
        ),
        (
            root("mode: Report, deny: [{name: d, hosts: [files.example]}]"),
            NEVER_FILES,
            "--from pci/",
        ),
        (
            root("deny: [{name: d, hosts: [files.example], except: [{methods: [GET]}]}]"),
            NEVER_FILES,
            "--from pci/",
        ),
        (
            root("deny: [{name: d, hosts: [files.example], methods: [GET]}]"),
            NEVER_FILES,
            "--method",
        ),
    ] {
        let found = outcome(&policy, guard);
        assert!(
            found.starts_with("broken: ") && found.contains(expected),
            "{found}"
        );
    }
}

#[test]
fn a_caller_without_an_identity_may_be_anyone_until_a_policy_says_otherwise() {
    let isolating = egress("pci", "e", "{isolate: true}");
    assert_eq!(
        outcome(&isolating, NEVER_FILES),
        "proved",
        "somebody is isolated, so they are"
    );
    let denying = egress("pci", "e", "{deny: [{name: d, hosts: [files.example]}]}");
    assert_eq!(
        outcome(&denying, NEVER_FILES),
        "proved",
        "they satisfy every deny"
    );
    let named = egress(
        "istio-system",
        "n",
        "{subjects: [{unauthenticated: true}], deny: [{name: d, hosts: [x.example]}]}",
    );
    assert_eq!(
        outcome(&format!("{denying}{named}"), NEVER_FILES),
        "proved",
        "a policy names them, so they are nobody of pci"
    );
    let everyone = "never: {to: {hosts: [files.example]}}";
    let found = outcome(&format!("{denying}{named}"), everyone);
    assert!(found.starts_with("broken: customs check --from"), "{found}");
}

#[test]
fn what_is_always_allowed_is_read_strictly() {
    let policy = egress(
        "shop",
        "e",
        "{allow: [{name: a, hosts: [api.psp.example], methods: [POST], paths: ['/v1/*']}]}",
    );
    let always = |to: &str| {
        outcome(
            &policy,
            &format!("always: {{from: [{{namespaces: [shop]}}], to: {{{to}}}}}"),
        )
    };
    assert_eq!(
        always("hosts: [api.psp.example], methods: [POST], paths: ['/v1/*']"),
        "proved"
    );
    assert_eq!(
        always("hosts: [api.psp.example], methods: [POST], paths: [/v1/pay]"),
        "proved"
    );
    for (wider, part) in [
        (
            "hosts: [api.psp.example], methods: [POST], paths: ['/v2/*', '/v1/*']",
            "/v2/",
        ),
        (
            "hosts: ['api.psp.example:8443'], methods: [POST], paths: ['/v1/*']",
            ":8443",
        ),
        (
            "hosts: [api.psp.example], methods: [POST, PUT], paths: ['/v1/*']",
            "PUT",
        ),
        (
            "hosts: ['*.psp.example'], methods: [POST], paths: ['/v1/*']",
            "psp.example",
        ),
    ] {
        let found = always(wider);
        assert!(
            found.starts_with("broken: ") && found.contains(part),
            "{found}"
        );
    }
}

#[test]
fn a_request_that_validation_refuses_is_not_one_that_must_be_allowed() {
    let always = "always: {from: [{namespaces: [shop]}], to: {hosts: [a.example]}}";
    let policy = egress("shop", "e", "{allow: [{name: a, hosts: [a.example]}]}");
    let settings = Settings {
        require_sni_host_match: true,
        ..Settings::default()
    };
    assert_eq!(outcomes_with(&policy, &[always], &settings), ["proved"]);
}

#[test]
fn only_some_may_go() {
    let only = "only: {from: [{serviceAccounts: [bots/importer]}], to: {hosts: [partner.example]}}";
    let deny = |except: &str| {
        root(&format!(
            "deny: [{{name: d, hosts: [partner.example], except: [{{subjects: [{except}]}}]}}]"
        ))
    };
    assert_eq!(
        outcome(&deny("{serviceAccounts: [bots/importer]}"), only),
        "proved"
    );
    let found = outcome(&deny("{namespaces: [bots]}"), only);
    assert!(
        found.starts_with("broken: customs check --from bots/"),
        "{found}"
    );
    assert!(!found.contains("bots/importer"), "{found}");
}

#[test]
fn a_guard_is_about_the_time_that_is_asked_about() {
    let policy = egress(
        "shop",
        "e",
        "{allow: [{name: a, hosts: [a.example], expires: '2027-01-01T00:00:00Z'}]}",
    );
    let always = "always: {from: [{namespaces: [shop]}], to: {hosts: [a.example]}}";
    let Compiled {
        snapshot, guards, ..
    } = compiled(
        &format!("{policy}{}", guards(&[always])),
        &Settings::default(),
    );
    let at = |time: &str| {
        let now = UnixNanos(time.parse::<jiff::Timestamp>().unwrap().as_nanosecond());
        prove(&guards, &snapshot, now, 100_000)[0].is_proved()
    };
    assert!(at("2026-12-31T23:59:59Z"));
    assert!(!at("2027-01-01T00:00:00Z"));
}

#[test]
fn guards_that_no_set_keeps_are_named_together() {
    let always = "always: {from: [{namespaces: [pci]}], to: {hosts: [api.psp.example]}}";
    let never = "never: {from: [{namespaces: [pci]}], to: {hosts: ['**']}}";
    for policy in [
        root("isolate: true"),
        root("deny: [{name: d, hosts: ['**']}]"),
    ] {
        let found = outcomes(&policy, &[always, never]);
        assert!(
            found[0].starts_with("conflict with pg:istio-system/g#b: customs check"),
            "{found:?}"
        );
        assert!(
            found[1].starts_with("conflict with pg:istio-system/g#a: customs check"),
            "{found:?}"
        );
    }
    let except = "never: {from: [{namespaces: [pci]}], to: {hosts: ['**']}, except: [{to: {hosts: [api.psp.example]}}]}";
    let policy = egress("pci", "e", "{allow: [{name: a, hosts: [api.psp.example]}]}");
    assert_eq!(outcomes(&policy, &[always, except]), ["proved", "proved"]);
}

#[test]
fn a_guard_that_covers_nothing_is_told_apart_from_one_that_is_kept() {
    let empty = "never: {from: [{unauthenticated: true}], to: {hosts: ['**']}, except: [{from: [{unauthenticated: true}]}]}";
    assert_eq!(outcome(&root("isolate: true"), empty), "empty");
}

#[test]
fn a_search_that_ends_early_proves_nothing() {
    let policies: String = (0..40)
        .map(|n| {
            egress(
                &format!("n{n}"),
                "e",
                &format!("{{deny: [{{name: d, hosts: ['h{n}.example:443']}}]}}"),
            )
        })
        .collect();
    let text = format!(
        "{policies}{}{}",
        root("deny: [{name: d, hosts: [files.example]}]"),
        guards(&["never: {to: {hosts: [files.example]}}"])
    );
    let Compiled {
        snapshot, guards, ..
    } = compiled(&text, &Settings::default());
    let proof = &prove(&guards, &snapshot, NOW, 5)[0];
    assert!(proof.is_unproved() && proof.cells <= 5, "{proof:?}");
    let problems = proof.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].to_string().contains("error[guard-not-proved]: it is not known whether the policies keep `pg:istio-system/g#a`"), "{problems:?}");
    assert!(prove(&guards, &snapshot, NOW, 1_000_000)[0].is_proved());
}

#[test]
fn the_problem_names_the_guard_the_request_the_rule_and_whom_to_ask() {
    let policy = egress(
        "shop",
        "e",
        "{allow: [{name: pay, hosts: [files.example]}]}",
    );
    let text = format!(
        "{policy}{}",
        guards(&["never: {from: [{namespaces: [shop]}], to: {hosts: [files.example]}}"])
    );
    let Compiled {
        snapshot, guards, ..
    } = compiled(&text, &Settings::default());
    let problems = prove(&guards, &snapshot, NOW, 100_000)[0].problems();
    let texts: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:#?}");
    assert!(texts[0].starts_with("p/a.yaml:12:5: error[guard-broken]: `pg:istio-system/g#a` says that this is never allowed: `customs check --from shop/"), "{texts:#?}");
    assert!(texts[0].ends_with("gives allow (allowed_by_rule by ep:shop/e#pay); deny it, for every port and spelling that the guard covers, or ask security"), "{texts:#?}");
    assert!(texts[1].starts_with("p/a.yaml:4:16: error[guard-broken]: `ep:shop/e#pay` breaks the guard `pg:istio-system/g#a` at p/a.yaml:12: `customs check"), "{texts:#?}");
}

#[test]
fn sets_with_equal_verdicts_are_unchanged_whatever_their_words() {
    let guard = &compiled(
        &format!(
            "{}{}",
            root("isolate: true"),
            guards(&["unchangedFrom: ../old"])
        ),
        &Settings::default(),
    )
    .guards[0];
    let set = |text: &str| compiled(text, &Settings::default()).snapshot;
    let old = set(&root("deny: [{name: d, hosts: [a.example, b.example]}]"));
    let same = set(&root(
        "deny: [{name: x, hosts: [b.example]}, {name: y, hosts: [a.example]}, {name: z, hosts: [a.example]}]",
    ));
    assert!(prove_unchanged(guard, (&old, &same), NOW, 100_000).is_proved());
    let other = set(&root(
        "deny: [{name: d, hosts: [a.example, 'b.example:443']}]",
    ));
    let proof = prove_unchanged(guard, (&old, &other), NOW, 100_000);
    let text = proof.problems()[0].to_string();
    assert!(text.contains("gives allow (default_allow by builtin#default_allow) instead of deny (denied_by_rule by ep:istio-system/root#d)"), "{text}");
    let at_load = prove(std::slice::from_ref(guard), &old, NOW, 100_000)[0].problems();
    assert!(
        at_load[0]
            .text
            .contains("a server has no other policies to compare with"),
        "{at_load:?}"
    );
}
