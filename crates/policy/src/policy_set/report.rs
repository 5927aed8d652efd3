//! Describes a reload: its outcome, the change to record, and the status of each source.
//!
//! The rule: what has been reported and has not changed is not reported again.

use std::collections::BTreeSet;

use super::settings_source::SettingsSource;
use super::source_state::{Refusal, SourceState};
use super::{PolicySet, SourceId, SourceStatus};
use crate::policy_change::{ChangeOutcome, PolicyChange};
use crate::problem::{Code, Problem};
use customs_engine::snapshot::Revision;
use customs_engine::time::UnixNanos;

impl PolicySet {
    /// Returns the outcome of the change, or `None` if there is nothing new to report.
    pub(super) fn describe_outcome(
        &mut self,
        published: bool,
        changed: &BTreeSet<SourceId>,
        has_settings: bool,
    ) -> Option<ChangeOutcome> {
        let settings = self
            .settings_source
            .as_ref()
            .map_or(&[][..], SettingsSource::refusal);
        let policies = self.refusals().flat_map(|(_, refusal)| &refusal.problems);
        let refused: Vec<Problem> = settings.iter().chain(policies).cloned().collect();
        let is_again = has_settings && !settings.is_empty()
            || self.refusals().any(|(id, _)| changed.contains(id));
        let has_news = self
            .settings_source
            .iter()
            .any(|source| !source.news().is_empty());
        let is_new = is_again || refused != self.reported_refusals || has_news;
        let outcome = match (published, refused.is_empty()) {
            (true, true) => Some(ChangeOutcome::Published),
            (true, false) => Some(ChangeOutcome::PublishedInPart),
            (false, true) => {
                (!self.reported_refusals.is_empty()).then_some(ChangeOutcome::Recovered)
            }
            (false, false) => is_new.then_some(ChangeOutcome::Refused),
        };
        self.reported_refusals = refused;
        outcome
    }

    fn refusals(&self) -> impl Iterator<Item = (&SourceId, &Refusal)> {
        self.sources
            .iter()
            .filter_map(|source| Some((source.id(), source.refusal.as_ref()?)))
    }

    pub(super) fn describe_change(
        &self,
        outcome: ChangeOutcome,
        previous: &Revision,
        now: UnixNanos,
    ) -> PolicyChange {
        let refused = self.refusals().map(|(id, _)| id);
        let settings = self
            .settings_source
            .iter()
            .filter(|source| !source.refusal().is_empty());
        let news = self.settings_source.iter().flat_map(SettingsSource::news);
        PolicyChange {
            time: now,
            outcome,
            revision: self.revision.to_string(),
            previous_revision: previous.to_string(),
            refused_sources: refused
                .chain(settings.map(SettingsSource::id))
                .map(SourceId::to_string)
                .collect(),
            problems: news
                .chain(&self.reported_refusals)
                .chain(worst_first(self.warnings()))
                .cloned()
                .collect(),
            counts: self.counts,
            sources: self
                .sources
                .iter()
                .filter_map(|source| source.published(self.is_ready()))
                .collect(),
        }
    }

    /// Returns the status of each source. The settings, if they may change, are last.
    pub fn statuses(&self) -> Vec<SourceStatus> {
        let sources = self
            .sources
            .iter()
            .map(|source| SourceState::status(source, self.is_ready()));
        sources
            .chain(self.settings_source.iter().map(SettingsSource::status))
            .collect()
    }
}

/// Warnings for files that look like a policy and are not read.
pub(super) fn unread(warnings: &[Problem]) -> Vec<Problem> {
    warnings
        .iter()
        .filter(|problem| problem.code == Code::NotRead)
        .cloned()
        .collect()
}

/// Sorts warnings before notes, because a record lists a limited number.
fn worst_first<'p>(
    problems: impl Iterator<Item = &'p Problem>,
) -> impl Iterator<Item = &'p Problem> {
    let mut problems: Vec<&Problem> = problems.collect();
    problems.sort_by_key(|problem| problem.severity);
    problems.into_iter()
}
