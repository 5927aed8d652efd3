//! The callers that an AuthorizationPolicy names: principals, trust domains, namespaces and service
//! accounts, with warnings for values that are probably mistakes.
//!
//! A value that no caller could have is reported, because a DENY that never matches denies nothing.
//! It does not make a trust domain accepted.

use super::action::Action;
use super::istio_gaps as gaps;
use super::istio_rules::RuleReader;
use super::named_trust_domain::NamedTrustDomain;
use super::problem::{Code, Place};
use super::reader::Text;
use customs_engine::identity::{TrustDomains, is_dns_label, is_dns_subdomain, is_trust_domain};
use customs_engine::pattern::TextPattern;
use customs_engine::subject::Account;

impl RuleReader<'_> {
    pub(super) fn principal(&mut self, value: Text<'_>, positive: bool) -> Vec<TextPattern> {
        if let Some(meant) = value.text.strip_prefix("spiffe://") {
            let problem = value.error(
                Code::BadIdentity,
                "a principal with `spiffe://` would never match",
            );
            self.problems.push(problem.hint(format!("write `{meant}`")));
            return Vec::new();
        }
        let may_match = gaps::may_be_workload(value.text);
        let expanded = expand_principal(value.text, &self.settings.trust_domains);
        let inner = value.text.trim_start_matches('*');
        if value
            .text
            .split_once("*/")
            .is_some_and(|(domain, _)| !domain.contains('*') && !domain.is_empty())
            && !expanded.iter().any(|text| text == value.text)
        {
            let what = format!(
                "the `*` in the trust domain matches the own one and its aliases: `{}` is read as {}",
                value.text,
                quoted(&expanded)
            );
            self.problems.push(
                value
                    .warning(Code::BadIdentity, what)
                    .hint("write the trust domain in full"),
            );
        } else if inner.strip_suffix('*').unwrap_or(inner).contains('*')
            || (inner.len() < value.text.len() && inner.ends_with('*'))
        {
            let what = format!(
                "`{}` has a `*` that is a plain character, which no identity contains",
                value.text
            );
            self.problems.push(
                value
                    .warning(Code::BadIdentity, what)
                    .hint("a `*` is a wildcard at one end only"),
            );
        } else if !may_match {
            let what = format!(
                "invalid principal `{}`: no workload can have it, so it never matches",
                value.text
            );
            let hint = "write `TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`";
            self.problems
                .push(value.warning(Code::BadIdentity, what).hint(hint));
        }
        if positive && self.action == Action::Allow && may_match {
            self.note_trust_domain(value);
        }
        expanded
            .iter()
            .map(|text| TextPattern::parse(text))
            .collect()
    }

    /// Records a foreign trust domain that an ALLOW names literally in a principal that a caller
    /// could have. It is accepted from then on (rule R6).
    fn note_trust_domain(&mut self, value: Text<'_>) {
        if let Some((domain, _)) = value.text.split_once('/') {
            self.note_domain(domain, value.place);
        }
    }

    fn note_domain(&mut self, domain: &str, place: &Place) {
        if is_trust_domain(domain)
            && domain != "cluster.local"
            && !self.settings.trust_domains.is_own(domain)
        {
            let (domain, place) = (domain.to_owned(), place.clone());
            self.named.push(NamedTrustDomain {
                domain,
                place,
                rule: self.number,
            });
        }
    }

    /// Reads a trust domain. The own domain and each alias mean all of them.
    pub(super) fn trust_domain(&mut self, value: Text<'_>, positive: bool) -> Vec<TextPattern> {
        let stars = value.text.matches('*').count();
        let at_end = value.text.starts_with('*') || value.text.ends_with('*');
        if stars > 1 || (stars == 1 && !at_end) || value.text.contains('/') {
            let what = format!("invalid trust domain `{}`", value.text);
            self.problems.push(
                value
                    .error(Code::BadIdentity, what)
                    .hint("write at most one `*`, at one end, and no `/`"),
            );
            return Vec::new();
        }
        let literal = value.text.trim_matches('*');
        if !literal.is_empty() && !is_trust_domain(literal) {
            let what = format!(
                "impossible trust domain `{}`, which never matches",
                value.text
            );
            self.problems.push(
                value
                    .warning(Code::BadIdentity, what)
                    .hint("write it in lower case"),
            );
        }
        let trust = &self.settings.trust_domains;
        if trust.is_own(value.text) {
            return trust
                .own_and_aliases()
                .map(|domain| TextPattern::Exact(domain.to_owned()))
                .collect();
        }
        if positive && self.action == Action::Allow {
            self.note_domain(value.text, value.place);
        }
        vec![TextPattern::parse(value.text)]
    }

    pub(super) fn namespace(&mut self, value: Text<'_>, _positive: bool) -> Vec<String> {
        self.problems.extend(gaps::inner_star(value));
        if !value.text.contains('*') && !is_dns_label(value.text) {
            let what = format!("impossible namespace `{}`, which never matches", value.text);
            self.problems.push(value.warning(Code::BadIdentity, what));
        }
        vec![value.text.to_owned()]
    }

    pub(super) fn account(&mut self, value: Text<'_>, _positive: bool) -> Vec<Account> {
        let (namespace, name) = value
            .text
            .split_once('/')
            .unwrap_or((self.meta.namespace(), value.text));
        let bad = value.text.contains('*')
            || name.contains('/')
            || namespace.is_empty()
            || name.is_empty();
        if bad || value.text.len() > 320 {
            let what = format!("invalid service account `{}`", value.text);
            self.problems.push(
                value
                    .error(Code::BadIdentity, what)
                    .hint("write `account` or `namespace/account`, without `*`"),
            );
            return Vec::new();
        }
        if !is_dns_label(namespace) || !is_dns_subdomain(name) {
            let what = format!(
                "impossible service account `{}`, which never matches",
                value.text
            );
            self.problems.push(
                value
                    .warning(Code::BadIdentity, what)
                    .hint("write it in lower case"),
            );
        }
        let own = self.meta.namespace();
        let settings = self.settings;
        let is_gateways = settings
            .gateway
            .as_ref()
            .is_some_and(|gateway| gateway.namespace == own);
        if !value.text.contains('/') && (own == settings.root_namespace || is_gateways) {
            let what = format!(
                "`{}` is an account of `{own}`, the policy's own namespace, only",
                value.text
            );
            let hint = format!(
                "write the namespace: `{own}/{}` for this one, or that of the caller",
                value.text
            );
            self.problems
                .push(value.warning(Code::OwnCallersOnly, what).hint(hint));
        }
        vec![Account {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }]
    }
}

fn quoted(texts: &[String]) -> String {
    texts
        .iter()
        .map(|text| format!("`{text}`"))
        .collect::<Vec<_>>()
        .join(" and ")
}

/// Expands a principal to the own trust domain and its aliases, as istiod does. This includes a
/// principal whose trust domain has a `*` at one end that covers the own domain or an alias.
fn expand_principal(value: &str, trust: &TrustDomains) -> Vec<String> {
    let unchanged = vec![value.to_owned()];
    let Some((domain, rest)) = value.split_once('/') else {
        return unchanged;
    };
    if rest.split('/').count() != 4 || domain == "*" {
        return unchanged;
    }
    let own = |candidate: &str| match (domain.strip_prefix('*'), domain.strip_suffix('*')) {
        (Some(suffix), _) => candidate.ends_with(suffix),
        (None, Some(prefix)) => candidate.starts_with(prefix),
        (None, None) => candidate == domain,
    };
    if domain != "cluster.local" && !trust.own_and_aliases().any(own) {
        return unchanged;
    }
    let mut all: Vec<String> = trust
        .own_and_aliases()
        .map(|td| format!("{td}/{rest}"))
        .collect();
    if domain.starts_with('*') {
        all.extend(unchanged);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_expand_to_own_and_aliases() {
        let trust = TrustDomains {
            own: "corp.example".into(),
            aliases: vec!["old.example".into()],
            ..Default::default()
        };
        let both = |rest: &str| {
            vec![
                format!("corp.example/{rest}"),
                format!("old.example/{rest}"),
            ]
        };
        for (value, expected) in [
            ("corp.example/ns/a/sa/b", both("ns/a/sa/b")),
            ("old.example/ns/a/sa/b", both("ns/a/sa/b")),
            ("cluster.local/ns/a/sa/*", both("ns/a/sa/*")),
            ("x.example/ns/a/sa/b", vec!["x.example/ns/a/sa/b".into()]),
            ("*/ns/a/sa/b", vec!["*/ns/a/sa/b".into()]),
            ("corp.example/ns/a/*", vec!["corp.example/ns/a/*".into()]),
            ("*", vec!["*".into()]),
        ] {
            assert_eq!(expand_principal(value, &trust), expected, "{value}");
        }
        assert_eq!(expand_principal("*.example/ns/a/sa/b", &trust).len(), 3);
    }

    /// Kept as text it would never match, because a star inside a principal is not a wildcard.
    #[test]
    fn principal_whose_trust_domain_ends_in_a_star_means_the_own_domain_and_its_aliases() {
        let trust = TrustDomains {
            own: "corp.example".into(),
            aliases: vec!["old.example".into()],
            ..Default::default()
        };
        let both = vec![
            "corp.example/ns/a/sa/b".to_owned(),
            "old.example/ns/a/sa/b".to_owned(),
        ];
        for value in [
            "cor*/ns/a/sa/b",
            "old*/ns/a/sa/b",
            "corp.example*/ns/a/sa/b",
        ] {
            assert_eq!(expand_principal(value, &trust), both, "{value}");
        }
        for value in ["x*/ns/a/sa/b", "*or*/ns/a/sa/b", "c*e/ns/a/sa/b"] {
            assert_eq!(expand_principal(value, &trust), [value], "{value}");
        }
    }
}
