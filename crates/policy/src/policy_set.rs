//! The policy set: every source with its last good content, and what is in force.
//!
//! This module is pure: it takes readings and returns a [`ReloadOutcome`], and uses no file, clock,
//! thread or log. A [`SourceId`] identifies a source, so a source may be a directory or anything
//! else that yields policies. The owner of the set provides a [`SourceLoader`], which may parse
//! files in parallel, and a [`SnapshotReview`], which adds warnings.
//!
//! The rule: a source loads whole or not at all. A source that fails keeps its last good content,
//! and the others continue. Changed sources are tried all together, then all but one, then one at a
//! time. A source whose change would break the set is refused, and its problem names what it would
//! break. An emptied source keeps its last good content. Nothing is published until every source
//! has been good once, because an unread source could hold denials. The exception is a source that
//! is bound to one namespace, which does not delay the others: until it has been good once, its
//! namespace is isolated.
//!
//! A set must keep its own guards, as the review finds them: a change that breaks one is refused.
//!
//! `source_state` is one source alone, `guarding` says when a guard refuses a set, `admission`
//! decides which changes are accepted together, `report` describes them, and `settings_source` holds
//! the settings, which are a source of their own kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::compile::Compiled;
use super::guard::{Guard, GuardId};
use super::policy_change::{ChangeOutcome, PolicyChange};
use super::problem::Problem;
use super::source::{self, LoadedSource, Source};
use customs_engine::expirations::Expirations;
use customs_engine::rules::RuleCounts;
use customs_engine::settings::Settings;
use customs_engine::snapshot::{Revision, Snapshot};
use customs_engine::time::UnixNanos;

mod admission;
mod guarding;
mod limits;
mod report;
mod settings_source;
mod source_id;
mod source_state;
mod source_status;

pub use limits::{MAX_FILES, MAX_SET};
use settings_source::SettingsSource;
pub use settings_source::{ParsedSettings, SettingsBytes, SettingsReading};
pub use source_id::{NamespaceListing, SourceDeclaration, SourceId, SourceScope};
use source_state::{LastRead, SourceState};
pub use source_status::{SourceHealth, SourceStatus};

/// One read of a source: its files, or the problems that prevented the read.
pub type SourceReading = Result<Source, Vec<Problem>>;

/// Parses a source as [`source::load`] does. The earlier load was parsed with the same settings, so
/// unchanged files need not be parsed again.
pub type SourceLoader = fn(&Source, Option<&LoadedSource>, &Settings) -> LoadedSource;

/// Finds additional warnings in a set that is published, and the guards that a set does not keep.
pub trait SnapshotReview: fmt::Debug + Send + Sync {
    /// Returns the warnings, in the order in which they are reported.
    fn review(&self, snapshot: &Snapshot, now: UnixNanos) -> Vec<Problem>;

    /// Returns the guards of which it is not certain that the set keeps them. By default, guards
    /// are not looked at.
    fn unkept_guards(&self, compiled: &Compiled, now: UnixNanos) -> Vec<UnkeptGuard> {
        let _ = (compiled, now);
        Vec::new()
    }
}

/// A guard of which it is not certain that a set keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnkeptGuard {
    /// Its id.
    pub id: GuardId,
    /// Whether it says what must be allowed, so that a set that denies everything breaks it.
    pub demands: bool,
    /// Whether the set may be refused for it. Otherwise its problems are warnings.
    pub is_enforced: bool,
    /// What is wrong: at the guard, and at the rule that breaks it.
    pub problems: Vec<Problem>,
}

/// The readings that differ from the previous ones. A source that is not listed is unchanged.
#[derive(Debug, Default)]
pub struct SourceReadings {
    /// The sources of policies.
    pub policies: BTreeMap<SourceId, SourceReading>,
    /// The settings.
    pub settings: Option<SettingsReading>,
}

/// The outcome of a reload.
#[derive(Debug, Default)]
pub struct ReloadOutcome {
    /// A new set to publish.
    pub snapshot: Option<Snapshot>,
    /// The change to record, if there is something new to report.
    pub change: Option<PolicyChange>,
    /// Warnings for operators, although the set in force is unchanged.
    pub notices: Vec<Problem>,
}

/// What is in force: everything that a snapshot was compiled from. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct SetInForce {
    /// Its revision.
    pub revision: Revision,
    /// The settings that it was compiled with.
    pub settings: Arc<Settings>,
    /// Its sources, in order.
    pub sources: Vec<LoadedSource>,
}

/// Every source with its last good content. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct PolicySet {
    settings: Arc<Settings>,
    /// The source of the settings, if they may change.
    settings_source: Option<SettingsSource>,
    /// In the order in which they are reported and compiled.
    sources: Vec<SourceState>,
    loader: SourceLoader,
    review: Option<Arc<dyn SnapshotReview>>,
    revision: Revision,
    counts: RuleCounts,
    expirations: Expirations,
    warnings: Vec<Problem>,
    /// The guards in force.
    guards: Arc<[Guard]>,
    /// What is in force; `None` before the first good set.
    in_force: Option<Arc<SetInForce>>,
    /// The sources in force whose namespace is isolated because they have no good content.
    isolating: Vec<SourceId>,
    /// Whether the listing of a namespace root changed.
    relisted: bool,
    /// The refusals that were reported last.
    reported_refusals: Vec<Problem>,
    /// Warnings for files that look like a policy and are not read.
    unread: Vec<Problem>,
}

impl PolicySet {
    /// Creates a set of these sources, in order. Nothing has been read yet.
    pub fn new(
        sources: impl IntoIterator<Item = SourceDeclaration>,
        settings: Settings,
    ) -> PolicySet {
        let state = |(order, declaration)| SourceState::new(order, declaration);
        let mut sources: Vec<SourceState> = sources.into_iter().enumerate().map(state).collect();
        sources.sort_by_key(SourceState::rank);
        PolicySet {
            settings: Arc::new(settings),
            settings_source: None,
            sources,
            loader: |source, _, settings| source::load(source, settings),
            review: None,
            revision: Revision::none(),
            counts: RuleCounts::default(),
            expirations: Expirations::default(),
            warnings: Vec::new(),
            guards: Arc::default(),
            in_force: None,
            isolating: Vec::new(),
            relisted: false,
            reported_refusals: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// Sets the loader that parses the sources.
    pub fn with_loader(self, loader: SourceLoader) -> PolicySet {
        PolicySet { loader, ..self }
    }

    /// Sets a review whose findings are reported beside the warnings of the sources.
    pub fn with_review(self, review: Arc<dyn SnapshotReview>) -> PolicySet {
        PolicySet {
            review: Some(review),
            ..self
        }
    }

    /// Returns the sources to read, in order.
    pub fn sources(&self) -> impl Iterator<Item = (&SourceId, &SourceScope)> {
        self.sources
            .iter()
            .map(|source| (source.id(), source.scope()))
    }

    /// Accepts the listing of a namespace root. New namespaces become sources. The source of a
    /// removed namespace stays and counts as unreadable, unless nothing of it is in force.
    pub fn discover_namespaces(
        &mut self,
        root: &SourceId,
        listing: Result<NamespaceListing, Vec<Problem>>,
    ) {
        let is_root = |source: &SourceState| {
            *source.scope() == SourceScope::NamespaceRoot && source.id() == root
        };
        let Some(root) = self.sources.iter_mut().find(|source| is_root(source)) else {
            return;
        };
        let (last_read, namespaces) = match listing {
            Ok(NamespaceListing {
                namespaces,
                problems,
            }) => (LastRead::Listed(problems), Some(namespaces)),
            Err(problems) => (LastRead::Failed(problems), None),
        };
        self.relisted |= !root.last_read.is_listed_as(&last_read);
        root.last_read = last_read;
        let (root, Some(namespaces)) = (root.clone(), namespaces) else {
            return;
        };
        let is_there = |source: &SourceState| {
            source
                .namespace()
                .is_some_and(|own| namespaces.contains(own))
        };
        self.sources
            .retain(|source| !source.is_in(&root) || is_there(source) || !source.is_idle());
        let known = self
            .sources
            .iter()
            .filter(|source| source.is_in(&root))
            .filter_map(SourceState::namespace);
        let known: BTreeSet<String> = known.cloned().collect();
        self.sources.extend(
            namespaces
                .difference(&known)
                .map(|namespace| root.namespace_source(namespace)),
        );
        self.sources.sort_by_key(SourceState::rank);
    }

    fn get(&self, id: &SourceId) -> Option<&SourceState> {
        self.sources.iter().find(|source| source.id() == id)
    }

    /// Whether a reading equals the previous one of this source.
    pub fn is_unchanged(&self, id: &SourceId, reading: &SourceReading) -> bool {
        match (self.get(id).map(|source| &source.last_read), reading) {
            (Some(LastRead::Loaded(last)), Ok(read)) => last.is(read),
            (Some(LastRead::Failed(last)), Err(problems)) => last == problems,
            _ => false,
        }
    }

    /// Whether this source has ever been read.
    pub fn was_read(&self, id: &SourceId) -> bool {
        self.get(id)
            .is_some_and(|source| !matches!(source.last_read, LastRead::Never))
    }

    /// Records when a source was read completely.
    pub fn record_read(&mut self, id: &SourceId, now: UnixNanos) {
        if let Some(source) = self.sources.iter_mut().find(|source| source.id() == id) {
            source.last_read_at = Some(now);
        }
    }

    /// Returns the sources as they were read last, with their problems, without those that could
    /// not be read.
    pub fn loaded_sources(&self) -> impl Iterator<Item = &LoadedSource> {
        self.sources
            .iter()
            .filter_map(|source| match &source.last_read {
                LastRead::Loaded(loaded) => Some(loaded),
                LastRead::Never | LastRead::Failed(_) | LastRead::Listed(_) => None,
            })
    }

    /// Whether every source could be read.
    pub fn is_completely_read(&self) -> bool {
        let is_read = |source: &SourceState| {
            matches!(source.last_read, LastRead::Loaded(_) | LastRead::Listed(_))
        };
        self.sources.iter().all(is_read)
    }

    /// Whether a good set is in force.
    pub fn is_ready(&self) -> bool {
        self.in_force.is_some()
    }

    /// Returns the revision in force.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// Returns what is in force; `None` before the first good set.
    pub fn in_force(&self) -> Option<SetInForce> {
        self.in_force.as_deref().cloned()
    }

    /// Returns the grants in force that expire.
    pub fn expirations(&self) -> &Expirations {
        &self.expirations
    }

    /// Returns the guards in force.
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// Returns the counts of the rules in force.
    pub fn counts(&self) -> RuleCounts {
        self.counts
    }

    /// Returns the warnings and notes of the set in force and of the settings.
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.settings_source
            .iter()
            .flat_map(SettingsSource::warnings)
            .chain(&self.warnings)
    }

    /// Accepts the readings that changed, and returns what may be in force now.
    pub fn reload(&mut self, readings: SourceReadings, now: UnixNanos) -> ReloadOutcome {
        let SourceReadings { policies, settings } = readings;
        let changed = self.accept_policies(policies);
        let has_settings = self.accept_settings(settings, &changed);
        let is_relisted = std::mem::take(&mut self.relisted);
        if changed.is_empty() && !has_settings && !is_relisted {
            return ReloadOutcome::default();
        }
        let (previous, old_settings) = (self.revision.clone(), self.settings.clone());
        let old_unread = self.unread.clone();
        let compiled = self.try_settings(now).or_else(|| self.try_policies(now));
        // Sets with the same revision give the same answers: an additional empty source is not a
        // change.
        let snapshot = compiled
            .map(|compiled| self.adopt(compiled, now))
            .filter(|new| *new.revision() != previous);
        let outcome = self.describe_outcome(snapshot.is_some(), &changed, has_settings);
        let outcome =
            outcome.or_else(|| (self.unread != old_unread).then_some(ChangeOutcome::Warned));
        let change = outcome.map(|outcome| self.describe_change(outcome, &previous, now));
        let is_silent = has_settings && change.is_none();
        let notices = self
            .settings_source
            .iter()
            .filter(|_| is_silent)
            .flat_map(SettingsSource::warnings);
        let notices = notices.cloned().collect();
        // Without a set, the settings still decide whether everything is denied or only recorded.
        let unloaded = || Snapshot::unloaded(Settings::clone(&self.settings));
        let snapshot =
            snapshot.or_else(|| (!self.is_ready() && self.settings != old_settings).then(unloaded));
        ReloadOutcome {
            snapshot,
            change,
            notices,
        }
    }

    /// Parses what was read, and returns the sources that changed.
    fn accept_policies(
        &mut self,
        mut readings: BTreeMap<SourceId, SourceReading>,
    ) -> BTreeSet<SourceId> {
        let mut changed = BTreeSet::new();
        for source in &mut self.sources {
            let Some(reading) = readings.remove(source.id()) else {
                continue;
            };
            source.last_read = match reading {
                Ok(read) => {
                    LastRead::Loaded((self.loader)(&read, source.last_loaded(), &self.settings))
                }
                Err(problems) => LastRead::Failed(problems),
            };
            changed.insert(source.id().clone());
        }
        changed
    }

    /// Puts a compiled set in force.
    fn adopt(&mut self, compiled: Compiled, now: UnixNanos) -> Snapshot {
        let Compiled {
            snapshot,
            guards,
            problems,
        } = compiled;
        self.guards = guards.into();
        self.isolating = self.find_isolating();
        self.revision = snapshot.revision().clone();
        self.in_force = Some(Arc::new(SetInForce {
            revision: self.revision.clone(),
            settings: self.settings.clone(),
            sources: self.contents(&[]),
        }));
        self.counts = snapshot.counts();
        self.expirations = Expirations::of(snapshot.rules());
        self.unread = report::unread(&problems);
        self.warnings = problems;
        self.warnings.extend(
            self.review
                .iter()
                .flat_map(|review| review.review(&snapshot, now)),
        );
        snapshot
    }
}

#[cfg(test)]
mod tests;
