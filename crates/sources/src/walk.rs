//! Which files of a directory are policies, which are cases, and which look like policies and are
//! not read.
//!
//! Sub-directories belong to the source only if it is `recursive`; then a file is known by its path
//! inside the source. Symlinks are followed. A directory that is reached twice is read once, under
//! its own path rather than under that of a symlink, and entries are taken in the order of their
//! names: what a source is must not depend on the order in which a file system lists. An entry of a
//! `recursive` source that cannot be inspected is an error, since it may be a directory with
//! denials. [`lookalikes`](super::lookalikes) searches for what only looks like a policy.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::lookalikes::{Beginning, Search};
use super::names::{self, is_cases_name, is_left_out, is_policy_name, looks_like_policy_name};
use super::problems::{directory_problem, entry_problem, odd_name, too_many, whole};
use super::progress::Progress;
use super::stat_cache::StatCache;
use customs_policy::policy_set::MAX_FILES;
use customs_policy::problem::{Code, Problem};

/// How deep sub-directories are followed.
const MAX_DEPTH: usize = 32;
/// How many directories one source may have.
const MAX_DIRECTORIES: usize = 2_000;
/// How many files that look like policies are reported for one source. The others are counted.
const MAX_REPORTED: usize = 100;

/// What a directory holds.
#[derive(Debug, Default)]
pub struct Walk {
    /// The policy files, by their paths inside the directory, sorted.
    pub policies: Vec<String>,
    /// The files of cases, by their paths inside the directory, sorted.
    pub cases: Vec<String>,
    /// The directories that were read, except the directory itself.
    pub directories: Vec<PathBuf>,
    /// What looks like a policy and is not read.
    pub unread: Vec<Problem>,
}

/// Walks through a directory, and reports its position meanwhile.
///
/// # Errors
/// Why the directory, or something below it that belongs to it, cannot be read, and names that
/// cannot be reported.
pub fn walk(
    directory: &Path,
    recursive: bool,
    cache: &StatCache,
    progress: &Progress,
) -> Result<Walk, Vec<Problem>> {
    let mut walker = Walker::new(directory, recursive, cache, progress);
    while let Some((below, depth)) = walker.next() {
        walker.read(&below, depth)?;
    }
    walker.finish()
}

/// Returns the directories of a recursive source, except itself, as far as they can be read.
pub(super) fn directories_below(directory: &Path) -> Vec<PathBuf> {
    let (cache, progress) = (StatCache::default(), Progress::default());
    let mut walker = Walker {
        only_directories: true,
        ..Walker::new(directory, true, &cache, &progress)
    };
    while let Some((below, depth)) = walker.next() {
        // The reader of policies reports what cannot be read.
        let _reported_elsewhere = walker.read(&below, depth);
    }
    walker.found.directories
}

struct Walker<'w> {
    root: &'w Path,
    recursive: bool,
    /// Whether files are ignored.
    only_directories: bool,
    progress: &'w Progress,
    search: Search<'w>,
    found: Walk,
    problems: Vec<Problem>,
    unlisted: usize,
    visited: BTreeSet<(u64, u64)>,
    /// Directories to be read, by their paths inside the source, and how deep they are.
    waiting: Vec<(PathBuf, usize)>,
    /// Symlinks to directories, which are followed after everything else.
    links: VecDeque<(PathBuf, usize)>,
}

impl<'w> Walker<'w> {
    fn new(
        root: &'w Path,
        recursive: bool,
        cache: &'w StatCache,
        progress: &'w Progress,
    ) -> Walker<'w> {
        Walker {
            root,
            recursive,
            only_directories: false,
            progress,
            search: Search::new(root, cache, progress),
            found: Walk::default(),
            problems: Vec::new(),
            unlisted: 0,
            visited: BTreeSet::new(),
            waiting: vec![(PathBuf::new(), 0)],
            links: VecDeque::new(),
        }
    }

    /// Returns the directory to read next.
    fn next(&mut self) -> Option<(PathBuf, usize)> {
        self.waiting.pop().or_else(|| self.links.pop_front())
    }

    /// Reads a directory, unless it was read before.
    fn read(&mut self, below: &Path, depth: usize) -> Result<(), Vec<Problem>> {
        // Joining an empty path would add a slash.
        let is_root = below.as_os_str().is_empty();
        let path = if is_root {
            self.root.to_owned()
        } else {
            self.root.join(below)
        };
        let unreadable = |error| vec![directory_problem(&path, &error)];
        self.progress.at(&path);
        let about = fs::metadata(&path).map_err(unreadable)?;
        if !self.visited.insert((about.dev(), about.ino())) {
            return Ok(());
        }
        if depth > MAX_DEPTH || self.found.directories.len() >= MAX_DIRECTORIES {
            return Err(vec![too_deep(&path)]);
        }
        let entries = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = entries.map_err(unreadable)?;
        entries.sort_by_key(DirEntry::file_name);
        if !is_root {
            self.found.directories.push(path);
        }
        for entry in entries {
            self.sort_in(below, depth, &entry);
            if self.found.policies.len() + self.problems.len() > MAX_FILES {
                return Err(vec![too_many(self.root)]);
            }
        }
        Ok(())
    }

    fn sort_in(&mut self, below: &Path, depth: usize, entry: &DirEntry) {
        let name = entry.file_name();
        let (relative, path) = (below.join(&name), entry.path());
        let shown = name.to_string_lossy();
        if is_policy_name(&shown) {
            match relative.to_str() {
                Some(name) if !name.contains(char::is_control) => {
                    self.found.policies.push(name.to_owned())
                }
                _ => self
                    .problems
                    .push(odd_name(self.root, &relative.to_string_lossy())),
            }
            return;
        }
        if is_cases_name(&shown) {
            self.found
                .cases
                .extend(relative.to_str().map(str::to_owned));
        }
        let kind = entry.file_type().ok();
        let is_link = kind.is_some_and(|kind| kind.is_symlink());
        if self.only_directories && (is_left_out(&shown) || kind.is_some_and(|kind| kind.is_file()))
        {
            return;
        }
        self.progress.at(&path);
        if is_left_out(&shown) {
            if let Some(about) = names::has_ending(&shown)
                .then(|| fs::metadata(&path).ok())
                .flatten()
            {
                let beginning = self.search.beginning(&path, &about, is_link);
                self.report_if_policy(beginning, &path, left_out);
            }
            return;
        }
        match fs::metadata(&path) {
            Ok(about) if about.is_dir() && self.recursive && is_link => {
                self.links.push_back((relative, depth + 1))
            }
            Ok(about) if about.is_dir() && self.recursive => {
                self.waiting.push((relative, depth + 1))
            }
            Ok(about) if about.is_dir() => {
                if let Some(first) = self.search.policy_in(&path, true) {
                    self.report(|| sub_directory(&path, &first));
                }
            }
            _ if self.only_directories => {}
            Err(error) if has_vanished(&path, &error) => {}
            // A plain file of such a name would not be read either; anything else may have been a
            // directory.
            Err(error) if self.recursive && !kind.is_some_and(|kind| kind.is_file()) => {
                self.problems.push(entry_problem(&path, &error));
            }
            _ if looks_like_policy_name(&shown) => self.report(|| other_name(&path)),
            Ok(about) => {
                let beginning = self.search.beginning(&path, &about, is_link);
                self.report_if_policy(beginning, &path, other_name);
            }
            Err(error) => self.report(|| unknown(&path, &error.to_string())),
        }
    }

    /// Reports a file that begins as a policy does, or may do so.
    fn report_if_policy(
        &mut self,
        beginning: Beginning,
        path: &Path,
        what: impl FnOnce(&Path) -> Problem,
    ) {
        match beginning {
            Beginning::Policy => self.report(|| what(path)),
            Beginning::Unknown(why) => self.report(|| unknown(path, &why)),
            Beginning::Other => {}
        }
    }

    fn finish(self) -> Result<Walk, Vec<Problem>> {
        let Walker {
            root,
            search,
            mut found,
            problems,
            unlisted,
            ..
        } = self;
        if !problems.is_empty() {
            return Err(problems);
        }
        found.policies.sort_unstable();
        found.cases.sort_unstable();
        found.directories.sort_unstable();
        found.unread.sort_by(|a, b| a.place.cmp(&b.place));
        if unlisted > 0 {
            let what =
                format!("{unlisted} more files or directories look like policies and are not read");
            found
                .unread
                .push(Problem::warning(Code::NotRead, whole(root), what));
        }
        found.unread.extend(search.not_looked_at(root));
        Ok(found)
    }

    fn report(&mut self, problem: impl FnOnce() -> Problem) {
        if self.found.unread.len() < MAX_REPORTED {
            self.found.unread.push(problem());
        } else {
            self.unlisted += 1;
        }
    }
}

/// Returns whether an entry is gone since it was listed, as temporary files of editors are.
fn has_vanished(path: &Path, error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound && fs::symlink_metadata(path).is_err()
}

fn unknown(path: &Path, why: &str) -> Problem {
    let what = format!(
        "this is not read, and it cannot be determined whether it is or holds a policy: {why}"
    );
    Problem::warning(Code::NotRead, whole(path), what)
        .hint("repair it, or give this process the right to read it; otherwise move it elsewhere")
}

fn other_name(path: &Path) -> Problem {
    let what = "this looks like a policy file and is not read: its name does not end in `.yaml`, `.yml` or `.json`";
    Problem::warning(Code::NotRead, whole(path), what)
        .hint("rename it to have it read; otherwise move it elsewhere")
}

fn left_out(path: &Path) -> Problem {
    let what = "this file begins as a policy and is not read: names that start with a dot and `*.cases.*` are left out";
    Problem::warning(Code::NotRead, whole(path), what)
        .hint("rename it to have it read; otherwise move it elsewhere")
}

fn sub_directory(path: &Path, first: &str) -> Problem {
    let what = format!(
        "this sub-directory holds policy files and is not read, `{}` for one",
        first
    );
    Problem::warning(Code::NotRead, whole(path), what)
        .hint("set `recursive: true` for the source, name the directory in `policies`, or move its files up")
}

fn too_deep(path: &Path) -> Problem {
    let what = format!(
        "the source has more than {MAX_DIRECTORIES} directories, or some nested deeper than {MAX_DEPTH}"
    );
    Problem::error(Code::TooLarge, whole(path), what).hint("divide it into several sources")
}

#[cfg(test)]
mod tests;
