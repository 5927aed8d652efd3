//! What is told of a reload: what became of it, the change that is put on record, and the status of each source.
//!
//! The rule: what was told before and has not changed is not told again.

use std::collections::BTreeSet;

use super::settings_source::SettingsSource;
use super::source_state::{Refusal, SourceState};
use super::{PolicySet, SourceId, SourceStatus};
use crate::policy_change::{ChangeOutcome, PolicyChange};
use crate::problem::{Code, Problem};
use customs_engine::snapshot::Revision;
use customs_engine::time::UnixNanos;

impl PolicySet {
    /// What became of the change; `None` where there is nothing that was not told before.
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
        let is_new = is_again || refused != self.told_refusals || has_news;
        let outcome = match (published, refused.is_empty()) {
            (true, true) => Some(ChangeOutcome::Published),
            (true, false) => Some(ChangeOutcome::PublishedInPart),
            (false, true) => (!self.told_refusals.is_empty()).then_some(ChangeOutcome::Recovered),
            (false, false) => is_new.then_some(ChangeOutcome::Refused),
        };
        self.told_refusals = refused;
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
                .chain(&self.told_refusals)
                .chain(worst_first(self.warnings()))
                .cloned()
                .collect(),
            counts: self.counts,
            sources: self
                .sources
                .iter()
                .filter_map(|source| source.published(self.published))
                .collect(),
        }
    }

    /// The sources as operators are told of them; the settings, if they may change, are the last.
    pub fn statuses(&self) -> Vec<SourceStatus> {
        let sources = self
            .sources
            .iter()
            .map(|source| SourceState::status(source, self.published));
        sources
            .chain(self.settings_source.iter().map(SettingsSource::status))
            .collect()
    }
}

/// What looks like a policy and is not read.
pub(super) fn unread(warnings: &[Problem]) -> Vec<Problem> {
    warnings
        .iter()
        .filter(|problem| problem.code == Code::NotRead)
        .cloned()
        .collect()
}

/// Notes after warnings: a record lists so many only.
fn worst_first<'p>(
    problems: impl Iterator<Item = &'p Problem>,
) -> impl Iterator<Item = &'p Problem> {
    let mut problems: Vec<&Problem> = problems.collect();
    problems.sort_by_key(|problem| problem.severity);
    problems.into_iter()
}
