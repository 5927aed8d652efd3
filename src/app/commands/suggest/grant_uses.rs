//! How often each grant of a set decides a recorded request, and for which hosts.
//!
//! A request that several grants permit counts for the one that the engine names. So a grant that
//! is never named can be removed without a change for these requests.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::app::cli::Period;
use crate::app::commands::recorded::{LogFacts, LogFold};
use crate::app::commands::replay::answer_cache::{AnswerCache, NamedAnswer, NewAnswer};
use crate::app::commands::replay::flips::Occurrences;
use customs_engine::time::UnixNanos;
use customs_record::fields::DecisionFields;
use customs_record::scan::{RecordFold, ScannedRecord};

/// The most hosts that are kept of a grant.
pub(super) const MAX_HOSTS: usize = 32;

/// About how many bytes a host takes.
const HOST_BYTES: usize = 256;

/// A host that a grant permitted: its canonical form, and its port if it is known.
pub(super) type SeenHost = (String, Option<u16>);

/// The uses of a grant.
#[derive(Clone, Debug, Default)]
pub(super) struct GrantUse {
    /// How often, and when.
    pub occurrences: Occurrences,
    /// For which hosts.
    pub hosts: BTreeMap<SeenHost, u64>,
    /// Whether there were more hosts.
    pub has_more_hosts: bool,
}

/// The uses of all grants.
pub(super) struct GrantUses<'a> {
    answers: &'a AnswerCache,
    period: Period,
    key: Vec<u8>,
    /// By the id of the rule.
    pub uses: BTreeMap<String, GrantUse>,
    /// The decisions that the set cannot decide again.
    pub unanswerable: u64,
    /// What the log says besides its decisions.
    pub log: LogFacts,
}

impl LogFold for GrantUses<'_> {
    fn facts(&mut self) -> &mut LogFacts {
        &mut self.log
    }

    fn merge(&mut self, next: Self) {
        for (rule, uses) in next.uses {
            self.uses.entry(rule).or_default().merge(uses);
        }
        self.unanswerable += next.unanswerable;
        self.log.merge(next.log);
    }
}

impl RecordFold for GrantUses<'_> {
    fn take(&mut self, record: &ScannedRecord<'_>) {
        if let Some((decision, time)) = self.log.note(record, self.period) {
            self.decision(decision, time);
        }
    }

    fn weight(&self) -> usize {
        let hosts = self.uses.values().map(|uses| 1 + uses.hosts.len());
        hosts.sum::<usize>() * HOST_BYTES
    }
}

impl GrantUse {
    fn merge(&mut self, next: GrantUse) {
        self.occurrences.merge(next.occurrences);
        self.has_more_hosts |= next.has_more_hosts;
        for (host, count) in next.hosts {
            self.add_host(host, count);
        }
    }

    fn add_host(&mut self, host: SeenHost, count: u64) {
        if self.hosts.len() < MAX_HOSTS || self.hosts.contains_key(&host) {
            *self.hosts.entry(host).or_default() += count;
        } else {
            self.has_more_hosts = true;
        }
    }
}

impl<'a> GrantUses<'a> {
    /// Creates empty counts.
    pub(super) fn new(answers: &'a AnswerCache, period: Period) -> GrantUses<'a> {
        GrantUses {
            answers,
            period,
            key: Vec::new(),
            uses: BTreeMap::new(),
            unanswerable: 0,
            log: LogFacts::default(),
        }
    }

    fn decision(&mut self, record: &DecisionFields<'_>, time: Option<Timestamp>) {
        let Some(time) = time else {
            self.unanswerable += 1;
            return;
        };
        let now = UnixNanos(time.as_nanosecond());
        match &*self.answers.answer(record, now, &mut self.key) {
            NewAnswer::Decided(new) if new.is_exact => {
                let mut rules = named(&new.verdict);
                rules.extend(named(&new.dry_run));
                rules.sort_unstable();
                rules.dedup();
                for rule in rules {
                    self.count(rule, record, time);
                }
            }
            NewAnswer::Decided(_) | NewAnswer::Unanswerable(_) => self.unanswerable += 1,
        }
    }

    fn count(&mut self, rule: &str, record: &DecisionFields<'_>, time: Timestamp) {
        if !self.uses.contains_key(rule) {
            self.uses.insert(rule.to_owned(), GrantUse::default());
        }
        let Some(known) = self.uses.get_mut(rule) else {
            return;
        };
        known.occurrences.add(Some(time));
        let port = record.port.and_then(|port| u16::try_from(port).ok());
        known.add_host((record.host.to_string(), port), 1);
    }
}

/// Returns the rules that an answer names.
fn named(answer: &NamedAnswer) -> Vec<&str> {
    let rules = answer.rule.split(',');
    rules.chain(answer.exception.as_deref()).collect()
}
