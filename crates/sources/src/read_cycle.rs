//! One cycle of reading: every directory and the settings file are read until two reads agree, and
//! what changed goes to the policy set together. The [`stat_cache`](super::stat_cache) of earlier
//! cycles says which files need not be opened.
//!
//! A source that hangs or never rests delays none of the others: the cycle continues without it, it
//! keeps what it had, and once that has lasted for a while it is reported as a problem.
//! [`ReadCycle`] is what one cycle knows from those before.

mod problems;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::policy_directories::PolicyDirectories;
use super::progress::Progress;
use super::readers::{self, read_all};
use super::settings::SettingsFile;
use super::stat_cache::StatCache;
use customs_engine::time::UnixNanos;
use customs_policy::policy_set::{
    PolicySet, ReloadOutcome, SettingsReading, SourceId, SourceReadings, SourceScope,
};
use customs_policy::problem::Problem;
use customs_record::clock::now;
use problems::{hangs, restless};
use target::{Content, Target, TargetId, Targets, targets};

/// How often two reads are compared before a directory counts as being written to.
const STABLE_ATTEMPTS: u32 = 5;
/// How long a cycle waits for a source: before anything is in force, and later.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(500));
/// How long a source may stay at one place without progress, or not rest, before that is reported.
const DEADLINE: Duration = Duration::from_secs(5);
/// How soon a source that did not rest is read again, until it is reported.
const RETRY: Duration = Duration::from_secs(1);

/// The result of reading.
enum ReadResult {
    /// Two reads agreed, or one returned what is known already.
    Read(Content),
    /// No two reads agreed.
    Restless(Problem),
    /// The reading did not finish.
    Hangs(Problem),
}

/// What a cycle knows from earlier cycles.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadCycle {
    /// Where the sources are.
    directories: PolicyDirectories,
    /// Readings that did not finish.
    left: BTreeMap<TargetId, AbandonedRead>,
    /// Since when a source has not rested, and what was reported about it.
    restless: BTreeMap<TargetId, (Instant, Option<Problem>)>,
    /// Wakes the loop when an abandoned reading ends.
    ended: Arc<Notify>,
}

/// A reading that was abandoned.
#[derive(Clone, Debug)]
struct AbandonedRead {
    /// What it finally read.
    slot: Arc<Mutex<Option<LateContent>>>,
    /// Its position, and since when: a reading that is slow but progresses does not hang.
    progress: Arc<Progress>,
    reported: Option<Problem>,
}

/// The result of an abandoned reading: the same content twice, or a restless source.
#[derive(Clone, Debug)]
struct LateContent(Content, Option<Content>);

/// How one cycle reads.
#[derive(Clone)]
pub(crate) struct CycleOptions {
    /// Which files need not be opened.
    pub cache: Arc<StatCache>,
    /// The pause between two reads that must agree.
    pub pause: Duration,
}

impl ReadCycle {
    /// Creates the state of cycles over these directories. They wake `ended` when an abandoned
    /// reading ends.
    pub(crate) fn new(directories: PolicyDirectories, ended: Arc<Notify>) -> ReadCycle {
        ReadCycle {
            directories,
            ended,
            ..ReadCycle::default()
        }
    }

    /// Returns whether some reading has not finished.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.left.is_empty()
    }

    /// Returns when a cycle is needed before the usual time: something is to be reported, or may
    /// have come to rest.
    pub(crate) fn wanted(&self) -> Option<Instant> {
        let hangs = self
            .left
            .values()
            .filter(|left| left.reported.is_none())
            .map(|left| left.progress.since() + DEADLINE);
        let restless = self
            .restless
            .values()
            .filter(|(_, reported)| reported.is_none())
            .map(|_| Instant::now() + RETRY);
        hangs.chain(restless).min()
    }

    /// Reads every source and the settings file, and gives what changed to the set. Blocks, but for
    /// no source for long.
    pub(crate) fn read_and_reload(
        &mut self,
        mut set: PolicySet,
        settings: Option<&SettingsFile>,
        options: &CycleOptions,
    ) -> (PolicySet, ReloadOutcome) {
        self.list(&mut set, options);
        let mut targets = targets(&self.directories, &set, |scope| {
            *scope != SourceScope::NamespaceRoot
        });
        // The settings file is read at the same time.
        targets.extend(
            settings
                .cloned()
                .map(|file| (TargetId::Settings, Target::Settings(file))),
        );
        self.forget_all_but(&set, settings);
        let is_unchanged = |id: &TargetId, content: &Content| match (id, content) {
            (TargetId::Source(id), Content::Directory(reading)) => set.is_unchanged(id, reading),
            (_, Content::Settings(bytes)) => set.are_settings_unchanged(bytes),
            _ => false,
        };
        let found = self.read(&targets, options, set.is_ready(), &is_unchanged);
        let (mut readings, at) = (SourceReadings::default(), now());
        for (id, found) in found {
            let Some(target) = targets.get(&id) else {
                continue;
            };
            let was_read = match &id {
                TargetId::Source(id) => set.was_read(id),
                // The content that it had at the start stays in force.
                TargetId::Settings => true,
            };
            let is_read = matches!(found, ReadResult::Read(_));
            let Some(content) = self.due(&id, target, found, was_read) else {
                continue;
            };
            match (id, target, content) {
                (TargetId::Source(id), _, Content::Directory(reading)) => {
                    if is_read {
                        set.record_read(&id, at);
                    }
                    if !set.is_unchanged(&id, &reading) {
                        readings.policies.insert(id, reading);
                    }
                }
                (_, Target::Settings(file), Content::Settings(bytes)) => {
                    if is_read {
                        set.record_settings_read(at);
                    }
                    if !set.are_settings_unchanged(&bytes) {
                        let parsed = file.parse(&bytes, set.settings());
                        readings.settings = Some(SettingsReading { bytes, parsed });
                    }
                }
                _ => {}
            }
        }
        let outcome = set.reload(readings, at);
        (set, outcome)
    }

    /// Forgets what is not a source any more: nothing would ever report it, or stop waiting for it.
    fn forget_all_but(&mut self, set: &PolicySet, settings: Option<&SettingsFile>) {
        let sources: BTreeSet<&SourceId> = set.sources().map(|(id, _)| id).collect();
        let is_present = |id: &TargetId| match id {
            TargetId::Source(id) => sources.contains(id),
            TargetId::Settings => settings.is_some(),
        };
        self.left.retain(|id, _| is_present(id));
        self.restless.retain(|id, _| is_present(id));
    }

    /// Lists the directories of namespaces, so that new entries become sources.
    fn list(&mut self, set: &mut PolicySet, options: &CycleOptions) {
        let roots = targets(&self.directories, set, |scope| {
            *scope == SourceScope::NamespaceRoot
        });
        // Listings alone change nothing, so one read is enough.
        let found = self.read(&roots, options, set.is_ready(), &|_, _| true);
        for (target_id, found) in found {
            let (TargetId::Source(id), Some(target)) = (&target_id, roots.get(&target_id)) else {
                continue;
            };
            if let Some(Content::Listing(listing)) =
                self.due(&target_id, target, found, set.was_read(id))
            {
                set.record_read(id, now());
                set.discover_namespaces(id, listing);
            }
        }
    }

    /// Reads each target until two reads with a pause between them agree. A first read that returns
    /// what is known needs no second. All targets share the pauses, so many take no longer than
    /// one.
    fn read(
        &mut self,
        targets: &Targets,
        options: &CycleOptions,
        is_ready: bool,
        is_unchanged: &dyn Fn(&TargetId, &Content) -> bool,
    ) -> BTreeMap<TargetId, ReadResult> {
        let patience = if is_ready { PATIENCE.1 } else { PATIENCE.0 };
        let mut found: BTreeMap<TargetId, ReadResult> = BTreeMap::new();
        for (id, target) in targets {
            found.extend(self.of_left(id, target).map(|found| (id.clone(), found)));
        }
        let mut last: BTreeMap<&TargetId, (Content, Option<Content>)> = BTreeMap::new();
        for attempt in 0..=STABLE_ATTEMPTS {
            let open: Vec<(&TargetId, &Target)> = targets
                .iter()
                .filter(|(id, _)| !found.contains_key(id))
                .collect();
            if open.is_empty() {
                break;
            }
            if attempt > 0 {
                std::thread::sleep(options.pause);
            }
            let mut read = self.read_once(&open, options, patience);
            for (id, target) in open {
                let Some(content) = read.remove(id) else {
                    found.extend(self.of_left(id, target).map(|found| (id.clone(), found)));
                    continue;
                };
                let before = last.remove(id).map(|(before, _)| before);
                let settled = if attempt == 0 {
                    is_unchanged(id, &content)
                } else {
                    before.as_ref() == Some(&content)
                };
                match settled {
                    true => drop(found.insert(id.clone(), ReadResult::Read(content))),
                    false => drop(last.insert(id, (content, before))),
                }
            }
        }
        for (id, (content, before)) in last {
            let problem = targets
                .get(id)
                .map(|target| restless(target.path(), &content, before.as_ref()));
            found.extend(problem.map(|problem| (id.clone(), ReadResult::Restless(problem))));
        }
        found
    }

    /// Reads each target once. Readings that do not finish are abandoned.
    fn read_once(
        &mut self,
        open: &[(&TargetId, &Target)],
        options: &CycleOptions,
        patience: Duration,
    ) -> BTreeMap<TargetId, Content> {
        let mut lefts: BTreeMap<TargetId, AbandonedRead> = BTreeMap::new();
        let mut readings = Vec::new();
        for &(id, target) in open {
            let left = AbandonedRead {
                slot: Arc::default(),
                progress: Arc::default(),
                reported: None,
            };
            readings.push(reading(
                id.clone(),
                target.clone(),
                options.clone(),
                &left,
                self.ended.clone(),
            ));
            lefts.insert(id.clone(), left);
        }
        let read = read_all(readings, patience);
        lefts.retain(|id, _| !read.contains_key(id));
        self.left.extend(lefts);
        read
    }

    /// Returns the state of an abandoned reading, if there is one.
    fn of_left(&mut self, id: &TargetId, target: &Target) -> Option<ReadResult> {
        let path = target.path();
        let left = self.left.get(id)?;
        let late = left
            .slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(LateContent(content, before)) = late else {
            let problem = left
                .reported
                .clone()
                .unwrap_or_else(|| hangs(path, &left.progress.path()));
            return Some(ReadResult::Hangs(problem));
        };
        self.left.remove(id);
        Some(match before {
            None => ReadResult::Read(content),
            Some(before) => ReadResult::Restless(restless(path, &content, Some(&before))),
        })
    }

    /// Returns what to report to the set. A target counts as hanging or restless once that has
    /// lasted, and at once if nothing is known of it.
    fn due(
        &mut self,
        id: &TargetId,
        target: &Target,
        found: ReadResult,
        was_read: bool,
    ) -> Option<Content> {
        let problem = match found {
            ReadResult::Read(content) => {
                self.restless.remove(id);
                return Some(content);
            }
            ReadResult::Hangs(problem) => {
                self.restless.remove(id);
                let left = self.left.get_mut(id)?;
                let is_due = !was_read || left.progress.since().elapsed() >= DEADLINE;
                is_due.then(|| left.reported.get_or_insert(problem).clone())?
            }
            ReadResult::Restless(problem) => {
                let (since, reported) = self
                    .restless
                    .entry(id.clone())
                    .or_insert_with(|| (Instant::now(), None));
                let is_due = !was_read || since.elapsed() >= DEADLINE;
                is_due.then(|| reported.get_or_insert(problem).clone())?
            }
        };
        Some(match target {
            Target::Settings(_) => Content::Settings(Err(vec![problem])),
            Target::Directory {
                scope: SourceScope::NamespaceRoot,
                ..
            } => Content::Listing(Err(vec![problem])),
            Target::Directory { .. } => Content::Directory(Err(vec![problem])),
        })
    }
}

/// Creates the reading of a target. If it is abandoned, it continues until two reads agree, and
/// then wakes the loop.
fn reading(
    key: TargetId,
    target: Target,
    options: CycleOptions,
    left: &AbandonedRead,
    ended: Arc<Notify>,
) -> readers::Reading<TargetId, Content> {
    let (slot, progress) = (left.slot.clone(), left.progress.clone());
    let again = (target.clone(), options.clone(), progress.clone());
    let late = move |first: Content| {
        let (target, options, progress) = again;
        let mut last = (first, None);
        for _ in 0..STABLE_ATTEMPTS {
            std::thread::sleep(options.pause);
            let next = target.read(&options.cache, &progress);
            let (before, _) = std::mem::replace(&mut last, (next, None));
            if before == last.0 {
                break;
            }
            last.1 = Some(before);
        }
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(LateContent(last.0, last.1));
        ended.notify_one();
    };
    let read = move || target.read(&options.cache, &progress);
    readers::Reading {
        key,
        read: Box::new(read),
        late: Box::new(late),
    }
}

/// Reads every source once and gives what it read to the set, for callers whose files do not
/// change.
pub fn read_once(
    directories: &PolicyDirectories,
    mut set: PolicySet,
    now: UnixNanos,
) -> (PolicySet, ReloadOutcome) {
    let readings = read_sources(directories, &mut set);
    let outcome = set.reload(readings, now);
    (set, outcome)
}

/// Reads every source once, for callers that change what was read before they give it to the set.
pub fn read_sources(directories: &PolicyDirectories, set: &mut PolicySet) -> SourceReadings {
    let (cache, progress) = (StatCache::default(), Progress::default());
    let read = |(id, target): (TargetId, Target)| (id, target.read(&cache, &progress));
    for read in targets(directories, set, |scope| {
        *scope == SourceScope::NamespaceRoot
    })
    .into_iter()
    .map(read)
    {
        if let (TargetId::Source(id), Content::Listing(listing)) = read {
            set.discover_namespaces(&id, listing);
        }
    }
    let read = targets(directories, set, |scope| {
        *scope != SourceScope::NamespaceRoot
    })
    .into_iter()
    .map(read);
    let policies = read.filter_map(|read| match read {
        (TargetId::Source(id), Content::Directory(reading)) => Some((id, reading)),
        _ => None,
    });
    SourceReadings {
        policies: policies.collect(),
        settings: None,
    }
}

#[cfg(test)]
mod tests;
