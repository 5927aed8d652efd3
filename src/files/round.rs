//! One round of reading: every directory and the settings file are read until two reads agree, and what changed is
//! judged together. What was [seen](super::seen) before says which files need not be opened.
//!
//! A source that hangs or never rests holds up none of the others: the round goes on without it, it keeps what it had, and
//! once that has lasted for a while it is a problem that is told. [`Rounds`] is what one round knows of those before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::directories::{Listing, SourceOptions, list, read_bound};
use super::judge::{Judgement, Reading, Role, SettingsRead, SettingsReading, Sources};
use super::read::{Outcome, Progress, read_changes, whole};
use super::readers::{self, read_all};
use super::seen::Seen;
use super::settings::SettingsFile;
use crate::engine::policy::problem::{Code, Problem};
use crate::engine::policy::source::{PolicyFile, Source};
use crate::engine::time::UnixNanos;
use crate::record::clock::now;

/// How often two reads are compared before a directory counts as being written to.
const STABLE_ATTEMPTS: u32 = 5;
/// How long a round waits for a source: before anything is in force, and later.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(500));
/// How long a source may stay at one place without going on, or not rest, before that is told.
const DEADLINE: Duration = Duration::from_secs(5);
/// How soon a source that did not rest is read again, as long as it is not told.
const RETRY: Duration = Duration::from_secs(1);
/// How many files that keep changing are named.
const NAMED: usize = 3;

/// What is read.
#[derive(Clone)]
enum Target {
    Directory { path: PathBuf, role: Role, options: SourceOptions },
    Settings(SettingsFile),
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Listing(Result<Listing, Vec<Problem>>),
    Directory(Outcome),
    Settings(SettingsRead),
}

/// What came of reading.
enum Found {
    /// Two reads agreed, or one said what is known.
    Read(Content),
    /// No two reads agreed.
    Restless(Problem),
    /// It did not come to an end.
    Hangs(Problem),
}

/// What rounds know of those before.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    /// Readings that did not come to an end.
    left: BTreeMap<PathBuf, Left>,
    /// Since when a source has not rested, and what was told of it.
    restless: BTreeMap<PathBuf, (Instant, Option<Problem>)>,
    /// Wakes whoever waits for a reading that was left.
    ended: Arc<Notify>,
}

/// A reading that was left to itself.
#[derive(Clone, Debug)]
struct Left {
    /// What it read in the end.
    slot: Arc<Mutex<Option<Late>>>,
    /// Where it is, and since when: one that is slow and goes on does not hang.
    progress: Arc<Progress>,
    told: Option<Problem>,
}

/// What a reading that was left came to: the same twice, or never.
#[derive(Clone, Debug)]
struct Late(Content, Option<Content>);

/// How one round reads.
#[derive(Clone)]
pub struct Manner {
    /// Which files need not be opened.
    pub seen: Arc<Seen>,
    /// The pause between two reads that must agree.
    pub pause: Duration,
}

impl Rounds {
    /// Rounds that wake `ended` when a reading that was left comes to an end.
    pub fn new(ended: Arc<Notify>) -> Rounds {
        Rounds { ended, ..Rounds::default() }
    }

    /// Whether some reading has not come to an end.
    pub fn is_waiting(&self) -> bool {
        !self.left.is_empty()
    }

    /// When a round is wanted before the usual time: something is to be told, or may have come to rest.
    pub fn wanted(&self) -> Option<Instant> {
        let hangs = self.left.values().filter(|left| left.told.is_none()).map(|left| left.progress.since() + DEADLINE);
        let restless = self.restless.values().filter(|(_, told)| told.is_none()).map(|_| Instant::now() + RETRY);
        hangs.chain(restless).min()
    }

    /// Reads every source and the settings file, and judges what changed; blocks, but for no source for long.
    pub fn read_and_judge(
        &mut self,
        mut sources: Sources,
        settings: Option<&SettingsFile>,
        manner: &Manner,
    ) -> (Sources, Judgement) {
        self.list(&mut sources, manner);
        let mut targets: Vec<Target> = directories(&sources, |role| *role != Role::Namespaces);
        // The settings file is read in the same moment.
        targets.extend(settings.cloned().map(Target::Settings));
        self.forget_all_but(&sources, settings);
        let knows = |target: &Target, content: &Content| match (target, content) {
            (Target::Directory { path, .. }, Content::Directory(read)) => sources.knows(path, read),
            (_, Content::Settings(read)) => sources.knows_settings(read),
            _ => false,
        };
        let found = self.read(&targets, manner, sources.is_ready(), &knows);
        let (mut readings, mut settings_read, at) = (BTreeMap::new(), None, now());
        for (target, found) in targets.iter().zip(found) {
            let was_read = match target {
                Target::Directory { path, .. } => sources.was_read(path),
                // What it said at the start holds.
                Target::Settings(_) => true,
            };
            let is_read = matches!(found, Found::Read(_));
            let Some(content) = self.due(target, found, was_read) else { continue };
            if is_read {
                sources.note_read(target.path(), at);
            }
            match content {
                Content::Directory(read) if !sources.knows(target.path(), &read) => {
                    readings.insert(target.path().to_owned(), Reading::Changed(read));
                }
                Content::Settings(read) if !sources.knows_settings(&read) => settings_read = Some(read),
                _ => {}
            }
        }
        let reading = settings_read.zip(settings).map(|(read, file)| {
            let meaning = file.meaning(&read, sources.settings());
            SettingsReading { read, meaning }
        });
        let readings = in_order(&sources, readings);
        let judgement = sources.judge(readings, reading, at);
        (sources, judgement)
    }

    /// Forgets what is no source any more: nobody would ever tell of it, nor cease to wait for it.
    fn forget_all_but(&mut self, sources: &Sources, settings: Option<&SettingsFile>) {
        let paths = sources.directories().map(|(path, ..)| path).chain(settings.map(SettingsFile::path));
        let present: BTreeSet<&Path> = paths.collect();
        self.left.retain(|path, _| present.contains(path.as_path()));
        self.restless.retain(|path, _| present.contains(path.as_path()));
    }

    /// Lists the directories of namespaces, so that new ones are sources.
    fn list(&mut self, sources: &mut Sources, manner: &Manner) {
        let rosters = directories(sources, |role| *role == Role::Namespaces);
        // Listings change nothing by themselves, so one read is enough.
        let found = self.read(&rosters, manner, sources.is_ready(), &|_, _| true);
        for (target, found) in rosters.iter().zip(found) {
            let was_read = sources.was_read(target.path());
            if let Some(Content::Listing(listing)) = self.due(target, found, was_read) {
                sources.note_read(target.path(), now());
                sources.enroll(target.path(), listing);
            }
        }
    }

    /// Reads each until two reads with a pause between them agree. A first read that is what is known needs no second.
    /// All of them share the pauses, so that many take no longer than one.
    fn read(
        &mut self,
        targets: &[Target],
        manner: &Manner,
        is_ready: bool,
        knows: &dyn Fn(&Target, &Content) -> bool,
    ) -> Vec<Found> {
        let patience = if is_ready { PATIENCE.1 } else { PATIENCE.0 };
        let mut found: BTreeMap<usize, Found> = BTreeMap::new();
        for (index, target) in targets.iter().enumerate() {
            found.extend(self.of_left(target).map(|found| (index, found)));
        }
        let mut last: BTreeMap<usize, (Content, Option<Content>)> = BTreeMap::new();
        for attempt in 0..=STABLE_ATTEMPTS {
            let open: Vec<usize> = (0..targets.len()).filter(|index| !found.contains_key(index)).collect();
            if open.is_empty() {
                break;
            }
            if attempt > 0 {
                std::thread::sleep(manner.pause);
            }
            let mut read = self.read_once(targets, &open, manner, patience);
            for index in open {
                let Some(target) = targets.get(index) else { continue };
                let Some(content) = read.remove(&index) else {
                    found.extend(self.of_left(target).map(|found| (index, found)));
                    continue;
                };
                let before = last.remove(&index).map(|(before, _)| before);
                let settled = if attempt == 0 { knows(target, &content) } else { before.as_ref() == Some(&content) };
                match settled {
                    true => drop(found.insert(index, Found::Read(content))),
                    false => drop(last.insert(index, (content, before))),
                }
            }
        }
        for (index, (content, before)) in last {
            let problem = targets.get(index).map(|target| restless(target.path(), &content, before.as_ref()));
            found.extend(problem.map(|problem| (index, Found::Restless(problem))));
        }
        found.into_values().collect()
    }

    /// One read of each; those that do not come to an end are left.
    fn read_once(
        &mut self,
        targets: &[Target],
        open: &[usize],
        manner: &Manner,
        patience: Duration,
    ) -> BTreeMap<usize, Content> {
        let mut lefts: BTreeMap<usize, (PathBuf, Left)> = BTreeMap::new();
        let mut readings = Vec::new();
        for (index, target) in open.iter().filter_map(|index| Some((*index, targets.get(*index)?))) {
            let left = Left { slot: Arc::default(), progress: Arc::default(), told: None };
            readings.push(reading(index, target.clone(), manner.clone(), &left, self.ended.clone()));
            lefts.insert(index, (target.path().to_owned(), left));
        }
        let read = read_all(readings, patience);
        lefts.retain(|index, _| !read.contains_key(index));
        self.left.extend(lefts.into_values());
        read
    }

    /// What became of a reading that was left, if there is one.
    fn of_left(&mut self, target: &Target) -> Option<Found> {
        let path = target.path();
        let left = self.left.get(path)?;
        let late = left.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Late(content, before)) = late else {
            let problem = left.told.clone().unwrap_or_else(|| hangs(path, &left.progress.path()));
            return Some(Found::Hangs(problem));
        };
        self.left.remove(path);
        Some(match before {
            None => Found::Read(content),
            Some(before) => Found::Restless(restless(path, &content, Some(&before))),
        })
    }

    /// What is to be judged of what was found. What hangs or does not rest is so once it has lasted, and at once where
    /// nothing is known of it.
    fn due(&mut self, target: &Target, found: Found, was_read: bool) -> Option<Content> {
        let path = target.path();
        let problem = match found {
            Found::Read(content) => {
                self.restless.remove(path);
                return Some(content);
            }
            Found::Hangs(problem) => {
                self.restless.remove(path);
                let left = self.left.get_mut(path)?;
                let is_due = !was_read || left.progress.since().elapsed() >= DEADLINE;
                is_due.then(|| left.told.get_or_insert(problem).clone())?
            }
            Found::Restless(problem) => {
                let (since, told) = self.restless.entry(path.to_owned()).or_insert_with(|| (Instant::now(), None));
                let is_due = !was_read || since.elapsed() >= DEADLINE;
                is_due.then(|| told.get_or_insert(problem).clone())?
            }
        };
        Some(match target {
            Target::Settings(_) => Content::Settings(Err(vec![problem])),
            Target::Directory { role: Role::Namespaces, .. } => Content::Listing(Err(vec![problem])),
            Target::Directory { .. } => Content::Directory(Err(vec![problem])),
        })
    }
}

/// A reading of a target; where it is left, it goes on until two reads agree, and wakes whoever waits.
fn reading(index: usize, target: Target, manner: Manner, left: &Left, ended: Arc<Notify>) -> readers::Reading<Content> {
    let (slot, progress) = (left.slot.clone(), left.progress.clone());
    let again = (target.clone(), manner.clone(), progress.clone());
    let late = move |first: Content| {
        let (target, manner, progress) = again;
        let mut last = (first, None);
        for _ in 0..STABLE_ATTEMPTS {
            std::thread::sleep(manner.pause);
            let next = target.read(&manner.seen, &progress);
            let (before, _) = std::mem::replace(&mut last, (next, None));
            if before == last.0 {
                break;
            }
            last.1 = Some(before);
        }
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Late(last.0, last.1));
        ended.notify_one();
    };
    let read = move || target.read(&manner.seen, &progress);
    readers::Reading { index, read: Box::new(read), late: Box::new(late) }
}

impl Target {
    fn path(&self) -> &Path {
        match self {
            Target::Directory { path, .. } => path,
            Target::Settings(file) => file.path(),
        }
    }

    fn read(&self, seen: &Seen, progress: &Progress) -> Content {
        progress.at(self.path());
        match self {
            Target::Directory { path, role: Role::Namespaces, options } => {
                Content::Listing(list(path, options.recursive, seen, progress))
            }
            Target::Directory { path, role: Role::Whole, options } => {
                Content::Directory(read_changes(path, options, seen, progress))
            }
            Target::Directory { path, role: Role::Bound(namespace), options } => {
                Content::Directory(read_bound(path, namespace, options, seen, progress))
            }
            Target::Settings(file) => Content::Settings(file.read()),
        }
    }
}

fn directories(sources: &Sources, wanted: impl Fn(&Role) -> bool) -> Vec<Target> {
    let target = |(path, role, options): (&Path, &Role, &SourceOptions)| Target::Directory {
        path: path.to_owned(),
        role: role.clone(),
        options: options.clone(),
    };
    sources.directories().filter(|(_, role, _)| wanted(role)).map(target).collect()
}

/// Reads every source once, for whoever looks at files that rest.
pub fn read_once(mut sources: Sources, now: UnixNanos) -> (Sources, Judgement) {
    let (seen, progress) = (Seen::default(), Progress::default());
    let read = |target: Target| (target.path().to_owned(), target.read(&seen, &progress));
    for (path, content) in directories(&sources, |role| *role == Role::Namespaces).into_iter().map(read) {
        if let Content::Listing(listing) = content {
            sources.enroll(&path, listing);
        }
    }
    let read = directories(&sources, |role| *role != Role::Namespaces).into_iter().map(read);
    let readings = read.filter_map(|(path, content)| match content {
        Content::Directory(outcome) => Some((path, Reading::Changed(outcome))),
        _ => None,
    });
    let readings = in_order(&sources, readings.collect());
    let judgement = sources.judge(readings, None, now);
    (sources, judgement)
}

/// The readings in the order of the sources; what was not read is as it was.
fn in_order(sources: &Sources, mut readings: BTreeMap<PathBuf, Reading>) -> Vec<Reading> {
    sources.directories().map(|(path, ..)| readings.remove(path).unwrap_or(Reading::Unchanged)).collect()
}

fn hangs(source: &Path, at: &Path) -> Problem {
    let what = match at == source {
        true => "reading this does not come to an end".to_owned(),
        false => format!("reading `{}` does not come to an end", at.display()),
    };
    Problem::error(Code::Unreadable, whole(source), what)
        .hint("remove the file, or repair the file system; it is read as soon as that comes to an end")
}

/// The problem of a source of which no two reads agree, with the files in which they differ.
fn restless(path: &Path, content: &Content, before: Option<&Content>) -> Problem {
    let differing = match (content, before) {
        (Content::Directory(Ok(one)), Some(Content::Directory(Ok(other)))) => differing(one, other),
        _ => BTreeSet::new(),
    };
    let named: Vec<String> = differing.iter().take(NAMED).map(|name| format!("`{}`", name)).collect();
    let text = match (named.as_slice(), content) {
        ([], Content::Settings(_)) => "the file keeps changing while it is read".to_owned(),
        ([], _) => "the directory keeps changing while it is read".to_owned(),
        _ => format!("{} keeps changing while it is read", named.join(", ")),
    };
    let place = match (differing.first(), differing.len()) {
        (Some(name), 1) => whole(&path.join(name)),
        _ => whole(path),
    };
    Problem::error(Code::Unreadable, place, text)
        .hint("a file must rest to be read: write it aside and rename it into place, or take it out of the directory")
}

fn differing(one: &Source, other: &Source) -> BTreeSet<String> {
    let lacks = |a: &Source, b: &Source| -> Vec<String> {
        let same = |file: &PolicyFile| b.files.binary_search_by(|other| other.name.cmp(&file.name)).ok();
        let is_there = |file: &PolicyFile| same(file).and_then(|at| b.files.get(at)) == Some(file);
        a.files.iter().filter(|file| !is_there(file)).map(|file| file.name.clone()).collect()
    };
    lacks(one, other).into_iter().chain(lacks(other, one)).collect()
}

#[cfg(test)]
#[path = "round_tests.rs"]
mod tests;
