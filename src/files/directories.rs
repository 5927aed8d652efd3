//! The directories that the settings name -> the directories that are sources now.
//!
//! A directory is one source, or holds one source for each namespace; either way with options. Of the second kind this lists the entries. The
//! rule: a directory, or a symlink to one, whose name is a DNS label is the source of the namespace of that name. Names
//! that start with a dot and plain files are nobody's. A policy file beside the directories, and a directory with policy
//! files whose name no namespace can have, are mistakes: somebody thinks that they are in force. They are told as errors
//! and hold nothing up, because one misplaced file must not keep every namespace from loading.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::names::{is_left_out, is_policy_name, looks_like_policy_name};
use super::read::{self, Outcome, Progress, read_changes};
use super::seen::Seen;
use crate::engine::identity::is_dns_label;
use crate::engine::policy::problem::{Code, Problem};
use crate::engine::policy::source::Source;

/// A directory of policies, as the settings name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDirectory {
    path: PathBuf,
    holds_namespaces: bool,
    options: SourceOptions,
}

/// How a source is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceOptions {
    /// Whether its sub-directories belong to it.
    pub recursive: bool,
    /// The namespace of documents that name none.
    pub default_namespace: Option<String>,
}

impl PolicyDirectory {
    /// A directory that is one source.
    pub fn source(path: PathBuf) -> PolicyDirectory {
        PolicyDirectory { path, holds_namespaces: false, options: SourceOptions::default() }
    }

    /// A directory in which each directory is a source, bound to the namespace of that name.
    pub fn namespaces(path: PathBuf) -> PolicyDirectory {
        PolicyDirectory { holds_namespaces: true, ..PolicyDirectory::source(path) }
    }

    /// The same directory, with its sources read like this.
    pub fn read_with(self, options: SourceOptions) -> PolicyDirectory {
        PolicyDirectory { options, ..self }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether each directory in it is a source.
    pub fn holds_namespaces(&self) -> bool {
        self.holds_namespaces
    }

    /// How its sources are read.
    pub fn options(&self) -> &SourceOptions {
        &self.options
    }
}

/// What lies in a directory of namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The namespaces that have a directory.
    pub namespaces: BTreeSet<String>,
    /// The mistakes.
    pub problems: Vec<Problem>,
}

/// Lists a directory of namespaces.
///
/// # Errors
/// Why it cannot be listed.
pub fn list(directory: &Path) -> Result<Listing, Vec<Problem>> {
    let mut names = Vec::new();
    let unreadable = |error| vec![read::directory_problem(directory, &error)];
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    let mut listing = Listing::default();
    for name in names.into_iter().filter(|name| !name.starts_with('.')) {
        listing.sort_in(&directory.join(&name), name);
    }
    Ok(listing)
}

impl Listing {
    fn sort_in(&mut self, path: &Path, name: String) {
        // What cannot be looked at (a symlink that leads nowhere) may have been a directory of policies.
        let is_directory = fs::metadata(path).map_or(is_dns_label(&name), |metadata| metadata.is_dir());
        match (is_directory, is_dns_label(&name)) {
            (true, true) => drop(self.namespaces.insert(name)),
            (true, false) if holds_policies(path) => self.problems.push(no_namespace(path, &name)),
            (false, _) if is_misplaced(&name) => self.problems.push(misplaced(path)),
            _ => {}
        }
    }
}

/// Reads the directory of one namespace.
///
/// # Errors
/// As [`read_source`](super::read_source).
pub(super) fn read_bound(
    directory: &Path,
    namespace: &str,
    options: &SourceOptions,
    seen: &Seen,
    progress: &Progress,
) -> Outcome {
    match read_changes(directory, options, seen, progress) {
        Ok(source) => Ok(Source { namespace: Some(namespace.to_owned()), ..source }),
        Err(_) if fs::symlink_metadata(directory).is_err() => Err(vec![gone(directory, namespace)]),
        Err(problems) => Err(problems),
    }
}

/// Whether a file beside the directories was meant to be read.
fn is_misplaced(name: &str) -> bool {
    is_policy_name(name) || !is_left_out(name) && looks_like_policy_name(name)
}

fn holds_policies(directory: &Path) -> bool {
    let is_policy = |entry: fs::DirEntry| is_policy_name(&entry.file_name().to_string_lossy());
    fs::read_dir(directory).is_ok_and(|entries| entries.flatten().any(is_policy))
}

fn no_namespace(path: &Path, name: &str) -> Problem {
    let text = format!("no namespace can be called `{name}`, so the policies in here are not read");
    Problem::error(Code::BadName, read::whole(path), text)
        .hint("give the directory the name of its namespace: lower-case letters, digits and inner `-`")
}

fn misplaced(path: &Path) -> Problem {
    let text = "this lies beside the directories of namespaces and in none of them, so it is not read";
    Problem::error(Code::Misplaced, read::whole(path), text).hint("move it to the directory of its namespace")
}

fn gone(path: &Path, namespace: &str) -> Problem {
    let text = format!("the directory is gone; what was in force for namespace `{namespace}` stays in force");
    Problem::error(Code::Unreadable, read::whole(path), text).hint("put it back, or restart to withdraw its policies")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn entries_are_namespaces_or_mistakes_or_nobodys() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["shop", "batch-2", "Shop", "a.b", "lost+found", ".git", "..2026_1"] {
            fs::create_dir(at(name)).unwrap();
        }
        for name in ["stray.yaml", "README.md", "team.cases.yaml", ".hidden.yaml", "Shop/a.yaml", "a.b/README.md"] {
            fs::write(at(name), "").unwrap();
        }
        fs::create_dir(at("Shop/below.yaml")).unwrap();
        symlink("shop", at("linked")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("README.md", at("file")).unwrap();
        let Listing { namespaces, problems } = list(root.path()).unwrap();
        assert_eq!(
            namespaces.iter().map(String::as_str).collect::<Vec<_>>(),
            ["batch-2", "dangling", "linked", "shop"]
        );
        let told: Vec<_> = problems.iter().map(|p| (p.code, p.place.file.rsplit('/').next().unwrap())).collect();
        assert_eq!(told, [(Code::BadName, "Shop"), (Code::Misplaced, "stray.yaml")]);
        assert!(problems.iter().all(|p| p.is_error() && p.hint.is_some()));
    }

    #[test]
    fn what_is_no_directory_cannot_be_listed() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        for name in ["gone", "file"] {
            let problems = list(&root.path().join(name)).unwrap_err();
            assert_eq!((problems.len(), problems[0].code), (1, Code::Unreadable), "{name}");
        }
    }

    #[test]
    fn a_directory_that_is_gone_says_what_stays() {
        let root = tempfile::tempdir().unwrap();
        symlink("nowhere", root.path().join("dangling")).unwrap();
        let read =
            |path: &Path| read_bound(path, "shop", &SourceOptions::default(), &Seen::default(), &Progress::default());
        let problem = |name: &str| read(&root.path().join(name)).unwrap_err().remove(0);
        assert!(problem("gone").text.contains("what was in force for namespace `shop` stays"));
        assert!(problem("dangling").text.contains("does not exist"));
        let source = read(root.path()).unwrap();
        assert_eq!(source.namespace.as_deref(), Some("shop"));
    }
}
