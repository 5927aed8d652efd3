//! `decide` allocates nothing for a request whose path has one reading, whatever the rules are: its
//! answer is shared with the snapshot. A check that is not traced allocates what it does without
//! tracing. Counted, not timed; alone in its binary, because it counts with an allocator of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod traced;

use customs_engine::request::{Attributes, HttpAttributes};
use customs_engine::settings::Settings;
use customs_engine::time::UnixNanos;
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile, Source};

const POLICIES: &str = "apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: e, namespace: web}
spec:
  deny:
  - {name: d, hosts: [bad.example], paths: ['/admin/*'], methods: [GET]}
  allow:
  - {name: a, hosts: ['*.ok.example', '10.0.0.0/8'], paths: ['/v1/{*}', '/']}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: istio-system}
spec:
  action: DENY
  rules:
  - from: [{source: {principals: ['*/sa/bad'], namespaces: ['w*']}}]
    to: [{operation: {hosts: ['*.ok.example'], notPaths: ['/x']}}]
";

fn allocations(principal: &str, host: &str, path: &str) -> (u64, &'static str) {
    let settings = Settings::default();
    let file = PolicyFile {
        name: "p.yaml".into(),
        bytes: POLICIES.as_bytes().into(),
    };
    let loaded = source::load(
        &Source {
            name: "p".into(),
            files: vec![file],
            ..Source::default()
        },
        &settings,
    );
    let snapshot = compile::compile(&[loaded], &settings).unwrap().snapshot;
    let http = HttpAttributes {
        method: "GET",
        path,
        host,
        ..HttpAttributes::default()
    };
    let attributes = Attributes {
        source_principal: principal,
        http: Some(http),
        ..Attributes::default()
    };
    let request = attributes.normalise(&settings);
    let mut reason = "";
    let counted = allocation_counter::measure(|| {
        reason = snapshot
            .decide(&request, UnixNanos(0))
            .verdict
            .reason
            .as_str()
    });
    (counted.count_total, reason)
}

#[test]
fn a_decision_allocates_nothing() {
    let app = "spiffe://cluster.local/ns/web/sa/app";
    for (principal, host, path, reason) in [
        (app, "x.ok.example", "/v1/a?q=1", "allowed_by_rule"),
        (app, "10.1.2.3", "/", "allowed_by_rule"),
        (app, "bad.example", "/admin/x", "denied_by_rule"),
        (app, "elsewhere.example", "/v1/a", "not_in_allow_list"),
        (
            "spiffe://cluster.local/ns/web/sa/bad",
            "x.ok.example",
            "/",
            "denied_by_rule",
        ),
        (
            "spiffe://cluster.local/ns/other/sa/app",
            "elsewhere.example",
            "/",
            "default_allow",
        ),
        ("", "elsewhere.example", "/", "not_in_allow_list"),
        (app, "a..b", "/", "malformed_host"),
    ] {
        assert_eq!(
            allocations(principal, host, path),
            (0, reason),
            "{principal} {host} {path}"
        );
    }
}

#[test]
fn the_counter_counts() {
    let (several_readings, _) = allocations(
        "spiffe://cluster.local/ns/web/sa/app",
        "x.ok.example",
        "/v1/../%61",
    );
    assert!(
        several_readings > 0,
        "a path with several readings needs room for them"
    );
}
