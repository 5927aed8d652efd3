//! `/rules` and the metrics of a running server: which rules were hit, also after a reload, and
//! whose checks they were.

use serde_json::Value;

use crate::denying;
use customs_test_support::server::{Plan, Server};

/// Returns each rule that is listed, with its hits.
fn hits(server: &Server, path: &str) -> Vec<(String, u64)> {
    let (code, body) = server.get(path).unwrap();
    assert_eq!(code, 200, "{body}");
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["revision"], server.revision().as_str());
    let rules = document["rules"].as_array().unwrap().iter();
    rules
        .map(|rule| {
            assert_eq!(
                rule["lastHit"].is_null(),
                rule["hits"] == 0,
                "a hit has a time: {rule}"
            );
            let name = rule["rule"].as_str().unwrap();
            (name.to_owned(), rule["hits"].as_u64().unwrap())
        })
        .collect()
}

fn assert_shows(server: &Server, lines: &[&str]) {
    let (_, text) = server.get("/metrics").unwrap();
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line}: {text}");
    }
}

#[test]
fn hits_are_counted_through_a_reload_and_shown_with_the_rules_that_have_none() {
    let mut server = Plan::with("--audit file:out/audit.jsonl")
        .file("policies/a.yaml", &denying("a", "a.example"))
        .file("policies/b.yaml", &denying("b", "b.example"))
        .start();
    for host in ["a.example", "a.example", "ok.example"] {
        server.check(host);
    }
    let rule = |name: &str, hits| (format!("ep:demo-frontend/{name}#no-host"), hits);
    assert_eq!(hits(&server, "/rules"), [rule("a", 2), rule("b", 0)]);
    assert_eq!(hits(&server, "/rules?unused"), [rule("b", 0)]);
    assert_shows(
        &server,
        &[
            "customs_rule_hits_total{rule=\"ep:demo-frontend/a#no-host\"} 2",
            "customs_rule_hits_total{rule=\"ep:demo-frontend/b#no-host\"} 0",
            "customs_rules_unused 1",
            "customs_namespace_decisions_total{caller_namespace=\"demo-frontend\",effect=\"deny\"} 2",
            "customs_namespace_decisions_total{caller_namespace=\"demo-frontend\",effect=\"allow\"} 1",
            "customs_namespace_decisions_total{caller_namespace=\"_none\",effect=\"deny\"} 0",
        ],
    );
    // The text of the rule moves, and another one comes.
    let before = server.revision();
    let moved = format!("# moved\n\n{}", denying("a", "a.example"));
    server.folder.put("policies/a.yaml", &moved);
    server
        .folder
        .put("policies/c.yaml", &denying("c", "c.example"));
    server.revision_after(&before);
    server.check("a.example");
    server.check("c.example");
    let expected = [rule("a", 3), rule("b", 0), rule("c", 1)];
    assert_eq!(hits(&server, "/rules"), expected);
    server.stop();
}
