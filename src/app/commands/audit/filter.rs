//! Which records somebody wants to see.
//!
//! A server chooses before it sends ([`customs_audit::tail::filter`]), and by the same rule it is done here for files. But
//! what tells of lost records is seen there unless kinds are named, because nobody filters for what he does not know of.

use crate::app::cli::{FilterArgs, ToldEffect};
use customs_audit::tail::filter::holds;
use customs_record::fields::TailHead;
use customs_record::proto::{Filter, Record};

/// The filter of a subscription.
pub fn filter(args: &FilterArgs) -> Filter {
    let effect = match args.effect {
        None => "",
        Some(ToldEffect::Allow) => "allow",
        Some(ToldEffect::Deny) => "deny",
    };
    Filter {
        kinds: args.kinds.clone(),
        namespaces: args.namespaces.clone(),
        // Hosts on record are canonical: in lower case and without a dot at the end.
        hosts: args
            .hosts
            .iter()
            .map(|host| host.trim_end_matches('.').to_ascii_lowercase())
            .collect(),
        reasons: args.reasons.clone(),
        effect: effect.to_owned(),
    }
}

/// Whether a record is wanted.
pub fn wants(filter: &Filter, record: &Record) -> bool {
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
            (filtering(|w| w.effect = Some(ToldEffect::Allow)), false),
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
