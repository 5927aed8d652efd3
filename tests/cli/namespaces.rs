//! `namespace_from: directory` in the settings file: each namespace has its own directory, and its
//! faults affect only itself.

use crate::denying;
use customs_test_support::check_client;
use customs_test_support::server::{Plan, Server, run};

const SETTINGS: &str = "policies: [./root, {dir: ./teams, namespace_from: directory}]\n";

const ROOT: &str = "apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: root, namespace: istio-system}
spec:
  subjects: [{namespaces: ['**']}, {unauthenticated: true}]
  isolate: false
  deny: [{name: never, hosts: [never.example]}]
  allow: [{name: all, hosts: [all.example]}]
";

/// Returns a policy for a namespace that is not the caller's.
fn batch() -> String {
    denying("batch", "y.example").replace("demo-frontend", "batch")
}

fn plan(team: &str) -> Plan {
    Plan::with("--config settings.yaml --audit file:out/audit.jsonl")
        .file("settings.yaml", SETTINGS)
        .file("root/a.yaml", ROOT)
        .file("teams/batch/a.yaml", &batch())
        .file("teams/demo-frontend/a.yaml", team)
}

/// Returns the answer for a pod of `batch` and this host.
fn from_batch(server: &Server, host: &str) -> check_client::Answer {
    let principal = "spiffe://cluster.local/ns/batch/sa/job";
    check_client::wait(check_client::check(
        &server.channel,
        check_client::http(principal, host),
    ))
    .unwrap()
}

#[test]
fn a_namespace_that_was_never_good_is_isolated_and_the_others_go_on() {
    let mut server = plan("kind: [\n").start();
    let never = server.check("x.example");
    assert_eq!(
        (never.reason(), never.says("rule")),
        ("not_in_allow_list", "builtin#namespace_unloaded")
    );
    assert_eq!(
        server.check("all.example").reason(),
        "allowed_by_rule",
        "what the root grants stays granted"
    );
    assert_eq!(
        server.check("never.example").reason(),
        "denied_by_rule",
        "and what it denies, denied"
    );
    assert_eq!(from_batch(&server, "x.example").reason(), "default_allow");
    assert_eq!(from_batch(&server, "y.example").reason(), "denied_by_rule");
    let team = server.source(3, "never_loaded");
    assert_eq!(team["name"], "./teams/demo-frontend");
    assert!(
        team["problems"][0]["text"]
            .as_str()
            .unwrap()
            .contains("namespace `demo-frontend` is isolated"),
        "{team}"
    );
    assert!(
        team["problems"][1]["place"]
            .as_str()
            .unwrap()
            .starts_with("./teams/demo-frontend/a.yaml:"),
        "{team}"
    );
    let metrics = server.get("/metrics").unwrap().1;
    assert!(
        metrics
            .lines()
            .any(|line| line == "customs_sources_refused 1"),
        "{metrics}"
    );

    server
        .folder
        .put("teams/demo-frontend/a.yaml", &denying("a", "x.example"));
    server.source(3, "good");
    assert_eq!(server.check("x.example").reason(), "denied_by_rule");
    assert_eq!(server.check("z.example").reason(), "default_allow");
    server.stop();
    let record = server.folder.text("out/audit.jsonl");
    let first = record
        .lines()
        .find(|line| line.contains("policyChange"))
        .unwrap();
    assert!(
        first.contains("\"published_in_part\"") && first.contains("./teams/demo-frontend\"]"),
        "{first}"
    );
    let denied = record
        .lines()
        .find(|line| line.contains("namespace_unloaded"))
        .unwrap();
    assert!(
        denied.contains("\"origin\":\"./teams/demo-frontend\""),
        "{denied}"
    );
}

#[test]
fn a_policy_for_another_namespace_is_refused_where_it_lies() {
    let server = plan(&denying("a", "x.example")).start();
    let first = server.revision();
    server.folder.put(
        "teams/demo-frontend/b.yaml",
        &batch().replace("batch", "prod"),
    );
    let refused = server.source(3, "refused");
    assert_eq!(refused["problems"][0]["code"], "not-yours");
    assert_eq!(
        refused["problems"][0]["place"],
        "./teams/demo-frontend/b.yaml:1:1"
    );
    assert_eq!(
        (server.revision(), server.check("x.example").reason()),
        (first, "denied_by_rule")
    );
}

#[test]
fn the_tools_see_what_the_server_sees() {
    let mut server = plan("kind: [\n").start();
    let served = server.revision();
    let folder = server.folder.at("");
    let tool = |arguments: &str| run(&folder, &arguments.split_whitespace().collect::<Vec<_>>());
    let lint = tool("lint --config settings.yaml");
    assert_eq!(lint.code, Some(1));
    assert!(
        lint.stdout.contains("./teams/demo-frontend/a.yaml:1:"),
        "{}",
        lint.stdout
    );
    let revision = tool("revision --config settings.yaml");
    assert_eq!(revision.stdout.trim(), served);
    assert!(
        revision.stderr.contains("error[yaml-syntax]"),
        "{}",
        revision.stderr
    );
    let check =
        tool("check --config settings.yaml --from demo-frontend/sleep --to http://x.example/");
    assert_eq!(check.code, Some(1));
    let said = "isolated by builtin#namespace_unloaded (./teams/demo-frontend)";
    assert!(
        check.stdout.contains(said) && check.stderr.contains("error[yaml-syntax]"),
        "{check:?}"
    );
    server.stop();
}

#[test]
fn a_wrong_entry_is_reported_with_its_place() {
    let ended = Plan::new()
        .file(
            "settings.yaml",
            "policies:\n- {dir: ./teams, namespace_from: label}\n",
        )
        .flags("--config settings.yaml")
        .fails();
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("settings.yaml:2:") && ended.stderr.contains("label"),
        "{}",
        ended.stderr
    );
}
