//! The setting `policies`: a path, or a mapping with options of its own.
//!
//! On the command line and in the environment, options follow a question mark, as for audit sinks:
//! `./policies?recursive=true&default_namespace=shop`.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::settings::{SettingValueError, SettingsError};
use customs_engine::identity::is_dns_label;
use customs_sources::{PolicyDirectory, SourceOptions};

/// An entry of `policies`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum PolicyPath {
    /// A directory that is one source.
    Plain(PathBuf),
    /// A directory with options.
    With(DirectoryOptions),
}

/// A directory and how it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DirectoryOptions {
    /// The directory of an entry with options.
    pub dir: PathBuf,
    /// `directory`: each directory in this one is a source that is bound to the namespace of its
    /// name. If left out, the directory is one source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_from: Option<NamespaceFrom>,
    /// Whether subdirectories belong to the source.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recursive: bool,
    /// The namespace of documents that do not name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_namespace: Option<String>,
}

// serde requires this signature.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Where the namespace of a source comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NamespaceFrom {
    /// The name of its directory.
    Directory,
}

// Written by hand: a derived implementation tries both forms in turn and then reports neither what
// is wrong nor where.
impl<'de> Deserialize<'de> for PolicyPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PolicyPath, D::Error> {
        deserializer.deserialize_any(EitherForm)
    }
}

struct EitherForm;

impl<'de> Visitor<'de> for EitherForm {
    type Value = PolicyPath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a directory, or `{dir: DIRECTORY}` with `recursive`, `default_namespace` or `namespace_from: directory`",
        )
    }

    fn visit_str<E>(self, path: &str) -> Result<PolicyPath, E> {
        Ok(PolicyPath::Plain(path.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PolicyPath, A::Error> {
        DirectoryOptions::deserialize(MapAccessDeserializer::new(map)).map(PolicyPath::With)
    }
}

/// An option that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown option `{0}` of a directory: expected `recursive=true`, `default_namespace=NAME` or `namespace_from=directory`"
)]
pub(crate) struct DirectoryOptionError(String);

/// Parses a directory of the command line or the environment, with its options after a question
/// mark.
impl FromStr for PolicyPath {
    type Err = DirectoryOptionError;

    fn from_str(text: &str) -> Result<PolicyPath, DirectoryOptionError> {
        let Some((dir, options)) = text.split_once('?') else {
            return Ok(PolicyPath::Plain(text.into()));
        };
        let mut read = DirectoryOptions {
            dir: dir.into(),
            ..DirectoryOptions::default()
        };
        for option in options.split('&') {
            match option.split_once('=') {
                Some(("recursive", "true")) => read.recursive = true,
                Some(("recursive", "false")) => read.recursive = false,
                Some(("default_namespace", namespace)) => {
                    read.default_namespace = Some(namespace.to_owned())
                }
                Some(("namespace_from", "directory")) => {
                    read.namespace_from = Some(NamespaceFrom::Directory)
                }
                _ => return Err(DirectoryOptionError(option.to_owned())),
            }
        }
        Ok(PolicyPath::With(read))
    }
}

impl PolicyPath {
    fn path(&self) -> &Path {
        match self {
            PolicyPath::Plain(path) => path,
            PolicyPath::With(options) => &options.dir,
        }
    }

    /// Returns the directory; `at` is the entry's path in the settings.
    fn directory(&self, at: &str, wrong: &mut SettingsError) -> PolicyDirectory {
        let DirectoryOptions {
            dir,
            namespace_from,
            recursive,
            default_namespace,
        } = match self {
            PolicyPath::Plain(path) => return PolicyDirectory::source(path.clone()),
            PolicyPath::With(options) => options,
        };
        if let Some(namespace) = default_namespace {
            let path = format!("{at}.default_namespace");
            if !is_dns_label(namespace) {
                wrong.add(&path, namespace, SettingValueError::Namespace);
            }
            if namespace_from.is_some() {
                let what = "`namespace_from` names the namespaces; remove one of the two";
                wrong.add(path, namespace, SettingValueError::Conflict(what.into()));
            }
        }
        let options = SourceOptions {
            recursive: *recursive,
            default_namespace: default_namespace.clone(),
        };
        match namespace_from {
            None => PolicyDirectory::source(dir.clone()),
            Some(NamespaceFrom::Directory) => PolicyDirectory::namespaces(dir.clone()),
        }
        .read_with(options)
    }
}

/// Returns the directories of an argument with this name.
///
/// # Errors
/// Returns everything that is wrong with them.
pub(super) fn directories(
    argument: &str,
    paths: &[PolicyPath],
) -> Result<Vec<PolicyDirectory>, SettingsError> {
    let mut wrong = SettingsError::default();
    let directories = numbered(argument, paths, &mut wrong);
    wrong.or(directories
        .into_iter()
        .map(|(_, directory)| directory)
        .collect())
}

/// Returns the directories, each with its path in the settings.
fn numbered(
    setting: &str,
    paths: &[PolicyPath],
    wrong: &mut SettingsError,
) -> Vec<(String, PolicyDirectory)> {
    let entries = (0..).zip(paths).map(|(at, path): (usize, _)| {
        let at = format!("{setting}[{at}]");
        let directory = path.directory(&at, wrong);
        (at, directory)
    });
    entries.collect()
}

/// Returns the directories of the setting, and checks that none is read twice.
pub(super) fn resolve(paths: &[PolicyPath], wrong: &mut SettingsError) -> Vec<PolicyDirectory> {
    let mut kept: Vec<(String, PolicyDirectory)> = Vec::new();
    for (at, directory) in numbered("policies", paths, wrong) {
        if directory.path().as_os_str().is_empty() {
            continue;
        }
        let overlaps = |(other_at, other)| overlap((&at, &directory), (other_at, other));
        match kept
            .iter()
            .map(|(at, other)| (at, other))
            .find_map(overlaps)
        {
            Some((at, inner, error)) => wrong.add(at, inner, SettingValueError::Overlap(error)),
            None => kept.push((at, directory)),
        }
    }
    if kept.is_empty() {
        wrong.add_whole(
            "policies",
            SettingValueError::Empty("at least one directory"),
        );
    }
    kept.into_iter().map(|(_, directory)| directory).collect()
}

/// Returns the directory of the policy archive, and checks that it is not inside a directory of
/// policies, whose files it would become. An empty text means none.
pub(super) fn archive(
    path: Option<&str>,
    policies: &[PolicyPath],
    wrong: &mut SettingsError,
) -> Option<PathBuf> {
    let path = path.filter(|path| !path.is_empty())?;
    let directories = policies.iter().map(PolicyPath::path);
    let holder = directories
        .filter(|directory| !directory.as_os_str().is_empty())
        .find(|directory| normal(Path::new(path)).starts_with(normal(directory)));
    if let Some(holder) = holder {
        let what = format!(
            "the directory is inside `{}`, whose files are policies; name one outside",
            holder.display()
        );
        wrong.add("policy_archive", path, SettingValueError::Conflict(what));
    }
    Some(path.into())
}

/// Why two directories cannot be used together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DirectoryOverlapError {
    /// They are the same directory.
    #[error("the directory is named twice; remove one of the two")]
    Same,
    /// One is inside the other, whose directories are all sources.
    #[error(
        "the directory is inside `{0}`, where it is the source of a namespace already; remove it"
    )]
    Namespace(String),
    /// One is inside the other, which is recursive.
    #[error("the directory is inside `{0}`, which is recursive and reads it already; remove it")]
    Recursive(String),
}

/// Returns the entry that conflicts with the other one: its path in the settings, its text, and
/// why.
fn overlap(
    one: (&String, &PolicyDirectory),
    other: (&String, &PolicyDirectory),
) -> Option<(String, String, DirectoryOverlapError)> {
    let overlap = |(at, inner): (&String, &PolicyDirectory), why| {
        Some((at.clone(), inner.path().display().to_string(), why))
    };
    if normal(one.1.path()) == normal(other.1.path()) {
        return overlap(one, DirectoryOverlapError::Same);
    }
    [(one, other), (other, one)]
        .into_iter()
        .find_map(|(holder, inner)| {
            let (outer, path) = (normal(holder.1.path()), normal(inner.1.path()));
            let name = || holder.1.path().display().to_string();
            let is_namespace =
                holder.1.holds_namespaces() && path.parent() == Some(outer.as_path());
            if is_namespace {
                overlap(inner, DirectoryOverlapError::Namespace(name()))
            } else if holder.1.options().recursive && path.starts_with(&outer) {
                overlap(inner, DirectoryOverlapError::Recursive(name()))
            } else {
                None
            }
        })
}

/// Returns the path without `.` and repeated separators; symlinks are not followed.
fn normal(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_policy::document;

    fn wrong(paths: &[PolicyPath]) -> Vec<String> {
        let mut wrong = SettingsError::default();
        resolve(paths, &mut wrong);
        wrong.errors().iter().map(ToString::to_string).collect()
    }

    fn read(text: &str) -> Result<Vec<PolicyPath>, String> {
        document::parse_typed("s.yaml", text).map_err(|why| why.to_string())
    }

    #[test]
    fn an_entry_has_two_forms_in_a_file_and_one_on_the_command_line() {
        let text = "- ./policies\n- {dir: ./teams, namespace_from: directory}\n\
                    - {dir: ./git, recursive: true, default_namespace: shop}\n- {dir: ./plain}\n";
        let paths = read(text).unwrap();
        let directories = resolve(&paths, &mut SettingsError::default());
        let options = SourceOptions {
            recursive: true,
            default_namespace: Some("shop".into()),
        };
        let expected = [
            PolicyDirectory::source("./policies".into()),
            PolicyDirectory::namespaces("./teams".into()),
            PolicyDirectory::source("./git".into()).read_with(options),
            PolicyDirectory::source("./plain".into()),
        ];
        assert_eq!(directories, expected);
        let on_the_line = [
            "./policies",
            "./teams?namespace_from=directory",
            "./git?recursive=true&default_namespace=shop",
            "./plain",
        ];
        let on_the_line: Vec<PolicyPath> = on_the_line
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        assert_eq!(
            resolve(&on_the_line, &mut SettingsError::default()),
            expected
        );
        assert_eq!(
            serde_json::to_string(&paths).unwrap(),
            r#"["./policies",{"dir":"./teams","namespace_from":"directory"},{"dir":"./git","recursive":true,"default_namespace":"shop"},{"dir":"./plain"}]"#
        );
        for text in [
            "p?recursive",
            "p?recursive=yes",
            "p?",
            "p?recursiv=true",
            "p?recursive=true&x=y",
        ] {
            let why = text.parse::<PolicyPath>().unwrap_err().to_string();
            assert!(
                why.contains("` of a directory: expected `recursive=true`"),
                "{text}"
            );
        }
    }

    #[test]
    fn options_without_meaning_are_reported() {
        for (text, part) in [
            ("p?default_namespace=Shop", "`Shop`: expected a DNS label"),
            (
                "p?default_namespace=shop&namespace_from=directory",
                "`shop`: `namespace_from` names the namespaces",
            ),
        ] {
            let wrong = wrong(&[text.parse().unwrap()]);
            let start = format!("invalid policies[0].default_namespace {part}");
            assert!(
                wrong.len() == 1 && wrong[0].starts_with(&start),
                "{text}: {wrong:?}"
            );
        }
    }

    #[test]
    fn a_wrong_entry_is_reported_with_its_place() {
        for (text, place, part) in [
            (
                "- a\n- {dir: b, namespaces_from: directory}\n",
                "s.yaml:2:",
                "namespaces_from",
            ),
            ("- {dir: b, namespace_from: label}\n", "s.yaml:1:", "label"),
            ("- {recursive: true}\n", "s.yaml:1:", "dir"),
            ("- [a]\n", "s.yaml:1:", "namespace_from: directory"),
        ] {
            let why = read(text).unwrap_err();
            assert!(
                why.starts_with(place) && why.contains(part),
                "{text}: {why}"
            );
        }
    }

    #[test]
    fn an_archive_is_outside_of_the_policies() {
        let policies = [
            PolicyPath::Plain("./policies".into()),
            "teams?namespace_from=directory".parse().unwrap(),
        ];
        for (path, expected) in [
            (None, ""),
            (Some(""), ""),
            (Some("archive"), ""),
            (Some("policies-archive"), ""),
            (Some("policies"), "inside `./policies`"),
            (Some("policies/archive"), "inside `./policies`"),
            (Some("./teams/archive/"), "inside `teams`"),
        ] {
            let mut wrong = SettingsError::default();
            let found = archive(path, &policies, &mut wrong);
            let wrong = wrong.errors();
            assert_eq!(
                found,
                path.filter(|path| !path.is_empty()).map(PathBuf::from)
            );
            assert_eq!(wrong.is_empty(), expected.is_empty(), "{path:?}: {wrong:?}");
            let why = wrong.first().map(ToString::to_string).unwrap_or_default();
            assert!(why.contains(expected), "{path:?}: {why}");
        }
    }

    #[test]
    fn no_directory_is_read_twice() {
        let plain = |path: &str| PolicyPath::Plain(path.into());
        let teams = |path: &str| {
            PolicyPath::With(DirectoryOptions {
                dir: path.into(),
                namespace_from: Some(NamespaceFrom::Directory),
                ..DirectoryOptions::default()
            })
        };
        for (paths, expected) in [
            (vec![plain("policies"), teams("policies/teams")], ""),
            (vec![teams("teams"), plain("teams/shop/more")], ""),
            (vec![teams("teams"), plain("teams-2")], ""),
            (
                vec![plain("a"), plain("./a/")],
                "[1] `./a/`: the directory is named twice",
            ),
            (
                vec![teams("a"), plain("a")],
                "[1] `a`: the directory is named twice",
            ),
            (
                vec![teams("./teams"), plain("teams/shop")],
                "[1] `teams/shop`: the directory is inside `./teams`",
            ),
            (
                vec![plain("teams/shop"), teams("teams")],
                "[0] `teams/shop`: the directory is inside `teams`",
            ),
            (
                vec![plain("")],
                ": the list is empty: expected at least one",
            ),
            (
                vec![
                    "git?recursive=true".parse().unwrap(),
                    plain("git/apps/shop"),
                ],
                "[1] `git/apps/shop`: the directory is inside `git`, which is recursive",
            ),
        ] {
            let wrong = wrong(&paths);
            assert_eq!(
                wrong.is_empty(),
                expected.is_empty(),
                "{paths:?}: {wrong:?}"
            );
            assert!(
                wrong
                    .iter()
                    .all(|why| why.starts_with(&format!("invalid policies{expected}"))),
                "{wrong:?}"
            );
        }
    }
}
