//! Policies that target ServiceEntries.

use crate::compile::{Compiled, compile};
use crate::problem::{Code, Problem, Severity};
use crate::source::{PolicyFile, Source, load};
use customs_engine::request::{Attributes, HttpAttributes};
use customs_engine::settings::{DefaultEffect, GatewayIdentity, Settings};
use customs_engine::time::UnixNanos;

mod warnings;

const ENTRY: &str = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: psp, namespace: egress}\n\
                     spec: {hosts: [api.psp.example, '*.psp.example'], resolution: DNS}\n---\n";

fn policy(action: &str, rules: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: pay, namespace: egress}}\nspec:\n  \
         targetRefs: [{{group: networking.istio.io, kind: ServiceEntry, name: psp}}]\n  action: {action}\n  rules: [{rules}]\n"
    )
}

fn settings(gateway: bool) -> Settings {
    let gateway = gateway.then(|| GatewayIdentity {
        namespace: "egress".into(),
        ..GatewayIdentity::default()
    });
    Settings {
        gateway,
        ..Settings::default()
    }
}

fn compiled(text: &str, settings: &Settings) -> Compiled {
    let file = PolicyFile {
        name: "a.yaml".into(),
        bytes: text.as_bytes().into(),
    };
    let source = Source {
        name: "s".into(),
        files: vec![file],
        ..Source::default()
    };
    compile(&[load(&source, settings)], settings).unwrap_or_else(|why| panic!("{why:?}"))
}

fn ask(compiled: &Compiled, namespace: &str, host: &str) -> &'static str {
    let principal = format!("spiffe://cluster.local/ns/{namespace}/sa/web");
    let attributes = Attributes {
        source_principal: &principal,
        has_address: true,
        http: Some(HttpAttributes {
            method: "GET",
            path: "/",
            host,
            ..HttpAttributes::default()
        }),
        ..Attributes::default()
    };
    let request = attributes.normalise(compiled.snapshot.settings());
    compiled
        .snapshot
        .decide(&request, UnixNanos(0))
        .verdict
        .reason
        .as_str()
}

#[test]
fn a_deny_of_a_service_entry_is_bound_to_its_hosts() {
    let rule = "{from: [{source: {notNamespaces: [pay]}}]}";
    for gateway in [true, false] {
        let compiled = compiled(
            &format!("{ENTRY}{}", policy("DENY", rule)),
            &settings(gateway),
        );
        for (namespace, host, reason) in [
            ("shop", "api.psp.example", "denied_by_rule"),
            ("shop", "eu.psp.example:8443", "denied_by_rule"),
            ("pay", "api.psp.example", "default_allow"),
            ("shop", "other.example", "default_allow"),
        ] {
            assert_eq!(
                ask(&compiled, namespace, host),
                reason,
                "{namespace} {host} {gateway}"
            );
        }
        assert!(
            compiled
                .problems
                .iter()
                .all(|p| p.severity == Severity::Note),
            "{:?}",
            compiled.problems
        );
    }
}

#[test]
fn an_allow_of_a_service_entry_closes_the_gate_for_its_hosts_alone() {
    let rule = "{from: [{source: {namespaces: [pay]}}]}";
    let deny_by_default = Settings {
        default_effect: DefaultEffect::Deny,
        ..settings(true)
    };
    for (settings, elsewhere) in [
        (settings(true), "default_allow"),
        (deny_by_default, "default_deny"),
    ] {
        let compiled = compiled(&format!("{ENTRY}{}", policy("ALLOW", rule)), &settings);
        for (namespace, host, reason) in [
            ("pay", "api.psp.example", "allowed_by_rule"),
            ("shop", "api.psp.example", "no_istio_allow"),
            ("shop", "other.example", elsewhere),
            ("pay", "other.example", elsewhere),
        ] {
            assert_eq!(
                ask(&compiled, namespace, host),
                reason,
                "{namespace} {host}"
            );
        }
    }
}

#[test]
fn hosts_of_the_rule_and_of_the_entry_must_both_match() {
    let deny = |hosts: &str| {
        policy(
            "DENY",
            &format!("{{to: [{{operation: {{hosts: [{hosts}]}}}}]}}"),
        )
    };
    for (hosts, denied) in [
        ("eu.psp.example", &["eu.psp.example"][..]),
        ("'*.example'", &["eu.psp.example", "api.psp.example"]),
        ("other.example", &[]),
    ] {
        let compiled = compiled(&format!("{ENTRY}{}", deny(hosts)), &settings(true));
        for host in ["eu.psp.example", "api.psp.example", "other.example"] {
            assert_eq!(
                ask(&compiled, "shop", host) == "denied_by_rule",
                denied.contains(&host),
                "{hosts} {host}"
            );
        }
    }
}

fn with_targets(action: &str, targets: &str, rules: &str) -> String {
    let one = "{group: networking.istio.io, kind: ServiceEntry, name: psp}";
    policy(action, rules).replace(one, targets)
}

fn in_sources(
    sources: &[(&str, &str, Option<&str>)],
    settings: &Settings,
) -> Result<Compiled, Vec<Problem>> {
    let read = |(name, text, namespace): &(&str, &str, Option<&str>)| {
        let file = PolicyFile {
            name: "a.yaml".into(),
            bytes: text.as_bytes().into(),
        };
        let namespace = namespace.map(str::to_owned);
        load(
            &Source {
                name: (*name).into(),
                files: vec![file],
                namespace,
                ..Source::default()
            },
            settings,
        )
    };
    compile(&sources.iter().map(read).collect::<Vec<_>>(), settings)
}

/// The hosts of policies of the whole mesh depend on them.
#[test]
fn a_team_cannot_change_the_hosts_of_a_service_entry_of_others() {
    let deny = policy("DENY", "{}");
    let mesh = format!("{ENTRY}{deny}");
    let teams = ENTRY.replace("[api.psp.example, '*.psp.example']", "[elsewhere.example]");
    for (namespace, text, code) in [
        (Some("shop"), teams.clone(), Code::NotYours),
        (Some("egress"), teams.clone(), Code::Duplicate),
        (None, teams.clone(), Code::Duplicate),
    ] {
        let sources = [
            ("mesh", mesh.as_str(), None),
            ("teams/shop", text.as_str(), namespace),
        ];
        let problems = in_sources(&sources, &settings(true)).unwrap_err();
        let reported = problems.iter().find(|problem| problem.code == code);
        let reported = reported.unwrap_or_else(|| panic!("{namespace:?}: {problems:?}"));
        assert_eq!(reported.place.file.as_ref(), "teams/shop/a.yaml");
        assert!(
            code == Code::NotYours || reported.text.contains("mesh/a.yaml:1:1"),
            "{reported:?}"
        );
    }
    // An entry of the same name in its own namespace is a different one.
    let own = teams.replace("namespace: egress", "namespace: shop");
    let sources = [
        ("mesh", mesh.as_str(), None),
        ("teams/shop", own.as_str(), Some("shop")),
    ];
    let both = in_sources(&sources, &settings(true)).unwrap();
    assert_eq!(ask(&both, "shop", "api.psp.example"), "denied_by_rule");
    assert_eq!(ask(&both, "shop", "elsewhere.example"), "default_allow");
    // A source cannot change what the settings declare either.
    let mut declared = settings(true);
    let hosts = [("egress/psp".to_owned(), vec!["api.psp.example".to_owned()])];
    declared
        .gateway
        .iter_mut()
        .for_each(|gateway| gateway.service_entries = hosts.clone().into());
    let problems = in_sources(&[("mesh", mesh.as_str(), None)], &declared).unwrap_err();
    assert!(
        problems[0].code == Code::Duplicate && problems[0].text.contains("settings"),
        "{problems:?}"
    );
}

#[test]
fn a_policy_targets_no_service_entry_of_another_namespace() {
    for (namespace, good) in [("egress", true), ("istio-system", true), ("shop", false)] {
        let target = format!(
            "{{group: networking.istio.io, kind: ServiceEntry, name: psp, namespace: {namespace}}}"
        );
        let text = with_targets("DENY", &target, "{}");
        let read = in_sources(&[("mesh", text.as_str(), None)], &settings(true));
        let codes: Vec<_> = read
            .err()
            .into_iter()
            .flatten()
            .map(|problem| problem.code)
            .collect();
        assert_eq!(
            codes,
            if good { vec![] } else { vec![Code::Conflict] },
            "{namespace}"
        );
    }
}

#[test]
fn an_allow_keeps_the_hosts_of_the_entry_at_the_ports_of_its_own_patterns() {
    let allow = |hosts: &str| {
        policy(
            "ALLOW",
            &format!("{{to: [{{operation: {{hosts: [{hosts}]}}}}]}}"),
        )
    };
    for (hosts, granted) in [
        (
            "'*.psp.example'",
            &["api.psp.example", "api.psp.example:443", "eu.psp.example"][..],
        ),
        ("'*.psp.example:8443'", &["api.psp.example:8443"]),
        (
            "'*.example'",
            &["api.psp.example", "api.psp.example:443", "eu.psp.example"],
        ),
        ("'api.*'", &["api.psp.example", "api.psp.example:443"]),
        ("'*:8443'", &["api.psp.example:8443"]),
        ("'*.other.example'", &[]),
        ("'*.psp.example:08443'", &[]),
    ] {
        let entry = ENTRY.replace("'*.psp.example'", "eu.psp.example");
        let compiled = compiled(&format!("{entry}{}", allow(hosts)), &settings(true));
        for host in [
            "api.psp.example",
            "api.psp.example:443",
            "api.psp.example:8443",
            "eu.psp.example",
            "b.psp.example",
        ] {
            let reason = ask(&compiled, "shop", host);
            assert_eq!(
                reason == "allowed_by_rule",
                granted.contains(&host),
                "{hosts} {host}: {reason}"
            );
        }
    }
}

#[test]
fn a_bound_deny_matches_whatever_of_its_hosts_the_unbound_one_matches() {
    let entry = ENTRY.replace("api.psp.example, '*.psp.example'", "psp.example");
    let deny = |hosts: &str| {
        policy(
            "DENY",
            &format!("{{to: [{{operation: {{hosts: [{hosts}]}}}}]}}"),
        )
    };
    for pattern in [
        "'psp.example.*'",
        "'psp.*'",
        "'*example'",
        "psp.example",
        "'PSP.example.'",
        "'psp.example:*'",
    ] {
        let targets =
            "\n  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: psp}]";
        let bound = compiled(&format!("{entry}{}", deny(pattern)), &settings(true));
        let unbound = compiled(&deny(pattern).replace(targets, ""), &settings(true));
        for host in [
            "psp.example",
            "psp.example.",
            "psp.example:",
            "PSP.Example.",
            "psp.example:443",
        ] {
            assert_eq!(
                ask(&bound, "shop", host),
                ask(&unbound, "shop", host),
                "{pattern} {host}"
            );
        }
    }
}

#[test]
fn a_rule_that_says_nothing_of_the_hosts_makes_no_trust_domain_accepted() {
    let rule = |host: &str| {
        format!(
            "{{from: [{{source: {{principals: ['partner.td/ns/a/sa/b']}}}}], to: [{{operation: {{hosts: [{host}]}}}}]}}"
        )
    };
    for (rules, accepted) in [
        (rule("elsewhere.example"), false),
        (rule("api.psp.example"), true),
        (
            format!(
                "{{to: [{{operation: {{hosts: [api.psp.example]}}}}]}}, {}",
                rule("elsewhere.example")
            ),
            false,
        ),
        (
            format!("{}, {}", rule("elsewhere.example"), rule("api.psp.example")),
            true,
        ),
    ] {
        let compiled = compiled(
            &format!("{ENTRY}{}", policy("ALLOW", &rules)),
            &settings(true),
        );
        let noted = compiled
            .problems
            .iter()
            .any(|problem| problem.code == Code::TrustDomainAccepted);
        assert_eq!(noted, accepted, "{rules}");
        assert_eq!(
            !compiled.snapshot.rules().accepted_trust_domains.is_empty(),
            accepted,
            "{rules}"
        );
    }
}
