//! `customs prove`: its output, its exit codes, and guards in files of their own. The seeded holes
//! are in `tests/cli`, against a real server.

use super::{Folder, policy, repository, run};

fn guard(claims: &[&str]) -> String {
    let guards: Vec<String> = claims
        .iter()
        .zip('a'..)
        .map(|(claim, name)| format!("{{name: {name}, {claim}}}"))
        .collect();
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: PolicyGuard\nmetadata: {{name: g, namespace: istio-system}}\n\
         spec: {{guards: [{}]}}\n",
        guards.join(", ")
    )
}

const KEPT: &str = "never: {from: [{namespaces: [shop]}], to: {hosts: [bad.example]}}";
const BROKEN: &str = "never: {from: [{namespaces: [shop]}], to: {hosts: [pay.example]}}";

fn shop() -> String {
    policy(
        "shop",
        "{isolate: true, allow: [{name: pay, hosts: [pay.example]}]}",
    )
}

#[test]
fn the_policies_of_the_repository_keep_their_guards() {
    let ended = run(&repository(), "prove policies/examples/guards");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        ended.last_line(),
        "4 guards: 4 proved, 0 broken, 0 not proved"
    );
    let lint = run(
        &repository(),
        "lint policies/examples/guards --deny-warnings",
    );
    assert_eq!(lint.code, Some(0), "{lint:?}");
}

#[test]
fn the_seed_of_the_repository_keeps_what_it_is_for() {
    let folder = Folder::with(&[(
        "g.yaml",
        &guard(&["never: {from: [{namespaces: [demo-frontend]}], to: {hosts: [www.aliyun.com]}}"]),
    )]);
    let file = folder.path().join("g.yaml");
    let ended = run(
        &repository(),
        &format!("prove policies/examples/seed --guard {}", file.display()),
    );
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn each_guard_has_its_outcome_and_the_worst_is_the_exit_code() {
    for (claims, code, heads, last) in [
        (
            &[KEPT][..],
            0,
            &["proved     pg:istio-system/g#a never (p/g.yaml:4): "][..],
            "1 guard: 1 proved, 0 broken, 0 not proved",
        ),
        (
            &[KEPT, BROKEN],
            1,
            &[
                "proved ",
                "broken     pg:istio-system/g#b never (p/g.yaml:4)",
            ],
            "2 guards: 1 proved, 1 broken, 0 not proved",
        ),
        (
            &[
                "always: {from: [{namespaces: [shop]}], to: {hosts: [pay.example]}}",
                BROKEN,
            ],
            1,
            &[
                "conflict   pg:istio-system/g#a always",
                "conflict   pg:istio-system/g#b never",
            ],
            "2 guards: 0 proved, 2 broken, 0 not proved",
        ),
        (
            &[
                "never: {from: [{unauthenticated: true}], to: {hosts: ['**']}, except: [{from: [{unauthenticated: true}]}]}",
            ],
            1,
            &["empty      pg:istio-system/g#a never"],
            "1 guard: 0 proved, 1 broken, 0 not proved",
        ),
    ] {
        let folder = Folder::with(&[("p/shop.yaml", &shop()), ("p/g.yaml", &guard(claims))]);
        let ended = folder.run("prove p");
        assert_eq!(ended.code, Some(code), "{claims:?}: {ended:?}");
        for head in heads {
            assert!(
                ended.stdout.contains(head),
                "{claims:?}: no {head}: {ended:?}"
            );
        }
        assert_eq!(ended.last_line(), last);
    }
}

#[test]
fn a_counter_example_is_a_command_that_shows_it() {
    let folder = Folder::with(&[("p/shop.yaml", &shop()), ("p/g.yaml", &guard(&[BROKEN]))]);
    let ended = folder.run("prove p --now 2026-12-01T00:00:00Z");
    let command = ended.stdout.lines().nth(1).unwrap().trim();
    assert_eq!(
        command,
        "customs check p --now 2026-12-01T00:00:00Z --from shop/made-up --to http://pay.example/"
    );
    let shown = folder.run(command.strip_prefix("customs ").unwrap());
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(
        ended
            .stdout
            .contains("gives allow (allowed_by_rule by ep:shop/egress#pay) at p/shop.yaml:4"),
        "{ended:?}"
    );
    let json = folder.run("prove p --format json").json();
    let guard = &json["guards"][0];
    assert_eq!(
        (&json["version"], &json["proved"]),
        (&1.into(), &false.into())
    );
    assert_eq!(
        (&guard["outcome"], &guard["line"]),
        (&"broken".into(), &4.into())
    );
    assert_eq!(
        guard["counterExample"]["verdict"]["rule"],
        "ep:shop/egress#pay"
    );
    let request = &guard["counterExample"]["request"];
    assert_eq!(
        request["attributes"]["source"]["principal"],
        "spiffe://cluster.local/ns/shop/sa/made-up"
    );
    std::fs::write(folder.path().join("request.json"), request.to_string()).unwrap();
    let whole = folder.run("check p --request request.json");
    assert_eq!(whole.code, Some(0), "{whole:?}");
}

#[test]
fn a_guard_is_asked_at_another_time() {
    let policy = policy(
        "shop",
        "{allow: [{name: pay, hosts: [pay.example], expires: '2027-01-01T00:00:00Z'}]}",
    );
    let always = "always: {from: [{namespaces: [shop]}], to: {hosts: [pay.example]}}";
    let folder = Folder::with(&[("p/shop.yaml", &policy), ("p/g.yaml", &guard(&[always]))]);
    assert_eq!(
        folder.run("prove p --now 2026-12-31T23:59:59Z").code,
        Some(0)
    );
    let later = folder.run("prove p --now 2027-01-01T00:00:00Z");
    assert_eq!(later.code, Some(1));
    assert!(
        later
            .stdout
            .contains("gives deny (expired_exception by ep:shop/egress#pay)"),
        "{later:?}"
    );
}

#[test]
fn a_search_that_ends_early_says_what_is_left() {
    let folder = Folder::with(&[("p/shop.yaml", &shop()), ("p/g.yaml", &guard(&[KEPT]))]);
    let ended = folder.run("prove p --budget 1");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended
            .stdout
            .starts_with("not proved pg:istio-system/g#a never"),
        "{ended:?}"
    );
    assert!(
        ended.stdout.contains("more cells than the limit"),
        "{ended:?}"
    );
    let json = folder.run("prove p --budget 1 --format json").json();
    assert_eq!(json["guards"][0]["outcome"], "notProved");
    assert!(!json["guards"][0]["left"].as_array().unwrap().is_empty());
}

#[test]
fn a_release_is_compared_with_the_one_before() {
    let unchanged = guard(&["unchangedFrom: ../old"]);
    let folder = Folder::with(&[
        ("old/shop.yaml", &shop()),
        (
            "new/shop.yaml",
            &policy("shop", "{allow: [{name: renamed, hosts: [pay.example]}]}"),
        ),
        (
            "changed/shop.yaml",
            &policy(
                "shop",
                "{allow: [{name: pay, hosts: [pay.example, x.example]}]}",
            ),
        ),
        ("guards/g.yaml", &unchanged),
    ]);
    let same = folder.run("prove new --guard guards/g.yaml");
    assert_eq!(same.code, Some(0), "{same:?}");
    let other = folder.run("prove changed --guard guards/g.yaml");
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(
        other.stdout.contains(
            "instead of deny (not_in_allow_list by ep:shop/egress) at ../old/shop.yaml:1"
        ) || other.stdout.contains(
            "instead of deny (not_in_allow_list by ep:shop/egress) at guards/../old/shop.yaml:1"
        ),
        "{other:?}"
    );
    let at_load = Folder::with(&[("p/shop.yaml", &shop()), ("p/g.yaml", &unchanged)]).run("lint p");
    assert_eq!(at_load.code, Some(1), "{at_load:?}");
    assert!(
        at_load
            .stdout
            .contains("a server has no other policies to compare with"),
        "{at_load:?}"
    );
    let missing = Folder::with(&[("p/shop.yaml", &shop()), ("g.yaml", &unchanged)])
        .run("prove p --guard g.yaml");
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(
        missing
            .stdout
            .contains("compares with policies that do not load"),
        "{missing:?}"
    );
}

#[test]
fn bad_input_has_an_answer_and_no_proof() {
    let bad = "apiVersion: egress.customs/v1alpha1\nkind: PolicyGuard\nmetadata: {name: g, namespace: istio-system}\nspec: {guards: []}\n";
    for (files, command, part) in [
        (
            vec![("p/shop.yaml", shop())],
            "prove p",
            "there is no PolicyGuard, so there is nothing to prove",
        ),
        (
            vec![("p/shop.yaml", shop())],
            "prove p --guard none.yaml",
            "the file cannot be read",
        ),
        (
            vec![("p/shop.yaml", shop()), ("g.yaml", bad.to_owned())],
            "prove p --guard g.yaml",
            "`guards` is empty",
        ),
        (
            vec![("p/shop.yaml", shop()), ("g.yaml", shop())],
            "prove p --guard g.yaml",
            "a file of `--guard` holds PolicyGuards only",
        ),
        (
            vec![("p/shop.yaml", shop()), ("p/g.yaml", bad.to_owned())],
            "prove p",
            "`guards` is empty",
        ),
        (
            vec![
                ("p/shop.yaml", shop()),
                ("g.yaml", guard(&["never: {to: {destinations: [none]}}"])),
            ],
            "prove p --guard g.yaml",
            "there is no DestinationSet `none`",
        ),
        (
            vec![
                ("p/shop.yaml", shop()),
                ("p/g.yaml", guard(&[KEPT])),
                ("g.yaml", guard(&[KEPT])),
            ],
            "prove p --guard g.yaml",
            "duplicate PolicyGuard `istio-system/g`",
        ),
    ] {
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        let ended = Folder::with(&files).run(command);
        assert_eq!(ended.code, Some(2), "{command}: {ended:?}");
        assert!(
            ended.stdout.contains(part),
            "{command}: no {part}: {ended:?}"
        );
        assert!(ended.stderr.contains("nothing is proved"), "{ended:?}");
    }
}

#[test]
fn guards_in_a_file_may_name_the_sets_of_the_directories() {
    let set = "apiVersion: egress.customs/v1alpha1\nkind: DestinationSet\nmetadata: {name: payments, namespace: istio-system}\nspec: {hosts: [pay.example]}\n";
    let folder = Folder::with(&[
        ("p/shop.yaml", &shop()),
        ("p/set.yaml", set),
        (
            "g.yaml",
            &guard(&["always: {from: [{namespaces: [shop]}], to: {destinations: [payments]}}"]),
        ),
    ]);
    let ended = folder.run("prove p --guard g.yaml");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("always (./g.yaml:4)"), "{ended:?}");
}

#[test]
fn lint_and_revision_refuse_what_a_server_refuses() {
    let folder = Folder::with(&[("p/shop.yaml", &shop()), ("p/g.yaml", &guard(&[BROKEN]))]);
    let lint = folder.run("lint p --format json");
    assert_eq!(lint.code, Some(1), "{lint:?}");
    let codes: Vec<String> = lint.json()["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            format!(
                "{} {}:{}",
                problem["code"].as_str().unwrap(),
                problem["file"].as_str().unwrap(),
                problem["line"]
            )
        })
        .collect();
    assert_eq!(
        codes,
        ["guard-broken p/g.yaml:4", "guard-broken p/shop.yaml:4"]
    );
    assert_eq!(folder.run("revision p").code, Some(1));
    std::fs::write(folder.path().join("s.yaml"), "policy_guards: off\n").unwrap();
    assert_eq!(folder.run("lint p --config s.yaml").code, Some(0));
    std::fs::write(folder.path().join("s.yaml"), "policy_guards: report\n").unwrap();
    let reported = folder.run("lint p --config s.yaml --deny-warnings");
    assert_eq!(reported.code, Some(1), "{reported:?}");
    let totals = "\n0 errors, 3 warnings, 0 notes in 2 files\n";
    assert!(reported.stdout.contains(totals), "{}", reported.stdout);
}
