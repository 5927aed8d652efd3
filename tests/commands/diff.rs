//! `customs diff`: its output for the reviewer of a change, and its exit codes.

use super::{Ended, Folder, policy};

const HEAD: &str =
    "apiVersion: egress.customs/v1alpha1\nkind: PolicyTest\nmetadata: {name: t}\ncases:\n";

const CASES: &str = "- {name: pays, from: shop/web, to: 'http://pay.example/', expect: Allow}\n\
    - {name: reads, from: shop/web, to: 'http://read.example/', expect: Allow, rule: 'ep:shop/egress#read'}\n";

fn shop(allow: &str) -> String {
    policy(
        "shop",
        &format!("{{isolate: true, allow: [{allow}, {{name: read, hosts: [read.example]}}]}}"),
    )
}

const PAY: &str = "{name: pay, hosts: [pay.example]}";

/// Returns two versions of a policy, with the same cases next to both.
fn versions(old: &str, new: &str) -> Folder {
    let cases = format!("{HEAD}{CASES}");
    Folder::with(&[
        ("old/shop.yaml", old),
        ("old/shop.cases.yaml", &cases),
        ("new/shop.yaml", new),
        ("new/shop.cases.yaml", &cases),
    ])
}

fn compare(old: &str, new: &str) -> Ended {
    versions(old, new).run("diff old new")
}

#[test]
fn nothing_differs_in_one_line() {
    let ended = compare(&shop(PAY), &format!("# a comment\n{}", shop(PAY)));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        ended.stdout,
        "equivalent: proved; asked 0 requests and 2 cases\n"
    );
}

#[test]
fn a_reviewer_sees_who_is_let_through_and_who_is_stopped() {
    let ended = compare(
        &shop(PAY),
        &shop("{name: pay, hosts: ['*.pay.example'], methods: [GET]}"),
    );
    let expected = "\
rules (1)
  changed  ep:shop/egress#pay (new/shop.yaml:4): destinations

newly allowed (1)
  was deny: not_in_allow_list by ep:shop/egress (old/shop.yaml:1)
  is  allow: allowed_by_rule by ep:shop/egress#pay (new/shop.yaml:4)
    shop/* -> http://*.pay.example, no port, port 80, port 443, method GET
      shop/made-up -> http://made-up.pay.example/

newly denied (2)
  was allow: allowed_by_rule by ep:shop/egress#pay (old/shop.yaml:4)
  is  deny: not_in_allow_list by ep:shop/egress (new/shop.yaml:1)
    shop/* -> http://pay.example, no port, port 80, port 443
      shop/made-up -> http://pay.example/
    shop/* -> tcp://pay.example, no port, port 80, port 443
      shop/made-up -> tcp://pay.example

cases (1)
  `pays` (old/shop.cases.yaml:5); it held for OLD and fails for NEW
    was allow: allowed_by_rule by ep:shop/egress#pay (old/shop.yaml:4)
    is  deny: not_in_allow_list by ep:shop/egress (new/shop.yaml:1)

1 region newly allowed, 2 regions newly denied, and no other: proved; asked ";
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.starts_with(expected), "{}", ended.stdout);
}

#[test]
fn many_equal_changes_are_folded() {
    let hosts: Vec<String> = (0..30).map(|index| format!("h{index}.example")).collect();
    let ended = compare(
        &shop(PAY),
        &shop(&format!(
            "{PAY}, {{name: many, hosts: [{}]}}",
            hosts.join(", ")
        )),
    );
    let folded =
        "    shop/* -> http://h0.example, h1.example, h10.example, h11.example and 26 more, ";
    assert!(ended.stdout.contains(folded), "{}", ended.stdout);
    assert!(ended.stdout.lines().count() < 20, "{}", ended.stdout);
    let entries = |suffix: &str| {
        (0..50)
            .map(|index| format!("{{name: a{index}, hosts: [h{index}.{suffix}]}}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let ended = compare(&shop(&entries("old")), &shop(&entries("new")));
    assert!(
        ended
            .stdout
            .contains("  and 10 more; `--format json` prints all\n"),
        "{}",
        ended.stdout
    );
    let rest = "  and 76 regions in 38 groups more like these; `--format json` prints all\n";
    assert_eq!(ended.stdout.matches(rest).count(), 2, "{}", ended.stdout);
}

#[test]
fn a_case_can_differ_where_no_verdict_does() {
    let renamed = shop(PAY).replace("name: read", "name: browse");
    let ended = compare(&shop(PAY), &renamed);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(
        ended
            .stdout
            .contains("  `reads` (old/shop.cases.yaml:6); it held for OLD and fails for NEW\n")
    );
    assert!(
        ended
            .stdout
            .contains("same verdict, different reason or rule ("),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_case_alone_can_show_another_verdict() {
    let deny = |when: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a, namespace: istio-system}}\n\
             spec: {{action: DENY, rules: [{{when: [{{key: destination.ip, {when}: [192.0.2.9]}}]}}]}}\n"
        )
    };
    let case = "- {name: c, from: shop/web, to: 'http://c.example/', now: '2026-01-01T00:00:00Z', expect: Allow}\n";
    let old = policy(
        "shop",
        "{allow: [{name: c, hosts: [c.example], expires: '2026-06-01T00:00:00Z'}]}",
    );
    let new = policy("shop", "{isolate: true}");
    let folder = Folder::with(&[
        ("old/a.yaml", &old),
        ("new/a.yaml", &new),
        ("new/a.cases.yaml", &format!("{HEAD}{case}")),
    ]);
    let ended = folder.run("diff old new --now 2026-11-01T00:00:00Z");
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("equivalent: proved; "),
        "{}",
        ended.stdout
    );
    assert!(
        ended
            .stdout
            .contains("`c` (new/a.cases.yaml:5); it held for OLD and fails for NEW"),
        "{}",
        ended.stdout
    );
    let ended = compare(&deny("values"), &deny("notValues"));
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    let gateway = "http://made-up.invalid/ (gateway 192.0.2.9)";
    assert!(ended.stdout.contains(gateway), "{}", ended.stdout);
}

#[test]
fn the_moment_and_the_settings_matter() {
    let ending = shop("{name: pay, hosts: [pay.example], expires: '2026-12-01T00:00:00Z'}");
    let folder = versions(&shop(PAY), &ending);
    let at = |flags: &str| folder.run(&format!("diff old new {flags}"));
    assert_eq!(at("--now 2026-11-01T00:00:00Z").code, Some(0));
    let later = at("--now 2027-01-01T00:00:00Z");
    assert_eq!(later.code, Some(1));
    assert!(
        later
            .stdout
            .contains("is  deny: expired_exception by ep:shop/egress#pay"),
        "{}",
        later.stdout
    );
    let open = policy(
        "shop",
        "{isolate: false, allow: [{name: read, hosts: [read.example]}]}",
    );
    let closed = policy(
        "shop",
        "{isolate: false, allow: [{name: pay, hosts: [pay.example]}]}",
    );
    let folder = versions(&open, &closed);
    assert_eq!(
        folder.run("diff old new").code,
        Some(0),
        "who is not isolated needs no entry"
    );
    assert_eq!(folder.run("diff old new --default deny").code, Some(1));
    assert_eq!(
        folder
            .run("diff old new --default deny --trust-domains td.example")
            .code,
        Some(1)
    );
}

#[test]
fn several_directories_are_the_sources_of_one_set() {
    let root = policy(
        "istio-system",
        "{subjects: [{namespaces: ['**']}], deny: [{name: d, hosts: [pay.example]}]}",
    );
    let folder = Folder::with(&[("team/a.yaml", &shop(PAY)), ("root/a.yaml", &root)]);
    let ended = folder.run("diff team team,root");
    assert_eq!(ended.code, Some(1));
    let denied = "  is  deny: denied_by_rule by ep:istio-system/egress#d (root/a.yaml:4)\n";
    assert!(
        ended.stdout.contains(denied) && ended.stdout.contains("asked"),
        "{}",
        ended.stdout
    );
}

#[test]
fn what_is_not_proved_is_not_called_equivalent() {
    let deny = |value: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a, namespace: istio-system}}\n\
             spec: {{action: DENY, rules: [{{when: [{{key: 'request.headers[x-a]', values: ['{value}']}}]}}]}}\n"
        )
    };
    let folder = Folder::with(&[("old/a.yaml", &deny("a,b")), ("new/a.yaml", &deny("b,a"))]);
    let ended = folder.run("diff old new");
    assert_eq!(ended.code, Some(3), "{}", ended.stdout);
    let last = ended.stdout.lines().last().unwrap();
    assert!(
        last.starts_with("equivalent: not proved, "),
        "{}",
        ended.stdout
    );
    let why = ": a pattern for headers that have several parts\n";
    assert!(
        ended.stdout.contains("not compared (") && ended.stdout.contains(why),
        "{}",
        ended.stdout
    );
    let report = folder.run("diff old new --format json").json();
    assert_eq!(report["proved"], false);
    assert!(!report["left"].as_array().unwrap().is_empty());
}

#[test]
fn json_has_everything() {
    let folder = versions(&shop(PAY), &shop("{name: pay, hosts: ['*.pay.example']}"));
    let ended = folder.run("diff old new --format json");
    assert_eq!(ended.code, Some(1));
    let report = ended.json();
    assert_eq!(
        report["rules"],
        serde_json::json!([{
            "id": "ep:shop/egress#pay", "change": "changed", "parts": ["destinations"], "origin": "new/shop.yaml:4"
        }])
    );
    let allowed = &report["changes"][0];
    assert_eq!(
        (&allowed["shift"], &allowed["old"]["effect"]),
        (&"allowed".into(), &"deny".into())
    );
    assert_eq!(allowed["new"]["rule"], "ep:shop/egress#pay");
    let region = &allowed["regions"][0];
    assert_eq!(region["witness"]["from"], "shop/made-up");
    assert_eq!(region["witness"]["to"], "http://made-up.pay.example/");
    assert_eq!(region["callers"], serde_json::json!(["shop/*"]));
    assert_eq!(
        (&report["cases"][0]["name"], &report["cases"][0]["shift"]),
        (&"pays".into(), &"denied".into())
    );
    assert_eq!(
        (&report["cases"][0]["held"], &report["cases"][0]["holds"]),
        (&true.into(), &false.into())
    );
    assert_eq!(
        (
            &report["asked"]["cases"],
            &report["proved"],
            &report["left"]
        ),
        (&2.into(), &true.into(), &serde_json::json!([]))
    );
}

#[test]
fn what_cannot_be_compared_has_no_answer() {
    let folder = Folder::with(&[
        ("good/a.yaml", &shop(PAY)),
        ("broken/a.yaml", "kind: [\n"),
        ("cases/a.yaml", &shop(PAY)),
        ("cases/a.cases.yaml", &format!("{HEAD}- {{name: x}}\n")),
        ("empty/README.md", ""),
    ]);
    for (arguments, text) in [
        ("good broken", "broken/a.yaml:1:7"),
        ("broken good", "broken/a.yaml:1:7"),
        ("good gone", "error[unreadable]"),
        ("good empty", "error[no-policy]"),
        ("good cases", "error[missing-field]"),
    ] {
        let ended = folder.run(&format!("diff {arguments}"));
        assert_eq!(ended.code, Some(2), "{arguments}: {ended:?}");
        assert!(
            ended.stdout.contains(text) && ended.stderr.contains("nothing to compare"),
            "{arguments}: {ended:?}"
        );
    }
    let report = folder.run("diff good broken --format json").json();
    assert_eq!(report["problems"][0]["code"], "yaml-syntax");
    assert_eq!(
        folder.run("diff good good").code,
        Some(0),
        "the same directory twice is not a mistake"
    );
    for flags in [
        "good",
        "good good good",
        "good good --format junit",
        "good good --now noon",
    ] {
        let ended = folder.run(&format!("diff {flags}"));
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{flags}: {ended:?}"
        );
    }
}

#[test]
fn nothing_that_a_terminal_interprets_is_printed() {
    let folder = Folder::with(&[
        ("old/a.yaml", &shop(PAY)),
        ("new\u{1b}[2J/a.yaml", &policy("shop", "{isolate: true}")),
    ]);
    let ended = super::ended(super::command(folder.path()).args(["diff", "old", "new\u{1b}[2J"]));
    assert_eq!(ended.code, Some(1));
    assert!(
        !ended.stdout.contains(|c: char| c.is_control() && c != '\n'),
        "{:?}",
        ended.stdout
    );
}
