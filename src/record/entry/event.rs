//! What a server tells beside its decisions: policy changes, questions, the ends of grants, its own start and stop.

use data_encoding::HEXLOWER;

use super::PackedDecision;
use crate::engine::policy::problem::Problem;
use crate::engine::rule_info::RuleInfo;
use crate::engine::rules::RuleCounts;
use crate::engine::settings::Enforcement;
use crate::engine::snapshot::Revision;
use crate::engine::time::UnixNanos;

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
    pub answer: PackedDecision,
}

/// The end of a grant: from then on it opens nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantEndEntry {
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

impl GrantEndEntry {
    /// Tells the end of a grant.
    pub fn of(info: &RuleInfo, expires: UnixNanos, time: UnixNanos, revision: &Revision) -> GrantEndEntry {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        GrantEndEntry {
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

/// What became of a change of the policy files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeOutcome {
    /// A new set is in force and nothing was refused.
    Published,
    /// A new set is in force, and some source was refused and keeps its last good content.
    PublishedInPart,
    /// Nothing changed in what is in force: every changed source was refused.
    Refused,
    /// Nothing changed in what is in force, and every source is good again.
    Recovered,
    /// Nothing changed in what is in force, but the warnings did: a file that looks like a policy is not read.
    Warned,
}

impl ChangeOutcome {
    /// Every outcome, in the order in which documents list them.
    pub const ALL: [ChangeOutcome; 5] = [
        ChangeOutcome::Published,
        ChangeOutcome::PublishedInPart,
        ChangeOutcome::Refused,
        ChangeOutcome::Recovered,
        ChangeOutcome::Warned,
    ];

    /// The name in records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeOutcome::Published => "published",
            ChangeOutcome::PublishedInPart => "published_in_part",
            ChangeOutcome::Refused => "refused",
            ChangeOutcome::Recovered => "recovered",
            ChangeOutcome::Warned => "warned",
        }
    }
}

/// A change of the policy files, applied or refused.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyChangeEntry {
    /// When it was decided.
    pub time: UnixNanos,
    /// What became of it.
    pub outcome: ChangeOutcome,
    /// The revision in force afterwards.
    pub revision: String,
    /// The revision in force before.
    pub previous_revision: String,
    /// The sources that were refused, by name.
    pub refused_sources: Vec<String>,
    /// What is wrong with them, and the warnings of what is in force.
    pub problems: Vec<Problem>,
    /// The rules in force afterwards.
    pub counts: RuleCounts,
    /// The files in force afterwards, source by source.
    pub sources: Vec<SourceEntry>,
}

/// What is in force of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceEntry {
    /// The directory as it was given.
    pub name: String,
    /// The namespace that it is bound to; empty where it is bound to none.
    pub namespace: String,
    /// Its files in force.
    pub files: Vec<FileEntry>,
}

/// A file in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its name inside the source.
    pub name: String,
    /// The SHA-256 of its bytes.
    pub digest: [u8; 32],
}

impl FileEntry {
    /// The digest as `sha256sum` prints it.
    pub fn sha256(&self) -> String {
        HEXLOWER.encode(&self.digest)
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
