//! `customs who-can` and `customs can-reach`: every line is what `customs check` answers.

use serde_json::Value;

use super::{Folder, policy};

fn folder() -> Folder {
    let root = policy(
        "istio-system",
        "{subjects: [{namespaces: ['**']}, {unauthenticated: true}], deny: [{name: bad, hosts: [bad.example], except: [{subjects: [{serviceAccounts: [shop/audit]}]}]}]}",
    );
    let nobody = policy(
        "istio-system",
        "{subjects: [{unauthenticated: true}], isolate: true}",
    )
    .replace("name: egress", "name: nobody");
    let shop = policy(
        "shop",
        "{allow: [{name: pay, hosts: [pay.example], methods: [POST]}, {name: bad, hosts: [bad.example]}, {name: old, hosts: [old.example], expires: '2020-01-01T00:00:00Z'}]}",
    );
    let trial = policy("trial", "{mode: Report, isolate: true}");
    let prefix = policy(
        "istio-system",
        "{subjects: [{namespaces: [dev-*]}], isolate: true}",
    )
    .replace("name: egress", "name: dev");
    Folder::with(&[
        ("p/root.yaml", &root),
        ("p/nobody.yaml", &nobody),
        ("p/shop.yaml", &shop),
        ("p/trial.yaml", &trial),
        ("p/dev.yaml", &prefix),
    ])
}

fn rows(answer: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    answer["callers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                text(&row["callers"]),
                text(&row["effect"]),
                text(&row["rule"]),
            )
        })
        .collect()
}

#[test]
fn each_kind_of_caller_gets_the_answer_of_check() {
    let folder = folder();
    for (to, more) in [
        ("http://bad.example/", ""),
        ("https://pay.example/", "--method POST"),
        ("http://pay.example/", ""),
        ("https://pay.example:8443/x", "--method POST"),
        ("tcp://pay.example:443", ""),
        ("tcp://:443", ""),
        ("http://old.example/", ""),
        ("http://bad..host/", ""),
        (
            "http://other.example/",
            "--source-ip 10.1.2.3 --header x-team:a",
        ),
    ] {
        let answer = folder.run(&format!(
            "who-can p --to {to} {more} --effect all --format json"
        ));
        assert_eq!(answer.code, Some(0), "{to}: {answer:?}");
        let answer = answer.json();
        let callers = answer["callers"].as_array().unwrap();
        assert!(callers.len() > 5, "{to}: {answer}");
        for row in callers {
            let from = match row["example"].as_str().unwrap() {
                "" => "unauthenticated",
                id => id,
            };
            let check = folder
                .run(&format!(
                    "check p --from {from} --to {to} {more} --format json"
                ))
                .json();
            let verdict = &check["verdict"];
            assert_eq!(
                (
                    &verdict["effect"],
                    &verdict["reason"],
                    &verdict["rule"],
                    &check["dryRun"]["effect"]
                ),
                (&row["effect"], &row["reason"], &row["rule"], &row["dryRun"]),
                "{from} {to}"
            );
        }
        let count = |effect: &str| callers.iter().filter(|row| row["effect"] == effect).count();
        assert_eq!(
            (answer["allowed"].as_u64(), answer["denied"].as_u64()),
            (Some(count("allow") as u64), Some(count("deny") as u64))
        );
    }
}

#[test]
fn callers_are_sorted_and_named_with_what_decides() {
    let folder = folder();
    let all = folder
        .run("who-can p --to http://bad.example/ --effect all --format json")
        .json();
    let names: Vec<String> = rows(&all)
        .into_iter()
        .map(|(callers, ..)| callers)
        .collect();
    assert_eq!(
        names.last().map(String::as_str),
        Some("callers without a valid identity")
    );
    let audit = rows(&all)
        .into_iter()
        .find(|(callers, ..)| callers == "shop/audit")
        .unwrap();
    assert_eq!(
        (audit.1.as_str(), audit.2.as_str()),
        ("allow", "ep:shop/egress#bad")
    );
    for (effect, wanted) in [("allow", "allow"), ("deny", "deny")] {
        let some = folder
            .run(&format!(
                "who-can p --to http://bad.example/ --effect {effect} --format json"
            ))
            .json();
        let rows = rows(&some);
        assert!(
            !rows.is_empty() && rows.iter().all(|row| row.1 == wanted),
            "{rows:?}"
        );
        assert_eq!(
            some["allowed"], all["allowed"],
            "the counts are of all callers"
        );
    }
    let text = folder.run("who-can p --to http://bad.example/");
    assert_eq!(text.stdout.lines().next(), Some("http://bad.example/"));
    assert!(
        text.stdout.contains(
            "  allow  shop/audit: allowed_by_rule by ep:shop/egress#bad (p/shop.yaml:4)\n"
        ),
        "{text:?}"
    );
    let trial = folder.run("who-can p --to http://other.example/");
    assert!(
        trial
            .stdout
            .contains("trial/*: default_allow by builtin#default_allow; dry run: deny"),
        "{trial:?}"
    );
}

#[test]
fn where_a_caller_may_go_is_everything_that_check_allows() {
    let folder = folder();
    let answer = folder.run("can-reach p --from shop/audit --format json");
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let answer = answer.json();
    let rules: Vec<&str> = answer["allowed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reach| reach["rule"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["ep:shop/egress#bad", "ep:shop/egress#pay"]);
    for region in answer["allowed"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|reach| reach["regions"].as_array().unwrap())
    {
        let example = region["example"]
            .as_str()
            .unwrap()
            .strip_prefix("customs check ")
            .unwrap();
        let check = folder.run(&format!("check p {example}"));
        assert_eq!(check.code, Some(0), "{example}: {check:?}");
    }
    let web = folder.run("can-reach p --from shop/web");
    assert!(
        !web.stdout.contains("bad.example") && web.stdout.contains("ep:shop/egress#pay"),
        "{web:?}"
    );
    let nobody = folder.run("can-reach p --from unauthenticated");
    assert_eq!(
        nobody.stdout,
        "unauthenticated\n0 regions of requests are allowed\n"
    );
    let dev = folder.run("can-reach p --from-namespace dev-1");
    assert_eq!(dev.stdout, "dev-1/*\n0 regions of requests are allowed\n");
    let all = folder.run("can-reach p --all");
    for part in [
        "ep:shop/egress#pay",
        "builtin#default_allow",
        "trial/*",
        "(dry run: deny)",
    ] {
        assert!(all.stdout.contains(part), "no {part}: {all:?}");
    }
    let open = folder.run("can-reach p --from other/web");
    assert!(open.stdout.contains("builtin#default_allow"), "{open:?}");
    assert!(!open.stdout.contains("-> http://bad.example"), "{open:?}");
}

#[test]
fn a_question_that_cannot_be_read_has_no_answer() {
    let folder = folder();
    for (command, part) in [
        ("who-can p --to bad.example", "has no scheme"),
        (
            "who-can p --to tcp://a.example --method GET",
            "this belongs to HTTP",
        ),
        ("can-reach p --from web", "invalid caller `web`"),
        (
            "can-reach p --from-namespace Shop",
            "invalid namespace `Shop`",
        ),
        ("can-reach p", "--all"),
        ("can-reach p --all --from shop/web", "cannot be used with"),
        (
            "who-can none --to http://a.example/",
            "the policies do not load",
        ),
        (
            "who-can p --to http://a.example/ --ca x.pem",
            "--ca is for a running server",
        ),
        ("can-reach p --all --admin 127.0.0.1:1", "127.0.0.1:1"),
    ] {
        let ended = folder.run(command);
        assert_eq!(ended.code, Some(2), "{command}: {ended:?}");
        assert!(
            ended.stderr.contains(part),
            "{command}: no {part}: {ended:?}"
        );
    }
}
