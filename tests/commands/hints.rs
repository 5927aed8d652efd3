//! The hints for a policy or a setting that is nearly right: the one thing that was meant, at its
//! place, and never anything wider.

use super::{Folder, policy};

/// Returns the findings of `lint`, as `code line:column text; hint`.
fn findings(text: &str) -> Vec<String> {
    let report = Folder::with(&[("policies/a.yaml", text)])
        .run("lint --format json policies")
        .json();
    let line = |p: &serde_json::Value| {
        let text = |name: &str| p[name].as_str().unwrap_or_default().to_owned();
        format!(
            "{} {}:{} {}; {}",
            text("code"),
            p["line"],
            p["column"],
            text("text"),
            text("hint")
        )
    };
    report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(line)
        .collect()
}

fn egress(spec: &str) -> Vec<String> {
    findings(&policy("shop", spec))
}

fn istio(rest: &str) -> Vec<String> {
    findings(&format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p, namespace: istio-system}}\n{rest}"
    ))
}

#[test]
fn a_misspelt_field_is_one_mistake_with_the_field_that_was_meant() {
    for (entry, meant) in [
        ("{name: d, host: a.example}", "hosts"),
        ("{name: d, host: [a.example]}", "hosts"),
        ("{name: d, Hosts: [a.example]}", "hosts"),
        ("{name: d, hsots: [a.example]}", "hosts"),
        ("{name: d, hostnames: [a.example]}", "hosts"),
        ("{name: d, domains: [a.example]}", "hosts"),
        ("{name: d, destination: [set]}", "destinations"),
        ("{nmae: d, hosts: [a.example]}", "name"),
        ("{name: d, hosts: [a.example], method: [GET]}", "methods"),
        ("{name: d, hosts: [a.example], path: [/x]}", "paths"),
        (
            "{name: d, hosts: [a.example], except: [{path: [/x]}]}",
            "paths",
        ),
        ("{name: d, hosts: [a.example], tickets: x}", "ticket"),
    ] {
        let findings = egress(&format!("{{deny: [{entry}]}}"));
        assert_eq!(findings.len(), 1, "{entry}: {findings:?}");
        assert!(
            findings[0].starts_with("unknown-field 4:")
                && findings[0].ends_with(&format!("; did you mean `{meant}`?")),
            "{findings:?}"
        );
        assert!(!findings[0].contains("**"), "{findings:?}");
    }
    for (spec, meant) in [
        (
            "{denies: [{name: d, hosts: [a.example]}], isolate: true}",
            "deny",
        ),
        (
            "{isolated: true, deny: [{name: d, hosts: [a.example]}]}",
            "isolate",
        ),
        (
            "{subject: [{serviceAccounts: [web]}], isolate: true}",
            "subjects",
        ),
        (
            "{subjects: [{service_accounts: [web]}], isolate: true}",
            "serviceAccounts",
        ),
        (
            "{subjects: [{service-account: [web]}], isolate: true}",
            "serviceAccounts",
        ),
    ] {
        let findings = egress(spec);
        assert!(
            findings.len() == 1 && findings[0].ends_with(&format!("; did you mean `{meant}`?")),
            "{spec}: {findings:?}"
        );
    }
    for (rest, meant) in [
        (
            "spec: {action: DENY, rules: [{to: [{operation: {host: [a.example]}}]}]}",
            "`hosts`",
        ),
        (
            "spec: {action: DENY, rules: [{to: [{operations: {hosts: [a.example]}}]}]}",
            "`operation`",
        ),
        (
            "spec: {action: DENY, rules: [{form: [{source: {namespaces: [a]}}]}]}",
            "`from`",
        ),
        ("spec: {action: DENY, rule: [{}]}", "`rules`"),
        ("spec: {action: DNEY, rules: [{}]}", "`DENY`"),
        (
            "spec: {action: DENY, rules: [{when: [{key: request.headers, values: [a]}]}]}",
            "`request.headers[NAME]`",
        ),
    ] {
        let findings = istio(&format!("{rest}\n"));
        assert!(
            findings
                .iter()
                .any(|finding| finding.contains(&format!("did you mean {meant}?"))),
            "{rest}: {findings:?}"
        );
    }
}

#[test]
fn a_field_in_the_wrong_mapping_is_reported_with_where_it_belongs() {
    for (rest, belongs) in [
        (
            "spec: {action: DENY, rules: [{to: [{hosts: [a.example], operation: {ports: [\"80\"]}}]}]}",
            "`hosts` belongs in `operation`",
        ),
        (
            "spec: {action: DENY, rules: [{to: [{hosts: [a.example]}]}]}",
            "`hosts` belongs in `operation`",
        ),
        (
            "spec: {action: DENY, rules: [{operation: {hosts: [a.example]}}]}",
            "`operation` belongs in an entry of `to`",
        ),
        (
            "spec: {action: DENY, rules: [{from: [{namespaces: [a]}]}]}",
            "`namespaces` belongs in `source`",
        ),
        (
            "spec: {action: DENY, to: [{operation: {hosts: [a.example]}}], rules: [{}]}",
            "`to` belongs in a rule",
        ),
        (
            "action: DENY\nspec: {rules: [{}]}",
            "`action` belongs in `spec`",
        ),
        (
            "spec: {selector: {app: x}, action: DENY, rules: [{}]}",
            "labels belong in `matchLabels`",
        ),
        (
            "spec: {deny: [{name: d, hosts: [a.example]}]}",
            "`deny` is a field of an EgressPolicy",
        ),
    ] {
        let findings = istio(&format!("{rest}\n"));
        assert!(
            findings.iter().any(|finding| finding.contains(belongs)),
            "{rest}: {findings:?}"
        );
    }
    for (spec, belongs) in [
        (
            "{deny: [{name: d, hosts: [a.example], ports: [443]}]}",
            "`hosts: [\"api.example.com:443\"]`",
        ),
        (
            "{deny: [{name: d, hosts: [a.example], notPaths: [/x]}]}",
            "as an exception, in `except`",
        ),
        (
            "{deny: [{name: d, hosts: [a.example], expires: '2030-01-01T00:00:00Z'}]}",
            "a deny does not expire",
        ),
        (
            "{allow: [{name: d, hosts: [a.example], except: [{paths: [/x]}]}]}",
            "`except` belongs in an entry of `deny`",
        ),
        (
            "{hosts: [a.example], isolate: true}",
            "`hosts` belongs in an entry of `deny` or `allow`",
        ),
        (
            "{serviceAccounts: [web], isolate: true}",
            "`serviceAccounts` belongs in `subjects`",
        ),
        (
            "{action: DENY, isolate: true}",
            "`action` is a field of an AuthorizationPolicy",
        ),
    ] {
        let findings = egress(spec);
        assert!(
            findings.iter().any(|finding| finding.contains(belongs)),
            "{spec}: {findings:?}"
        );
    }
}

#[test]
fn a_hint_for_a_host_never_covers_more_than_was_written() {
    for (host, expected) in [
        (".vendor.example", "write `*.vendor.example`"),
        ("*vendor.example", "`*.vendor.example`"),
        ("https://api.vendor.example", "write `api.vendor.example`"),
        (
            "https://api.vendor.example/v1",
            "write `api.vendor.example` here, and its path in `paths`: `/v1`",
        ),
        (
            "https://api.vendor.example:8443/",
            "write `api.vendor.example:8443`",
        ),
    ] {
        for findings in [
            egress(&format!("{{deny: [{{name: d, hosts: [\"{host}\"]}}]}}")),
            istio(&format!(
                "spec: {{action: DENY, rules: [{{to: [{{operation: {{hosts: [\"{host}\"]}}}}]}}]}}\n"
            )),
        ] {
            assert!(
                findings.iter().any(|finding| finding.contains(expected)),
                "{host}: {findings:?}"
            );
            assert!(
                !findings.iter().any(|finding| finding.contains("**")),
                "{host}: {findings:?}"
            );
        }
    }
    let missing = egress("{allow: [{name: a, methods: [GET]}]}");
    assert!(
        missing.len() == 1 && missing[0].starts_with("missing-field"),
        "{missing:?}"
    );
    assert!(
        !missing[0].contains("**"),
        "the hint for a missing host does not grant any host: {missing:?}"
    );
}

#[test]
fn a_setting_that_is_nearly_right_is_reported_at_its_place_with_the_one_that_was_meant() {
    for (text, place, meant) in [
        ("default: deny\n\npolcies: [a]\n", "3:1", "policies"),
        ("polcies: [a]\n", "1:1", "policies"),
        ("default: dney\n", "1:10", "deny"),
        (
            "gateway:\n  namespace: a\n  label: {a: b}\n",
            "3:3",
            "labels",
        ),
        (
            "gateway: {listeners: [{port: 1, host: a, targetPort: 2}]}\n",
            "1:42",
            "target_port",
        ),
        (
            "audit_log:\n  redact: {princpal: hash}\n",
            "2:12",
            "principal",
        ),
        ("identity_source: xfc\n", "1:18", "xfcc"),
        ("trustDomains: [a]\n", "1:1", "trust_domains"),
    ] {
        let folder = Folder::with(&[
            ("s.yaml", text),
            ("policies/a.yaml", &policy("shop", "{isolate: true}")),
        ]);
        let ended = folder.run("lint --config s.yaml policies");
        let (at, hint) = (
            format!("s.yaml:{place}: "),
            format!("did you mean `{meant}`?"),
        );
        assert!(
            ended.code == Some(2) && ended.stderr.contains(&at) && ended.stderr.contains(&hint),
            "{text}: {ended:?}"
        );
    }
    let twice = "gateway: {listeners: [{port: 1, host: a.example}, {port: 1, host: b.example}]}\n";
    let folder = Folder::with(&[
        ("s.yaml", twice),
        ("policies/a.yaml", &policy("shop", "{isolate: true}")),
    ]);
    let ended = folder.run("lint --config s.yaml policies");
    assert!(
        ended.code == Some(2)
            && ended
                .stderr
                .contains("gateway.listeners[1].port `1`: gateway.listeners[0] has this port"),
        "{ended:?}"
    );
}

#[test]
fn a_deny_that_is_not_what_it_seems_to_be_is_a_warning() {
    let root = |spec: &str| findings(&policy("istio-system", spec));
    let deny = "deny: [{name: d, hosts: [a.example]}]";
    for (findings, expected) in [
        (
            egress("{mode: Report, deny: [{name: d, hosts: [a.example], mode: Enforce}]}"),
            "mode-overruled 4:",
        ),
        (root(&format!("{{{deny}}}")), "own-callers-only 1:1"),
        (
            root(&format!(
                "{{subjects: [{{serviceAccounts: [web]}}], {deny}}}"
            )),
            "own-callers-only 4:",
        ),
        (
            root(&format!(
                "{{subjects: [{{serviceAccounts: [shop/web, job]}}], {deny}}}"
            )),
            "own-callers-only 4:",
        ),
        (root("{isolate: true}"), "own-callers-only 1:1"),
        (
            istio("spec: {action: DENY, rules: [{from: [{source: {serviceAccounts: [web]}}]}]}\n"),
            "own-callers-only 4:",
        ),
        (
            istio("spec: {action: AUDIT, rules: [{to: [{operation: {hosts: [a.example]}}]}]}\n"),
            "audit-only 4:",
        ),
        (egress("{deny: [{name: d, hosts: [no]}]}"), "yaml-word 4:"),
        (
            istio("spec: {action: DENY, rules: [{to: [{operation: {hosts: [off]}}]}]}\n"),
            "yaml-word 4:",
        ),
        (
            egress("{deny: [{name: d, hosts: [a.example], methods: [HTTP]}]}"),
            "bad-method 4:",
        ),
        (
            egress("{deny: [{name: d, hosts: [a.example], methods: [PSOT]}]}"),
            "did you mean `POST`?",
        ),
    ] {
        assert!(
            findings.iter().any(|finding| finding.contains(expected)),
            "{expected}: {findings:?}"
        );
    }
    for findings in [
        egress("{mode: Report, deny: [{name: d, hosts: [a.example]}]}"),
        egress("{mode: Enforce, deny: [{name: d, hosts: [a.example], mode: Enforce}]}"),
        egress(&format!(
            "{{subjects: [{{serviceAccounts: [web]}}], {deny}}}"
        )),
        root(&format!(
            "{{subjects: [{{namespaces: [istio-system]}}], {deny}}}"
        )),
        root(&format!(
            "{{subjects: [{{serviceAccounts: [shop/web]}}], {deny}}}"
        )),
        istio("spec: {action: DENY, rules: [{from: [{source: {serviceAccounts: [shop/web]}}]}]}\n"),
        egress("{deny: [{name: d, hosts: [a.example], methods: [POST, PURGE]}]}"),
    ] {
        let codes = [
            "mode-overruled",
            "own-callers-only",
            "audit-only",
            "yaml-word",
            "bad-method",
        ];
        assert!(
            !findings
                .iter()
                .any(|finding| codes.iter().any(|code| finding.starts_with(code))),
            "{findings:?}"
        );
    }
}
