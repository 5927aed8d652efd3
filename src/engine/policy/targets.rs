//! What a policy that targets ServiceEntries is bound to: their hosts, where they are among the sources or in the settings.
//!
//! Such a policy says nothing of other destinations. A DENY or AUDIT rule that may concern a host of the entry is kept as it is
//! (it is never made narrower than Istio's); of an ALLOW only what lies within the entry's hosts is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::Action;
use super::metadata::ServiceEntry;
use super::validate::Documents;
use crate::engine::field::Field;
use crate::engine::operation::Operation;
use crate::engine::pattern::{self, HostPattern, Reading};
use crate::engine::rule::Rule;
use crate::engine::settings::Settings;

/// The ServiceEntries of a set, by `ns/name`, with the hosts that can be compared.
#[derive(Debug, Default)]
pub(super) struct ServiceEntries(BTreeMap<String, Vec<HostPattern>>);

impl ServiceEntries {
    /// Those of the sources, and those that the settings declare.
    pub(super) fn of<'d>(documents: impl Iterator<Item = &'d Documents>, settings: &Settings) -> ServiceEntries {
        let mut entries: BTreeMap<String, Vec<HostPattern>> = BTreeMap::new();
        for ServiceEntry { path, hosts, place: _ } in documents.flat_map(|document| &document.service_entries) {
            entries.entry(path.clone()).or_default().extend(hosts.iter().filter_map(|host| host_pattern(host)));
        }
        for (path, hosts) in settings.gateway.iter().flat_map(|gateway| &gateway.service_entries) {
            entries.entry(path.clone()).or_default().extend(hosts.iter().filter_map(|host| host_pattern(host)));
        }
        entries.retain(|_, hosts| !hosts.is_empty());
        ServiceEntries(entries)
    }

    /// The hosts of an entry.
    pub(super) fn hosts(&self, path: &str) -> Option<&[HostPattern]> {
        self.0.get(path).map(Vec::as_slice)
    }
}

/// The ServiceEntries that settings declare, by `ns/name`; a name alone is of the gateway's namespace. What is wrong is told as a
/// sentence each.
pub fn declared(
    namespace: &str,
    entries: &BTreeMap<String, Vec<String>>,
    wrong: &mut Vec<String>,
) -> BTreeMap<String, Vec<String>> {
    for host in entries.values().flatten().filter(|host| host_pattern(host).is_none()) {
        wrong.push(format!("gateway.service_entries: `{host}` is no host: write a name, `*.suffix` or an address"));
    }
    let whole = |path: &String| if path.contains('/') { path.clone() } else { format!("{namespace}/{path}") };
    entries.iter().map(|(path, hosts)| (whole(path), hosts.clone())).collect()
}

/// A host of a ServiceEntry: a name, `*.suffix` or an address, at any port.
pub(super) fn host_pattern(text: &str) -> Option<HostPattern> {
    let (pattern, _) = pattern::parse_host_pattern(text).ok()?;
    let (every, _) = pattern::parse_host_pattern(&format!("{text}:*")).ok()?;
    (!pattern.is_anywhere() && !pattern.is_network()).then_some(every)
}

/// The rule of a bound policy; `None` for one that says nothing of these hosts.
pub(super) fn bind(rule: &Rule, action: Action, hosts: &[HostPattern]) -> Option<Arc<Rule>> {
    let everything = [Operation::default()];
    let to = if rule.to.is_empty() { &everything[..] } else { &rule.to };
    let to: Box<[Operation]> = to.iter().filter_map(|operation| narrow(operation, action, hosts)).collect();
    // Without any it would be about everything.
    (!to.is_empty()).then(|| Arc::new(Rule { to, ..rule.clone() }))
}

fn narrow(operation: &Operation, action: Action, hosts: &[HostPattern]) -> Option<Operation> {
    let own = operation.hosts.any_of();
    let reading = if action == Action::Allow { Reading::Narrow } else { Reading::Wide };
    let kept: Vec<HostPattern> = if own.is_empty() {
        hosts.to_vec()
    } else {
        // Where neither lies within the other and both may match one host, a DENY keeps all of its own.
        let overlaps = |host: &HostPattern, pattern: &HostPattern| {
            action != Action::Allow
                && host.meets(reading, pattern, reading)
                && !pattern.contains(reading, host, reading)
        };
        let within = |pattern: &&HostPattern| {
            hosts.iter().any(|host| host.contains(reading, pattern, reading) || overlaps(host, pattern))
        };
        let covered = |host: &&HostPattern| own.iter().any(|pattern| pattern.contains(reading, host, reading));
        own.iter().filter(within).chain(hosts.iter().filter(covered)).cloned().collect()
    };
    (!kept.is_empty())
        .then(|| Operation { hosts: Field::new(kept.into(), operation.hosts.none_of().into()), ..operation.clone() })
}

#[cfg(test)]
mod tests {
    use crate::engine::policy::compile::{Compiled, compile};
    use crate::engine::policy::problem::{Code, Severity};
    use crate::engine::policy::source::{PolicyFile, Source, load};
    use crate::engine::request::{Attributes, HttpAttributes};
    use crate::engine::settings::{DefaultEffect, GatewayIdentity, Settings};
    use crate::engine::time::UnixNanos;

    const ENTRY: &str = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: psp, namespace: egress}\n\
                         spec: {hosts: [api.psp.example, '*.psp.example'], resolution: DNS}\n---\n";

    fn policy(action: &str, rules: &str) -> String {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: pay, namespace: egress}}\nspec:\n  \
             targetRefs: [{{group: networking.istio.io, kind: ServiceEntry, name: psp}}]\n  action: {action}\n  rules: [{rules}]\n"
        )
    }

    fn settings(gateway: bool) -> Settings {
        let gateway = gateway.then(|| GatewayIdentity { namespace: "egress".into(), ..GatewayIdentity::default() });
        Settings { gateway, ..Settings::default() }
    }

    fn compiled(text: &str, settings: &Settings) -> Compiled {
        let file = PolicyFile { name: "a.yaml".into(), bytes: text.as_bytes().into() };
        let source = Source { name: "s".into(), files: vec![file], ..Source::default() };
        compile(&[load(&source, settings)], settings).unwrap_or_else(|why| panic!("{why:?}"))
    }

    fn ask(compiled: &Compiled, namespace: &str, host: &str) -> &'static str {
        let principal = format!("spiffe://cluster.local/ns/{namespace}/sa/web");
        let attributes = Attributes {
            source_principal: &principal,
            has_address: true,
            http: Some(HttpAttributes { method: "GET", path: "/", host, ..HttpAttributes::default() }),
            ..Attributes::default()
        };
        let request = attributes.normalise(compiled.snapshot.settings());
        compiled.snapshot.decide(&request, UnixNanos(0)).verdict.reason.as_str()
    }

    #[test]
    fn a_deny_of_a_service_entry_is_bound_to_its_hosts() {
        let rule = "{from: [{source: {notNamespaces: [pay]}}]}";
        for gateway in [true, false] {
            let compiled = compiled(&format!("{ENTRY}{}", policy("DENY", rule)), &settings(gateway));
            for (namespace, host, reason) in [
                ("shop", "api.psp.example", "denied_by_rule"),
                ("shop", "eu.psp.example:8443", "denied_by_rule"),
                ("pay", "api.psp.example", "default_allow"),
                ("shop", "other.example", "default_allow"),
            ] {
                assert_eq!(ask(&compiled, namespace, host), reason, "{namespace} {host} {gateway}");
            }
            assert!(compiled.problems.iter().all(|p| p.severity == Severity::Note), "{:?}", compiled.problems);
        }
    }

    #[test]
    fn an_allow_of_a_service_entry_closes_the_gate_for_its_hosts_alone() {
        let rule = "{from: [{source: {namespaces: [pay]}}]}";
        let deny_by_default = Settings { default_effect: DefaultEffect::Deny, ..settings(true) };
        for (settings, elsewhere) in [(settings(true), "default_allow"), (deny_by_default, "default_deny")] {
            let compiled = compiled(&format!("{ENTRY}{}", policy("ALLOW", rule)), &settings);
            for (namespace, host, reason) in [
                ("pay", "api.psp.example", "allowed_by_rule"),
                ("shop", "api.psp.example", "no_istio_allow"),
                ("shop", "other.example", elsewhere),
                ("pay", "other.example", elsewhere),
            ] {
                assert_eq!(ask(&compiled, namespace, host), reason, "{namespace} {host}");
            }
        }
    }

    #[test]
    fn hosts_of_the_rule_and_of_the_entry_must_both_match() {
        let deny = |hosts: &str| policy("DENY", &format!("{{to: [{{operation: {{hosts: [{hosts}]}}}}]}}"));
        for (hosts, denied) in [
            ("eu.psp.example", &["eu.psp.example"][..]),
            ("'*.example'", &["eu.psp.example", "api.psp.example"]),
            ("other.example", &[]),
        ] {
            let compiled = compiled(&format!("{ENTRY}{}", deny(hosts)), &settings(true));
            for host in ["eu.psp.example", "api.psp.example", "other.example"] {
                assert_eq!(ask(&compiled, "shop", host) == "denied_by_rule", denied.contains(&host), "{hosts} {host}");
            }
        }
    }

    #[test]
    fn a_deny_of_an_unknown_service_entry_is_a_warning_and_the_settings_may_declare_it() {
        let deny = policy("DENY", "{}");
        let mut settings = settings(true);
        let unbound = compiled(&deny, &settings);
        assert_eq!(ask(&unbound, "shop", "api.psp.example"), "default_allow");
        let warned = unbound.problems.iter().filter(|p| p.code == Code::OutOfScope && p.severity == Severity::Warning);
        assert!(warned.count() >= 1, "{:?}", unbound.problems);
        let declared = [("egress/psp".to_owned(), vec!["api.psp.example".to_owned()])];
        settings.gateway.iter_mut().for_each(|gateway| gateway.service_entries = declared.clone().into());
        assert_eq!(ask(&compiled(&deny, &settings), "shop", "api.psp.example"), "denied_by_rule");
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
            ("egress", "selector: {matchLabels: {istio: egresgateway}}, ", "the gateway has `istio: egressgateway`"),
            ("egress", "selector: {matchLabels: {app: x}}, ", "no label `app`"),
            ("egress", "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: x}], ", "gateway.name"),
            ("egress", "targetRefs: [{group: '', kind: Service, name: x}], ", "gateway.name"),
            ("elsewhere", "", "move it to the gateway's namespace, `egress`"),
        ] {
            let compiled = compiled(&policy(namespace, spec), &settings);
            let told: Vec<_> = compiled.problems.iter().filter(|p| p.severity == Severity::Warning).collect();
            assert!(
                told.len() == 1 && told[0].hint.as_ref().unwrap().contains(part),
                "{spec}: {:?}",
                compiled.problems
            );
        }
    }
}
