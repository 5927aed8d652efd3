//! Which records somebody wants to see.
//!
//! A server chooses before it sends ([`select`]), and by the same rule it is done here for files. But what tells of lost
//! records is seen there unless kinds are named, because nobody filters for what he does not know of.

use crate::app::cli::{ToldEffect, WantedArgs};
use customs_audit::tail::ring::Head;
use customs_audit::tail::select;
use customs_record::proto::{Filter, Record};

/// The filter of a subscription.
pub fn filter(args: &WantedArgs) -> Filter {
    let effect = match args.effect {
        None => "",
        Some(ToldEffect::Allow) => "allow",
        Some(ToldEffect::Deny) => "deny",
    };
    Filter {
        kinds: args.kinds.clone(),
        namespaces: args.namespaces.clone(),
        // Hosts on record are canonical: in lower case and without a dot at the end.
        hosts: args.hosts.iter().map(|host| host.trim_end_matches('.').to_ascii_lowercase()).collect(),
        reasons: args.reasons.clone(),
        effect: effect.to_owned(),
    }
}

/// Whether a record is wanted.
pub fn wants(filter: &Filter, record: &Record) -> bool {
    filter.kinds.is_empty() && matches!(record.kind.as_str(), "gap" | "lag") || select::holds(filter, &Head::of(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(change: impl FnOnce(&mut WantedArgs)) -> Filter {
        let mut args = WantedArgs::default();
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
        let hosts = |host: &str| wanted(|w| w.hosts = vec![host.to_owned()]);
        for (filter, expected) in [
            (wanted(|_| ()), true),
            (wanted(|w| w.namespaces = vec![text("batch"), text("shop")]), true),
            (wanted(|w| w.namespaces = vec![text("batch")]), false),
            (hosts("API.example.com."), true),
            (hosts("*.example.com"), true),
            (hosts("*.api.example.com"), false),
            (hosts("*.com"), true),
            (hosts("example.com"), false),
            (hosts("*ample.com"), false),
            (wanted(|w| w.reasons = vec![text("denied_by_rule")]), true),
            (wanted(|w| w.effect = Some(ToldEffect::Allow)), false),
            (wanted(|w| w.kinds = vec![text("policyChange")]), false),
        ] {
            assert_eq!(wants(&filter, &record), expected, "{filter:?}");
        }
    }

    #[test]
    fn what_was_lost_is_seen_unless_kinds_are_named() {
        let gap = Record { kind: "gap".into(), ..Record::default() };
        assert!(wants(&wanted(|w| w.namespaces = vec!["shop".into()]), &gap));
        assert!(!wants(&wanted(|w| w.kinds = vec!["decision".into()]), &gap));
    }
}
