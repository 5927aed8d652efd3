//! The search for what looks like a policy and is not read: which files begin as a policy does, and
//! which directories hold such files.
//!
//! It only ever leads to warnings, so it must cost little and delay nothing: it is bounded, opens
//! no link to another file system, and reports its progress. **Whatever it did not look at is
//! reported**, since policies may be there.

use std::fs::{self, DirEntry, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::names::{self, is_left_out, is_policy_name};
use super::problems::whole;
use super::progress::Progress;
use super::stat_cache::StatCache;
use customs_policy::problem::{Code, Problem};
use customs_record::clock::now;
use customs_record::plain_file;

/// How many files of other names are opened to see what they are.
const MAX_OPENED: usize = 1_000;
/// How many entries of a directory that is not read are inspected.
const MAX_INSPECTED: usize = 2_000;
/// A directory of the file system itself, which only the system may read.
const OF_THE_SYSTEM: &str = "lost+found";

/// The search in one source.
pub(super) struct Search<'s> {
    cache: &'s StatCache,
    progress: &'s Progress,
    /// The file system that the source is on.
    device: Option<u64>,
    opened: usize,
    /// The first thing that was skipped, and why.
    skipped: Option<String>,
}

/// What the beginning of a file shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// It begins as a policy does.
    Policy,
    /// It does not.
    Other,
    /// It cannot be read.
    Unknown(String),
}

impl<'s> Search<'s> {
    /// Creates a search in this directory.
    pub(super) fn new(
        directory: &Path,
        cache: &'s StatCache,
        progress: &'s Progress,
    ) -> Search<'s> {
        progress.at(directory);
        let device = fs::metadata(directory).ok().map(|about| about.dev());
        Search {
            cache,
            progress,
            device,
            opened: 0,
            skipped: None,
        }
    }

    /// Inspects the beginning of a file whose name says nothing.
    pub(super) fn beginning(
        &mut self,
        path: &Path,
        metadata: &Metadata,
        is_link: bool,
    ) -> Beginning {
        let is_elsewhere = is_link && Some(metadata.dev()) != self.device;
        if !metadata.is_file() || metadata.len() == 0 || is_elsewhere {
            return Beginning::Other;
        }
        let of = |begins| {
            if begins {
                Beginning::Policy
            } else {
                Beginning::Other
            }
        };
        if let Some(known) = self.cache.begins_as_policy(path, metadata) {
            return of(known);
        }
        if self.opened >= MAX_OPENED {
            self.skip(|| format!("only {MAX_OPENED} files with other names are opened at a time"));
            return Beginning::Other;
        }
        self.opened += 1;
        self.progress.at(path);
        let now = now();
        match beginning(path) {
            Ok(bytes) => {
                let begins = names::looks_like_policy(&bytes);
                self.cache.note_beginning(path, metadata, begins, now);
                of(begins)
            }
            // It vanished, or was replaced by something else.
            Err(error) if error.kind() == ErrorKind::NotFound => Beginning::Other,
            Err(error) if plain_file::is_not_regular(&error).is_some() => Beginning::Other,
            Err(error) => Beginning::Unknown(error.to_string()),
        }
    }

    /// Returns the first policy file in a directory that is not read or, if `deep`, below it.
    pub(super) fn policy_in(&mut self, directory: &Path, deep: bool) -> Option<String> {
        let mut waiting = vec![PathBuf::new()];
        let mut inspected = 0;
        while let Some(below) = waiting.pop() {
            // Joining an empty path would add a slash.
            let path = if below.as_os_str().is_empty() {
                directory.to_owned()
            } else {
                directory.join(&below)
            };
            if path.ends_with(OF_THE_SYSTEM) {
                continue;
            }
            self.progress.at(&path);
            let mut entries: Vec<_> = match fs::read_dir(&path) {
                Ok(entries) => entries.flatten().take(MAX_INSPECTED + 1).collect(),
                Err(error) => {
                    self.cannot_read(&path, &error);
                    continue;
                }
            };
            entries.sort_by_key(DirEntry::file_name);
            for entry in entries {
                inspected += 1;
                if inspected > MAX_INSPECTED {
                    let shown = directory.display();
                    self.skip(|| {
                        format!("only the first {MAX_INSPECTED} entries of `{shown}` are inspected")
                    });
                    return None;
                }
                let name = entry.file_name().to_string_lossy().into_owned();
                if is_left_out(&name) {
                    continue;
                }
                // Symlinks are not followed here: the search must end, and nothing is read.
                let kind = entry.file_type().ok();
                if kind.is_some_and(|kind| kind.is_dir()) {
                    waiting.extend(deep.then(|| below.join(entry.file_name())));
                } else if self.is_policy(
                    &entry.path(),
                    &name,
                    kind.is_some_and(|kind| kind.is_symlink()),
                ) {
                    return Some(below.join(&name).display().to_string());
                }
            }
        }
        None
    }

    /// Returns whether a file is a policy. Many files are JSON, so for these the beginning must say
    /// so too.
    fn is_policy(&mut self, path: &Path, name: &str, is_link: bool) -> bool {
        let is_json = name.to_ascii_lowercase().ends_with(".json");
        if is_policy_name(name) && !is_json {
            return true;
        }
        if is_link {
            return false;
        }
        self.progress.at(path);
        let Ok(about) = fs::metadata(path) else {
            return false;
        };
        match self.beginning(path, &about, false) {
            Beginning::Policy => true,
            Beginning::Other => false,
            Beginning::Unknown(why) => {
                self.skip(|| format!("`{}` cannot be read: {why}", path.display()));
                false
            }
        }
    }

    fn cannot_read(&mut self, path: &Path, error: &io::Error) {
        if error.kind() != ErrorKind::NotFound {
            self.skip(|| format!("`{}` cannot be read: {error}", path.display()));
        }
    }

    fn skip(&mut self, why: impl FnOnce() -> String) {
        self.skipped.get_or_insert_with(why);
    }

    /// Returns the problem of a source in which something was not inspected.
    pub(super) fn not_looked_at(self, directory: &Path) -> Option<Problem> {
        let what = format!(
            "not everything was searched for policies that are not read: {}",
            self.skipped?
        );
        let problem = Problem::warning(Code::NotRead, whole(directory), what);
        Some(problem.hint(
            "keep policies apart from other files, and give this process the right to read them",
        ))
    }
}

fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    let (file, _) = plain_file::open(path)?;
    let mut bytes = Vec::new();
    file.take(names::BEGINNING as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n";

    fn found(directory: &Path) -> (Option<String>, Option<Problem>) {
        let (cache, progress) = (StatCache::default(), Progress::default());
        let mut search = Search::new(directory, &cache, &progress);
        let first = search.policy_in(directory, true);
        (first, search.not_looked_at(directory))
    }

    #[test]
    fn more_entries_than_are_inspected_are_reported() {
        let root = tempfile::tempdir().unwrap();
        (0..=MAX_INSPECTED)
            .for_each(|n| fs::write(root.path().join(format!("{n:05}.txt")), "").unwrap());
        let (first, reported) = found(root.path());
        assert!(first.is_none() && reported.unwrap().text.contains("2000 entries"));
        fs::remove_file(root.path().join("00000.txt")).unwrap();
        assert_eq!(found(root.path()), (None, None));
    }

    #[test]
    fn more_files_than_are_opened_are_reported() {
        let root = tempfile::tempdir().unwrap();
        (0..=MAX_OPENED).for_each(|n| fs::write(root.path().join(format!("{n:05}")), "x").unwrap());
        assert!(
            found(root.path())
                .1
                .unwrap()
                .text
                .contains("only 1000 files with other names")
        );
    }

    #[test]
    fn an_unreadable_directory_is_reported_and_the_search_continues() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["a", "z"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("a/deny.yaml"), POLICY).unwrap();
        let (cache, progress) = (StatCache::default(), Progress::default());
        let mut search = Search::new(root.path(), &cache, &progress);
        search.cannot_read(&at("z"), &ErrorKind::PermissionDenied.into());
        assert_eq!(
            search.policy_in(root.path(), true).as_deref(),
            Some("a/deny.yaml")
        );
        assert_eq!(
            search.policy_in(root.path(), false),
            None,
            "deeper directories are not looked at"
        );
        assert!(
            search
                .not_looked_at(root.path())
                .unwrap()
                .text
                .contains("z` cannot be read")
        );
    }
}
