//! The setting `policies`: a path, or a mapping with options of its own.
//!
//! On the command line and in the environment the options follow a question mark, as those of audit sinks do:
//! `./policies?recursive=true&default_namespace=shop`.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use customs_engine::identity::is_dns_label;
use customs_sources::{PolicyDirectory, SourceOptions};

/// An entry of `policies`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum PolicyPath {
    /// A directory that is one source.
    Plain(PathBuf),
    /// A directory with options.
    With(DirectoryOptions),
}

/// A directory and how it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryOptions {
    /// The directory.
    pub dir: PathBuf,
    /// What names the namespaces of the directories in it: then each of them is a source, bound to one namespace. Left out,
    /// the directory is one source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_from: Option<NamespaceFrom>,
    /// Whether sub-directories belong to the source.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recursive: bool,
    /// The namespace of documents that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_namespace: Option<String>,
}

// serde asks for this form.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// What names the namespace of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceFrom {
    /// The name of its directory.
    Directory,
}

// Written by hand: a derived one tries both forms in turn, and then says neither what is wrong nor where.
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

/// An option that directories do not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no option of a directory: write `recursive=true`, `default_namespace=NAME` or `namespace_from=directory`"
)]
pub struct DirectoryOptionError(String);

/// A directory as the command line and the environment write it, with its options behind a question mark.
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
    fn directory(&self, wrong: &mut Vec<String>) -> PolicyDirectory {
        let DirectoryOptions {
            dir,
            namespace_from,
            recursive,
            default_namespace,
        } = match self {
            PolicyPath::Plain(path) => return PolicyDirectory::source(path.clone()),
            PolicyPath::With(options) => options,
        };
        if let Some(namespace) = default_namespace
            .as_ref()
            .filter(|namespace| !is_dns_label(namespace))
        {
            wrong.push(format!(
                "policies: `{namespace}` is no namespace (`default_namespace` of `{}`)",
                dir.display()
            ));
        }
        let options = SourceOptions {
            recursive: *recursive,
            default_namespace: default_namespace.clone(),
        };
        match namespace_from {
            None => PolicyDirectory::source(dir.clone()),
            Some(NamespaceFrom::Directory) => {
                if default_namespace.is_some() {
                    let dir = dir.display();
                    wrong.push(format!("policies: `{dir}` has `namespace_from`, so `default_namespace` means nothing"));
                }
                PolicyDirectory::namespaces(dir.clone())
            }
        }
        .read_with(options)
    }
}

/// The directories of arguments.
///
/// # Errors
/// What is wrong with one.
pub fn directories(paths: &[PolicyPath]) -> Result<Vec<PolicyDirectory>, Vec<String>> {
    let mut wrong = Vec::new();
    let directories = paths
        .iter()
        .map(|path| path.directory(&mut wrong))
        .collect();
    if wrong.is_empty() {
        Ok(directories)
    } else {
        Err(wrong)
    }
}

/// The directories, none of which is read twice; what is wrong is told as a sentence each.
pub fn resolve(paths: &[PolicyPath], wrong: &mut Vec<String>) -> Vec<PolicyDirectory> {
    let named: Vec<_> = paths.iter().map(|path| path.directory(wrong)).collect();
    let mut directories: Vec<PolicyDirectory> = Vec::new();
    for directory in named
        .into_iter()
        .filter(|directory| !directory.path().as_os_str().is_empty())
    {
        match directories
            .iter()
            .find_map(|other| overlap(&directory, other))
        {
            Some(why) => wrong.push(format!("policies: {why}")),
            None => directories.push(directory),
        }
    }
    if directories.is_empty() {
        wrong.push("policies: name at least one directory".into());
    }
    directories
}

/// Why two directories cannot both be named.
fn overlap(one: &PolicyDirectory, other: &PolicyDirectory) -> Option<String> {
    let (a, b) = (normal(one.path()), normal(other.path()));
    if a == b {
        return Some(format!("`{}` is named twice", one.path().display()));
    }
    let pairs = [(one, &a, other, &b), (other, &b, one, &a)];
    pairs.into_iter().find_map(|(holder, outer, inner, path)| {
        let is_namespace = holder.holds_namespaces() && path.parent() == Some(outer);
        let is_below = holder.options().recursive && path.starts_with(outer);
        let (inner, outer) = (inner.path().display(), holder.path().display());
        match (is_namespace, is_below) {
            (true, _) => Some(format!(
                "`{inner}` lies in `{outer}`, where it is the source of a namespace already"
            )),
            (false, true) => Some(format!(
                "`{inner}` lies in `{outer}`, which is recursive and reads it already"
            )),
            (false, false) => None,
        }
    })
}

/// A path without `.` and doubled separators; symlinks are not followed.
fn normal(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_policy::document;

    fn read(text: &str) -> Result<Vec<PolicyPath>, String> {
        document::parse_typed("s.yaml", text).map_err(|why| why.to_string())
    }

    #[test]
    fn an_entry_has_two_forms_in_a_file_and_one_on_the_command_line() {
        let text = "- ./policies\n- {dir: ./teams, namespace_from: directory}\n\
                    - {dir: ./git, recursive: true, default_namespace: shop}\n- {dir: ./plain}\n";
        let paths = read(text).unwrap();
        let directories = resolve(&paths, &mut Vec::new());
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
        assert_eq!(resolve(&on_the_line, &mut Vec::new()), expected);
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
            assert!(why.contains("is no option of a directory"), "{text}");
        }
    }

    #[test]
    fn options_that_mean_nothing_are_told() {
        for (text, part) in [
            ("p?default_namespace=Shop", "`Shop` is no namespace"),
            (
                "p?default_namespace=shop&namespace_from=directory",
                "means nothing",
            ),
        ] {
            let mut wrong = Vec::new();
            resolve(&[text.parse().unwrap()], &mut wrong);
            assert!(
                wrong.len() == 1 && wrong[0].contains(part),
                "{text}: {wrong:?}"
            );
        }
    }

    #[test]
    fn a_wrong_entry_is_told_with_its_place() {
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
            (vec![plain("a"), plain("./a/")], "is named twice"),
            (vec![teams("a"), plain("a")], "is named twice"),
            (
                vec![teams("./teams"), plain("teams/shop")],
                "`teams/shop` lies in `./teams`",
            ),
            (
                vec![plain("teams/shop"), teams("teams")],
                "`teams/shop` lies in `teams`",
            ),
            (vec![plain("")], "at least one"),
            (
                vec![
                    "git?recursive=true".parse().unwrap(),
                    plain("git/apps/shop"),
                ],
                "which is recursive",
            ),
        ] {
            let mut wrong = Vec::new();
            resolve(&paths, &mut wrong);
            assert_eq!(
                wrong.is_empty(),
                expected.is_empty(),
                "{paths:?}: {wrong:?}"
            );
            assert!(
                wrong
                    .iter()
                    .all(|why| why.starts_with("policies: ") && why.contains(expected)),
                "{wrong:?}"
            );
        }
    }
}
