//! Several directories, each a source: one that is broken or emptied keeps its last good content,
//! and the others continue.

use crate::denying;
use customs_test_support::server::{Plan, Server};

/// Starts a server whose source `a` denies `x.example` and whose source `b` denies `y.example`.
fn two() -> Server {
    Plan::with("--policies a --policies b")
        .file("a/policy.yaml", &denying("a", "x.example"))
        .file("b/policy.yaml", &denying("b", "y.example"))
        .start()
}

fn denied(server: &Server, host: &str) -> bool {
    !server.check(host).allowed
}

#[test]
fn one_broken_source_does_not_hold_up_the_other() {
    let server = two();
    let first = server.revision();
    server.folder.put("a/policy.yaml", "kind: [\n");
    let broken = server.source(0, "refused");
    assert_eq!(broken["problems"][0]["code"], "yaml-syntax");
    assert_eq!(
        broken["problems"][0]["place"]
            .as_str()
            .unwrap()
            .split(':')
            .next(),
        Some("a/policy.yaml")
    );
    assert!(
        server.status()["lastProblem"]["text"]
            .as_str()
            .unwrap()
            .contains("a/policy.yaml")
    );
    assert_eq!(server.revision(), first, "nothing changed in force");
    assert_eq!(
        server.get("/readyz").unwrap().0,
        200,
        "what was ready stays ready"
    );
    assert!(denied(&server, "x.example") && denied(&server, "y.example"));

    server
        .folder
        .put("b/policy.yaml", &denying("b", "z.example"));
    server.revision_after(&first);
    assert_eq!(
        (
            server.source(0, "refused")["name"].clone(),
            server.source(1, "good")["name"].clone()
        ),
        ("a".into(), "b".into())
    );
    assert!(
        denied(&server, "x.example"),
        "the broken source's last good content decides as before"
    );
    assert!(
        !denied(&server, "y.example") && denied(&server, "z.example"),
        "the other one follows its files"
    );
}

#[test]
fn a_repaired_source_is_good_again() {
    let server = two();
    server.folder.put("a/policy.yaml", "kind: [\n");
    server.source(0, "refused");
    server
        .folder
        .put("a/policy.yaml", &denying("a", "z.example"));
    let repaired = server.source(0, "good");
    assert_eq!(repaired["problems"].as_array().unwrap().len(), 0);
    assert!(!denied(&server, "x.example") && denied(&server, "z.example"));
    assert!(
        !server.status()["lastProblem"].is_null(),
        "the last problem stays in the status"
    );
}

#[test]
fn an_emptied_directory_keeps_its_last_good_content_and_says_so() {
    let server = two();
    let first = server.revision();
    server.folder.remove("a/policy.yaml");
    let emptied = server.source(0, "emptied");
    assert_eq!(emptied["files"][0], "policy.yaml", "the file in force");
    assert!(
        emptied["problems"][0]["text"]
            .as_str()
            .unwrap()
            .contains("its last good content stays in force")
    );
    assert_eq!(server.revision(), first);
    assert!(denied(&server, "x.example"));
    server
        .folder
        .put("a/other.yaml", &denying("a", "z.example"));
    assert_eq!(server.source(0, "good")["files"][0], "other.yaml");
    assert!(!denied(&server, "x.example") && denied(&server, "z.example"));
}

#[test]
fn a_removed_directory_keeps_its_last_good_content_and_says_so() {
    let server = Plan::with("")
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start();
    std::fs::rename(server.folder.at("policies"), server.folder.at("aside")).unwrap();
    let gone = server.source(0, "refused");
    assert!(
        gone["problems"][0]["text"]
            .as_str()
            .unwrap()
            .contains("does not exist")
    );
    assert!(denied(&server, "x.example"));
    server
        .folder
        .put("policies/a.yaml", &denying("a", "y.example"));
    server.source(0, "good");
    assert!(!denied(&server, "x.example") && denied(&server, "y.example"));
}

#[test]
fn a_source_that_was_never_good_keeps_the_start_unready_and_is_named() {
    let plan =
        Plan::with("--policies a --policies b").file("a/policy.yaml", &denying("a", "x.example"));
    let server = plan.file("b/policy.yaml", "kind: [\n").spawn();
    let ready = server.until("an answer", || server.get("/readyz"));
    assert!(
        ready.0 == 503 && ready.1.contains("b/policy.yaml"),
        "{ready:?}"
    );
    assert_eq!(
        server.check("y.example").reason(),
        "no_policy",
        "what was never read could hold denials"
    );
    server
        .folder
        .put("b/policy.yaml", &denying("b", "y.example"));
    server.until("ready", || {
        server.get("/readyz").filter(|ready| ready.0 == 200)
    });
    assert!(denied(&server, "x.example") && denied(&server, "y.example"));
}
