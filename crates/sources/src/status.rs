//! What operators see of the policies in force: plain values, which the admin address renders.
//!
//! Nothing here decides anything; [`policy_set`](customs_policy::policy_set) decides what the state
//! of a source means.

use std::sync::Arc;

use customs_engine::expirations::Expirations;
use customs_engine::rules::RuleCounts;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Revision;
use customs_engine::time::UnixNanos;
use customs_policy::policy_change::ChangeOutcome;
use customs_policy::policy_set::SourceStatus;
use customs_policy::problem::Problem;

/// The state of the policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether a good set is in force; until then every check is denied with `no_policy`.
    pub ready: bool,
    /// Whether some source is still being read: it may hang.
    pub waiting: bool,
    /// Whether file events announce changes, or are not wanted; otherwise only rescans detect them.
    pub file_events: bool,
    /// The revision in force, or `none`.
    pub revision: String,
    /// When it was published.
    pub loaded_at: Option<UnixNanos>,
    /// The rules in force.
    pub counts: RuleCounts,
    /// The grants in force that expire.
    pub expirations: Expirations,
    /// The sources, in the order in which they were given.
    pub sources: Vec<SourceStatus>,
    /// Warnings and notes of the set in force.
    pub warnings: Vec<Problem>,
    /// The last thing that went wrong; it stays after recovery.
    pub last_problem: Option<LastProblem>,
    /// Changes of the policy files, by outcome.
    pub reloads: Reloads,
    /// How often the directories were read.
    pub attempts: u64,
    /// The settings in force.
    pub settings: Arc<Settings>,
}

impl Default for Status {
    fn default() -> Self {
        Status {
            ready: false,
            waiting: false,
            file_events: true,
            revision: Revision::none().to_string(),
            loaded_at: None,
            counts: RuleCounts::default(),
            expirations: Expirations::default(),
            sources: Vec::new(),
            warnings: Vec::new(),
            last_problem: None,
            reloads: Reloads::default(),
            attempts: 0,
            settings: Arc::default(),
        }
    }
}

impl Status {
    /// Returns every problem of the sources that were refused.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.sources.iter().flat_map(|source| &source.problems)
    }
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastProblem {
    /// When.
    pub time: UnixNanos,
    /// What, in one line.
    pub text: String,
}

/// Counters of changes, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// [`ChangeOutcome::Published`]
    pub published: u64,
    /// [`ChangeOutcome::PublishedInPart`]
    pub published_in_part: u64,
    /// [`ChangeOutcome::Refused`]
    pub refused: u64,
    /// [`ChangeOutcome::Recovered`]
    pub recovered: u64,
    /// [`ChangeOutcome::Warned`]
    pub warned: u64,
}

impl Reloads {
    /// Returns the counter of an outcome.
    pub fn of(self, outcome: ChangeOutcome) -> u64 {
        match outcome {
            ChangeOutcome::Published => self.published,
            ChangeOutcome::PublishedInPart => self.published_in_part,
            ChangeOutcome::Refused => self.refused,
            ChangeOutcome::Recovered => self.recovered,
            ChangeOutcome::Warned => self.warned,
        }
    }

    /// Counts a change.
    pub fn count(&mut self, outcome: ChangeOutcome) {
        let counter = match outcome {
            ChangeOutcome::Published => &mut self.published,
            ChangeOutcome::PublishedInPart => &mut self.published_in_part,
            ChangeOutcome::Refused => &mut self.refused,
            ChangeOutcome::Recovered => &mut self.recovered,
            ChangeOutcome::Warned => &mut self.warned,
        };
        *counter += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_a_counter() {
        for outcome in ChangeOutcome::ALL {
            let mut reloads = Reloads::default();
            reloads.count(outcome);
            for other in ChangeOutcome::ALL {
                assert_eq!(reloads.of(other), u64::from(other == outcome));
            }
        }
    }

    #[test]
    fn nothing_is_ready_at_first() {
        let status = Status::default();
        assert!(!status.ready && status.loaded_at.is_none());
        assert_eq!(status.revision, "none");
    }
}
