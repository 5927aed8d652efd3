//! `customs doctor` against real servers: replicas that differ, that do not answer, and policies
//! that are not in force.

use serde_json::Value;

use crate::denying;
use customs_test_support::ports;
use customs_test_support::server::{Plan, Server, run};

fn started(host: &str) -> Server {
    Plan::with("--audit file:out/audit.jsonl")
        .file("policies/a.yaml", &denying("a", host))
        .start()
}

fn address(server: &Server) -> String {
    format!("127.0.0.1:{}", server.admin)
}

/// Runs it in the folder of a server, and returns the exit code and the document.
fn doctor(server: &Server, arguments: &[&str]) -> (Option<i32>, Value) {
    let all: Vec<&str> = ["doctor", "--format", "json"]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    let ended = run(&server.folder.at(""), &all);
    let document = serde_json::from_str(&ended.stdout);
    (
        ended.code,
        document.unwrap_or_else(|why| panic!("{why}: {ended:?}")),
    )
}

fn codes(document: &Value) -> Vec<&str> {
    let findings = document["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| finding["code"].as_str().unwrap())
        .collect()
}

#[test]
fn one_good_server_is_healthy_and_its_records_are_complete() {
    let server = started("x.example");
    for host in ["x.example", "y.example", "x.example"] {
        server.check(host);
    }
    server.until("the records", || {
        let log = server.folder.text("out/audit.jsonl");
        (log.matches("\"decision\"").count() == 3).then_some(())
    });
    let admin = address(&server);
    let arguments = [
        "--admin",
        &admin,
        "--audit",
        "out/audit.jsonl",
        "--policies",
        "policies",
    ];
    let (code, document) = doctor(&server, &arguments);
    assert_eq!((code, codes(&document)), (Some(0), vec![]), "{document:#}");
    let checked = document["checked"].to_string();
    for what in [
        "every decision is on record",
        "the given policies are in force",
        "clocks agree",
    ] {
        assert!(checked.contains(what), "{what}: {checked}");
    }
}

#[test]
fn replicas_that_differ_and_one_that_is_gone_are_named_together() {
    let (one, other) = (started("x.example"), started("y.example"));
    let nobody = format!("127.0.0.1:{}", ports::free().unwrap());
    let admin = [address(&one), address(&other), nobody.clone()].join(",");
    let (code, document) = doctor(&one, &["--admin", &admin]);
    assert_eq!(code, Some(1));
    assert_eq!(
        codes(&document)[..2],
        ["replica-unreachable", "revisions-differ"],
        "{document:#}"
    );
    assert!(
        document["findings"][0]["subject"]
            .as_str()
            .unwrap()
            .contains(&nobody)
    );
}

#[test]
fn policies_that_are_not_in_force_are_found() {
    let server = started("x.example");
    let admin = address(&server);
    server.folder.put("new/a.yaml", &denying("a", "z.example"));
    server.folder.put("bad/a.yaml", "kind: EgressPolicy\n");
    for (directory, expected) in [("new", "revisions-differ"), ("bad", "source-refused")] {
        let (code, document) = doctor(&server, &["--admin", &admin, "--policies", directory]);
        assert_eq!(code, Some(1), "{document:#}");
        assert!(
            codes(&document).contains(&expected),
            "{directory}: {document:#}"
        );
    }
}

#[test]
fn decisions_without_records_are_missed() {
    let server = started("x.example");
    for _ in 0..10 {
        server.check("x.example");
    }
    server.folder.put("empty.jsonl", "");
    let admin = address(&server);
    let (code, document) = doctor(&server, &["--admin", &admin, "--audit", "empty.jsonl"]);
    assert_eq!(
        (code, codes(&document)),
        (Some(1), vec!["records-missing"]),
        "{document:#}"
    );
}

#[test]
fn an_address_of_customs_is_no_envoy() {
    let server = started("x.example");
    let envoy = format!("http://{}", address(&server));
    let (code, document) = doctor(&server, &["--envoy", &envoy]);
    assert_eq!(
        (code, codes(&document)),
        (Some(1), vec!["unreadable-evidence"])
    );
    let seen = document["findings"][0]["evidence"][0].as_str().unwrap();
    assert!(
        seen.contains("customs' admin address answers there"),
        "{seen}"
    );
}

#[test]
fn callers_without_an_identity_are_found() {
    use customs_test_support::check_client;
    let server = started("x.example");
    let check = check_client::http("", "x.example");
    check_client::wait(check_client::check(&server.channel, check)).unwrap();
    let admin = address(&server);
    let (code, document) = doctor(&server, &["--admin", &admin]);
    assert_eq!(
        (code, codes(&document)[0]),
        (Some(1), "no-principal"),
        "{document:#}"
    );
}
