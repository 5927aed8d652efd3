//! The grants of a set that end, and which of them end when. An end changes no set: from its moment on the grant is gone
//! (rule R14), and that is worth a record and an alert before it.

use std::sync::Arc;

use super::rule_info::RuleInfo;
use super::rules::Rules;
use super::time::UnixNanos;

/// The allow entries and exceptions of a set that end, the soonest first. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends(Arc<[Arc<RuleInfo>]>);

impl Ends {
    /// Those of a set; rules on trial are left out, since nothing goes with them.
    pub fn of(rules: &Rules) -> Ends {
        let enforced = |mode| mode == super::rule::Mode::Enforce;
        let grants = rules.grants.iter().filter(|rule| enforced(rule.mode)).map(|rule| &rule.info);
        let denies = rules.denies.iter().filter(|rule| enforced(rule.mode));
        let exceptions = denies.flat_map(|rule| &rule.except).map(|except| &except.info);
        let mut ending: Vec<Arc<RuleInfo>> =
            grants.chain(exceptions).filter(|info| info.expires().is_some()).cloned().collect();
        ending.sort_by(|a, b| (a.expires(), &a.id).cmp(&(b.expires(), &b.id)));
        Ends(ending.into())
    }

    /// Those that end after a moment, the soonest first, each with its end.
    pub fn after(&self, moment: UnixNanos) -> impl Iterator<Item = (&RuleInfo, UnixNanos)> {
        let ends = self.0.iter().filter_map(|info| Some((info.as_ref(), info.expires()?)));
        ends.skip_while(move |(_, end)| *end <= moment)
    }

    /// Those that ended after `from` and no later than `now`, the soonest first, each with its end.
    pub fn passed(&self, from: UnixNanos, now: UnixNanos) -> impl Iterator<Item = (&RuleInfo, UnixNanos)> {
        self.after(from).take_while(move |(_, end)| *end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::policy::compile;
    use crate::engine::policy::source::{PolicyFile, Source, load};
    use crate::engine::settings::Settings;

    fn ends() -> Ends {
        let text = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {name: p, namespace: n}\nspec:\n  \
                    owner: team-n\n  allow:\n  \
                    - {name: late, hosts: [a.example], expires: '1970-01-01T00:00:03Z'}\n  \
                    - {name: soon, hosts: [b.example], expires: '1970-01-01T00:00:01Z', ticket: T-1}\n  \
                    - {name: never, hosts: [c.example]}\n  deny:\n  \
                    - {name: d, hosts: [d.example], except: [{hosts: [d.example], expires: '1970-01-01T00:00:02Z'}]}\n  \
                    - {name: t, mode: Report, hosts: [e.example], except: [{hosts: [e.example], expires: '1970-01-01T00:00:02Z'}]}\n";
        let file = PolicyFile { name: "a.yaml".into(), bytes: text.as_bytes().into() };
        let settings = Settings::default();
        let source = load(&Source { name: "s".into(), files: vec![file], ..Source::default() }, &settings);
        let snapshot = compile::compile(&[source], &settings).unwrap().snapshot;
        Ends::of(snapshot.rules())
    }

    fn at(millis: i128) -> UnixNanos {
        UnixNanos(millis * 1_000_000)
    }

    #[test]
    fn grants_and_exceptions_end_in_their_order() {
        let ids = |from| ends().after(at(from)).map(|(info, _)| info.id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids(0), ["ep:n/p#soon", "ep:n/p#d.except[0]", "ep:n/p#late"]);
        assert_eq!(ids(1_000), ["ep:n/p#d.except[0]", "ep:n/p#late"]);
        assert_eq!(ids(3_000), [""; 0]);
    }

    #[test]
    fn each_end_is_told_once_by_whoever_looks_on_and_on() {
        let ends = ends();
        let mut told = Vec::new();
        for (from, to) in [(0, 999), (999, 1_000), (1_000, 1_500), (1_500, 2_999), (2_999, 9_000), (9_000, 9_001)] {
            let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
            let passed = ends.passed(at(from), at(to));
            told.extend(passed.map(|(info, _)| (to, info.id.to_string(), text(info.ticket()), text(info.owner()))));
        }
        let expected = [(1_000, "ep:n/p#soon", "T-1"), (2_999, "ep:n/p#d.except[0]", ""), (9_000, "ep:n/p#late", "")];
        let expected = expected.map(|(to, rule, ticket)| (to, rule.to_owned(), ticket.to_owned(), "team-n".to_owned()));
        assert_eq!(told, expected);
    }
}
