//! Findings about gates and about callers without an identity.

use super::*;

#[test]
fn a_grant_that_no_istio_allow_lets_through_is_told() {
    let grant = "ep web a {allow: [{name: x, hosts: [a.example]}]}";
    let with = |istio: &str| format!("{grant}\nap istio-system i {istio}");
    assert_findings(
        &[Code::IstioGateClosed],
        &[
            (grant, &[]),
            (&with("{}"), &["istio-gate-closed 1"]),
            (&with("{rules: [{}]}"), &[]),
            (
                &with("{rules: [{to: [{operation: {hosts: ['*.example']}}]}]}"),
                &[],
            ),
            (
                &with("{rules: [{to: [{operation: {hosts: ['*.a.example']}}]}]}"),
                &["istio-gate-closed 1"],
            ),
            (
                &with("{rules: [{to: [{operation: {hosts: ['a.example:8443']}}]}]}"),
                &["istio-gate-closed 1"],
            ),
            (
                &with("{rules: [{from: [{source: {namespaces: [shop]}}]}]}"),
                &["istio-gate-closed 1"],
            ),
            (
                &with("{rules: [{from: [{source: {namespaces: [shop, 'w*']}}]}]}"),
                &[],
            ),
            (
                &with("{rules: [{from: [{source: {notNamespaces: [web]}}]}]}"),
                &["istio-gate-closed 1"],
            ),
            (
                &with(
                    "{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/app]}}]}]}",
                ),
                &["istio-gate-closed 1"],
            ),
            (
                &with("{rules: [{from: [{source: {principals: [cluster.local/ns/web/sa/app]}}]}]}"),
                &[],
            ),
            (&with("{action: DENY, rules: [{}]}"), &[]),
        ],
    );
    let found = problems(&with("{}"), &Settings::default(), Horizon::at(NOW));
    let hint = found
        .iter()
        .find(|p| p.code == Code::IstioGateClosed)
        .and_then(|p| p.hint.clone())
        .unwrap();
    let rule = hint.split('`').nth(1).unwrap().trim_start_matches("- ");
    assert_findings(
        &[Code::IstioGateClosed],
        &[(&with(&format!("{{rules: [{rule}]}}")), &[])],
    );
}

#[test]
fn an_istio_allow_on_trial_counts_as_one_that_opens() {
    let lines = "ep web a {allow: [{name: x, hosts: [a.example]}]}\nap istio-system i {}\nap istio-system j {rules: [{}]}";
    let mut bytes = String::from_utf8(set(lines)).unwrap();
    bytes = bytes.replace("{name: j, namespace: istio-system}", DRY_RUN);
    let file = PolicyFile {
        name: "p.yaml".into(),
        bytes: bytes.into_bytes().into(),
    };
    let loaded = source::load(
        &Source {
            name: "d".into(),
            files: vec![file],
            ..Source::default()
        },
        &Settings::default(),
    );
    let compiled = compile::compile(&[loaded], &Settings::default()).unwrap();
    let found = findings(&compiled.snapshot, Horizon::at(NOW));
    assert!(
        found.iter().all(|p| p.code != Code::IstioGateClosed),
        "{found:#?}"
    );
}

const DRY_RUN: &str = "{name: j, namespace: istio-system, annotations: {istio.io/dry-run: 'true'}}";

#[test]
fn what_is_said_of_callers_without_an_identity() {
    let both = [Code::UnauthenticatedUnsaid, Code::UnauthenticatedFreer];
    let isolates = "ep web a {allow: [{name: x, hosts: [a.example]}]}";
    let with = |root: &str| format!("{isolates}\nep istio-system r {root}");
    let named = "subjects: [{unauthenticated: true}]";
    assert_findings(
        &both,
        &[
            (isolates, &["unauthenticated-unsaid 1"]),
            (
                "ep web a {mode: Report, allow: [{name: x, hosts: [a.example]}]}",
                &[],
            ),
            ("ep web a {deny: [{name: x, hosts: [a.example]}]}", &[]),
            (&with(&format!("{{{named}, isolate: true}}")), &[]),
            (
                &with(&format!("{{{named}, mode: Report, isolate: true}}")),
                &["unauthenticated-unsaid 1"],
            ),
            (
                &with(&format!(
                    "{{{named}, deny: [{{name: d, hosts: [b.example]}}]}}"
                )),
                &["unauthenticated-freer 2"],
            ),
            (
                &with(&format!(
                    "{{{named}, allow: [{{name: g, hosts: [b.example]}}]}}"
                )),
                &["unauthenticated-freer 2"],
            ),
            (
                &with(&format!(
                    "{{{named}, allow: [{{name: g, hosts: [a.example]}}]}}"
                )),
                &[],
            ),
            (
                &with(
                    "{subjects: [{namespaces: ['**']}, {unauthenticated: true}], allow: [{name: g, hosts: [b.example]}]}",
                ),
                &[],
            ),
        ],
    );
}

#[test]
fn patterns_that_cover_less_or_more_than_they_seem_to() {
    let codes = [
        Code::NarrowPort,
        Code::AddressOnly,
        Code::DeniesAllTcp,
        Code::DenyPassedWithoutPort,
    ];
    assert_findings(
        &codes,
        &[
            (
                "ep web a {allow: [{name: x, hosts: ['a.example:443', 'b.example:8443']}]}",
                &["narrow-port 1"],
            ),
            (
                "ep web a {allow: [{name: x, hosts: ['a.example:8443', a.example]}]}",
                &[],
            ),
            (
                "ep web a {allow: [{name: x, hosts: ['a.example:8443', '*.example']}]}",
                &[],
            ),
            ("ep web a {allow: [{name: x, hosts: ['a.example:*']}]}", &[]),
            (
                "ep web a {deny: [{name: x, hosts: ['a.example:443']}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['a.example:8443', 'b.example:1']}]}",
                &["deny-passed-without-port 1"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['a.example:8443', 'a.example:80']}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['a.example:8443', a.example]}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: ['a.example:8443', 'b.example:443']}]}",
                &["deny-passed-without-port 1"],
            ),
            (
                "ap web a {action: DENY, rules: [{to: [{operation: {hosts: ['a.example:8443']}}]}]}",
                &["deny-passed-without-port 1"],
            ),
            (
                "ap web a {action: DENY, rules: [{to: [{operation: {hosts: ['a.example:8443'], ports: ['8443']}}]}]}",
                &[],
            ),
            (
                "ep web a {deny: [{name: x, hosts: [a.example], except: [{hosts: ['a.example:443']}]}]}",
                &["narrow-port 1"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: [10.0.0.0/8, 192.0.2.0/24]}]}",
                &["address-only 1"],
            ),
            ("ep web a {deny: [{name: x, hosts: [10.0.0.1]}]}", &[]),
            (
                "ep web a {deny: [{name: x, hosts: ['**'], methods: [POST]}]}",
                &["denies-all-tcp 1"],
            ),
            (
                "ep web a {deny: [{name: x, hosts: [a.example], methods: [POST]}]}",
                &[],
            ),
            (
                "ap web a {action: DENY, rules: [{to: [{operation: {paths: ['/x']}}]}]}",
                &["denies-all-tcp 1"],
            ),
            (
                "ap web a {action: DENY, rules: [{to: [{operation: {paths: ['/x'], ports: ['80']}}]}]}",
                &[],
            ),
            (
                "ap web a {action: DENY, rules: [{when: [{key: 'request.headers[x]', values: [a]}]}]}",
                &["denies-all-tcp 1"],
            ),
            (
                "ap web a {action: DENY, rules: [{when: [{key: connection.sni, values: [a]}]}]}",
                &[],
            ),
            ("ap web a {action: DENY, rules: [{}]}", &[]),
            (
                "ap web a {rules: [{to: [{operation: {paths: ['/x']}}]}]}",
                &[],
            ),
        ],
    );
}
