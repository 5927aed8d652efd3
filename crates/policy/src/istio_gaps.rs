//! Warnings for values of an AuthorizationPolicy that istiod accepts but that are probably mistakes
//! (rule R3).

use std::collections::BTreeSet;

use super::action::Action;
use super::problem::{Code, Fix, Place, Problem};
use super::reader::Text;
use customs_engine::field::Field;
use customs_engine::identity;
use customs_engine::pattern::{HostPattern, PortPattern, TextPattern};
use customs_engine::subject::Source;

/// Warns about a `*` that is a plain character, because another precedes it or text surrounds it.
pub(super) fn plain_star(value: Text<'_>, code: Code, what: &str) -> Option<Problem> {
    let plain = match TextPattern::parse(value.text) {
        TextPattern::Exact(text) | TextPattern::Prefix(text) | TextPattern::Suffix(text) => {
            text.contains('*')
        }
        TextPattern::Any => false,
    };
    let problem = || {
        value.warning(
            code,
            format!(
                "{what} `{}` has a `*` that is a plain character",
                value.text
            ),
        )
    };
    plain.then(|| problem().hint("a `*` is a wildcard at one end only"))
}

/// Warns about a `*` inside a namespace, which Istio matches across `/`.
pub(super) fn inner_star(value: Text<'_>) -> Option<Problem> {
    let what = || {
        format!(
            "`{}` has a `*` inside: Istio itself lets it match beyond the namespace",
            value.text
        )
    };
    let problem = || {
        value
            .warning(Code::BadIdentity, what())
            .hint("write the namespaces, or `prefix*`")
    };
    value.text.trim_matches('*').contains('*').then(problem)
}

/// Warns about a path with a query or a fragment, which is cut off before paths are compared.
pub(super) fn query(value: Text<'_>) -> Option<Problem> {
    let what = || {
        format!(
            "`{}` has a query or a fragment, which is cut off before paths are compared",
            value.text
        )
    };
    value.text.contains(['?', '#']).then(|| {
        value
            .warning(Code::BadPath, what())
            .hint("write the path alone")
    })
}

/// Whether a workload could have the principal that a text matches. If a `*` is at both ends, one
/// of them is a plain character.
pub(super) fn may_be_workload(text: &str) -> bool {
    match TextPattern::parse(text) {
        TextPattern::Exact(text) => identity::may_be_workload(&text, (false, false)),
        TextPattern::Prefix(text) => identity::may_be_workload(&text, (false, true)),
        TextPattern::Suffix(text) => identity::may_be_workload(&text, (true, false)),
        TextPattern::Any => true,
    }
}

/// Warns about a host with a port, which Istio compares as text.
pub(super) fn host_port(value: Text<'_>, pattern: &HostPattern) -> Option<Problem> {
    let text = value.text;
    let (what, hint) = match pattern.port() {
        PortPattern::Exactly(_) => (
            format!(
                "Istio itself compares `{text}` as text, so it never matches an authority without the port"
            ),
            "write the host alone, or with `:*` beside it",
        ),
        PortPattern::Every if !pattern.is_lone_star() => (
            format!(
                "Istio itself compares `{text}` as text, so it never matches an authority without a port; here it does"
            ),
            "write the host alone beside it, so that Istio and customs agree",
        ),
        PortPattern::Every | PortPattern::Unsaid => return None,
    };
    Some(value.warning(Code::HostSpelling, what).hint(hint))
}

/// Warns about a host in which Istio reads a star or a port as plain characters, so that it matches
/// almost nothing there.
pub(super) fn host_text(value: Text<'_>, as_read: &str) -> Problem {
    let what = format!(
        "Istio compares `{}` as text, which matches hardly any authority: a grant covers that text only, a denial is read as \
         `{as_read}`",
        value.text
    );
    let hint = match as_read == value.text {
        true => "write the hosts, each with its port if it needs one".to_owned(),
        false => format!("write `{as_read}`"),
    };
    value.warning(Code::HostSpelling, what).hint(hint)
}

/// Warns about an IPv6 address, which Istio compares as it is spelt.
pub(super) fn host_ipv6(value: Text<'_>, pattern: &HostPattern) -> Option<Problem> {
    let what = || {
        format!(
            "Istio itself compares `{}` as text; here it is that address however a client spells it",
            value.text
        )
    };
    let problem = || {
        value
            .warning(Code::HostSpelling, what())
            .hint("write the addresses in an EgressPolicy")
    };
    pattern.is_ipv6().then(problem)
}

/// Warns about a source of an ALLOW that has exclusions only.
pub(super) fn only_exclusions(source: &Source, place: &Place, action: Action) -> Option<Problem> {
    let Source {
        principals,
        namespaces,
        service_accounts,
        trust_domains,
        ip_blocks,
        remote_ip_blocks,
    } = source;
    fn names<P>(field: &Field<P>) -> bool {
        !field.any_of().is_empty()
    }
    let named =
        names(principals) || names(namespaces) || names(service_accounts) || names(trust_domains);
    if action != Action::Allow || named || names(ip_blocks) || names(remote_ip_blocks) {
        return None;
    }
    let what = "this source of an ALLOW has exclusions only, so it admits every other caller";
    Some(
        Problem::warning(Code::OnlyExclusions, place.clone(), what)
            .hint("name the callers to admit"),
    )
}

/// Warns about values that occur twice in a list, or in a list and in its `not*` twin.
pub(super) fn repeated(name: &str, [yes, no]: [&[Text<'_>]; 2], problems: &mut Vec<Problem>) {
    for list in [yes, no] {
        let mut seen = BTreeSet::new();
        for value in list {
            if !seen.insert(value.text) {
                let what = format!("duplicate value in `{name}`");
                let problem = value.warning(Code::Duplicate, what).hint("remove one");
                problems.push(problem.fix(Fix::removal(value.text)));
            }
        }
    }
    let excluded: BTreeSet<&str> = no.iter().map(|value| value.text).collect();
    for value in yes.iter().filter(|value| excluded.contains(value.text)) {
        let what = format!("this value of `{name}` is also in its `not` list, so it has no effect");
        problems.push(
            value
                .warning(Code::Conflict, what)
                .hint("remove it from one of them"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::source::{self, PolicyFile, Source};
    use customs_engine::settings::Settings;

    /// Returns the warnings of a policy, each with the value at its place.
    fn reported(spec: &str) -> Vec<String> {
        let head = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: web}\n";
        let file = PolicyFile {
            name: "p.yaml".into(),
            bytes: format!("{head}spec: {spec}\n").into_bytes().into(),
        };
        let loaded = source::load(
            &Source {
                name: "d".into(),
                files: vec![file],
                ..Source::default()
            },
            &Settings::default(),
        );
        assert!(!loaded.has_errors(), "{spec} {:?}", loaded.problems());
        let text = format!("spec: {spec}");
        let at = |column: u32| {
            text.chars()
                .skip(column as usize - 1)
                .skip_while(|c| *c == '\'')
        };
        let value = |column| {
            at(column)
                .take_while(|c| !matches!(c, '\'' | ',' | ']' | ':'))
                .collect::<String>()
        };
        loaded
            .problems()
            .iter()
            .map(|p| format!("{} {}", p.code.as_str(), value(p.place.column)))
            .collect()
    }

    #[test]
    fn what_istiod_lets_pass_is_told_at_the_value() {
        for (action, rule, expected) in [
            (
                "DENY",
                "{to: [{operation: {methods: ['G*T', 'G*', '*T', '*']}}]}",
                &["bad-method G*T"][..],
            ),
            (
                "DENY",
                "{to: [{operation: {paths: ['/a/*/b', '*/a*', '/a*', '/{*}/b']}}]}",
                &["bad-path /a/*/b", "bad-path */a*"],
            ),
            (
                "DENY",
                "{to: [{operation: {paths: ['/a?x=1', '/a#b', '/a']}}]}",
                &["bad-path /a?x=1", "bad-path /a#b"],
            ),
            (
                "DENY",
                "{to: [{operation: {hosts: ['a.example:443', 'a.example:*', a.example, '*']}}]}",
                &["host-spelling a.example", "host-spelling a.example"],
            ),
            (
                "ALLOW",
                "{to: [{operation: {hosts: ['*', 'a.example:', '*.b:*', 'c.*:443'], notHosts: ['[fd00::1]', 'd:0443']}}]}",
                &[
                    "host-spelling a.example",
                    "host-spelling *.b",
                    "host-spelling c.*",
                    "host-spelling [fd00",
                    "host-spelling d",
                ],
            ),
            (
                "ALLOW",
                "{from: [{source: {principals: ['x.td/web', 'x.td/ns/a/sa/b', '*/sa/b', 'x.td/ns/*', 'x.td/n/*', '*']}}]}",
                &["bad-identity x.td/web", "bad-identity x.td/n/*"],
            ),
            (
                "DENY",
                "{when: [{key: 'request.headers[x]', values: ['a*b', 'a*']}]}",
                &["bad-value a*b"],
            ),
            (
                "DENY",
                "{from: [{source: {namespaces: ['a*b', 'a*', '*b', '*']}}]}",
                &["bad-identity a*b"],
            ),
            (
                "DENY",
                "{from: [{source: {namespaces: [a, b, a]}}]}",
                &["duplicate a"],
            ),
            (
                "DENY",
                "{from: [{source: {namespaces: [a, b], notNamespaces: [b]}}]}",
                &["conflict b"],
            ),
            (
                "ALLOW",
                "{from: [{source: {notNamespaces: [b]}}]}",
                &["only-exclusions {notNamespaces"],
            ),
            (
                "ALLOW",
                "{from: [{source: {notNamespaces: [b], namespaces: ['*']}}]}",
                &[],
            ),
            (
                "ALLOW",
                "{from: [{source: {notNamespaces: [b], ipBlocks: [10.0.0.0/8]}}]}",
                &[],
            ),
            ("DENY", "{from: [{source: {notNamespaces: [b]}}]}", &[]),
            ("ALLOW", "{to: [{operation: {notHosts: [a.example]}}]}", &[]),
        ] {
            assert_eq!(
                reported(&format!("{{action: {action}, rules: [{rule}]}}")),
                expected,
                "{rule}"
            );
        }
    }

    #[test]
    fn a_selector_without_labels_is_told() {
        for (selector, expected) in [
            ("{}", &["empty-value {}"][..]),
            ("{matchLabels: {}}", &["empty-value {matchLabels"]),
            ("{matchLabels: {a: b}}", &[]),
        ] {
            assert_eq!(
                reported(&format!("{{selector: {selector}, rules: [{{}}]}}")),
                expected,
                "{selector}"
            );
        }
    }
}
