//! Selects records by the filter flags.
//!
//! A server filters before it sends ([`customs_audit::tail::filter`]); this module applies the same
//! rule to files. `gap` and `lag` records always match unless `--kind` is given: a filter must not
//! hide that records are missing.

use crate::app::cli::{EffectFilter, FilterArgs};
use customs_audit::tail::filter::holds;
use customs_record::fields::TailHead;
use customs_record::proto::{Filter, Record};

/// Returns the filter of a subscription.
pub(super) fn filter(args: &FilterArgs) -> Filter {
    let effect = args.effect.map_or("", EffectFilter::word);
    Filter {
        kinds: args.kinds.clone(),
        namespaces: args.namespaces.clone(),
        // Recorded hosts are canonical: in lower case and without a dot at the end.
        hosts: args
            .hosts
            .iter()
            .map(|host| host.trim_end_matches('.').to_ascii_lowercase())
            .collect(),
        reasons: args.reasons.clone(),
        effect: effect.to_owned(),
    }
}

/// Returns whether a record matches.
pub(super) fn wants(filter: &Filter, record: &Record) -> bool {
    filter.kinds.is_empty() && matches!(record.kind.as_str(), "gap" | "lag")
        || holds(filter, &TailHead::of(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtering(change: impl FnOnce(&mut FilterArgs)) -> Filter {
        let mut args = FilterArgs::default();
        change(&mut args);
        filter(&args)
    }

    #[test]
    fn one_value_of_each_flag_must_hold() {
        let text = str::to_owned;
        let record = Record {
            kind: text("decision"),
            namespace: text("shop"),
            host: text("api.example.com"),
            reason: text("denied_by_rule"),
            effect: text("deny"),
            ..Record::default()
        };
        let hosts = |host: &str| filtering(|w| w.hosts = vec![host.to_owned()]);
        for (filter, expected) in [
            (filtering(|_| ()), true),
            (
                filtering(|w| w.namespaces = vec![text("batch"), text("shop")]),
                true,
            ),
            (filtering(|w| w.namespaces = vec![text("batch")]), false),
            (hosts("API.example.com."), true),
            (hosts("*.example.com"), true),
            (hosts("*.api.example.com"), false),
            (hosts("*.com"), true),
            (hosts("example.com"), false),
            (hosts("*ample.com"), false),
            (
                filtering(|w| w.reasons = vec![text("denied_by_rule")]),
                true,
            ),
            (filtering(|w| w.effect = Some(EffectFilter::Allow)), false),
            (filtering(|w| w.kinds = vec![text("policyChange")]), false),
        ] {
            assert_eq!(wants(&filter, &record), expected, "{filter:?}");
        }
    }

    #[test]
    fn what_was_lost_is_seen_unless_kinds_are_named() {
        let gap = Record {
            kind: "gap".into(),
            ..Record::default()
        };
        assert!(wants(
            &filtering(|w| w.namespaces = vec!["shop".into()]),
            &gap
        ));
        assert!(!wants(
            &filtering(|w| w.kinds = vec!["decision".into()]),
            &gap
        ));
    }
}
