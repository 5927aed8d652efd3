//! `customs check`: the answer, its exit code, and the text of each stage.

use super::{Ended, Folder, policy};

/// An isolated shop with a few entries, and denies for all callers.
fn shop() -> Folder {
    let shop = policy(
        "shop",
        "{isolate: true, owner: shop-team, allow: [{name: pay, hosts: [api.pay.example, '*.cdn.pay.example']}, \
         {name: old, hosts: [old.example], expires: '2026-01-01T00:00:00Z'}, \
         {name: get, hosts: [read.example], methods: [GET]}]}",
    );
    let batch = policy(
        "batch",
        "{deny: [{name: bad, hosts: ['*.bad.example'], reason: known for malware, \
         except: [{hosts: [ok.bad.example], reason: y, expires: '2026-12-01T00:00:00Z'}]}]}",
    );
    let trial = policy(
        "shop",
        "{mode: Report, allow: [{name: new, hosts: [new.example]}]}",
    )
    .replace("name: egress", "name: trial");
    Folder::with(&[
        ("policies/trial.yaml", &trial),
        ("policies/batch.yaml", &batch),
        ("policies/shop.yaml", &shop),
    ])
}

/// Asks at a fixed time, unless the question names one.
fn ask(folder: &Folder, question: &str) -> Ended {
    let at = if question.contains("--now") {
        ""
    } else {
        "--now 2026-11-01T00:00:00Z"
    };
    folder.run(&format!("check {question} {at} policies"))
}

#[test]
fn every_answer_has_its_exit_code_and_its_words() {
    let folder = shop();
    for (question, code, words) in [
        (
            "--from shop/web --to http://api.pay.example/",
            0,
            vec![
                "open by ep:shop/egress#pay (policies/shop.yaml:",
                "isolated by ep:shop/egress (",
            ],
        ),
        (
            "--from shop/web --to http://www.pay.example/",
            1,
            vec![
                "nearest: ep:shop/egress#pay (policies/shop.yaml:",
                "allows api.pay.example, *.cdn.pay.example\n",
            ],
        ),
        (
            "--from shop/web --to http://elsewhere.test/",
            1,
            vec!["none of the allow entries about this caller (4) comes near this host"],
        ),
        (
            "--from shop/web --to http://old.example/",
            1,
            vec![
                "has expired: ep:shop/egress#old",
                "until 2026-01-01T00:00:00Z",
            ],
        ),
        (
            "--from shop/web --to http://read.example/ --method POST",
            1,
            vec!["the host matches, but the method is `POST`, and it is about GET"],
        ),
        (
            "--from shop/web --to http://new.example/",
            1,
            vec![
                "it is only a dry run",
                "dry run      allow: allowed_by_rule by ep:shop/trial#new",
            ],
        ),
        (
            "--from batch/job --to http://x.bad.example/",
            1,
            vec![
                "2 deny       denied by ep:batch/egress#bad (policies/batch.yaml:",
                ": known for malware",
                "5 default    not asked",
            ],
        ),
        (
            "--from batch/job --to http://ok.bad.example/",
            0,
            vec![
                "none denies; ep:batch/egress#bad (policies/batch.yaml:",
                ") would deny, opened by exception ep:batch/egress#bad.except[0] (policies/batch.yaml:",
                "until 2026-12-01T00:00:00Z: y",
                "the default is allow",
            ],
        ),
        (
            "--from batch/job --to http://ok.bad.example/ --now 2027-01-01T00:00:00Z",
            1,
            vec!["this exception has expired: "],
        ),
        (
            "--from batch/job --to http://good.example/ --default deny",
            1,
            vec!["the default is deny: no allow entry is about this caller"],
        ),
        (
            "--from unauthenticated --to http://good.example/",
            1,
            vec!["isolated, as callers without a valid identity are"],
        ),
        (
            "--from batch/job --to http://bad..host/",
            1,
            vec![
                "malformed_host: the host cannot be read",
                "2 deny       not asked",
            ],
        ),
        (
            "--from batch/job --to http://bad..host/ --request-validation report",
            1,
            vec!["only recorded: malformed_host"],
        ),
        (
            "--from batch/job --to http://x.bad.example/ --enforcement report",
            0,
            vec!["effect       allow", "verdict      deny: denied_by_rule"],
        ),
        (
            "--from batch/job --to tcp://db.example:5432 --source-ip 192.0.2.1 --listener-port 5432",
            0,
            vec!["not isolated"],
        ),
    ] {
        let ended = ask(&folder, question);
        assert_eq!(ended.code, Some(code), "{question}: {ended:?}");
        for words in words {
            assert!(
                ended.stdout.contains(words),
                "{question}: no {words:?} in\n{}",
                ended.stdout
            );
        }
    }
}

#[test]
fn the_istio_gate_is_explained_too() {
    let rule = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                metadata: {name: gate, namespace: istio-system}\n\
                spec: {action: ALLOW, rules: [{to: [{operation: {hosts: [a.example]}}]}]}\n";
    let folder = Folder::with(&[("policies/a.yaml", rule)]);
    let open = ask(&folder, "--from shop/web --to http://a.example/");
    assert_eq!(open.code, Some(0), "{open:?}");
    assert!(
        open.stdout
            .contains("3 istio      open by ap:istio-system/gate#0 (policies/a.yaml:"),
        "{}",
        open.stdout
    );
    let closed = ask(&folder, "--from shop/web --to http://b.example/");
    assert_eq!(closed.code, Some(1));
    assert!(
        closed
            .stdout
            .contains("closed: none of the rules of ALLOW policies (1) matches"),
        "{}",
        closed.stdout
    );
}

#[test]
fn json_has_the_same_facts() {
    let output = ask(
        &shop(),
        "--from shop/web --to http://www.pay.example/ --format json",
    )
    .json();
    let states: Vec<_> = output["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| stage["state"].as_str().unwrap())
        .collect();
    assert_eq!(
        states,
        ["passed", "passed", "notAsked", "closed", "notAsked"]
    );
    let nearest = &output["stages"][3]["nearest"];
    assert_eq!(nearest["rule"]["id"], "ep:shop/egress#pay");
    assert_eq!(
        nearest["hosts"],
        serde_json::json!(["api.pay.example", "*.cdn.pay.example"])
    );
    assert_eq!(
        (&output["effect"], &output["verdict"]["reason"]),
        (&"deny".into(), &"not_in_allow_list".into())
    );
    assert_eq!(output["verdict"]["about"]["owner"], "shop-team");
}

#[test]
fn what_cannot_be_asked_has_no_answer() {
    let folder = shop();
    for (question, why) in [
        (
            "--from shop --to http://a.example/",
            "--from: error[bad-identity]",
        ),
        ("--from shop/web --to a.example", "--to: error[bad-value]"),
        (
            "--from shop/web --to tcp://a.example:1 --method GET",
            "--method: error[conflict]",
        ),
        (
            "--from shop/web --to http://a.example/ --header x",
            "NAME:VALUE",
        ),
        ("--from shop/web --to http://a.example/ --now noon", "--now"),
    ] {
        let ended = ask(&folder, question);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{question}"
        );
        assert!(ended.stderr.contains(why), "{question}: {}", ended.stderr);
    }
}

#[test]
fn broken_policies_give_no_answer() {
    let folder = Folder::with(&[("policies/a.yaml", "kind: [\n")]);
    let ended = ask(&folder, "--from shop/web --to http://a.example/");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stdout.contains("policies/a.yaml:1:7"), "{ended:?}");
    let output = ask(
        &folder,
        "--from shop/web --to http://a.example/ --format json",
    )
    .json();
    assert_eq!(output["problems"][0]["code"], "yaml-syntax");
}

#[test]
fn what_would_be_is_explained_where_it_is_another_answer() {
    let folder = shop();
    let output = ask(&folder, "--from shop/web --to http://new.example/").stdout;
    let (verdict, dry_run) = output.split_once("in the dry run:\n").unwrap();
    assert!(
        verdict.contains("4 isolation  isolated by ep:shop/egress")
            && verdict.contains("; closed:"),
        "{output}"
    );
    assert!(
        dry_run.contains("4 isolation  isolated by ep:shop/egress")
            && dry_run.contains("open by ep:shop/trial#new")
    );
    assert!(
        dry_run.contains("5 default    not asked: every gate that was asked is open"),
        "{output}"
    );
    let json = ask(
        &folder,
        "--from shop/web --to http://new.example/ --format json",
    )
    .json();
    assert_eq!(
        (
            &json["stages"][3]["state"],
            &json["dryRunStages"][3]["state"]
        ),
        (&"closed".into(), &"open".into())
    );
    let same = ask(
        &folder,
        "--from shop/web --to http://api.pay.example/ --format json",
    )
    .json();
    assert_eq!(same.get("dryRunStages"), None);
    let request_validation = ask(
        &folder,
        "--from batch/job --to http://bad..host/ --request-validation report --format json",
    )
    .json();
    assert_eq!(request_validation["dryRunStages"][0]["state"], "denied");
}

#[test]
fn the_exception_that_opens_a_deny_is_explained_with_it() {
    let output = ask(
        &shop(),
        "--from batch/job --to http://ok.bad.example/ --format json",
    )
    .json();
    let rules = &output["stages"][1]["rules"];
    assert_eq!(rules[0]["id"], "ep:batch/egress#bad");
    assert_eq!(
        (&rules[1]["id"], &rules[1]["reason"]),
        (&"ep:batch/egress#bad.except[0]".into(), &"y".into())
    );
}
