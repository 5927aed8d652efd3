//! Tables for loading: what is refused, where and under which code; what only warns; what the revision depends on.

use super::*;
use crate::problem::Severity;
use crate::source::{PolicyFile, Source, load};
use customs_engine::identity::Accepted;
use customs_engine::settings::GatewayIdentity;

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

fn told(text: &str) -> Vec<String> {
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
fn odd_egress_policies_are_refused_under_a_code() {
    use Code::*;
    for (spec, code) in [
        ("{}", EmptyPolicy),
        ("{isolate: false}", EmptyPolicy),
        ("{isolate: 'true'}", WrongType),
        ("{allow: }", EmptyValue),
        ("{allow: []}", EmptyValue),
        ("{subjects: [], isolate: true}", EmptyValue),
        ("{subjects: [{}], isolate: true}", EmptyValue),
        ("{isolate: true, oner: x}", UnknownField),
        ("{isolate: true, mode: report}", BadValue),
        ("{deny: [{hosts: [a.example]}]}", MissingField),
        ("{deny: [{name: d}]}", MissingField),
        ("{deny: [{name: 'a b', hosts: [a.example]}]}", BadName),
        (
            "{deny: [{name: d, hosts: [a.example]}, {name: d, hosts: [b.example]}]}",
            Duplicate,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], expires: x}]}",
            UnknownField,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], except: []}]}",
            EmptyValue,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], except: [{}]}]}",
            EmptyValue,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], except: [{ticket: T}]}]}",
            MissingField,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], except: [{hosts: ['https://a.example']}]}]}",
            BadHost,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], except: [{destinations: [none]}]}]}",
            MissingSet,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], except: [{subjects: [{namespaces: [shop]}]}]}]}",
            NotYours,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], except: [{methods: [GET], expires: tomorrow}]}]}",
            BadValue,
        ),
        (
            "{allow: [{name: d, hosts: [a.example], expires: x}]}",
            BadValue,
        ),
        (
            "{allow: [{name: d, hosts: [a.example], expires: '2026-12-31T00:00:00'}]}",
            BadValue,
        ),
        (
            "{allow: [{name: d, hosts: [a.example], except: [{methods: [GET]}]}]}",
            UnknownField,
        ),
        (
            "{allow: [{name: d, hosts: [a.example], mode: Report}]}",
            UnknownField,
        ),
        ("{deny: [{name: d, hosts: [80]}]}", WrongType),
        ("{deny: [{name: d, hosts: ['']}]}", EmptyValue),
        ("{deny: [{name: d, hosts: ['*']}]}", BadHost),
        ("{deny: [{name: d, hosts: ['*:443']}]}", BadHost),
        ("{deny: [{name: d, hosts: ['https://a.example']}]}", BadHost),
        ("{deny: [{name: d, hosts: [A.example]}]}", HostSpelling),
        ("{deny: [{name: d, hosts: [a.example.]}]}", HostSpelling),
        (
            "{deny: [{name: d, hosts: [b\u{fc}cher.example]}]}",
            HostSpelling,
        ),
        ("{deny: [{name: d, hosts: ['*example']}]}", HostSpelling),
        ("{deny: [{name: d, hosts: ['2001:DB8::1']}]}", HostSpelling),
        (
            "{deny: [{name: d, hosts: [a.example], methods: [get]}]}",
            BadMethod,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], methods: ['*']}]}",
            BadMethod,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], paths: [x]}]}",
            BadPath,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], paths: ['/a*b']}]}",
            BadPath,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], paths: ['/a**']}]}",
            BadPath,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], paths: ['/a?b']}]}",
            BadPath,
        ),
        (
            "{deny: [{name: d, hosts: [a.example], paths: ['/{**}/{*}']}]}",
            BadPath,
        ),
        ("{deny: [{name: d, destinations: [none]}]}", MissingSet),
        (
            "{subjects: [{namespaces: ['*']}], isolate: true}",
            BadIdentity,
        ),
        (
            "{subjects: [{namespaces: ['a*b']}], isolate: true}",
            BadIdentity,
        ),
        (
            "{subjects: [{namespaces: [Web]}], isolate: true}",
            BadIdentity,
        ),
        (
            "{subjects: [{serviceAccounts: ['app-*']}], isolate: true}",
            BadIdentity,
        ),
        (
            "{subjects: [{trustDomains: [foreign.td]}], isolate: true}",
            BadIdentity,
        ),
        (
            "{subjects: [{namespaces: ['**']}], isolate: true}",
            NotYours,
        ),
        (
            "{subjects: [{namespaces: ['web*']}], isolate: true}",
            NotYours,
        ),
        (
            "{subjects: [{namespaces: [shop]}], isolate: true}",
            NotYours,
        ),
        (
            "{subjects: [{serviceAccounts: [shop/app]}], isolate: true}",
            NotYours,
        ),
        (
            "{subjects: [{unauthenticated: true}], isolate: true}",
            NotYours,
        ),
        (
            "{subjects: [{namespaces: [web], serviceAccounts: [web/a]}], isolate: true}",
            Conflict,
        ),
    ] {
        refuses(&egress(spec), code);
    }
    refuses(
        &root("{subjects: [{unauthenticated: false}], isolate: true}"),
        Code::BadValue,
    );
    refuses(
        &root("{subjects: [{unauthenticated: true, namespaces: [a]}], isolate: true}"),
        Code::Conflict,
    );
}

#[test]
fn odd_authorization_policies_are_refused_under_a_code() {
    use Code::*;
    for (spec, code) in [
        ("{action: DENY}", EmptyPolicy),
        ("{action: DENY, rules: []}", EmptyPolicy),
        ("{action: deny, rules: [{}]}", BadValue),
        ("{provider: {name: x}, rules: [{}]}", Conflict),
        (
            "{targetRef: {kind: Gateway, group: gateway.networking.k8s.io}, rules: [{}]}",
            MissingField,
        ),
        (
            "{targetRef: {kind: Pod, group: '', name: x}, rules: [{}]}",
            BadValue,
        ),
        (
            "{targetRef: {kind: Service, group: '', name: x, namespace: y}, rules: [{}]}",
            Conflict,
        ),
        (
            "{selector: {}, targetRef: {kind: Service, name: x}, rules: [{}]}",
            Conflict,
        ),
        ("{selector: {matchLabels: {a: '*'}}, rules: [{}]}", BadValue),
        ("{targetRefs: [], rules: [{}]}", EmptyValue),
        ("{rules: [null]}", EmptyValue),
        (
            "{rules: [{when: [{key: source.workload, values: [a]}]}]}",
            BadValue,
        ),
        (
            "{rules: [{when: [{key: 'destination.labels[a]', values: [a]}]}]}",
            BadValue,
        ),
        (
            "{rules: [{when: [{key: 'request.headersfoo[x]', values: [a]}]}]}",
            BadValue,
        ),
        (
            "{rules: [{when: [{key: request.auth.principal, values: ['*']}]}]}",
            Unanswerable,
        ),
        (
            "{rules: [{when: [{key: 'experimental.envoy.filters.a[b]', values: [a]}]}]}",
            Unanswerable,
        ),
        (
            "{rules: [{when: [{key: remote.ip, values: [10.0.0.0/8]}]}]}",
            Unanswerable,
        ),
        ("{rules: [{when: [{key: connection.sni}]}]}", MissingField),
        ("{rules: [{when: [{values: [a]}]}]}", MissingField),
        (
            "{rules: [{when: [{key: source.ip, values: [x]}]}]}",
            BadAddress,
        ),
        (
            "{rules: [{when: [{key: destination.port, values: [x]}]}]}",
            BadPort,
        ),
        ("{rules: [{from: []}]}", EmptyValue),
        ("{rules: [{from: [{}]}]}", MissingField),
        ("{rules: [{from: [{source: {}}]}]}", EmptyValue),
        (
            "{rules: [{from: [{source: {principals: []}}]}]}",
            EmptyValue,
        ),
        (
            "{rules: [{from: [{source: {principals: ['spiffe://cluster.local/ns/a/sa/b']}}]}]}",
            BadIdentity,
        ),
        (
            "{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}",
            Unanswerable,
        ),
        (
            "{rules: [{from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]}]}",
            Unanswerable,
        ),
        (
            "{rules: [{from: [{source: {trustDomains: ['a*b']}}]}]}",
            BadIdentity,
        ),
        (
            "{rules: [{from: [{source: {trustDomains: [a/b]}}]}]}",
            BadIdentity,
        ),
        (
            "{rules: [{from: [{source: {serviceAccounts: ['a/*']}}]}]}",
            BadIdentity,
        ),
        (
            "{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}",
            Conflict,
        ),
        (
            "{rules: [{from: [{source: {ipBlocks: [10.0.0.0/40]}}]}]}",
            BadAddress,
        ),
        ("{rules: [{to: [{operation: {host: [a]}}]}]}", UnknownField),
        (
            "{rules: [{to: [{operation: {hosts: ['a.*.b']}}]}]}",
            BadHost,
        ),
        (
            "{rules: [{to: [{operation: {hosts: ['*.x.*']}}]}]}",
            BadHost,
        ),
        ("{rules: [{to: [{operation: {hosts: ['**']}}]}]}", BadHost),
        (
            "{rules: [{to: [{operation: {hosts: ['10.0.0.0/8']}}]}]}",
            BadHost,
        ),
        (
            "{rules: [{to: [{operation: {hosts: ['u@a.example']}}]}]}",
            BadHost,
        ),
        ("{rules: [{to: [{operation: {ports: [443]}}]}]}", WrongType),
        (
            "{rules: [{to: [{operation: {ports: ['70000']}}]}]}",
            BadPort,
        ),
        ("{rules: [{to: [{operation: {paths: ['/{a}']}}]}]}", BadPath),
        ("{rules: [{to: [{operation: {methods: GET}}]}]}", WrongType),
    ] {
        refuses(&istio(spec), code);
    }
    for (value, code) in [("\"maybe\"", BadValue), ("true", WrongType)] {
        let annotated = format!("annotations: {{istio.io/dry-run: {value}}}, name: a");
        refuses(&istio("{rules: [{}]}").replace("name: a", &annotated), code);
    }
}

#[test]
fn odd_documents_are_refused_under_a_code() {
    use Code::*;
    let good = egress("{isolate: true}");
    for (text, code) in [
        ("a: [", YamlSyntax),
        ("just text", WrongType),
        ("{}", MissingField),
        (&good.replace("v1alpha1", "v2"), UnknownKind),
        (&good.replace("EgressPolicy", "ConfigMap"), UnknownKind),
        (&good.replace("kind: EgressPolicy\n", ""), MissingField),
        (&good.replace("name: e, ", ""), MissingField),
        (&good.replace(", namespace: web", ""), MissingField),
        (&good.replace("name: e", "name: E"), BadName),
        (&good.replace("name: e", "nmae: e, name: e"), UnknownField),
        (&good.replace("spec: {isolate: true}\n", ""), MissingField),
        (&format!("{good}extra: 1\n"), UnknownField),
        (&format!("{good}kind: EgressPolicy\n"), DuplicateKey),
        (&format!("{good}---\n{good}"), Duplicate),
    ] {
        let found = codes(text, Severity::Error);
        assert!(found.contains(&code.as_str()), "{text}\n{found:?}");
    }
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
        told(&text),
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
        let told = compiled.problems.iter().map(|p| p.code);
        let notes: Vec<_> = told.filter(|code| *code != Code::EmptyValue).collect();
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

#[test]
fn sets_are_found_in_the_own_namespace_before_root() {
    let set = |namespace: &str, host: &str| {
        format!(
            "---\napiVersion: egress.customs/v1alpha1\nkind: DestinationSet\nmetadata: {{name: s, namespace: {namespace}}}\n\
             spec: {{hosts: [{host}]}}\n"
        )
    };
    let policy = egress("{allow: [{name: a, destinations: [s]}]}");
    accepts(&format!("{policy}{}", set("istio-system", "a.example")));
    let both = format!(
        "{policy}{}{}",
        set("istio-system", "a.example"),
        set("web", "b.example")
    );
    assert_eq!(codes(&both, Severity::Warning), [Code::HiddenSet.as_str()]);
    refuses(
        &format!("{policy}{}", set("shop", "a.example")),
        Code::MissingSet,
    );
}

#[test]
fn a_set_without_hosts_is_refused_beside_a_warning_too() {
    let set = "---\napiVersion: egress.customs/v1alpha1\nkind: DestinationSet\nmetadata: {name: s, namespace: web}\nspec: {}\n";
    let policy = egress("{allow: [{name: a, destinations: [s]}]}");
    let warning = istio("{selector: {matchLabels: {a: b}}, rules: [{}]}");
    for text in [
        format!("{policy}{set}"),
        format!("{warning}---\n{policy}{set}"),
    ] {
        let found = codes(&text, Severity::Error);
        assert!(found.contains(&"missing-field"), "{found:?}");
    }
}

#[test]
fn only_the_list_of_kubernetes_is_unwrapped() {
    accepts("apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\nitems: []\n");
    refuses(
        "apiVersion: v1\nkind: List\nitems: []\nspec: {isolate: true}\n",
        Code::UnknownField,
    );
    refuses(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicyList\nitems: []\n",
        Code::UnknownKind,
    );
}

#[test]
fn a_second_source_may_not_repeat_a_policy() {
    let settings = Settings::default();
    let text = egress("{isolate: true}");
    let both = [
        load(&source("a", &text), &settings),
        load(&source("b", &text), &settings),
    ];
    let problems = compile(&both, &settings).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].text.contains("a/p.yaml") && problems[0].place.file.as_ref() == "b/p.yaml",
        "{}",
        problems[0]
    );
}

#[test]
fn the_revision_is_the_sources_in_order_and_the_settings_and_never_the_spelling_of_a_path() {
    let revision = |sources: &[Source], settings: &Settings| {
        let loaded: Vec<_> = sources.iter().map(|s| load(s, settings)).collect();
        compile(&loaded, settings)
            .unwrap()
            .snapshot
            .revision()
            .clone()
    };
    let (a, b) = (
        source("a", &egress("{isolate: true}")),
        source("b", &istio("{}")),
    );
    let settings = Settings::default();
    let one = revision(&[a.clone(), b.clone()], &settings);
    assert_ne!(one, revision(&[b.clone(), a.clone()], &settings));
    for (first, second) in [("./a", "b/"), ("/srv/a", "elsewhere"), ("a", "b")] {
        let respelled = [(&a, first), (&b, second)].map(|(s, name)| Source {
            name: name.into(),
            ..s.clone()
        });
        assert_eq!(one, revision(&respelled, &settings), "{first} {second}");
    }
    let renamed = |name: &str| {
        let files = a
            .files
            .iter()
            .map(|f| PolicyFile {
                name: name.into(),
                ..f.clone()
            })
            .collect();
        revision(&[Source { files, ..a.clone() }, b.clone()], &settings)
    };
    assert_eq!(
        (renamed("p.yaml") == one, renamed("q.yaml") == one),
        (true, false),
        "a file's own name counts"
    );
    let empty = Source {
        name: "c".into(),
        ..Source::default()
    };
    assert_eq!(
        one,
        revision(&[a.clone(), empty, b.clone()], &settings),
        "nothing is in force of it"
    );
    assert_ne!(one, revision(std::slice::from_ref(&a), &settings));
    assert_ne!(
        one,
        revision(
            &[a.clone(), source("b", &format!("{}# \n", istio("{}")))],
            &settings
        )
    );
    let mut accepting = settings.clone();
    accepting.trust_domains.accepted = Accepted::Any;
    assert_ne!(one, revision(&[a, b], &accepting));
    assert_eq!(one.as_str().len(), 32);
}

#[test]
fn text_that_is_not_utf8_is_told() {
    let settings = Settings::default();
    let mut binary = source("dir", "");
    binary.files[0].bytes = [0xff, 0xfe, 0x61].into();
    let loaded = load(&binary, &settings);
    assert!(loaded.has_errors() && loaded.problems()[0].place.to_string() == "dir/p.yaml");
}
