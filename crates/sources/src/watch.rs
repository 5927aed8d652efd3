//! Reports that something in the policies directories may have changed. The reader finds out what.
//!
//! The rule: each directory and its parent are watched, since a directory that is moved away,
//! deleted or replaced is silent from then on, and so is a retargeted symlink. Hence also the
//! parent of each symlink on the way. Every place is watched again on [`Watcher::rearm`], which
//! must be called before each read, so that no change falls between the two. Inside a policies
//! directory no event is ignored because of its file name (a mounted ConfigMap only ever reports
//! `..data`). In other places only events of the directory or symlink itself count. Reading is not
//! a change: access events are dropped except that of closing a written file.
//!
//! In a directory of namespaces, and in a recursive source, every directory is watched like this
//! too, as of the last call of `rearm`: a new one is an event of the directory that holds it.
//!
//! A place that cannot be watched is a warning and not a failure: the loop also reads at every
//! rescan. The same applies to a file elsewhere that is written in place and only linked to from
//! here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, Event, EventKind};
use notify::{RecommendedWatcher, RecursiveMode};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::background::{self, Pace};
use super::policy_directory::PolicyDirectory;
use super::walk;

/// How many symlinks are followed to one file, as Linux does.
const MOST_SYMLINKS: usize = 40;

/// How long setting the watches may take. A directory that hangs must not delay reading the others.
const ARMING: Duration = Duration::from_millis(500);

/// Watches policies directories, and single files such as the settings file.
pub(crate) struct Watcher {
    directories: Vec<PolicyDirectory>,
    files: Vec<PathBuf>,
    inner: Option<RecommendedWatcher>,
    /// Is notified of changes; `None` if no events are wanted.
    changed: Option<Arc<Notify>>,
    places: Arc<RwLock<Places>>,
    warned: BTreeSet<String>,
    misses_events: bool,
}

impl Watcher {
    /// Creates a watcher that notifies `changed`. Nothing is watched before the first
    /// [`Watcher::rearm`].
    pub(crate) fn new<'p>(
        directories: &[PolicyDirectory],
        files: impl IntoIterator<Item = &'p Path>,
        changed: Arc<Notify>,
    ) -> Watcher {
        Watcher {
            directories: directories.to_vec(),
            files: files.into_iter().map(Path::to_owned).collect(),
            changed: Some(changed),
            ..Watcher::disabled()
        }
    }

    /// Creates a watcher that reports nothing, if only the rescan is wanted.
    pub(crate) fn disabled() -> Watcher {
        Watcher {
            directories: Vec::new(),
            files: Vec::new(),
            inner: None,
            changed: None,
            places: Arc::default(),
            warned: BTreeSet::new(),
            misses_events: false,
        }
    }

    /// Returns whether events are wanted and some place is not watched, so that only rescans detect
    /// changes there.
    pub(crate) fn misses_events(&self) -> bool {
        self.misses_events
    }

    /// Asks the system for events, at each `rearm` until it grants them: the resources (instances,
    /// descriptors) are shared with other processes, which may release them.
    fn connect(&mut self) -> Option<RecommendedWatcher> {
        let (changed, places) = (self.changed.clone()?, self.places.clone());
        let made = notify::recommended_watcher(move |event| {
            if matters(&places, &event) {
                changed.notify_one();
            }
        });
        made.map_err(|error| self.warn(format!("file events are not available: {error}")))
            .ok()
    }

    /// Watches the directories as they are now: they may have been replaced since, even by one with
    /// the same inode number.
    pub(crate) fn rearm(&mut self) {
        let missed = std::mem::replace(&mut self.misses_events, false);
        let Some(mut inner) = self.inner.take().or_else(|| self.connect()) else {
            return;
        };
        let mut next = Places::of(&self.directories);
        self.files.iter().for_each(|file| next.file(file));
        let armed = std::mem::replace(
            &mut *self.places.write().unwrap_or_else(PoisonError::into_inner),
            next.clone(),
        );
        for place in &armed.watched {
            // A place that is gone took its watch with it; that is not an error here.
            let _gone = notify::Watcher::unwatch(&mut inner, place);
        }
        for place in &next.watched {
            if let Err(error) =
                notify::Watcher::watch(&mut inner, place, RecursiveMode::NonRecursive)
            {
                self.warn(format!("cannot watch {}: {error}", place.display()));
            }
        }
        self.inner = Some(inner);
        if missed && !self.misses_events {
            self.warned.clear();
            tracing::info!("file events announce changes again");
        }
    }

    /// Logs each warning once, not at every rescan.
    fn warn(&mut self, text: String) {
        self.misses_events = true;
        if self.warned.insert(text.clone()) {
            tracing::warn!("{text}; changes are still detected at each rescan");
        }
    }
}

/// A watcher that is set on a thread of its own, because a file system may block that thread.
#[derive(Clone)]
pub(crate) struct SharedWatcher(Arc<Mutex<Watcher>>);

impl SharedWatcher {
    pub(crate) fn new(watcher: Watcher) -> SharedWatcher {
        SharedWatcher(Arc::new(Mutex::new(watcher)))
    }

    /// Watches everything as it is now, as [`Watcher::rearm`] does, but does not wait for long.
    pub(crate) async fn rearm(&self, pace: Pace) {
        let watcher = self.0.clone();
        let rearm = move || match watcher.try_lock() {
            Ok(mut watcher) => watcher.rearm(),
            Err(TryLockError::Poisoned(watcher)) => watcher.into_inner().rearm(),
            // The last `rearm` has not finished.
            Err(TryLockError::WouldBlock) => {}
        };
        match timeout(ARMING, background::run(pace, rearm)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(
                    "the file watcher failed ({error}); changes are still detected at each rescan"
                );
            }
            Err(_) => tracing::warn!(
                "a directory hangs, so it is not watched; changes are still detected at each rescan"
            ),
        }
    }

    /// Returns whether events are wanted and may be missed. A locked watcher is being set, and a
    /// directory that hangs may keep it locked for long.
    pub(crate) fn misses_events(&self) -> bool {
        self.0
            .try_lock()
            .map_or(true, |watcher| watcher.misses_events())
    }
}

/// What is watched, and which events count. Every path is resolved, because one inode has one watch
/// and one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Places {
    /// Every directory that is watched.
    watched: BTreeSet<PathBuf>,
    /// The directories in which every event counts.
    policies: BTreeSet<PathBuf>,
    /// The entries of the other directories that count: the policies directories by the names
    /// given, and symlinks on the way.
    entries: BTreeSet<PathBuf>,
}

impl Places {
    fn of(directories: &[PolicyDirectory]) -> Places {
        let mut places = Places::default();
        for directory in directories {
            let path = directory.path();
            // Without a working directory there is nothing to resolve against; the path then stays
            // as given.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            places.directory(&path);
            if directory.holds_namespaces() {
                places.directories_in(&path);
            }
            if directory.options().recursive {
                places.directories_below(&path);
            }
        }
        places
    }

    /// Adds the directories of namespaces. Directories that are not sources do no harm.
    fn directories_in(&mut self, directory: &Path) {
        // The reader reports what cannot be listed.
        let entries = fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        entries
            .filter(|path| path.is_dir())
            .for_each(|path| self.directory(&path));
    }

    /// Adds the sub-directories that belong to a source, and those of each namespace's source.
    fn directories_below(&mut self, directory: &Path) {
        // The reader reports what cannot be walked through.
        let below = walk::directories_below(directory);
        for path in below {
            if let Ok(resolved) = path.canonicalize() {
                self.watched.insert(resolved.clone());
                self.policies.insert(resolved);
            }
        }
    }

    fn directory(&mut self, directory: &Path) {
        if let Ok(resolved) = directory.canonicalize() {
            self.watched.insert(resolved.clone());
            self.policies.insert(resolved);
        }
        self.entry(directory);
        for symlink in directory
            .ancestors()
            .skip(1)
            .filter(|path| path.is_symlink())
        {
            self.entry(symlink);
        }
    }

    /// Adds a file by itself, in a directory where other things may happen: the names under which
    /// it is found, one after the other, as each symlink leads to the next.
    fn file(&mut self, file: &Path) {
        let mut path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        for _ in 0..MOST_SYMLINKS {
            self.entry(&path);
            path.ancestors()
                .skip(1)
                .filter(|path| path.is_symlink())
                .for_each(|symlink| self.entry(symlink));
            let Ok(target) = fs::read_link(&path) else {
                return;
            };
            path = path
                .parent()
                .map_or_else(|| target.clone(), |parent| parent.join(&target));
        }
    }

    /// Watches the directory that contains an entry, for the sake of that entry.
    fn entry(&mut self, entry: &Path) {
        let (Some(parent), Some(name)) = (entry.parent(), entry.file_name()) else {
            return;
        };
        if let Ok(parent) = parent.canonicalize() {
            self.entries.insert(parent.join(name));
            self.watched.insert(parent);
        }
    }

    fn concern(&self, path: &Path) -> bool {
        let in_policies = path
            .parent()
            .is_some_and(|parent| self.policies.contains(parent));
        in_policies || self.watched.contains(path) || self.entries.contains(path)
    }
}

/// Returns whether an event may mean that a policy changed. An error of the watcher itself may hide
/// such an event.
fn matters(places: &RwLock<Places>, event: &notify::Result<Event>) -> bool {
    let Ok(event) = event else { return true };
    let places = places.read().unwrap_or_else(PoisonError::into_inner);
    changes(event.kind)
        && (event.paths.is_empty() || event.paths.iter().any(|path| places.concern(path)))
}

fn changes(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use notify::event::{CreateKind, DataChange, MetadataKind, ModifyKind, RemoveKind, RenameMode};

    use super::*;

    fn source(path: PathBuf) -> PolicyDirectory {
        PolicyDirectory::source(path)
    }

    #[test]
    fn directories_of_namespaces_are_watched_with_what_they_hold() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for name in ["teams/shop", "elsewhere/batch"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::fs::write(root.join("teams/README.md"), "").unwrap();
        symlink("../elsewhere/batch", root.join("teams/batch")).unwrap();
        let places = Places::of(&[PolicyDirectory::namespaces(root.join("teams"))]);
        let paths = |names: &[&str]| {
            names
                .iter()
                .map(|name| root.join(name))
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(
            places.policies,
            paths(&["teams", "teams/shop", "elsewhere/batch"])
        );
    }

    #[test]
    fn of_a_file_only_its_own_names_count() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("map/..1")).unwrap();
        std::fs::write(root.join("map/..1/settings.yaml"), "").unwrap();
        symlink("..1", root.join("map/..data")).unwrap();
        symlink("..data/settings.yaml", root.join("map/settings.yaml")).unwrap();
        let mut places = Places::default();
        places.file(&root.join("map/settings.yaml"));
        for (path, expected) in [
            ("map/settings.yaml", true),
            ("map/..data", true),
            ("map/..1/settings.yaml", true),
            ("map/other", false),
        ] {
            assert_eq!(
                places.concern(&root.join(path)),
                expected,
                "{path}: {places:?}"
            );
        }
    }

    #[test]
    fn reading_is_not_a_change() {
        for (kind, expected) in [
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
            (EventKind::Access(AccessKind::Read), false),
            (
                EventKind::Access(AccessKind::Close(AccessMode::Read)),
                false,
            ),
            (
                EventKind::Access(AccessKind::Close(AccessMode::Write)),
                true,
            ),
            (EventKind::Create(CreateKind::File), true),
            (EventKind::Modify(ModifyKind::Data(DataChange::Any)), true),
            (
                EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)),
                true,
            ),
            (EventKind::Modify(ModifyKind::Name(RenameMode::To)), true),
            (EventKind::Remove(RemoveKind::Folder), true),
            (EventKind::Other, true),
            (EventKind::Any, true),
        ] {
            assert_eq!(changes(kind), expected, "{kind:?}");
        }
    }

    #[test]
    fn of_a_parent_only_the_directory_itself_counts() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("policies")).unwrap();
        let places = RwLock::new(Places::of(&[source(root.join("./policies/"))]));
        for (path, expected) in [
            ("policies", true),
            ("policies/..data", true),
            ("policies/a.yaml", true),
            ("policies/below/a.yaml", false),
            ("src", false),
            ("", true),
        ] {
            let event = Event::new(EventKind::Any).add_path(root.join(path));
            assert_eq!(matters(&places, &Ok(event)), expected, "{path:?}");
        }
        assert!(matters(&places, &Ok(Event::new(EventKind::Other))));
        assert!(matters(&places, &Err(notify::Error::generic("overflow"))));
    }

    #[test]
    fn symlinks_on_the_way_are_watched() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("trees/1/policies")).unwrap();
        symlink("trees/1", root.join("current")).unwrap();
        let places = Places::of(&[source(root.join("current/policies"))]);
        let paths = |names: &[&str]| {
            names
                .iter()
                .map(|name| root.join(name))
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(places.policies, paths(&["trees/1/policies"]));
        assert_eq!(places.entries, paths(&["trees/1/policies", "current"]));
        assert_eq!(places.watched, paths(&["", "trees/1", "trees/1/policies"]));
    }

    #[test]
    fn a_missing_directory_is_watched_for_in_its_parent() {
        let places = Places::of(&[source("a-directory-that-is-not-there".into())]);
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        assert_eq!(places.watched, BTreeSet::from([here]));
        assert!(places.policies.is_empty());
    }

    #[tokio::test]
    async fn events_come_back_once_the_system_gives_them_again() {
        let root = tempfile::tempdir().unwrap();
        let changed = Arc::new(Notify::new());
        let mut watcher = Watcher::new(
            &[source(root.path().to_owned())],
            None::<&Path>,
            changed.clone(),
        );
        // As if every instance of the system were taken at the start.
        watcher.warn("file events are not available: too many open files".into());
        assert!(watcher.misses_events());
        watcher.rearm();
        assert!(!watcher.misses_events() && watcher.warned.is_empty());
        std::fs::write(root.path().join("a.yaml"), "a: 1").unwrap();
        tokio::time::timeout(Duration::from_secs(10), changed.notified())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn rearming_and_reading_notify_nothing() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("policies");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("a.yaml"), "a: 1").unwrap();
        let changed = Arc::new(Notify::new());
        let mut watcher =
            Watcher::new(&[source(directory.clone())], None::<&Path>, changed.clone());
        for _ in 0..3 {
            watcher.rearm();
            super::super::read::read_source(&directory).unwrap();
        }
        let woken = tokio::time::timeout(Duration::from_millis(300), changed.notified()).await;
        assert!(
            woken.is_err(),
            "the reader's own access looked like a change"
        );
        std::fs::write(directory.join("a.yaml"), "a: 2").unwrap();
        tokio::time::timeout(Duration::from_secs(10), changed.notified())
            .await
            .unwrap();
    }
}
