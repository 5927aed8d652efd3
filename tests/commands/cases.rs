//! `customs test`: cases next to policies, with errors printed like a compiler's, and for CI.

use super::{Folder, policy};

const HEAD: &str =
    "apiVersion: egress.customs/v1alpha1\nkind: PolicyTest\nmetadata: {name: t}\ncases:\n";

fn shop() -> String {
    policy(
        "shop",
        "{deny: [{name: no-a, hosts: [a.example]}, {name: no-b, hosts: [b.example], mode: Report}]}",
    )
}

fn folder(cases: &str) -> Folder {
    Folder::with(&[
        ("policies/a.yaml", &shop()),
        ("policies/a.cases.yaml", &format!("{HEAD}{cases}")),
    ])
}

const GOOD: &str = "- {name: denied, from: shop/web, to: 'http://a.example/', expect: Deny, rule: 'ep:shop/egress#no-a'}\n";

#[test]
fn good_answers_are_summarised_in_one_line_with_the_rules_not_exercised() {
    let ended = folder(GOOD).run("test");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        ended.stdout,
        "not exercised: ep:shop/egress#no-b (./policies/a.yaml:4)\n1 case: 1 passed, 0 failed; 1 of 2 rules exercised\n"
    );
}

#[test]
fn a_trial_is_exercised_by_what_would_be() {
    let case =
        "- {name: trial, from: shop/web, to: 'http://b.example/', expect: Allow, dryRun: Deny}\n";
    let ended = folder(&format!("{GOOD}{case}")).run("test");
    assert_eq!(
        ended.stdout,
        "2 cases: 2 passed, 0 failed; 2 of 2 rules exercised\n"
    );
}

#[test]
fn a_case_may_expect_all_of_an_answer() {
    let expect = |dry_run: &str, effect: &str, gate: &str| {
        format!(
            "- {{name: trial, from: shop/web, to: 'http://b.example/', expect: Allow, dryRun: Deny, {dry_run}, {effect}}}\n\
             - {{name: malformed, from: shop/web, to: 'http://a..example/', expect: Deny, effect: Deny{gate}}}\n"
        )
    };
    let dry_run = "dryRunReason: denied_by_rule, dryRunRule: 'ep:shop/egress#no-b'";
    let ended = folder(&format!("{GOOD}{}", expect(dry_run, "effect: Allow", ""))).run("test");
    assert_eq!(
        ended.stdout,
        "3 cases: 3 passed, 0 failed; 2 of 2 rules exercised\n"
    );

    let wrong = "dryRunReason: not_in_allow_list, dryRunRule: 'ep:shop/egress#no-a'";
    let more = ", gate: istio, expired: 'ep:shop/egress#no-a.except[0]'";
    let ended = folder(&format!("{GOOD}{}", expect(wrong, "effect: Deny", more))).run("test");
    assert_eq!(ended.code, Some(1));
    for text in [
        "wanted dry run reason `not_in_allow_list`, got `denied_by_rule`",
        "wanted dry run rule `ep:shop/egress#no-a`, got `ep:shop/egress#no-b`",
        "wanted effect Deny, got Allow",
        "wanted gate `istio`, got ``",
        "wanted expired `ep:shop/egress#no-a.except[0]`, got ``",
    ] {
        assert!(
            ended.stdout.contains(text),
            "{text} is not in {}",
            ended.stdout
        );
    }
}

#[test]
fn a_server_that_only_reports_makes_a_difference_to_the_effect_alone() {
    let case = GOOD.replace("expect: Deny", "expect: Deny, dryRun: Deny, effect: Allow");
    let ended = folder(&case).run("test --enforcement report");
    assert_eq!(
        ended.last_line(),
        "1 case: 1 passed, 0 failed; 1 of 2 rules exercised",
        "{}",
        ended.stdout
    );
}

#[test]
fn a_failure_is_reported_with_its_place_and_the_answer() {
    let ended =
        folder("- name: open\n  from: shop/web\n  to: http://A.example.:443/\n  expect: Allow\n")
            .run("test");
    assert_eq!(ended.code, Some(1));
    let expected = "\
error[case]: case `open`: wanted Allow, got Deny
 --> ./policies/a.cases.yaml:8:11
  |
8 |   expect: Allow
  |           ^^^^^
  |
  = note: the answer is Deny: denied_by_rule by ep:shop/egress#no-a, at ./policies/a.yaml:4
";
    assert!(ended.stdout.starts_with(expected), "{}", ended.stdout);
    assert_eq!(
        ended.last_line(),
        "1 case: 0 passed, 1 failed; 1 of 2 rules exercised"
    );
}

#[test]
fn a_rule_that_does_not_exist_is_reported_with_the_one_that_was_meant() {
    let case = GOOD.replace("#no-a", "#not-a");
    let ended = folder(&case).run("test");
    let help =
        "= help: there is no rule `ep:shop/egress#not-a`; did you mean `ep:shop/egress#no-a`?";
    assert!(ended.stdout.contains(help), "{}", ended.stdout);
}

#[test]
fn every_expectation_is_compared() {
    for wrong in [
        "expect: Allow",
        "expect: Deny, reason: not_in_allow_list",
        "expect: Deny, rule: 'builtin#default_deny'",
        "expect: Deny, dryRun: Allow",
    ] {
        let ended = folder(&format!(
            "- {{name: x, from: shop/web, to: 'http://a.example/', {wrong}}}\n"
        ))
        .run("test");
        assert_eq!(
            ended.stdout.matches("error[case]").count(),
            1,
            "{wrong}: {}",
            ended.stdout
        );
        assert_eq!(ended.code, Some(1));
    }
}

#[test]
fn the_settings_decide_too() {
    let case = "- {name: x, from: shop/web, to: 'http://c.example/', expect: Deny, reason: default_deny}\n";
    let folder = folder(case);
    assert_eq!(folder.run("test").code, Some(1));
    assert_eq!(folder.run("test --default deny").code, Some(0));
    assert_eq!(
        folder.run("test --default deny --enforcement report").code,
        Some(0),
        "the verdict is compared"
    );
}

#[test]
fn cases_that_cannot_be_read_fail_and_the_others_are_run() {
    let bad = "- {name: bad, from: shop, to: 'http://a.example/', expect: Deny}\n";
    let ended = folder(&format!("{bad}{GOOD}")).run("test");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.starts_with(
        "error[bad-identity]: invalid caller `shop`\n --> ./policies/a.cases.yaml:5:21\n"
    ));
    assert_eq!(
        ended.last_line(),
        "1 case: 1 passed, 0 failed, 1 error; 1 of 2 rules exercised"
    );
}

#[test]
fn policies_that_do_not_load_fail() {
    let folder = Folder::with(&[
        ("policies/a.yaml", &policy("shop", "{deny: []}")),
        ("policies/a.cases.yaml", &format!("{HEAD}{GOOD}")),
    ]);
    let ended = folder.run("test");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.starts_with("error[empty-value]"),
        "{}",
        ended.stdout
    );
    assert!(
        ended
            .last_line()
            .starts_with("0 cases: 0 passed, 0 failed, 1 error"),
        "{}",
        ended.stdout
    );
}

#[test]
fn no_case_at_all_fails() {
    let folder = Folder::with(&[("policies/a.yaml", &shop())]);
    let ended = folder.run("test");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.contains("there is no file of cases"),
        "{}",
        ended.stdout
    );
}

#[test]
fn directories_are_sets_by_themselves_unless_they_are_taken_together() {
    let root = policy(
        "istio-system",
        "{subjects: [{namespaces: ['**']}], deny: [{name: no-c, hosts: [c.example]}]}",
    );
    let case = "- {name: c, from: shop/web, to: 'http://c.example/', expect: Deny}\n";
    let folder = Folder::with(&[
        ("team/a.yaml", &shop()),
        ("team/a.cases.yaml", &format!("{HEAD}{case}")),
        ("root/a.yaml", &root),
        ("root/a.cases.yaml", &format!("{HEAD}{case}")),
    ]);
    let apart = folder.run("test team root");
    assert_eq!(apart.code, Some(1));
    assert!(
        apart
            .stdout
            .contains("team: 1 case: 0 passed, 1 failed; 0 of 2 rules exercised\n"),
        "{}",
        apart.stdout
    );
    assert!(
        apart
            .stdout
            .contains("root: 1 case: 1 passed, 0 failed; 1 of 1 rule exercised\n"),
        "{}",
        apart.stdout
    );
    assert_eq!(folder.run("test --together team root").code, Some(0));
}

#[test]
fn json_has_every_case() {
    let ended = folder(&format!(
        "{GOOD}{}",
        GOOD.replace("name: denied", "name: '<x>'")
            .replace("Deny", "Allow")
    ))
    .run("test --format json");
    let report = ended.json();
    assert_eq!(
        (&report["totals"]["passed"], &report["totals"]["failed"]),
        (&1.into(), &1.into())
    );
    let suite = &report["suites"][0];
    assert_eq!(suite["notExercised"][0]["id"], "ep:shop/egress#no-b");
    assert_eq!(
        (&suite["cases"][0]["passed"], &suite["cases"][1]["passed"]),
        (&true.into(), &false.into())
    );
    assert_eq!(suite["cases"][1]["failures"][0]["line"], 6);
}

#[test]
fn junit_has_every_case() {
    let ended = folder(&format!(
        "{GOOD}{}",
        GOOD.replace("name: denied", "name: '<x>'")
            .replace("Deny", "Allow")
    ))
    .run("test --format junit");
    assert_eq!(ended.code, Some(1));
    let xml = &ended.stdout;
    for part in [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"customs test\" tests=\"2\" failures=\"1\" errors=\"0\" time=\"0.",
        "<testsuite name=\"./policies\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\" time=\"0.",
        "<testcase classname=\"./policies/a.cases.yaml\" name=\"denied\" time=\"0.",
        "\" file=\"./policies/a.cases.yaml\" line=\"5\"/>",
        "name=\"&lt;x&gt;\" time=\"0.",
        "\" file=\"./policies/a.cases.yaml\" line=\"6\">\n      <failure type=\"case\" message=\"case `&lt;x&gt;`: \
         wanted Allow, got Deny\">",
    ] {
        assert!(xml.contains(part), "no {part} in {xml}");
    }
}
