//! A table for each attribute that is hard to cut: two sets, and a request whose answer differs. It
//! must be in a cell whose answers differ, and its neighbour must not be.

use super::{NOW, egress, snapshot};
use crate::regions::{SampleHttp, SampleRequest, SampleTarget, Space};
use customs_engine::effect::Effect;
use customs_engine::host::Host;
use customs_engine::settings::{DefaultEffect, Listener, Settings};
use customs_engine::snapshot::Snapshot;
use std::ops::ControlFlow;

const OWN: &str = "spiffe://cluster.local/ns/web/sa/app";

fn istio(name: &str, annotations: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
         metadata: {{name: {name}, namespace: istio-system{annotations}}}\nspec: {spec}\n"
    )
}

fn root(spec: &str) -> String {
    egress(
        "istio-system",
        &format!("{{subjects: [{{namespaces: ['**']}}], {spec}}}"),
    )
}

fn http(principal: &str, authority: &str) -> SampleRequest {
    SampleRequest::http(principal, authority)
}

fn with(authority: &str, change: impl FnOnce(&mut SampleHttp)) -> SampleRequest {
    let mut sample = http(OWN, authority);
    if let SampleTarget::Http(http) = &mut sample.target {
        change(http);
    }
    sample
}

fn tcp(sni: &str) -> SampleRequest {
    SampleRequest::tcp(OWN, sni)
}

fn effects(set: &Snapshot, sample: &SampleRequest) -> [Effect; 2] {
    sample.with(set.settings(), |request| {
        let decision = set.decide(request, NOW);
        [decision.verdict.effect(), decision.dry_run.effect()]
    })
}

/// Asserts that the answers of one request differ and those of its neighbour do not, and that the
/// comparison says so of both.
#[track_caller]
fn differs(settings: &Settings, old: &str, new: &str, at: &SampleRequest, beside: &SampleRequest) {
    let (old, new) = (snapshot(old, settings), snapshot(new, settings));
    let space = Space::new(&[&old, &new], &[], NOW);
    for (sample, expected) in [(at, true), (beside, false)] {
        let asked = effects(&old, sample) != effects(&new, sample);
        assert_eq!(asked, expected, "{sample}");
        let mut found = false;
        let outcome = space.explore_changes(100_000, |cell| {
            let [before, after] = cell.decisions() else {
                panic!("two sets")
            };
            let effects = |decision: &customs_engine::Decision| {
                [decision.verdict.effect(), decision.dry_run.effect()]
            };
            let is_here = sample.with(settings, |request| cell.contains(request));
            found |= is_here && cell.witness().is_some() && effects(before) != effects(after);
            ControlFlow::Continue(())
        });
        let left: Vec<String> = outcome.left.iter().map(ToString::to_string).collect();
        assert_eq!(left, [""; 0], "{sample}");
        assert_eq!(found, expected, "{sample}");
    }
}

const OTHER: &str = "deny: [{name: other, hosts: [other.example]}]";

fn deny(entry: &str) -> String {
    root(&format!(
        "deny: [{{name: other, hosts: [other.example]}}, {{name: d, {entry}}}]"
    ))
}

#[test]
fn hosts_ports_and_their_spellings() {
    let plain = Settings::default();
    for (entry, at, beside) in [
        (
            "hosts: ['*.bad.example']",
            http(OWN, "x.y.bad.example"),
            http(OWN, "bad.example"),
        ),
        (
            "hosts: [a.example]",
            http(OWN, "A.Example.:8443"),
            http(OWN, "b.a.example"),
        ),
        (
            "hosts: ['a.example:443']",
            http(OWN, "a.example"),
            http(OWN, "a.example:8443"),
        ),
        (
            "hosts: ['a.example:443']",
            tcp("a.example"),
            tcp("outbound_.80_._.a.example"),
        ),
        (
            "hosts: ['10.0.0.0/8']",
            http(OWN, "[2002:a00:1::]"),
            http(OWN, "[2002:b00:1::]"),
        ),
        (
            "hosts: ['10.0.0.0/8']",
            http(OWN, "[64:ff9b:1:a:0:100::]"),
            http(OWN, "[64:ff9b::b00:1]"),
        ),
        (
            "hosts: ['10.0.0.0/8']",
            http(OWN, "[2001:0:c000:201::f5ff:fffe]"),
            http(OWN, "11.0.0.1"),
        ),
        (
            "hosts: ['127.0.0.0/8']",
            http(OWN, "0.0.0.0"),
            http(OWN, "0.0.0.1"),
        ),
        (
            "hosts: ['[::1]']",
            http(OWN, "[::]:8080"),
            http(OWN, "[2001:db8::1]"),
        ),
    ] {
        differs(&plain, &root(OTHER), &deny(entry), &at, &beside);
    }
    let mut on_8443 = http(OWN, "a.example");
    on_8443.listener_port = Some(8443);
    let mut on_80 = on_8443.clone();
    on_80.listener_port = Some(80);
    differs(
        &plain,
        &root(OTHER),
        &deny("hosts: ['a.example:8443']"),
        &on_8443,
        &on_80,
    );
    // Istio compares a prefix that ends in a dot with the authority as it was sent.
    let loose = istio(
        "d",
        "",
        "{action: DENY, rules: [{to: [{operation: {hosts: ['api.*']}}]}]}",
    );
    differs(
        &plain,
        &root(OTHER),
        &(root(OTHER) + &loose),
        &http(OWN, "api."),
        &http(OWN, "api"),
    );
}

#[test]
fn methods_and_paths() {
    let plain = Settings::default();
    let path = |text: &str| with("a.example", |http| http.path = text.into());
    let method = |text: &str| with("a.example", |http| http.method = text.into());
    for (entry, at, beside) in [
        (
            "hosts: [a.example], methods: [DELETE]",
            method("delete"),
            method("GET"),
        ),
        (
            "hosts: [a.example], methods: [DELETE]",
            method(""),
            method("DELET"),
        ),
        (
            "hosts: [a.example], paths: ['/admin']",
            path("/%61dmin"),
            path("/x"),
        ),
        (
            "hosts: [a.example], paths: ['/admin']",
            path("/v1/..%2fadmin"),
            path("/v1/admin"),
        ),
        (
            "hosts: [a.example], paths: ['/admin']",
            path("/%zz"),
            path("/admin/"),
        ),
        (
            "hosts: [a.example], paths: ['/v1/{*}/x']",
            path("/v1/a%2fb/x"),
            path("/v1/a/b/x"),
        ),
    ] {
        differs(&plain, &root(OTHER), &deny(entry), &at, &beside);
    }
    let grant = |paths: &str| {
        egress(
            "web",
            &format!("{{allow: [{{name: a, hosts: [a.example], paths: [{paths}]}}]}}"),
        )
    };
    // Every reading must be granted, not each by the same pattern.
    let (one, both) = (grant("'/@acme/*'"), grant("'/@acme/*', '/@acme%2f*'"));
    differs(
        &plain,
        &one,
        &both,
        &path("/@acme%2flib"),
        &path("/@acme/lib"),
    );
}

#[test]
fn callers_without_an_identity_and_of_foreign_domains() {
    let plain = Settings::default();
    let web = egress("web", "{deny: [{name: d, hosts: [a.example]}]}");
    let named = format!(
        "{web}{}",
        egress(
            "istio-system",
            "{subjects: [{unauthenticated: true}], deny: [{name: d, hosts: [b.example]}]}"
        )
    );
    differs(
        &plain,
        &web,
        &named,
        &http("", "a.example"),
        &http(OWN, "a.example"),
    );
    let unknown = "spiffe://x.td/ns/web/sa/app";
    differs(
        &plain,
        &root(OTHER),
        &(root(OTHER) + &web),
        &http(unknown, "a.example"),
        &http(unknown, "b.example"),
    );
    // An ALLOW in the dry run accepts the domain in the dry run only.
    let gate = "{rules: [{from: [{source: {principals: ['x.td/ns/web/sa/app']}}]}, {from: [{source: {namespaces: [web]}}]}]}";
    let own = istio(
        "g",
        "",
        "{rules: [{from: [{source: {namespaces: [web]}}]}]}",
    );
    let report = istio("h", ", annotations: {istio.io/dry-run: 'true'}", gate);
    let other = "spiffe://y.td/ns/web/sa/app";
    differs(
        &plain,
        &own,
        &(own.clone() + &report),
        &http(unknown, "a.example"),
        &http(other, "a.example"),
    );
}

#[test]
fn what_only_a_connection_or_a_header_has() {
    let plain = Settings::default();
    let allow = |hosts: &str| {
        egress(
            "web",
            &format!("{{allow: [{{name: a, hosts: [{hosts}]}}]}}"),
        )
    };
    let wrapper = "outbound_.443_._.gw.istio-system.svc.cluster.local";
    differs(
        &plain,
        &allow("a.example"),
        &allow("a.example, '**'"),
        &tcp(""),
        &http(OWN, "bad..host"),
    );
    differs(
        &plain,
        &allow("a.example"),
        &allow("a.example, '**'"),
        &tcp(wrapper),
        &tcp("a.example"),
    );
    let role = |value: &str| {
        istio(
            "r",
            "",
            &format!(
                "{{action: DENY, rules: [{{when: [{{key: 'request.headers[x-role]', values: [{value}]}}]}}]}}"
            ),
        )
    };
    let header = |value: &str| {
        with("a.example", |http| {
            http.headers.push(("x-role".into(), value.into()))
        })
    };
    differs(
        &plain,
        &role("admin"),
        &role("admin, user"),
        &header("guest,user"),
        &header("user,admin"),
    );
    let authority = |value: &str| {
        istio(
            "r",
            "",
            &format!(
                "{{action: DENY, rules: [{{when: [{{key: 'request.headers[Host]', values: ['{value}']}}]}}]}}"
            ),
        )
    };
    differs(
        &plain,
        &authority("x.x"),
        &authority("b.example:8443"),
        &http(OWN, "b.example:8443"),
        &http(OWN, "b.example"),
    );
    let sni = |value: &str| {
        istio(
            "r",
            "",
            &format!(
                "{{action: ALLOW, rules: [{{when: [{{key: connection.sni, values: ['{value}']}}]}}]}}"
            ),
        )
    };
    let mut both = tcp("a.example");
    both.session_sni = Some("outbound_.443_._.a.example".into());
    differs(
        &plain,
        &sni("x.x"),
        &sni("a.example"),
        &both,
        &tcp("outbound_.443_._.a.example"),
    );
}

#[test]
fn settings_that_decide() {
    let deny_by_default = Settings {
        default_effect: DefaultEffect::Deny,
        ..Settings::default()
    };
    let (none, some) = (
        root(OTHER),
        root(&format!(
            "{OTHER}, isolate: false, allow: [{{name: a, hosts: [a.example]}}]"
        )),
    );
    differs(
        &deny_by_default,
        &none,
        &some,
        &http(OWN, "a.example"),
        &http("", "a.example"),
    );
    let with_listener = Settings {
        listeners: vec![Listener {
            port: 15_443,
            host: Host::Name("db.example".into()),
            target_port: Some(5_432),
        }],
        ..Settings::default()
    };
    let mut declared = tcp("whatever.example");
    declared.listener_port = Some(15_443);
    let other = tcp("whatever.example");
    differs(
        &with_listener,
        &root(OTHER),
        &deny("hosts: ['db.example:5432']"),
        &declared,
        &other,
    );
    let report = Settings {
        request_validation: customs_engine::Enforcement::Report,
        ..Settings::default()
    };
    differs(
        &report,
        &root(OTHER),
        &deny("hosts: [a.example]"),
        &http(OWN, "a.example"),
        &http(OWN, "b.example"),
    );
    let (closed, gate) = (root(OTHER), istio("g", "", "{}"));
    differs(
        &Settings::default(),
        &closed,
        &(closed.clone() + &gate),
        &http(OWN, "z.example"),
        &http(OWN, "other.example"),
    );
}

#[test]
fn ends_and_exceptions() {
    let plain = Settings::default();
    let except = |hosts: &str, expires: &str| {
        deny(&format!(
            "hosts: ['*.bad.example'], except: [{{hosts: [{hosts}]{expires}}}]"
        ))
    };
    let (narrow, wide) = (except("ok.bad.example", ""), except("'*.bad.example'", ""));
    differs(
        &plain,
        &narrow,
        &wide,
        &http(OWN, "x.bad.example"),
        &http(OWN, "ok.bad.example"),
    );
    let over = except("ok.bad.example", ", expires: '2026-10-01T00:00:00Z'");
    let coming = except("ok.bad.example", ", expires: '2026-12-01T00:00:00Z'");
    differs(
        &plain,
        &narrow,
        &over,
        &http(OWN, "ok.bad.example"),
        &http(OWN, "x.bad.example"),
    );
    let (old, new) = (snapshot(&narrow, &plain), snapshot(&coming, &plain));
    let same = crate::diff::diff(&old, &new, NOW);
    assert!(
        !same.changes_verdicts() && same.is_proved(),
        "the end has not come"
    );
}
