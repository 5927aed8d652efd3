//! The filter of a subscriber's request: which records it gets.
//!
//! The rule: an empty list selects everything; of each list that is not empty, one value must
//! match. A record that lacks a field, such as a policy change without a host, matches no list of
//! that field.

use customs_record::fields::TailHead;
use customs_record::proto::Filter;
use customs_record::record_query::is_host;

/// What is wrong with the filter of a request, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TailFilterError {
    /// An unknown effect.
    #[error("filter.effect: invalid effect `{0}`: expected `allow` or `deny`")]
    Effect(String),
    /// A host that no record can have.
    #[error("filter.hosts: invalid host `{0}`: expected `www.example.com` or `*.example.com`")]
    Host(String),
}

/// A valid filter.
#[derive(Clone, Debug, Default)]
pub struct RecordFilter(Filter);

impl RecordFilter {
    /// Checks the filter of a request; without one, everything is selected.
    ///
    /// # Errors
    /// What is wrong, and what to write.
    pub fn new(filter: Option<Filter>) -> Result<RecordFilter, TailFilterError> {
        let filter = filter.unwrap_or_default();
        if !["", "allow", "deny"].contains(&filter.effect.as_str()) {
            return Err(TailFilterError::Effect(filter.effect));
        }
        for host in &filter.hosts {
            if host.is_empty() || host.strip_prefix("*.").unwrap_or(host).contains('*') {
                return Err(TailFilterError::Host(host.clone()));
            }
        }
        Ok(RecordFilter(filter))
    }

    /// Returns whether a record is selected.
    pub fn selects(&self, head: &TailHead) -> bool {
        holds(&self.0, head)
    }
}

/// Returns whether a record matches a filter.
pub fn holds(filter: &Filter, head: &TailHead) -> bool {
    let Filter {
        kinds,
        namespaces,
        hosts,
        reasons,
        effect,
    } = filter;
    let one_of = |list: &[String], value: &String| list.is_empty() || list.contains(value);
    one_of(kinds, &head.kind)
        && one_of(namespaces, &head.namespace)
        && one_of(reasons, &head.reason)
        && (effect.is_empty() || *effect == head.effect)
        && (hosts.is_empty() || hosts.iter().any(|pattern| is_host(pattern, &head.host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(kind: &str, namespace: &str, host: &str, reason: &str, effect: &str) -> TailHead {
        let [kind, namespace, host, reason, effect] =
            [kind, namespace, host, reason, effect].map(str::to_owned);
        TailHead {
            kind,
            namespace,
            host,
            reason,
            effect,
            ..TailHead::default()
        }
    }

    fn filter(
        kinds: &[&str],
        namespaces: &[&str],
        hosts: &[&str],
        reasons: &[&str],
        effect: &str,
    ) -> Filter {
        let list = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Filter {
            kinds: list(kinds),
            namespaces: list(namespaces),
            hosts: list(hosts),
            reasons: list(reasons),
            effect: effect.into(),
        }
    }

    #[test]
    fn every_list_that_is_filled_must_hold() {
        let denial = head(
            "decision",
            "shop",
            "www.aliyun.com",
            "denied_by_rule",
            "deny",
        );
        let change = head("policyChange", "", "", "", "");
        for (filter, denial_wanted, change_wanted) in [
            (filter(&[], &[], &[], &[], ""), true, true),
            (filter(&["policyChange"], &[], &[], &[], ""), false, true),
            (
                filter(&["decision", "policyChange"], &[], &[], &[], ""),
                true,
                true,
            ),
            (filter(&[], &["shop", "bank"], &[], &[], ""), true, false),
            (filter(&[], &["bank"], &[], &[], ""), false, false),
            (filter(&[], &[], &["www.aliyun.com"], &[], ""), true, false),
            (filter(&[], &[], &["*.aliyun.com"], &[], ""), true, false),
            (filter(&[], &[], &["*.ALIYUN.com"], &[], ""), true, false),
            (filter(&[], &[], &["aliyun.com"], &[], ""), false, false),
            (filter(&[], &[], &[], &["denied_by_rule"], ""), true, false),
            (filter(&[], &[], &[], &["no_rule"], ""), false, false),
            (filter(&[], &[], &[], &[], "deny"), true, false),
            (filter(&[], &[], &[], &[], "allow"), false, false),
            (
                filter(
                    &["decision"],
                    &["shop"],
                    &["*.com"],
                    &["denied_by_rule"],
                    "deny",
                ),
                true,
                false,
            ),
            (
                filter(
                    &["decision"],
                    &["shop"],
                    &["*.com"],
                    &["denied_by_rule"],
                    "allow",
                ),
                false,
                false,
            ),
        ] {
            let record_filter = RecordFilter::new(Some(filter.clone())).unwrap();
            assert_eq!(record_filter.selects(&denial), denial_wanted, "{filter:?}");
            assert_eq!(record_filter.selects(&change), change_wanted, "{filter:?}");
        }
        assert!(RecordFilter::new(None).unwrap().selects(&change));
    }

    #[test]
    fn a_star_matches_one_name_or_more_and_not_none() {
        for (host, is_below) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("example.com", false),
            (".example.com", false),
            ("badexample.com", false),
            ("", false),
        ] {
            assert_eq!(is_host("*.example.com", host), is_below, "{host}");
        }
    }

    #[test]
    fn what_can_never_hold_is_an_error() {
        for (filter, expected) in [
            (filter(&[], &[], &[], &[], "drop"), "invalid effect `drop`"),
            (
                filter(&[], &[], &["a.*.com"], &[], ""),
                "invalid host `a.*.com`",
            ),
            (filter(&[], &[], &["*"], &[], ""), "invalid host `*`"),
            (filter(&[], &[], &[""], &[], ""), "invalid host ``"),
        ] {
            assert!(
                RecordFilter::new(Some(filter))
                    .unwrap_err()
                    .to_string()
                    .contains(expected),
                "{expected}"
            );
        }
    }
}
