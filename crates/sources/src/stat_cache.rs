//! The metadata of the files that were read, so that a rescan reads only what may have changed.
//!
//! The rule: a file is unchanged if its device, inode, size and both its times are, to the
//! nanosecond, and it was at rest when its bytes were read: its times were the same afterwards, and
//! older than the resolution of file system clocks. Only a cycle that no event caused uses this.
//! What was read in a cycle is trusted in later cycles only, so that two reads of one cycle are
//! two. If a file system's times are wrong, this cannot detect it: now and then everything must be
//! read.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use customs_engine::time::UnixNanos;

const SECOND: i128 = 1_000_000_000;

/// Within this time of a change, another change may leave the same times. FAT has the coarsest
/// clock, of two seconds.
const COARSE: i128 = 2 * SECOND;

/// The files of a finished cycle.
#[derive(Debug, Default)]
pub struct CacheEntries {
    files: HashMap<PathBuf, CacheEntry>,
    /// For files whose names say nothing: whether they begin as a policy does.
    beginnings: HashMap<PathBuf, (FileStat, bool)>,
}

/// The files of this cycle, besides those of the previous one. Several threads may read at once.
#[derive(Debug, Default)]
pub struct StatCache {
    before: CacheEntries,
    now: Mutex<CacheEntries>,
    trusts: bool,
}

#[derive(Clone, Debug)]
struct CacheEntry {
    /// `None` for a file that was not at rest.
    stat: Option<FileStat>,
    bytes: Arc<[u8]>,
}

/// A file's metadata, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStat {
    device: u64,
    inode: u64,
    size: u64,
    modified: i128,
    changed: i128,
}

impl StatCache {
    /// Creates a cache for a cycle that reads everything.
    pub fn to_read_all(before: CacheEntries) -> StatCache {
        StatCache {
            before,
            ..StatCache::default()
        }
    }

    /// Creates a cache for a cycle that reads what may have changed.
    pub fn to_read_changes(before: CacheEntries) -> StatCache {
        StatCache {
            before,
            trusts: true,
            ..StatCache::default()
        }
    }

    /// Returns the entries that the next cycle starts with. What an abandoned reader adds later is
    /// lost, and read again.
    pub fn take_entries(&self) -> CacheEntries {
        std::mem::take(&mut *self.now())
    }

    fn now(&self) -> MutexGuard<'_, CacheEntries> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a file begins as a policy does, if that is known and the file is unchanged.
    /// It changes no verdict, so every cycle uses it.
    pub(super) fn begins_as_policy(&self, path: &Path, metadata: &Metadata) -> Option<bool> {
        let known = self
            .before
            .beginnings
            .get(path)
            .filter(|(stat, _)| *stat == FileStat::of(metadata))?;
        self.now().beginnings.insert(path.to_owned(), *known);
        Some(known.1)
    }

    /// Stores whether a file begins as a policy does, if it was at rest.
    pub(super) fn note_beginning(
        &self,
        path: &Path,
        metadata: &Metadata,
        begins: bool,
        now: UnixNanos,
    ) {
        let stat = FileStat::of(metadata);
        if stat.is_at_rest(now) {
            self.now()
                .beginnings
                .insert(path.to_owned(), (stat, begins));
        }
    }

    /// Returns the bytes of a file that is unchanged since the previous cycle.
    pub(super) fn unchanged(&self, path: &Path, metadata: &Metadata) -> Option<Arc<[u8]>> {
        let noted = self
            .before
            .files
            .get(path)
            .filter(|noted| self.trusts && noted.stat == Some(FileStat::of(metadata)))?;
        self.now().files.insert(path.to_owned(), noted.clone());
        Some(noted.bytes.clone())
    }

    /// Stores the bytes of a file, with its metadata before and after the read. Equal bytes are
    /// kept once.
    pub(super) fn note(
        &self,
        path: &Path,
        (before, after): (&Metadata, &Metadata),
        bytes: Vec<u8>,
        now: UnixNanos,
    ) -> Arc<[u8]> {
        let known = self
            .before
            .files
            .get(path)
            .map(|noted| &noted.bytes)
            .filter(|known| ***known == *bytes);
        let bytes = known.cloned().unwrap_or_else(|| bytes.into());
        let stat = FileStat::of(before);
        // The size of a file that is not on a disk, as below /proc, is not the number of its bytes.
        let is_whole = stat == FileStat::of(after) && stat.size == bytes.len() as u64;
        let stat = Some(stat).filter(|stat| is_whole && stat.is_at_rest(now));
        self.now().files.insert(
            path.to_owned(),
            CacheEntry {
                stat,
                bytes: bytes.clone(),
            },
        );
        bytes
    }
}

impl FileStat {
    fn of(metadata: &Metadata) -> FileStat {
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * SECOND + i128::from(nanos);
        FileStat {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Returns whether a later change would show in its times. A time in the future says nothing.
    fn is_at_rest(&self, now: UnixNanos) -> bool {
        now.0 - self.modified.max(self.changed) > COARSE
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, FileTimes};
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;
    use crate::policy_directory::SourceOptions;
    use crate::progress::Progress;
    use crate::read::read_changes;
    use customs_policy::policy_set::SourceReading;
    use customs_record::clock::now;

    fn read_with(directory: &Path, cache: &StatCache) -> SourceReading {
        read_changes(
            directory,
            &SourceOptions::default(),
            cache,
            &Progress::default(),
        )
    }

    const LATER: i128 = 60 * SECOND;

    /// Stores the file `a` as if `after` nanoseconds had passed.
    fn noted(directory: &Path, after: i128) -> CacheEntries {
        let path = directory.join("a");
        let (cache, metadata) = (StatCache::default(), fs::metadata(&path).unwrap());
        cache.note(
            &path,
            (&metadata, &metadata),
            fs::read(&path).unwrap(),
            UnixNanos(now().0 + after),
        );
        cache.take_entries()
    }

    fn is_unchanged(entries: CacheEntries, directory: &Path) -> bool {
        let path = directory.join("a");
        StatCache::to_read_changes(entries)
            .unchanged(&path, &fs::metadata(&path).unwrap())
            .is_some()
    }

    fn file(text: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a"), text).unwrap();
        directory
    }

    #[test]
    fn a_file_is_as_it_was_until_anything_of_it_changes() {
        type Change = (&'static str, fn(&Path), bool);
        let set_modified = |path: &Path| {
            let file = File::options().write(true).open(path).unwrap();
            let then = file.metadata().unwrap().modified().unwrap();
            fs::write(path, "two").unwrap();
            file.set_times(FileTimes::new().set_modified(then)).unwrap();
        };
        let changes: [Change; 6] = [
            ("nothing", |_| {}, true),
            ("read", |path| drop(fs::read(path).unwrap()), true),
            (
                "written in place, as long",
                |path| fs::write(path, "two").unwrap(),
                false,
            ),
            ("the same, with the old time set", set_modified, false),
            (
                "a longer one",
                |path| fs::write(path, "three").unwrap(),
                false,
            ),
            (
                "another renamed over it",
                |path| {
                    fs::write(path.with_extension("new"), "one").unwrap();
                    fs::rename(path.with_extension("new"), path).unwrap();
                },
                false,
            ),
        ];
        for (what, change, expected) in changes {
            let directory = file("one");
            let entries = noted(directory.path(), LATER);
            // Longer than the clock resolution of any file system that tests run on.
            std::thread::sleep(Duration::from_millis(20));
            change(&directory.path().join("a"));
            assert_eq!(is_unchanged(entries, directory.path()), expected, "{what}");
        }
    }

    #[test]
    fn a_symlink_that_leads_elsewhere_is_a_change() {
        let root = tempfile::tempdir().unwrap();
        for name in ["1", "2"] {
            fs::create_dir(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join("a"), "one").unwrap();
        }
        symlink("1", root.path().join("data")).unwrap();
        let entries = noted(&root.path().join("data"), LATER);
        fs::remove_file(root.path().join("data")).unwrap();
        symlink("2", root.path().join("data")).unwrap();
        assert!(!is_unchanged(entries, &root.path().join("data")));
    }

    #[test]
    fn only_a_file_at_rest_is_known_by_its_times() {
        for (after, expected) in [
            (-60 * SECOND, false),
            (0, false),
            (SECOND, false),
            (3 * SECOND, true),
        ] {
            let directory = file("one");
            assert_eq!(
                is_unchanged(noted(directory.path(), after), directory.path()),
                expected,
                "{after}"
            );
        }
        let directory = file("one");
        let future = std::time::SystemTime::now() + Duration::from_secs(3_600);
        let times = FileTimes::new().set_modified(future);
        File::options()
            .write(true)
            .open(directory.path().join("a"))
            .unwrap()
            .set_times(times)
            .unwrap();
        assert!(
            !is_unchanged(noted(directory.path(), LATER), directory.path()),
            "a time that is yet to come"
        );
    }

    #[test]
    fn what_changed_while_it_was_read_is_not_known() {
        let directory = file("one");
        let path = directory.path().join("a");
        let at_rest = UnixNanos(now().0 + LATER);
        for (change, bytes) in [("three", "three"), ("one", "torn")] {
            let before = fs::metadata(&path).unwrap();
            fs::write(&path, change).unwrap();
            let after = if bytes == "torn" {
                before.clone()
            } else {
                fs::metadata(&path).unwrap()
            };
            let cache = StatCache::default();
            cache.note(&path, (&before, &after), bytes.into(), at_rest);
            let cache = StatCache::to_read_changes(cache.take_entries());
            assert!(
                cache.unchanged(&path, &before).is_none()
                    && cache.unchanged(&path, &after).is_none(),
                "{bytes}"
            );
        }
    }

    #[test]
    fn a_round_that_was_called_for_reads_everything_and_keeps_equal_bytes_once() {
        let directory = file("one");
        let path = directory.path().join("a");
        let metadata = fs::metadata(&path).unwrap();
        let known = noted(directory.path(), LATER)
            .files
            .remove(&path)
            .unwrap()
            .bytes;
        let cache = StatCache::to_read_all(noted(directory.path(), LATER));
        assert!(cache.unchanged(&path, &metadata).is_none());
        let first = cache.before.files.get(&path).unwrap().bytes.clone();
        let again = cache.note(&path, (&metadata, &metadata), b"one".into(), now());
        assert!(Arc::ptr_eq(&first, &again) && known == again);
        assert!(
            cache.unchanged(&path, &metadata).is_none(),
            "both reads of a round read"
        );
    }

    #[test]
    fn a_directory_is_reported_whole_whatever_is_opened() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["a.yaml", "b.yaml", "c.yaml"] {
            fs::write(at(name), name).unwrap();
        }
        // Two files as if they had been read before and were at rest. One has other bytes in the
        // cache, to show which are returned.
        let cache = StatCache::default();
        for (name, bytes) in [("a.yaml", "A.yaml"), ("c.yaml", "c.yaml")] {
            let metadata = fs::metadata(at(name)).unwrap();
            cache.note(
                &at(name),
                (&metadata, &metadata),
                bytes.into(),
                UnixNanos(now().0 + LATER),
            );
        }
        fs::remove_file(at("c.yaml")).unwrap();
        let cache = StatCache::to_read_changes(cache.take_entries());
        let texts = |cache: &StatCache| {
            let source = read_with(root.path(), cache).unwrap();
            source
                .files
                .iter()
                .map(|file| String::from_utf8_lossy(&file.bytes).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(&cache), ["A.yaml", "b.yaml"]);
        let next = StatCache::to_read_changes(cache.take_entries());
        assert_eq!(next.before.files.len(), 2, "what is gone is forgotten");
        assert_eq!(texts(&next), ["A.yaml", "b.yaml"]);
        assert_eq!(
            texts(&StatCache::to_read_all(next.take_entries())),
            ["a.yaml", "b.yaml"]
        );
    }
}
