//! The policy set: every source with its last good content, and what of it is in force.
//!
//! Pure: readings come in, a [`ReloadOutcome`] goes out; no file, no clock, no thread, no log. A source is known by its
//! [`SourceId`], so it may be a directory or anything else that yields policies. How files are parsed side by side, and
//! what else operators are warned of, is given by the owner of the set: a [`SourceLoader`] and a [`SnapshotReview`].
//!
//! The rule: a source loads whole or not at all. One that fails keeps its own last good content, and the others go on.
//! Changed sources are tried all together, then all but one, then one at a time; one whose change would break the set
//! is refused and names what it would break. An emptied source keeps what it had. Nothing at all is published until
//! every source has been good once, because what was never read could hold denials. A source that is bound to one
//! namespace holds up nobody else: until it was good once, its namespace is isolated.
//!
//! `source_state` is one source alone, `admission` which changes are taken together, `report` what is told of them, and
//! `settings_source` the settings, which are a source of their own kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::compile::Compiled;
use super::policy_change::{ChangeOutcome, PolicyChange};
use super::problem::Problem;
use super::source::{self, LoadedSource, Source};
use customs_engine::expirations::Expirations;
use customs_engine::rules::RuleCounts;
use customs_engine::settings::Settings;
use customs_engine::snapshot::{Revision, Snapshot};
use customs_engine::time::UnixNanos;

mod admission;
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

/// One read of a source: its files, or everything that kept it from being read.
pub type SourceReading = Result<Source, Vec<Problem>>;

/// Parses a source as [`source::load`] does. Files that are as they were in the earlier load, which was parsed with the
/// same settings, need not be parsed again.
pub type SourceLoader = fn(&Source, Option<&LoadedSource>, &Settings) -> LoadedSource;

/// Finds what else operators are warned of in a set that is published.
pub trait SnapshotReview: fmt::Debug + Send + Sync {
    /// Returns the warnings, in the order in which they are told.
    fn review(&self, snapshot: &Snapshot, now: UnixNanos) -> Vec<Problem>;
}

/// What was read otherwise than before. A source that is not in here is unchanged.
#[derive(Debug, Default)]
pub struct SourceReadings {
    /// The sources of policies.
    pub policies: BTreeMap<SourceId, SourceReading>,
    /// The settings.
    pub settings: Option<SettingsReading>,
}

/// What a reload comes to.
#[derive(Debug, Default)]
pub struct ReloadOutcome {
    /// A new set to be published.
    pub snapshot: Option<Snapshot>,
    /// The change to be put on record, where there is something new to tell.
    pub change: Option<PolicyChange>,
    /// What somebody should look at, though nothing changed in what is in force.
    pub notices: Vec<Problem>,
}

/// Every source with its last good content. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct PolicySet {
    settings: Arc<Settings>,
    /// Where the settings come from, if they may change.
    settings_source: Option<SettingsSource>,
    /// In the order in which they are told and compiled.
    sources: Vec<SourceState>,
    loader: SourceLoader,
    review: Option<Arc<dyn SnapshotReview>>,
    revision: Revision,
    counts: RuleCounts,
    expirations: Expirations,
    warnings: Vec<Problem>,
    published: bool,
    /// The sources in force whose namespace is isolated for want of good content.
    isolating: Vec<SourceId>,
    /// Whether a namespace root was listed otherwise than before.
    relisted: bool,
    /// What was refused when it was last told.
    told_refusals: Vec<Problem>,
    /// What looks like a policy and is not read.
    unread: Vec<Problem>,
}

impl PolicySet {
    /// Creates a set of these sources, in order; nothing has been read yet.
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
            published: false,
            isolating: Vec::new(),
            relisted: false,
            told_refusals: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// The same set, parsing its sources with this loader.
    pub fn with_loader(self, loader: SourceLoader) -> PolicySet {
        PolicySet { loader, ..self }
    }

    /// The same set, telling what this review finds beside the warnings of the sources.
    pub fn with_review(self, review: Arc<dyn SnapshotReview>) -> PolicySet {
        PolicySet {
            review: Some(review),
            ..self
        }
    }

    /// Returns the sources that are to be read, in order.
    pub fn sources(&self) -> impl Iterator<Item = (&SourceId, &SourceScope)> {
        self.sources
            .iter()
            .map(|source| (source.id(), source.scope()))
    }

    /// Takes in which namespaces a namespace root holds. New ones become sources. One that is gone stays, and is read as
    /// what cannot be read any more, unless nothing of it is in force.
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

    /// Whether a reading is what was read of this source before.
    pub fn is_unchanged(&self, id: &SourceId, reading: &SourceReading) -> bool {
        match (self.get(id).map(|source| &source.last_read), reading) {
            (Some(LastRead::Loaded(last)), Ok(read)) => last.is(read),
            (Some(LastRead::Failed(last)), Err(problems)) => last == problems,
            _ => false,
        }
    }

    /// Whether this source was ever read.
    pub fn was_read(&self, id: &SourceId) -> bool {
        self.get(id)
            .is_some_and(|source| !matches!(source.last_read, LastRead::Never))
    }

    /// Notes when a source was read to the end.
    pub fn record_read(&mut self, id: &SourceId, now: UnixNanos) {
        if let Some(source) = self.sources.iter_mut().find(|source| source.id() == id) {
            source.last_read_at = Some(now);
        }
    }

    /// Returns what was read last, with what is wrong in it; sources that could not be read are left out.
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
        self.published
    }

    /// The revision in force.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The grants in force that end.
    pub fn expirations(&self) -> &Expirations {
        &self.expirations
    }

    /// The rules in force.
    pub fn counts(&self) -> RuleCounts {
        self.counts
    }

    /// Warnings and notes of the set in force, and of the settings.
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.settings_source
            .iter()
            .flat_map(SettingsSource::warnings)
            .chain(&self.warnings)
    }

    /// Takes in what was read otherwise than before, and says what may be in force now.
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
        // What has the same revision gives the same answers: an empty source more is no news.
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
        // Without a set the settings still say whether everything is denied or only recorded.
        let unloaded = || Snapshot::unloaded(Settings::clone(&self.settings));
        let snapshot =
            snapshot.or_else(|| (!self.published && self.settings != old_settings).then(unloaded));
        ReloadOutcome {
            snapshot,
            change,
            notices,
        }
    }

    /// Parses what was read; the result names the sources that changed.
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

    /// Makes what compiled the set in force.
    fn adopt(&mut self, compiled: Compiled, now: UnixNanos) -> Snapshot {
        let Compiled { snapshot, problems } = compiled;
        self.published = true;
        self.isolating = self.find_isolating();
        self.revision = snapshot.revision().clone();
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
