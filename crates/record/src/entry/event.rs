//! What a server tells beside its decisions: questions, the ends of grants, its own start and stop.

use super::DecisionRecord;
use customs_engine::enforcement::Enforcement;
use customs_engine::rule_info::RuleInfo;
use customs_engine::snapshot::Revision;
use customs_engine::time::UnixNanos;

/// A question about a check that did not happen, and what it would have got. It is never counted as a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionEntry {
    /// When it was asked.
    pub time: UnixNanos,
    /// The address of whoever asked.
    pub asked_by: String,
    /// The moment that was asked about.
    pub now: UnixNanos,
    /// What a decision would have on record; it has neither an id nor a duration.
    pub answer: DecisionRecord,
}

/// The end of a grant: from then on it opens nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantExpiredEntry {
    /// When it was seen.
    pub time: UnixNanos,
    /// The allow entry or exception.
    pub rule: String,
    /// Where it stands: `file:line`.
    pub origin: String,
    /// Who to ask.
    pub owner: String,
    /// Its ticket.
    pub ticket: String,
    /// Why it existed.
    pub rule_reason: String,
    /// The moment of its end.
    pub expires: UnixNanos,
    /// The revision in force.
    pub revision: String,
}

impl GrantExpiredEntry {
    /// Tells the end of a grant.
    pub fn of(
        info: &RuleInfo,
        expires: UnixNanos,
        time: UnixNanos,
        revision: &Revision,
    ) -> GrantExpiredEntry {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        GrantExpiredEntry {
            time,
            rule: info.id.to_string(),
            origin: info.origin(),
            owner: text(info.owner()),
            ticket: text(info.ticket()),
            rule_reason: text(info.reason()),
            expires,
            revision: revision.to_string(),
        }
    }
}

/// The process starts: the first thing that it tells.
#[derive(Clone, Debug, PartialEq)]
pub struct StartEntry {
    /// When.
    pub time: UnixNanos,
    /// The version.
    pub version: &'static str,
    /// Where it answers checks.
    pub listen: Vec<String>,
    /// Whether verdicts are enforced.
    pub enforcement: Enforcement,
}

/// The process stops in order: the last thing that it tells.
#[derive(Clone, Debug, PartialEq)]
pub struct StopEntry {
    /// When.
    pub time: UnixNanos,
    /// Why: the name of a signal, or what ended by itself.
    pub cause: String,
    /// How many checks were decided.
    pub decisions: u64,
    /// The revision in force at the end.
    pub revision: String,
}

/// The answer of a decision that is on record was withheld after all: its record was not on the disk in time.
#[derive(Clone, Debug, PartialEq)]
pub struct WithheldEntry {
    /// When.
    pub time: UnixNanos,
    /// The decision.
    pub decision_id: String,
    /// Its number.
    pub decision_number: u64,
    /// Why, as a reason is spelt.
    pub reason: &'static str,
}

/// The caller of a decision that is on record gave up before it was answered: the record was written first, as an answer
/// that waits for the disk needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct CallerGoneEntry {
    /// When that was noticed.
    pub time: UnixNanos,
    /// The decision.
    pub decision_id: String,
    /// Its number.
    pub decision_number: u64,
}
