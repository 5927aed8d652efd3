//! Selects records by what they say: the question of a search.
//!
//! It reads nothing. The rules: an empty list selects everything, and of each list that is not
//! empty one value must match; a record that lacks a field matches no list of that field; a record
//! whose field was taken out or cut off ([`Answer::Hidden`]) is never called a match, and never a
//! mismatch either.

use std::borrow::Cow;

use prost_types::Timestamp;

use crate::fields::DecisionFields;
use crate::record_fields::RecordFields;
use crate::survey::moment;

/// Which records are meant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordQuery {
    /// The first moment.
    pub since: Option<Timestamp>,
    /// The first moment after it.
    pub until: Option<Timestamp>,
    /// Kinds of records.
    pub kinds: Vec<String>,
    /// Decision ids.
    pub decision_ids: Vec<String>,
    /// Rules, or whole policies (`ep:shop/egress`): of the verdict, of the dry run, of an
    /// exception, or the one that marks the request.
    pub rules: Vec<String>,
    /// Owners of the rule of the verdict or of the dry run.
    pub owners: Vec<String>,
    /// Namespaces of callers.
    pub namespaces: Vec<String>,
    /// Service accounts of callers, as `ACCOUNT` or `NAMESPACE/ACCOUNT`.
    pub accounts: Vec<String>,
    /// Canonical hosts, or `*.example.com` for all names below one.
    pub hosts: Vec<String>,
    /// Reasons of verdicts.
    pub reasons: Vec<String>,
    /// Revisions, or how they begin.
    pub revisions: Vec<String>,
    /// The answer that Envoy got; empty for any.
    pub effect: String,
    /// What the enforced rules say; empty for any.
    pub verdict: String,
    /// What they would say if every dry run were enforced; empty for any.
    pub dry_run: String,
}

/// Whether a record is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is.
    Match,
    /// It is not.
    Mismatch,
    /// It might be: all that is known of it matches, but a field that is asked for was hashed, left
    /// out or truncated.
    Hidden,
}

impl RecordQuery {
    /// Returns whether a time is in the period. A record without a time is outside of every period
    /// that has a beginning or an end.
    pub fn is_in_period(&self, time: Option<Timestamp>) -> bool {
        let time = time.map(moment);
        let is_late = |since| time.is_some_and(|time| time >= moment(since));
        let is_early = |until| time.is_some_and(|time| time < moment(until));
        self.since.is_none_or(is_late) && self.until.is_none_or(is_early)
    }

    /// Returns whether a record is meant.
    pub fn answer(&self, fields: &RecordFields<'_>) -> Answer {
        if !self.is_in_period(fields.head.time) {
            return Answer::Mismatch;
        }
        let decision = &fields.decision;
        let mut is_hidden = false;
        let mut holds = |name: &str, is_match: bool| {
            is_hidden |= !is_match && is_hidden_in(decision, name);
            is_match || is_hidden_in(decision, name)
        };
        let is_meant = is_one_of(&self.kinds, &fields.head.kind)
            && holds("effect", is_word(&self.effect, &decision.effect))
            && holds("verdict", is_word(&self.verdict, &decision.verdict))
            && holds("dryRun", is_word(&self.dry_run, &decision.dry_run))
            && holds(
                "namespace",
                is_one_of(&self.namespaces, &decision.namespace),
            )
            && holds("reason", is_one_of(&self.reasons, &decision.reason))
            && holds("host", self.has_host(&decision.host))
            && holds(
                "decisionId",
                is_one_of(&self.decision_ids, &decision.decision_id),
            )
            && holds("rule", self.has_rule(decision))
            && holds("owner", self.has_owner(decision))
            && holds("revision", self.has_revision(&decision.revision))
            && holds(ACCOUNT, self.has_account(decision));
        match (is_meant, is_hidden) {
            (false, _) => Answer::Mismatch,
            (true, false) => Answer::Match,
            (true, true) => Answer::Hidden,
        }
    }

    fn has_host(&self, host: &str) -> bool {
        let is_meant = |pattern: &String| !host.is_empty() && is_host(pattern, host);
        self.hosts.is_empty() || self.hosts.iter().any(is_meant)
    }

    fn has_rule(&self, decision: &DecisionFields<'_>) -> bool {
        let is_rule = |wanted: &String| rules_of(decision).any(|rule| is_rule(wanted, rule));
        self.rules.is_empty() || self.rules.iter().any(is_rule)
    }

    fn has_owner(&self, decision: &DecisionFields<'_>) -> bool {
        let owners = [&decision.owner, &decision.dry_run_owner];
        self.owners.is_empty() || owners.iter().any(|owner| is_in(&self.owners, owner))
    }

    fn has_revision(&self, revision: &str) -> bool {
        let begins = |start: &String| !start.is_empty() && revision.starts_with(start.as_str());
        self.revisions.is_empty() || self.revisions.iter().any(begins)
    }

    fn has_account(&self, decision: &DecisionFields<'_>) -> bool {
        let is_account = |wanted: &String| {
            !decision.service_account.is_empty()
                && match wanted.split_once('/') {
                    Some((namespace, account)) => {
                        *namespace == decision.namespace && *account == decision.service_account
                    }
                    None => *wanted == decision.service_account,
                }
        };
        self.accounts.is_empty() || self.accounts.iter().any(is_account)
    }
}

/// The name of the field of an account.
const ACCOUNT: &str = "serviceAccount";

fn is_hidden_in(decision: &DecisionFields<'_>, name: &str) -> bool {
    let has = |names: &[Cow<'_, str>]| names.iter().any(|hidden| hidden == name);
    has(&decision.redacted) || has(&decision.truncated)
}

fn is_word(wanted: &str, word: &str) -> bool {
    wanted.is_empty() || wanted == word
}

fn is_one_of(list: &[String], value: &str) -> bool {
    list.is_empty() || is_in(list, value)
}

fn is_in(list: &[String], value: &str) -> bool {
    !value.is_empty() && list.iter().any(|wanted| wanted == value)
}

/// The rules that a decision names; two gates that opened are one text with a comma.
pub(crate) fn rules_of<'d>(decision: &'d DecisionFields<'_>) -> impl Iterator<Item = &'d str> {
    let rules = [
        &decision.rule,
        &decision.dry_run_rule,
        &decision.exception,
        &decision.expired,
        &decision.audit_rule,
    ];
    rules
        .into_iter()
        .flat_map(|text| text.split(','))
        .filter(|rule| !rule.is_empty())
}

/// Returns the policy of a rule.
pub(crate) fn policy_of(rule: &str) -> &str {
    rule.split_once('#').map_or(rule, |(policy, _)| policy)
}

fn is_rule(wanted: &str, rule: &str) -> bool {
    rule == wanted || (!wanted.contains('#') && policy_of(rule) == wanted)
}

/// Returns whether a host equals the pattern, or is a name below it if the pattern begins with
/// `*.`.
pub fn is_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern.eq_ignore_ascii_case(host),
        Some(parent) => {
            let below = host
                .len()
                .checked_sub(parent.len())
                .and_then(|at| host.split_at_checked(at));
            below.is_some_and(|(name, end)| {
                name.len() > 1 && name.ends_with('.') && end.eq_ignore_ascii_case(parent)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Record;

    fn record() -> Record {
        let text = str::to_owned;
        Record {
            time: Some(Timestamp {
                seconds: 100,
                nanos: 5,
            }),
            kind: text("decision"),
            decision_id: text("id-1"),
            effect: text("allow"),
            verdict: text("deny"),
            dry_run: text("deny"),
            reason: text("denied_by_rule"),
            rule: text("ep:shop/a#x,ap:shop/b#0"),
            dry_run_rule: text("ep:shop/t#y"),
            exception: text("ep:shop/a#x.except[0]"),
            owner: text("team-a"),
            dry_run_owner: text("team-b"),
            namespace: text("shop"),
            service_account: text("cart"),
            host: text("api.example.com"),
            revision: text("0f1e2d3c"),
            ..Record::default()
        }
    }

    fn answer(record: &Record, change: impl FnOnce(&mut RecordQuery)) -> Answer {
        let mut query = RecordQuery::default();
        change(&mut query);
        query.answer(&RecordFields::of(record))
    }

    type Field = fn(&mut RecordQuery) -> &mut Vec<String>;

    #[test]
    fn one_value_of_each_list_must_match() {
        let rules: Field = |query| &mut query.rules;
        let accounts: Field = |query| &mut query.accounts;
        let hosts: Field = |query| &mut query.hosts;
        let owners: Field = |query| &mut query.owners;
        let revisions: Field = |query| &mut query.revisions;
        let ids: Field = |query| &mut query.decision_ids;
        for (field, value, expected) in [
            (rules, "ep:shop/a#x", true),
            (rules, "ap:shop/b#0", true),
            (rules, "ep:shop/t#y", true),
            (rules, "ep:shop/a#x.except[0]", true),
            (rules, "ep:shop/a", true),
            (rules, "ap:shop/b", true),
            (rules, "ep:shop/a#", false),
            (rules, "ep:shop", false),
            (accounts, "cart", true),
            (accounts, "shop/cart", true),
            (accounts, "bank/cart", false),
            (accounts, "", false),
            (hosts, "api.example.com", true),
            (hosts, "*.example.com", true),
            (hosts, "*.com", true),
            (hosts, "example.com", false),
            (owners, "team-b", true),
            (owners, "team-c", false),
            (revisions, "0f1e", true),
            (revisions, "0f1e2d3c", true),
            (revisions, "1e2d", false),
            (revisions, "", false),
            (ids, "id-1", true),
            (ids, "id-2", false),
            (ids, "", false),
        ] {
            let found = answer(&record(), |query| {
                field(query).extend(["no such value".to_owned(), value.to_owned()]);
            });
            assert_eq!(found == Answer::Match, expected, "{value}");
            let other = Record {
                kind: "policyChange".into(),
                ..Record::default()
            };
            let found = answer(&other, |query| field(query).push(value.to_owned()));
            assert_eq!(
                found,
                Answer::Mismatch,
                "a record without the field: {value}"
            );
        }
    }

    #[test]
    fn the_three_answers_are_asked_for_one_by_one() {
        for (effect, verdict, dry_run, expected) in [
            ("allow", "", "", true),
            ("allow", "deny", "deny", true),
            ("", "allow", "", false),
            ("", "", "allow", false),
            ("deny", "deny", "deny", false),
        ] {
            let found = answer(&record(), |query| {
                let words = [effect, verdict, dry_run].map(str::to_owned);
                [query.effect, query.verdict, query.dry_run] = words;
            });
            assert_eq!(
                found == Answer::Match,
                expected,
                "{effect} {verdict} {dry_run}"
            );
        }
    }

    #[test]
    fn a_period_takes_its_beginning_and_not_its_end() {
        let at = |seconds, nanos| Some(Timestamp { seconds, nanos });
        for (since, until, expected) in [
            (None, None, true),
            (at(100, 5), None, true),
            (at(100, 6), None, false),
            (None, at(100, 5), false),
            (None, at(100, 6), true),
            (at(99, 0), at(101, 0), true),
        ] {
            let found = answer(&record(), |query| {
                (query.since, query.until) = (since, until)
            });
            assert_eq!(found == Answer::Match, expected, "{since:?} {until:?}");
        }
        let timeless = Record {
            time: None,
            ..record()
        };
        assert_eq!(answer(&timeless, |_| ()), Answer::Match);
        let found = answer(&timeless, |query| query.until = at(1000, 0));
        assert_eq!(found, Answer::Mismatch);
    }

    #[test]
    fn what_was_taken_out_is_neither_a_match_nor_a_mismatch() {
        let hashed = Record {
            service_account: "hash:00ff".into(),
            redacted: vec![ACCOUNT.into()],
            ..record()
        };
        let accounts = |value: &'static str| {
            move |query: &mut RecordQuery| query.accounts.push(value.to_owned())
        };
        assert_eq!(answer(&hashed, accounts("cart")), Answer::Hidden);
        assert_eq!(answer(&hashed, accounts("hash:00ff")), Answer::Match);
        assert_eq!(
            answer(&hashed, |_| ()),
            Answer::Match,
            "it is not asked for"
        );
        let elsewhere = answer(&hashed, |query| {
            query.accounts.push("cart".into());
            query.namespaces.push("bank".into());
        });
        assert_eq!(elsewhere, Answer::Mismatch, "another field excludes it");
        let cut = Record {
            truncated: vec!["host".into()],
            ..record()
        };
        let found = answer(&cut, |query| query.hosts.push("other.example".into()));
        assert_eq!(found, Answer::Hidden);
    }
}
