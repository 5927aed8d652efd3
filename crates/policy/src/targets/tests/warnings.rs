//! Warnings for policies with targets that do not have the effect that their authors may have
//! intended.

use super::*;

/// A policy bound to part of its targets would apply to too little.
#[test]
fn a_deny_with_targets_beside_its_service_entries_is_never_made_narrower_without_a_word() {
    let entry = "{group: networking.istio.io, kind: ServiceEntry, name: psp}";
    let unknown = "{group: networking.istio.io, kind: ServiceEntry, name: other}";
    let gateway = "{group: gateway.networking.k8s.io, kind: Gateway, name: egress}";
    let service = "{group: '', kind: Service, name: web}";
    let declared = |name: &str| Settings {
        gateway: Some(GatewayIdentity {
            namespace: "egress".into(),
            name: Some(name.into()),
            ..GatewayIdentity::default()
        }),
        ..Settings::default()
    };
    type Case<'c> = (&'c [&'c str], Settings, bool, &'c [(Code, &'c str)]);
    let cases: [Case<'_>; 10] = [
        (&[entry], settings(false), false, &[]),
        (
            &[entry, gateway],
            settings(false),
            true,
            &[(Code::SelectorUnused, "applies to every check")],
        ),
        (
            &[entry, unknown],
            settings(false),
            true,
            &[(Code::SelectorUnused, "applies to every check")],
        ),
        (
            &[unknown],
            settings(false),
            true,
            &[(Code::SelectorUnused, "applies to every check")],
        ),
        (&[entry, gateway], declared("egress"), true, &[]),
        (&[entry, unknown, gateway], declared("egress"), true, &[]),
        (
            &[entry, gateway],
            declared("ingress"),
            false,
            &[(Code::OutOfScope, "Gateway `egress`")],
        ),
        (
            &[entry, service],
            declared("egress"),
            false,
            &[(Code::OutOfScope, "Service `web`")],
        ),
        (
            &[entry, unknown],
            declared("egress"),
            false,
            &[(Code::OutOfScope, "`egress/other` is not known")],
        ),
        (&[entry], declared("egress"), false, &[]),
    ];
    for (targets, settings, everything, expected) in cases {
        let text = format!("{ENTRY}{}", with_targets("DENY", &targets.join(", "), "{}"));
        let compiled = compiled(&text, &settings);
        assert_eq!(
            ask(&compiled, "shop", "api.psp.example"),
            "denied_by_rule",
            "{targets:?}"
        );
        assert_eq!(
            ask(&compiled, "shop", "a.example") == "denied_by_rule",
            everything,
            "{targets:?}"
        );
        let warnings: Vec<_> = compiled
            .problems
            .iter()
            .filter(|p| p.severity == Severity::Warning)
            .collect();
        assert_eq!(warnings.len(), expected.len(), "{targets:?}: {warnings:?}");
        for (warning, (code, part)) in warnings.iter().zip(expected) {
            assert!(
                warning.code == *code && warning.text.contains(part),
                "{targets:?}: {warning:?}"
            );
        }
    }
}

#[test]
fn a_service_entry_of_everything_is_not_known_and_its_deny_is_a_warning() {
    let star = |hosts: &str| {
        let entry = ENTRY.replace("[api.psp.example, '*.psp.example']", hosts);
        compiled(&format!("{entry}{}", policy("DENY", "{}")), &settings(true))
    };
    for (hosts, denied, part) in [
        ("['*']", false, "is not known"),
        ("['**']", false, "is not known"),
        ("['10.0.0.0/8']", false, "is not known"),
        (
            "['*', api.psp.example]",
            true,
            "the host `*` of the ServiceEntry `egress/psp` cannot be compared",
        ),
    ] {
        let compiled = star(hosts);
        assert_eq!(
            ask(&compiled, "shop", "api.psp.example") == "denied_by_rule",
            denied,
            "{hosts}"
        );
        assert_eq!(
            ask(&compiled, "shop", "other.example"),
            "default_allow",
            "{hosts}"
        );
        let warnings: Vec<_> = compiled
            .problems
            .iter()
            .filter(|p| p.severity == Severity::Warning)
            .collect();
        assert!(
            warnings.len() == 1 && warnings[0].text.contains(part),
            "{hosts}: {warnings:?}"
        );
    }
    let mut wrong = Vec::new();
    crate::targets::declared(
        "egress",
        &[("psp".to_owned(), vec!["*".to_owned()])].into(),
        &mut wrong,
    );
    assert_eq!(wrong.len(), 1, "{wrong:?}");
}

#[test]
fn a_deny_of_an_unknown_service_entry_is_a_warning_and_the_settings_may_declare_it() {
    let deny = policy("DENY", "{}");
    let mut settings = settings(true);
    let unbound = compiled(&deny, &settings);
    assert_eq!(ask(&unbound, "shop", "api.psp.example"), "default_allow");
    let warned = unbound
        .problems
        .iter()
        .filter(|p| p.code == Code::OutOfScope && p.severity == Severity::Warning);
    assert!(warned.count() >= 1, "{:?}", unbound.problems);
    let declared = [("egress/psp".to_owned(), vec!["api.psp.example".to_owned()])];
    settings
        .gateway
        .iter_mut()
        .for_each(|gateway| gateway.service_entries = declared.clone().into());
    assert_eq!(
        ask(&compiled(&deny, &settings), "shop", "api.psp.example"),
        "denied_by_rule"
    );
}

#[test]
fn every_deny_that_is_not_in_force_is_a_warning_that_says_why() {
    let settings = Settings {
        gateway: Some(GatewayIdentity {
            namespace: "egress".into(),
            labels: [("istio".to_owned(), "egressgateway".to_owned())].into(),
            ..GatewayIdentity::default()
        }),
        ..Settings::default()
    };
    let policy = |namespace: &str, spec: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: a, namespace: {namespace}}}\n\
             spec: {{action: DENY, {spec}rules: [{{}}]}}\n"
        )
    };
    for (namespace, spec, part) in [
        (
            "egress",
            "selector: {matchLabels: {istio: egresgateway}}, ",
            "the gateway has `istio: egressgateway`",
        ),
        (
            "egress",
            "selector: {matchLabels: {app: x}}, ",
            "no label `app`",
        ),
        (
            "egress",
            "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: x}], ",
            "gateway.name",
        ),
        (
            "egress",
            "targetRefs: [{group: '', kind: Service, name: x}], ",
            "gateway.name",
        ),
        (
            "elsewhere",
            "",
            "move it to the gateway's namespace, `egress`",
        ),
    ] {
        let compiled = compiled(&policy(namespace, spec), &settings);
        let reported: Vec<_> = compiled
            .problems
            .iter()
            .filter(|p| p.severity == Severity::Warning)
            .collect();
        assert!(
            reported.len() == 1 && reported[0].hint.as_ref().unwrap().contains(part),
            "{spec}: {:?}",
            compiled.problems
        );
    }
}
