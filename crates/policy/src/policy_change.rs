//! A policy change: its outcome, its problems, and what is in force afterwards.
//!
//! Plain values. The policy set creates them, and the audit log, the metrics and the status report
//! them unchanged. The rule: a change describes the whole set, so the last one alone shows what is
//! in force.

use data_encoding::HEXLOWER;

use super::problem::Problem;
use customs_engine::rules::RuleCounts;
use customs_engine::time::UnixNanos;

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeOutcome {
    /// A new set is in force and nothing was refused.
    Published,
    /// A new set is in force, and some source was refused and keeps its last good content.
    PublishedInPart,
    /// The set in force is unchanged: every changed source was refused.
    Refused,
    /// The set in force is unchanged, and every source is good again.
    Recovered,
    /// The set in force is unchanged, but the warnings differ: a file that looks like a policy is
    /// not read.
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

/// A change of a policy set: published, refused, or some of both.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyChange {
    /// When it was decided.
    pub time: UnixNanos,
    /// Its outcome.
    pub outcome: ChangeOutcome,
    /// The revision in force afterwards.
    pub revision: String,
    /// The revision in force before.
    pub previous_revision: String,
    /// The sources that were refused, by name.
    pub refused_sources: Vec<String>,
    /// Their problems, and the warnings of the set in force.
    pub problems: Vec<Problem>,
    /// The rules in force afterwards.
    pub counts: RuleCounts,
    /// The files in force afterwards, source by source.
    pub sources: Vec<PublishedSource>,
}

/// The files of one source that are in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishedSource {
    /// Its name.
    pub name: String,
    /// The namespace that it is bound to; empty if it is not bound.
    pub namespace: String,
    /// Its files in force.
    pub files: Vec<PublishedFile>,
}

/// A file in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedFile {
    /// Its name inside the source.
    pub name: String,
    /// The SHA-256 of its bytes.
    pub digest: [u8; 32],
}

impl PublishedFile {
    /// The digest as `sha256sum` prints it.
    pub fn sha256(&self) -> String {
        HEXLOWER.encode(&self.digest)
    }
}
