//! What a policy that targets ServiceEntries is bound to: their hosts, where they are among the sources or in the settings.
//!
//! Such a policy says nothing of other destinations. A DENY or AUDIT rule that may concern a host of the entry is kept as it is
//! (it is never made narrower than Istio's); of an ALLOW only what lies within the entry's hosts is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::Action;
use super::metadata::ServiceEntry;
use super::problem::{Code, Problem};
use super::validate::Documents;
use customs_engine::field::Field;
use customs_engine::operation::Operation;
use customs_engine::pattern::{self, HostPattern, Match, PortPattern};
use customs_engine::rule::Rule;
use customs_engine::settings::Settings;

/// The ServiceEntries of a set, by `ns/name`.
#[derive(Debug, Default)]
pub(super) struct ServiceEntries(BTreeMap<String, EntryHosts>);

/// The hosts of a ServiceEntry.
#[derive(Debug, Default)]
struct EntryHosts {
    /// Those that can be compared; of a known entry at least one.
    compared: Vec<HostPattern>,
    /// The others, as they are written.
    unread: Vec<String>,
}

impl EntryHosts {
    fn of(hosts: &[String]) -> EntryHosts {
        let (mut compared, mut unread) = (Vec::new(), Vec::new());
        for host in hosts {
            match host_pattern(host) {
                Some(pattern) => compared.push(pattern),
                None => unread.push(host.clone()),
            }
        }
        EntryHosts { compared, unread }
    }
}

impl ServiceEntries {
    /// Those of the sources, and those that the settings declare. One that stands in both is among the problems: which of the
    /// two a policy means is not known. Of those that stand twice among the sources others tell.
    pub(super) fn of<'d>(
        documents: impl Iterator<Item = &'d Documents>,
        settings: &Settings,
        problems: &mut Vec<Problem>,
    ) -> ServiceEntries {
        let declared = settings
            .gateway
            .iter()
            .flat_map(|gateway| &gateway.service_entries);
        let mut entries: BTreeMap<String, EntryHosts> = declared
            .map(|(path, hosts)| (path.clone(), EntryHosts::of(hosts)))
            .collect();
        let is_declared = |path: &str| {
            settings
                .gateway
                .as_ref()
                .is_some_and(|gateway| gateway.service_entries.contains_key(path))
        };
        for ServiceEntry { path, hosts, place } in
            documents.flat_map(|document| &document.service_entries)
        {
            if is_declared(path) {
                let what = format!(
                    "ServiceEntry `{path}` stands twice; the other is in `gateway.service_entries` of the settings"
                );
                problems.push(
                    Problem::error(Code::Duplicate, place.clone(), what)
                        .hint("remove one of the two"),
                );
            }
            entries.insert(path.clone(), EntryHosts::of(hosts));
        }
        entries.retain(|_, hosts| !hosts.compared.is_empty());
        ServiceEntries(entries)
    }

    /// Whether an entry is among them, with a host that can be compared.
    pub(super) fn is_known(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// The hosts of an entry that can be compared.
    pub(super) fn hosts(&self, path: &str) -> &[HostPattern] {
        self.0.get(path).map_or(&[], |hosts| &hosts.compared)
    }

    /// The hosts of an entry that cannot be compared, as they are written.
    pub(super) fn unread(&self, path: &str) -> &[String] {
        self.0.get(path).map_or(&[], |hosts| &hosts.unread)
    }
}

/// A host that a ServiceEntry of the settings cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a name, `*.suffix` or an IP address")]
pub struct ServiceEntryHostError {
    /// The ServiceEntry, as the settings name it.
    pub entry: String,
    /// The number of the host in its list, from 0.
    pub index: usize,
    /// The host.
    pub host: String,
}

/// The ServiceEntries that settings declare, by `ns/name`; a name alone is of the gateway's namespace. Hosts that cannot be
/// compared are added to `errors`.
pub fn declared(
    namespace: &str,
    entries: &BTreeMap<String, Vec<String>>,
    errors: &mut Vec<ServiceEntryHostError>,
) -> BTreeMap<String, Vec<String>> {
    for (entry, hosts) in entries {
        for (index, host) in hosts.iter().enumerate() {
            if host_pattern(host).is_none() {
                errors.push(ServiceEntryHostError {
                    entry: entry.clone(),
                    index,
                    host: host.clone(),
                });
            }
        }
    }
    let whole = |path: &String| {
        if path.contains('/') {
            path.clone()
        } else {
            format!("{namespace}/{path}")
        }
    };
    entries
        .iter()
        .map(|(path, hosts)| (whole(path), hosts.clone()))
        .collect()
}

/// A host of a ServiceEntry: a name, `*.suffix` or an address, at any port. `*` is none: Istio refuses it, and a policy that is
/// bound to it would be about everything.
pub(super) fn host_pattern(text: &str) -> Option<HostPattern> {
    let (pattern, _) = pattern::parse_host_pattern(text).ok()?;
    let (every, _) = pattern::parse_host_pattern(&format!("{text}:*")).ok()?;
    (!pattern.is_anywhere() && !pattern.is_lone_star() && !pattern.is_network()).then_some(every)
}

/// The rule of a bound policy; `None` for one that says nothing of these hosts.
pub(super) fn bind(rule: &Rule, action: Action, hosts: &[HostPattern]) -> Option<Arc<Rule>> {
    let everything = [Operation::default()];
    let to = if rule.to.is_empty() {
        &everything[..]
    } else {
        &rule.to
    };
    let to: Box<[Operation]> = to
        .iter()
        .filter_map(|operation| narrow(operation, action, hosts))
        .collect();
    // Without any it would be about everything.
    (!to.is_empty()).then(|| Arc::new(Rule { to, ..rule.clone() }))
}

fn narrow(operation: &Operation, action: Action, hosts: &[HostPattern]) -> Option<Operation> {
    let own = operation.hosts.any_of();
    let matching = if action == Action::Allow {
        Match::Strict
    } else {
        Match::Broad
    };
    let kept: Vec<HostPattern> = if own.is_empty() {
        hosts.to_vec()
    } else {
        // Where neither lies within the other and both may match one host, a DENY keeps all of its own.
        let overlaps = |host: &HostPattern, pattern: &HostPattern| {
            action != Action::Allow
                && host.meets(matching, pattern, matching)
                && !pattern.contains(matching, host, matching)
        };
        let within = |pattern: &&HostPattern| {
            hosts
                .iter()
                .any(|host| host.contains(matching, pattern, matching) || overlaps(host, pattern))
        };
        let covered = |host: &&HostPattern| {
            own.iter()
                .any(|pattern| pattern.contains(matching, host, matching))
        };
        // What a grant names at some ports alone is granted at these, of each host that it names otherwise.
        let at_ports = own
            .iter()
            .filter(|pattern| action == Action::Allow && !pattern.is_text())
            .flat_map(|pattern| {
                let at_every = pattern.with_port(PortPattern::Every);
                let is_new = move |host: &&HostPattern| {
                    at_every.contains(matching, host, matching)
                        && !pattern.contains(matching, host, matching)
                        && !host.contains(matching, pattern, matching)
                };
                hosts
                    .iter()
                    .filter(is_new)
                    .map(|host| host.with_port(pattern.port()))
            });
        own.iter()
            .filter(within)
            .chain(hosts.iter().filter(covered))
            .cloned()
            .chain(at_ports)
            .collect()
    };
    (!kept.is_empty()).then(|| Operation {
        hosts: Field::new(kept.into(), operation.hosts.none_of().into()),
        ..operation.clone()
    })
}

#[cfg(test)]
mod tests {
    use crate::compile::{Compiled, compile};
    use crate::problem::{Code, Problem, Severity};
    use crate::source::{PolicyFile, Source, load};
    use customs_engine::request::{Attributes, HttpAttributes};
    use customs_engine::settings::{DefaultEffect, GatewayIdentity, Settings};
    use customs_engine::time::UnixNanos;

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

    /// What it is bound to would be a part of what it is about.
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
                "`*` of the ServiceEntry `egress/psp` is no host",
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
        super::declared(
            "egress",
            &[("psp".to_owned(), vec!["*".to_owned()])].into(),
            &mut wrong,
        );
        assert_eq!(wrong.len(), 1, "{wrong:?}");
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
            let told = problems.iter().find(|problem| problem.code == code);
            let told = told.unwrap_or_else(|| panic!("{namespace:?}: {problems:?}"));
            assert_eq!(told.place.file.as_ref(), "teams/shop/a.yaml");
            assert!(
                code == Code::NotYours || told.text.contains("mesh/a.yaml:1:1"),
                "{told:?}"
            );
        }
        // Its own of the same name is another.
        let own = teams.replace("namespace: egress", "namespace: shop");
        let sources = [
            ("mesh", mesh.as_str(), None),
            ("teams/shop", own.as_str(), Some("shop")),
        ];
        let both = in_sources(&sources, &settings(true)).unwrap();
        assert_eq!(ask(&both, "shop", "api.psp.example"), "denied_by_rule");
        assert_eq!(ask(&both, "shop", "elsewhere.example"), "default_allow");
        // What the settings declare is not changed by a source either.
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
            let told: Vec<_> = compiled
                .problems
                .iter()
                .filter(|p| p.severity == Severity::Warning)
                .collect();
            assert!(
                told.len() == 1 && told[0].hint.as_ref().unwrap().contains(part),
                "{spec}: {:?}",
                compiled.problems
            );
        }
    }
}
