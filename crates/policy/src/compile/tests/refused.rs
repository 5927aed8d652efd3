//! What is refused, with its code.

use super::*;

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
