//! Tables for loading: what is refused, at which place and with which code; what only warns; and
//! what the revision depends on.

use super::*;
use crate::problem::Severity;
use crate::source::{PolicyFile, Source, load};
use customs_engine::identity::Accepted;
use customs_engine::settings::GatewayIdentity;

mod refused;
mod sources;

fn source(name: &str, text: &str) -> Source {
    let file = PolicyFile {
        name: "p.yaml".into(),
        bytes: text.as_bytes().into(),
    };
    Source {
        name: name.into(),
        files: vec![file],
        ..Source::default()
    }
}

fn problems(text: &str) -> Vec<Problem> {
    let settings = Settings::default();
    let loaded = load(&source("dir", text), &settings);
    match compile(&[loaded], &settings) {
        Ok(compiled) => compiled.problems,
        Err(problems) => problems,
    }
}

fn reported(text: &str) -> Vec<String> {
    let one = |p: &Problem| {
        format!(
            "{} {}:{} {}",
            p.severity.as_str(),
            p.place.line,
            p.place.column,
            p.code.as_str()
        )
    };
    problems(text).iter().map(one).collect()
}

fn egress(spec: &str) -> String {
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: e, namespace: web}}\nspec: {spec}\n"
    )
}

fn root(spec: &str) -> String {
    egress(spec).replace("namespace: web", "namespace: istio-system")
}

fn istio(spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a, namespace: web}}\nspec: {spec}\n"
    )
}

fn codes(text: &str, severity: Severity) -> Vec<&'static str> {
    problems(text)
        .iter()
        .filter(|p| p.severity == severity)
        .map(|p| p.code.as_str())
        .collect()
}

#[track_caller]
fn refuses(text: &str, code: Code) {
    assert_eq!(
        codes(text, Severity::Error),
        [code.as_str()],
        "{text}\n{:#?}",
        problems(text)
    );
}

#[track_caller]
fn accepts(text: &str) {
    assert_eq!(
        codes(text, Severity::Error),
        [""; 0],
        "{text}\n{:#?}",
        problems(text)
    );
}

#[test]
fn what_the_language_has_is_accepted() {
    for spec in [
        "{isolate: true}",
        "{deny: [{name: d, hosts: [a.example]}]}",
        "{mode: Report, owner: me, deny: [{name: d, mode: Report, hosts: ['*.a.example:8443'], reason: r, ticket: T-1}]}",
        "{allow: [{name: a, hosts: ['**'], methods: [GET], paths: [/x, '/v1/*', '/o/{*}/y', '/r/{**}']}]}",
        "{subjects: [{serviceAccounts: [sleep, web/job]}], isolate: true}",
        "{subjects: [{namespaces: [web], serviceAccounts: [sleep]}], isolate: true}",
        "{subjects: [{trustDomains: [cluster.local]}], isolate: true}",
        "{allow: [{name: a, hosts: ['192.0.2.0/24', '[2001:db8::/32]:443', '10.0.0.1:*']}]}",
    ] {
        accepts(&egress(spec));
    }
    accepts(&root(
        "{subjects: [{namespaces: ['**', 'team-*', 'other']}], isolate: true}",
    ));
    accepts(&root(
        "{subjects: [{unauthenticated: true}], isolate: true}",
    ));
    for spec in [
        "{}",
        "{rules: []}",
        "{rules: [{}]}",
        "{action: DENY, rules: [{}]}",
        "{action: ALLOW, rules: [{from: [{source: {principals: ['cluster.local/ns/a/sa/b'], notNamespaces: ['x*']}}]}]}",
        "{action: DENY, rules: [{from: [{source: {serviceAccounts: [b, a/b], ipBlocks: [10.0.0.0/8]}}]}]}",
        "{action: DENY, rules: [{to: [{operation: {hosts: ['*'], notHosts: [a.example], ports: ['443'], methods: ['G*']}}]}]}",
        "{action: DENY, rules: [{to: [{operation: {paths: ['/a', '/b*', '*/c', '/d/{*}'], notPaths: [/e]}}]}]}",
        "{action: AUDIT, rules: [{}]}",
        "{targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: x}, {kind: Service, group: core, name: y}]}",
        "{rules: [{from: [{source: {trustDomains: [cluster.local, '*.td'], notTrustDomains: ['x*']}}]}]}",
        "{rules: [{when: [{key: source.ip, values: [10.0.0.1]}, {key: source.namespace, notValues: ['a*']}]}]}",
        "{rules: [{when: [{key: source.principal, values: ['*']}, {key: source.serviceAccount, values: [a, b/c]}]}]}",
        "{rules: [{when: [{key: source.trustDomain, values: [a]}, {key: destination.ip, values: ['::/0']}]}]}",
        "{rules: [{when: [{key: destination.port, values: ['443']}, {key: connection.sni, values: ['*.a', B]}]}]}",
        "{rules: [{when: [{key: 'request.headers[X-Role]', values: [admin], notValues: ['x*']}]}]}",
    ] {
        accepts(&istio(spec));
    }
}

#[test]
fn what_kubectl_prints_is_accepted() {
    accepts(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: security.istio.io/v1beta1\n  kind: AuthorizationPolicy\n  metadata:\n    \
         name: a\n    namespace: web\n    labels: {x: y}\n    annotations: {istio.io/dry-run: \"true\", other: z}\n    uid: u\n    \
         creationTimestamp: 2026-01-01T00:00:00Z\n    generation: 1\n    managedFields: []\n  spec: {}\n  status: {conditions: []}\n",
    );
}

#[test]
fn every_problem_of_every_document_is_told_with_its_place() {
    let text = format!(
        "{}---\n{}",
        egress(
            "\n  deny:\n  - name: d\n    host: [a]\n  allow:\n  - {name: a, hosts: ['*', A.example]}"
        ),
        istio("{action: DROP}")
    );
    assert_eq!(
        reported(&text),
        [
            "error 7:5 unknown-field",
            "error 9:23 bad-host",
            "error 9:28 host-spelling",
            "error 14:16 bad-value",
        ]
    );
}

#[test]
fn what_is_odd_in_istio_only_warns() {
    for (spec, code) in [
        (
            "{selector: {matchLabels: {a: b}}, rules: [{}]}",
            Code::SelectorUnused,
        ),
        (
            "{rules: [{to: [{operation: {hosts: [API.example]}}]}]}",
            Code::HostSpelling,
        ),
        (
            "{rules: [{to: [{operation: {hosts: ['*example.com']}}]}]}",
            Code::HostSpelling,
        ),
        (
            "{rules: [{to: [{operation: {hosts: ['api.example.*']}}]}]}",
            Code::HostSpelling,
        ),
        (
            "{rules: [{to: [{operation: {methods: [get]}}]}]}",
            Code::BadMethod,
        ),
        (
            "{rules: [{to: [{operation: {paths: [admin]}}]}]}",
            Code::BadPath,
        ),
        (
            "{rules: [{from: [{source: {namespaces: [a.b]}}]}]}",
            Code::BadIdentity,
        ),
        (
            "{rules: [{from: [{source: {principals: ['a/*/b']}}]}]}",
            Code::BadIdentity,
        ),
        (
            "{action: CUSTOM, provider: {name: customs}, rules: [{}]}",
            Code::NotOurs,
        ),
    ] {
        accepts(&istio(spec));
        assert_eq!(
            codes(&istio(spec), Severity::Warning),
            [code.as_str()],
            "{spec}"
        );
    }
}

#[test]
fn a_declared_gateway_takes_what_istiod_would_attach() {
    let gateway = |name: Option<&str>| {
        let labels = [("istio".to_owned(), "egressgateway".to_owned())].into();
        let name = name.map(str::to_owned);
        let gateway = GatewayIdentity {
            namespace: "egress".into(),
            labels,
            name,
            ..GatewayIdentity::default()
        };
        Settings {
            gateway: Some(gateway),
            ..Settings::default()
        }
    };
    let reference = "targetRef: {kind: Gateway, group: gateway.networking.k8s.io, name: gw}, ";
    for (namespace, target, name, applies) in [
        ("egress", "", None, true),
        ("istio-system", "", None, true),
        ("web", "", None, false),
        (
            "egress",
            "selector: {matchLabels: {istio: egressgateway}}, ",
            None,
            true,
        ),
        (
            "istio-system",
            "selector: {matchLabels: {istio: egressgateway}}, ",
            None,
            true,
        ),
        (
            "egress",
            "selector: {matchLabels: {istio: ingressgateway}}, ",
            None,
            false,
        ),
        (
            "egress",
            "selector: {matchLabels: {istio: egressgateway, x: y}}, ",
            None,
            false,
        ),
        ("egress", "selector: {}, ", None, true),
        ("egress", reference, None, false),
        ("egress", reference, Some("gw"), true),
        ("egress", reference, Some("other"), false),
        ("istio-system", reference, Some("gw"), false),
        (
            "egress",
            "targetRef: {kind: Service, group: '', name: gw}, ",
            Some("gw"),
            false,
        ),
    ] {
        let settings = gateway(name);
        let text = istio(&format!("{{{target}action: DENY, rules: [{{}}]}}"))
            .replace("namespace: web", &format!("namespace: {namespace}"));
        let compiled = compile(&[load(&source("dir", &text), &settings)], &settings).unwrap();
        assert_eq!(
            compiled.snapshot.counts().istio_deny == 1,
            applies,
            "{namespace} {target} {name:?}"
        );
        let reported = compiled.problems.iter().map(|p| p.code);
        let notes: Vec<_> = reported.filter(|code| *code != Code::EmptyValue).collect();
        assert_eq!(
            notes,
            if applies {
                vec![]
            } else {
                vec![Code::OutOfScope]
            },
            "{text}"
        );
    }
}

#[test]
fn what_a_check_cannot_answer_may_stand_in_a_policy_for_others() {
    let mut settings = Settings::default();
    let gateway = GatewayIdentity {
        namespace: "egress".into(),
        ..GatewayIdentity::default()
    };
    let text = istio("{rules: [{when: [{key: 'request.auth.claims[x]', values: [a]}]}]}");
    for (gateway, namespace, refused) in [
        (None, "web", true),
        (Some(gateway.clone()), "web", false),
        (Some(gateway), "egress", true),
    ] {
        settings.gateway = gateway;
        let text = text.replace("namespace: web", &format!("namespace: {namespace}"));
        let loaded = load(&source("dir", &text), &settings);
        assert_eq!(loaded.has_errors(), refused, "{namespace}");
        assert_eq!(
            loaded.problems().iter().map(|p| p.code).collect::<Vec<_>>(),
            [Code::Unanswerable]
        );
    }
}

#[test]
fn a_custom_policy_is_never_evaluated() {
    let settings = Settings::default();
    let text = istio("{action: CUSTOM, provider: {name: customs}, rules: [{}]}");
    let compiled = compile(&[load(&source("dir", &text), &settings)], &settings).unwrap();
    assert_eq!(compiled.snapshot.counts(), Default::default());
}

#[test]
fn a_foreign_domain_that_an_allow_names_is_noted() {
    let text = istio(
        "{rules: [{from: [{source: {principals: ['partner.td/ns/a/sa/b', 'cluster.local/ns/a/sa/b', '*']}}]}]}",
    );
    assert_eq!(
        codes(&text, Severity::Note),
        [Code::TrustDomainAccepted.as_str()]
    );
    assert_eq!(
        codes(
            &text.replace("rules", "action: DENY, rules"),
            Severity::Note
        ),
        [""; 0]
    );
}

#[test]
fn a_principal_that_no_caller_could_have_makes_no_domain_accepted() {
    for (value, accepted) in [
        ("partner.td/ns/a/sa/b", true),
        ("partner.td/ns/a/*", true),
        ("partner.td/*", true),
        ("partner.td/web", false),
        ("partner.td/ns/a/sa/b/c", false),
        ("partner.td/ns/A/sa/b", false),
        ("partner.td/namespace/*", false),
        ("partner.td/ns/*/sa/b", false),
        ("partner.td*", false),
    ] {
        for field in [
            "from: [{source: {principals: [VALUE]}}]",
            "when: [{key: source.principal, values: [VALUE]}]",
        ] {
            let text = istio(&format!(
                "{{rules: [{{{}}}]}}",
                field.replace("VALUE", &format!("'{value}'"))
            ));
            let notes = codes(&text, Severity::Note);
            assert_eq!(
                notes == [Code::TrustDomainAccepted.as_str()],
                accepted,
                "{value} {field}"
            );
            let warned = codes(&text, Severity::Warning).contains(&Code::BadIdentity.as_str());
            assert_eq!(
                warned,
                !accepted && value != "partner.td*",
                "{value} {field}"
            );
        }
    }
}
