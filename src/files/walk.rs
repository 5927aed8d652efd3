//! Which files of a directory are policies, which are cases, and which look like policies and are not read.
//!
//! It opens nothing but files of which the name says nothing, to see whether they begin as a policy does. Sub-directories
//! belong to the source only where it is `recursive`; then a file is known by its path inside the source. Symlinks are
//! followed, and a directory that is reached twice is read once.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::names::{self, is_cases_name, is_left_out, is_policy_name, looks_like_policy_name};
use super::read::{MAX_FILES, directory_problem, odd_name, too_many, whole};
use super::seen::Seen;
use crate::clock::now;
use crate::engine::policy::problem::{Code, Problem};
use crate::plain_file;

/// How deep sub-directories are followed.
const MAX_DEPTH: usize = 32;
/// How many directories one source may have.
const MAX_DIRECTORIES: usize = 2_000;
/// How many files that look like policies one source tells; the number of the others is told.
const MAX_TOLD: usize = 100;
/// How many files of other names are opened to see what they are.
const MAX_OPENED: usize = 1_000;
/// How many entries of a sub-directory that is not read are looked at.
const MAX_LOOKED: usize = 2_000;

/// What a directory holds.
#[derive(Debug, Default)]
pub struct Walk {
    /// The policy files, by their paths inside the directory, sorted.
    pub policies: Vec<String>,
    /// The files of cases, likewise.
    pub cases: Vec<String>,
    /// The directories that were read, the directory itself apart.
    pub directories: Vec<PathBuf>,
    /// What looks like a policy and is not read.
    pub unread: Vec<Problem>,
    odd: Vec<Problem>,
    opened: usize,
    not_told: usize,
    visited: BTreeSet<(u64, u64)>,
}

/// Looks through a directory.
///
/// # Errors
/// Why it, or one below it that belongs to it, cannot be read, and names that cannot be told.
pub fn walk(directory: &Path, recursive: bool, seen: &Seen) -> Result<Walk, Vec<Problem>> {
    let mut walk = Walk::default();
    let mut waiting = vec![(PathBuf::new(), 0)];
    if let Ok(root) = fs::metadata(directory) {
        walk.visited.insert((root.dev(), root.ino()));
    }
    while let Some((below, depth)) = waiting.pop() {
        // To join nothing would add a slash.
        let is_root = below.as_os_str().is_empty();
        let path = if is_root { directory.to_owned() } else { directory.join(&below) };
        let unreadable = |error| vec![directory_problem(&path, &error)];
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if let Some(next) = walk.sort_in(directory, &below, &entry, recursive, seen) {
                walk.follow(directory, next, depth, &mut waiting)?;
            }
            if walk.policies.len() + walk.odd.len() > MAX_FILES {
                return Err(vec![too_many(directory)]);
            }
        }
    }
    walk.finish(directory)
}

impl Walk {
    /// Sorts an entry in; gives back a directory that belongs to the source.
    fn sort_in(
        &mut self,
        root: &Path,
        below: &Path,
        entry: &DirEntry,
        recursive: bool,
        seen: &Seen,
    ) -> Option<PathBuf> {
        let name = entry.file_name();
        let (relative, path) = (below.join(&name), entry.path());
        let shown = name.to_string_lossy();
        if is_policy_name(&shown) {
            match relative.to_str() {
                Some(name) if !name.contains(char::is_control) => self.policies.push(name.to_owned()),
                _ => self.odd.push(odd_name(root, &relative.to_string_lossy())),
            }
            return None;
        }
        if is_cases_name(&shown) {
            self.cases.extend(relative.to_str().map(str::to_owned));
        }
        if is_left_out(&shown) {
            let holds = |about: Metadata| self.begins_as_policy(&path, &about, seen);
            if names::has_ending(&shown) && fs::metadata(&path).is_ok_and(holds) {
                self.tell(|| left_out(&path));
            }
            return None;
        }
        // What cannot be looked at has a name that says something, or is nobody's.
        let metadata = fs::metadata(&path).ok();
        match metadata {
            Some(metadata) if metadata.is_dir() && recursive => return Some(relative),
            Some(metadata) if metadata.is_dir() => {
                if let Some(first) = self.holds_policies(&path, seen) {
                    self.tell(|| sub_directory(&path, &first));
                }
            }
            _ if looks_like_policy_name(&shown) => self.tell(|| other_name(&path)),
            Some(metadata) if self.begins_as_policy(&path, &metadata, seen) => self.tell(|| other_name(&path)),
            _ => {}
        }
        None
    }

    /// Takes in a directory below, unless it was there before.
    fn follow(
        &mut self,
        root: &Path,
        next: PathBuf,
        depth: usize,
        waiting: &mut Vec<(PathBuf, usize)>,
    ) -> Result<(), Vec<Problem>> {
        let path = root.join(&next);
        let metadata = fs::metadata(&path).map_err(|error| vec![directory_problem(&path, &error)])?;
        if !self.visited.insert((metadata.dev(), metadata.ino())) {
            return Ok(());
        }
        if depth >= MAX_DEPTH || self.directories.len() >= MAX_DIRECTORIES {
            return Err(vec![too_deep(&path)]);
        }
        self.directories.push(path);
        waiting.push((next, depth + 1));
        Ok(())
    }

    fn finish(mut self, root: &Path) -> Result<Walk, Vec<Problem>> {
        if !self.odd.is_empty() {
            return Err(self.odd);
        }
        self.policies.sort_unstable();
        self.cases.sort_unstable();
        self.directories.sort_unstable();
        self.unread.sort_by(|a, b| a.place.cmp(&b.place));
        if self.not_told > 0 {
            let what = format!("{} more files or directories look like policies and are not read", self.not_told);
            self.unread.push(Problem::warning(Code::NotRead, whole(root), what));
        }
        Ok(self)
    }

    fn tell(&mut self, problem: impl FnOnce() -> Problem) {
        if self.unread.len() < MAX_TOLD {
            self.unread.push(problem());
        } else {
            self.not_told += 1;
        }
    }

    /// Whether a file whose name says nothing begins as a policy does.
    fn begins_as_policy(&mut self, path: &Path, metadata: &Metadata, seen: &Seen) -> bool {
        if !metadata.is_file() || metadata.len() == 0 {
            return false;
        }
        if let Some(known) = seen.begins_as_policy(path, metadata) {
            return known;
        }
        if self.opened >= MAX_OPENED {
            return false;
        }
        self.opened += 1;
        let now = now();
        let begins = beginning(path).is_ok_and(|bytes| names::looks_like_policy(&bytes));
        seen.note_beginning(path, metadata, begins, now);
        begins
    }

    /// The first policy file in a directory that is not read, or below it.
    fn holds_policies(&mut self, directory: &Path, seen: &Seen) -> Option<String> {
        let mut waiting = vec![PathBuf::new()];
        let mut looked = 0;
        while let Some(below) = waiting.pop() {
            let mut entries: Vec<_> = fs::read_dir(directory.join(&below)).ok()?.flatten().take(MAX_LOOKED).collect();
            entries.sort_by_key(DirEntry::file_name);
            for entry in entries {
                looked += 1;
                if looked > MAX_LOOKED {
                    return None;
                }
                let name = entry.file_name().to_string_lossy().into_owned();
                if is_left_out(&name) {
                    continue;
                }
                // Symlinks are not followed here: the walk must end, and nothing is read.
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_directory {
                    waiting.push(below.join(&name));
                } else if self.is_one(&entry.path(), &name, seen) {
                    return Some(below.join(&name).display().to_string());
                }
            }
        }
        None
    }

    /// Much is written in JSON: there the beginning must say so too.
    fn is_one(&mut self, path: &Path, name: &str, seen: &Seen) -> bool {
        let is_json = name.to_ascii_lowercase().ends_with(".json");
        let begins = |walk: &mut Walk| fs::metadata(path).is_ok_and(|about| walk.begins_as_policy(path, &about, seen));
        if is_json { begins(self) } else { is_policy_name(name) || begins(self) }
    }
}

fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    let (file, _) = plain_file::open(path)?;
    let mut bytes = Vec::new();
    file.take(names::BEGINNING as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn other_name(path: &Path) -> Problem {
    let what = "this looks like a policy file and is not read: its name does not end in `.yaml`, `.yml` or `.json`";
    Problem::warning(Code::NotRead, whole(path), what).hint("rename it to have it read; otherwise keep it elsewhere")
}

fn left_out(path: &Path) -> Problem {
    let what = "this file begins as a policy and is not read: names that start with a dot and `*.cases.*` are left out";
    Problem::warning(Code::NotRead, whole(path), what).hint("rename it to have it read; otherwise keep it elsewhere")
}

fn sub_directory(path: &Path, first: &str) -> Problem {
    let what = format!("this sub-directory holds policy files and is not read, `{}` for one", first);
    Problem::warning(Code::NotRead, whole(path), what)
        .hint("set `recursive: true` for the source, name the directory in `policies`, or move its files up")
}

fn too_deep(path: &Path) -> Problem {
    let what =
        format!("the source has more than {MAX_DIRECTORIES} directories, or some nested deeper than {MAX_DEPTH}");
    Problem::error(Code::TooLarge, whole(path), what).hint("divide it into several sources")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const POLICY: &str = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n";

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("base.yaml", POLICY),
            ("x.JSON", "{}"),
            ("base.cases.yaml", ""),
            (".hidden.yaml", POLICY),
            ("README.md", "# An EgressPolicy\n"),
            ("old.yaml.bak", POLICY),
            ("deny", POLICY),
            ("team-shop/deny.yaml", POLICY),
            ("team-shop/deep/er/deny.yml", POLICY),
            ("team-shop/shop.cases.yaml", ""),
            ("tools/package.json", "{\"name\": \"x\"}"),
            ("tools/run.sh", "echo"),
            ("more/policies.json", "{\"kind\": \"EgressPolicy\"}"),
            (".git/config.yaml", POLICY),
        ] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        symlink("..", root.path().join("team-shop/loop")).unwrap();
        root
    }

    fn names(root: &Path, problems: &[Problem]) -> Vec<String> {
        let name = |p: &Problem| Path::new(&*p.place.file).strip_prefix(root).unwrap().display().to_string();
        problems.iter().map(name).collect()
    }

    #[test]
    fn what_looks_like_a_policy_and_is_not_read_is_told() {
        let root = tree();
        let found = walk(root.path(), false, &Seen::default()).unwrap();
        assert_eq!(
            (found.policies, found.cases),
            (vec!["base.yaml".into(), "x.JSON".into()], vec!["base.cases.yaml".to_owned()])
        );
        assert_eq!(names(root.path(), &found.unread), [".hidden.yaml", "deny", "more", "old.yaml.bak", "team-shop"]);
        assert!(found.unread.iter().all(|p| p.code == Code::NotRead && !p.is_error() && p.hint.is_some()));
    }

    #[test]
    fn a_recursive_source_has_the_files_below_by_their_paths() {
        let root = tree();
        let found = walk(root.path(), true, &Seen::default()).unwrap();
        let policies = [
            "base.yaml",
            "more/policies.json",
            "team-shop/deep/er/deny.yml",
            "team-shop/deny.yaml",
            "tools/package.json",
            "x.JSON",
        ];
        assert_eq!(found.policies, policies);
        assert_eq!(found.cases, ["base.cases.yaml", "team-shop/shop.cases.yaml"]);
        assert_eq!(names(root.path(), &found.unread), [".hidden.yaml", "deny", "old.yaml.bak"]);
    }

    #[test]
    fn a_policy_under_a_name_that_is_left_out_is_told_and_cases_are_not() {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a.cases.yaml", POLICY),
            ("b.cases.yaml", "apiVersion: egress.customs/v1alpha1\nkind: PolicyTest\n"),
            (".c.json", "{\n  \"apiVersion\": \"egress.customs/v1alpha1\",\n  \"kind\": \"EgressPolicy\"\n}\n"),
            (".schema.json", "{\n  \"$schema\": \"x\",\n  \"title\": \"EgressPolicy\"\n}\n"),
            (".notes", POLICY),
        ] {
            fs::write(root.path().join(name), text).unwrap();
        }
        let found = walk(root.path(), false, &Seen::default()).unwrap();
        assert_eq!((found.policies.len(), found.cases.len()), (0, 2));
        assert_eq!(names(root.path(), &found.unread), [".c.json", "a.cases.yaml"]);
    }

    #[test]
    fn countless_lookalikes_are_counted() {
        let root = tempfile::tempdir().unwrap();
        (0..MAX_TOLD + 7).for_each(|n| fs::write(root.path().join(format!("{n}.yaml~")), "").unwrap());
        let unread = walk(root.path(), false, &Seen::default()).unwrap().unread;
        assert_eq!(unread.len(), MAX_TOLD + 1);
        assert!(unread.last().unwrap().text.starts_with("7 more"));
    }
}
