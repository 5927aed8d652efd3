//! The search for what looks like a policy and is not read: which files begin as a policy does, and which directories hold some.
//!
//! It only ever leads to warnings, so it must not cost much nor hold anything up: it is bounded, opens no link to another
//! file system, and says where it is. **What it did not look at is told**, since policies may lie there.

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
/// How many entries of a directory that is not read are looked at.
const MAX_LOOKED: usize = 2_000;
/// A directory of the file system itself, which nobody but the system may read.
const OF_THE_SYSTEM: &str = "lost+found";

/// The search in one source.
pub(super) struct Search<'s> {
    cache: &'s StatCache,
    progress: &'s Progress,
    /// The file system that the source lies on.
    device: Option<u64>,
    opened: usize,
    /// What was not looked at first, and why.
    passed_over: Option<String>,
}

/// What the beginning of a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// It is that of a policy.
    Policy,
    /// It is not.
    Other,
    /// It cannot be read.
    Unknown(String),
}

impl<'s> Search<'s> {
    /// A search in this directory.
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
            passed_over: None,
        }
    }

    /// What the beginning of a file says whose name says nothing.
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
            self.pass_over(|| {
                format!(
                    "of the files with other names no more than {MAX_OPENED} are opened at a time"
                )
            });
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
            // It vanished, or is something else by now.
            Err(error) if error.kind() == ErrorKind::NotFound => Beginning::Other,
            Err(error) if plain_file::is_not_regular(&error).is_some() => Beginning::Other,
            Err(error) => Beginning::Unknown(error.to_string()),
        }
    }

    /// The first policy file in a directory that is not read, or, if it is looked through, below it.
    pub(super) fn policy_in(&mut self, directory: &Path, deep: bool) -> Option<String> {
        let mut waiting = vec![PathBuf::new()];
        let mut looked = 0;
        while let Some(below) = waiting.pop() {
            // To join nothing would add a slash.
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
                Ok(entries) => entries.flatten().take(MAX_LOOKED + 1).collect(),
                Err(error) => {
                    self.cannot_read(&path, &error);
                    continue;
                }
            };
            entries.sort_by_key(DirEntry::file_name);
            for entry in entries {
                looked += 1;
                if looked > MAX_LOOKED {
                    let shown = directory.display();
                    self.pass_over(|| {
                        format!("of `{shown}` no more than {MAX_LOOKED} entries are looked at")
                    });
                    return None;
                }
                let name = entry.file_name().to_string_lossy().into_owned();
                if is_left_out(&name) {
                    continue;
                }
                // Symlinks are not followed here: the walk must end, and nothing is read.
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

    /// Much is written in JSON: there the beginning must say so too.
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
                self.pass_over(|| format!("`{}` cannot be read: {why}", path.display()));
                false
            }
        }
    }

    fn cannot_read(&mut self, path: &Path, error: &io::Error) {
        if error.kind() != ErrorKind::NotFound {
            self.pass_over(|| format!("`{}` cannot be read: {error}", path.display()));
        }
    }

    fn pass_over(&mut self, why: impl FnOnce() -> String) {
        self.passed_over.get_or_insert_with(why);
    }

    /// What is told of a source in which something was not looked at.
    pub(super) fn not_looked_at(self, directory: &Path) -> Option<Problem> {
        let what = format!(
            "not everything was searched for policies that are not read: {}",
            self.passed_over?
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
    fn more_entries_than_are_looked_at_are_told() {
        let root = tempfile::tempdir().unwrap();
        (0..=MAX_LOOKED)
            .for_each(|n| fs::write(root.path().join(format!("{n:05}.txt")), "").unwrap());
        let (first, told) = found(root.path());
        assert!(first.is_none() && told.unwrap().text.contains("2000 entries"));
        fs::remove_file(root.path().join("00000.txt")).unwrap();
        assert_eq!(found(root.path()), (None, None));
    }

    #[test]
    fn more_files_than_are_opened_are_told() {
        let root = tempfile::tempdir().unwrap();
        (0..=MAX_OPENED).for_each(|n| fs::write(root.path().join(format!("{n:05}")), "x").unwrap());
        assert!(
            found(root.path())
                .1
                .unwrap()
                .text
                .contains("no more than 1000 are opened")
        );
    }

    #[test]
    fn a_directory_that_cannot_be_read_ends_no_search_and_is_told() {
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
            "what lies deeper is not the question"
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
