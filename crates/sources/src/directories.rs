//! Turns the directories that the settings name into the directories that are sources now.
//!
//! A directory is one source, or holds one source for each namespace; either way with options. Of
//! the second kind this lists the entries. The rule: a directory, or a symlink, whose name is a DNS
//! label is the source of the namespace of that name. It is not inspected here, since one that
//! hangs must not delay the others; reading it finds out what it is. Names that start with a dot,
//! and plain files, are ignored. Two entries are mistakes, because their author thinks that they
//! are in force: a policy beside the directories, and a directory with policy files whose name no
//! namespace can have. They are reported as errors and hold nothing up, because one misplaced file
//! must not keep every namespace from loading.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use super::lookalikes::{Beginning, Search};
use super::names::{is_left_out, is_policy_name, looks_like_policy_name};
use super::policy_directory::SourceOptions;
use super::problems::{directory_problem, whole};
use super::progress::Progress;
use super::read::read_changes;
use super::stat_cache::StatCache;
use customs_engine::identity::is_dns_label;
use customs_policy::policy_set::{NamespaceListing, SourceReading};
use customs_policy::problem::{Code, Problem};
use customs_policy::source::Source;

/// Lists a directory of namespaces, whose sources are `recursive` or not.
///
/// # Errors
/// Why it cannot be listed.
pub(super) fn list(
    directory: &Path,
    recursive: bool,
    cache: &StatCache,
    progress: &Progress,
) -> Result<NamespaceListing, Vec<Problem>> {
    progress.at(directory);
    let unreadable = |error| vec![directory_problem(directory, &error)];
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = entries.map_err(unreadable)?;
    entries.sort_by_key(DirEntry::file_name);
    let mut listing = NamespaceListing::default();
    let mut search = Search::new(directory, cache, progress);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            progress.at(&entry.path());
            sort_in(&mut listing, &entry, name, recursive, &mut search);
        }
    }
    Ok(listing)
}

/// Adds an entry of a directory of namespaces to the listing.
fn sort_in(
    listing: &mut NamespaceListing,
    entry: &DirEntry,
    name: String,
    recursive: bool,
    search: &mut Search<'_>,
) {
    let (path, kind) = (entry.path(), entry.file_type().ok());
    let is_plain = kind.is_some_and(|kind| kind.is_file());
    // What cannot be inspected (such as a broken symlink) may have been a directory of policies.
    let may_be_directory = kind.is_none_or(|kind| kind.is_dir() || kind.is_symlink());
    if may_be_directory && is_dns_label(&name) {
        listing.namespaces.insert(name);
        return;
    }
    match fs::metadata(&path) {
        Ok(about) if about.is_dir() => {
            if search.policy_in(&path, recursive).is_some() {
                listing.problems.push(no_namespace(&path, &name));
            }
        }
        _ if is_left_out(&name) => {}
        Ok(about) => {
            let was_meant = match search.beginning(&path, &about, !is_plain) {
                Beginning::Policy => true,
                Beginning::Unknown(_) => was_meant(&name),
                Beginning::Other => false,
            };
            if was_meant {
                listing.problems.push(misplaced(&path));
            }
        }
        Err(_) if was_meant(&name) => listing.problems.push(misplaced(&path)),
        Err(_) => {}
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
    cache: &StatCache,
    progress: &Progress,
) -> SourceReading {
    match read_changes(directory, options, cache, progress) {
        Ok(source) => Ok(Source {
            namespace: Some(namespace.to_owned()),
            ..source
        }),
        Err(_) if fs::symlink_metadata(directory).is_err() => Err(vec![gone(directory, namespace)]),
        Err(problems) => Err(problems),
    }
}

/// Returns whether the name of a file beside the directories, which cannot be read, suggests that
/// it was meant as a policy.
fn was_meant(name: &str) -> bool {
    is_policy_name(name) || looks_like_policy_name(name)
}

fn no_namespace(path: &Path, name: &str) -> Problem {
    let text = format!(
        "`{name}` is not a valid namespace name, so the policies in this directory are not read"
    );
    Problem::error(Code::BadName, whole(path), text).hint(
        "give the directory the name of its namespace: lower-case letters, digits and inner `-`",
    )
}

fn misplaced(path: &Path) -> Problem {
    let text =
        "this is beside the directories of namespaces and in none of them, so it is not read";
    Problem::error(Code::Misplaced, whole(path), text)
        .hint("move it to the directory of its namespace")
}

fn gone(path: &Path, namespace: &str) -> Problem {
    let text = format!(
        "the directory is gone; what was in force for namespace `{namespace}` stays in force"
    );
    Problem::error(Code::Unreadable, whole(path), text)
        .hint("put it back, or restart to withdraw its policies")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const POLICY: &str = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n";

    fn listed(directory: &Path, recursive: bool) -> Result<NamespaceListing, Vec<Problem>> {
        list(
            directory,
            recursive,
            &StatCache::default(),
            &Progress::default(),
        )
    }

    fn reported(listing: &NamespaceListing) -> Vec<(Code, &str)> {
        listing
            .problems
            .iter()
            .map(|p| (p.code, p.place.file.rsplit('/').next().unwrap()))
            .collect()
    }

    #[test]
    fn entries_are_namespaces_or_mistakes_or_ignored() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in [
            "shop",
            "batch-2",
            "Shop",
            "a.b",
            "lost+found",
            ".git",
            "..2026_1",
            "Shop/below.yaml",
        ] {
            fs::create_dir(at(name)).unwrap();
        }
        for name in ["README.md", "Shop/a.yaml", "a.b/README.md", "plain"] {
            fs::write(at(name), "x").unwrap();
        }
        for name in ["stray.yaml", "team.cases.yaml", ".hidden.yaml", "deny"] {
            fs::write(at(name), POLICY).unwrap();
        }
        symlink("shop", at("linked")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("Shop", at("Linked")).unwrap();
        symlink("README.md", at("LICENSE")).unwrap();
        let listing = listed(root.path(), false).unwrap();
        let namespaces: Vec<_> = listing.namespaces.iter().map(String::as_str).collect();
        assert_eq!(namespaces, ["batch-2", "dangling", "linked", "shop"]);
        assert_eq!(
            reported(&listing),
            [
                (Code::BadName, "Linked"),
                (Code::BadName, "Shop"),
                (Code::Misplaced, "deny"),
                (Code::Misplaced, "stray.yaml")
            ]
        );
        assert!(
            listing
                .problems
                .iter()
                .all(|p| p.is_error() && p.hint.is_some())
        );
    }

    #[test]
    fn what_is_no_policy_beside_the_directories_is_no_mistake() {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("package.json", "{\n  \"name\": \"teams\"\n}\n"),
            (
                "kustomization.yaml",
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n",
            ),
            ("empty.yaml", ""),
        ] {
            fs::write(root.path().join(name), text).unwrap();
        }
        assert_eq!(
            listed(root.path(), false).unwrap(),
            NamespaceListing::default()
        );
        symlink("nowhere", root.path().join("deny.yaml")).unwrap();
        assert_eq!(
            reported(&listed(root.path(), false).unwrap()),
            [(Code::Misplaced, "deny.yaml")]
        );
    }

    #[test]
    fn a_directory_of_no_namespace_is_looked_through_as_deep_as_its_like_are_read() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("Shop/deep")).unwrap();
        fs::write(root.path().join("Shop/deep/deny.yaml"), POLICY).unwrap();
        assert!(reported(&listed(root.path(), false).unwrap()).is_empty());
        assert_eq!(
            reported(&listed(root.path(), true).unwrap()),
            [(Code::BadName, "Shop")]
        );
    }

    #[test]
    fn what_is_no_directory_cannot_be_listed() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        for name in ["gone", "file"] {
            let problems = listed(&root.path().join(name), false).unwrap_err();
            assert_eq!(
                (problems.len(), problems[0].code),
                (1, Code::Unreadable),
                "{name}"
            );
        }
    }

    #[test]
    fn a_directory_that_is_gone_says_what_stays() {
        let root = tempfile::tempdir().unwrap();
        symlink("nowhere", root.path().join("dangling")).unwrap();
        let read = |path: &Path| {
            read_bound(
                path,
                "shop",
                &SourceOptions::default(),
                &StatCache::default(),
                &Progress::default(),
            )
        };
        let problem = |name: &str| read(&root.path().join(name)).unwrap_err().remove(0);
        assert!(
            problem("gone")
                .text
                .contains("what was in force for namespace `shop` stays")
        );
        assert!(problem("dangling").text.contains("does not exist"));
        let source = read(root.path()).unwrap();
        assert_eq!(source.namespace.as_deref(), Some("shop"));
    }
}
