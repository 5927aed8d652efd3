//! The setting `policies`: a path, or a mapping that makes the directories in it the sources of namespaces.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::files::PolicyDirectory;

/// An entry of `policies`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum PolicyPath {
    /// A directory that is one source.
    Plain(PathBuf),
    /// A directory whose directories are sources.
    PerNamespace(PerNamespace),
}

/// A directory whose directories are sources, each bound to one namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerNamespace {
    /// The directory that holds them.
    pub dir: PathBuf,
    /// What names the namespace.
    pub namespace_from: NamespaceFrom,
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
        f.write_str("a directory, or `{dir: DIRECTORY, namespace_from: directory}`")
    }

    fn visit_str<E>(self, path: &str) -> Result<PolicyPath, E> {
        Ok(PolicyPath::Plain(path.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PolicyPath, A::Error> {
        PerNamespace::deserialize(MapAccessDeserializer::new(map)).map(PolicyPath::PerNamespace)
    }
}

impl PolicyPath {
    fn directory(&self) -> PolicyDirectory {
        match self {
            PolicyPath::Plain(path) => PolicyDirectory::Source(path.clone()),
            PolicyPath::PerNamespace(PerNamespace { dir, namespace_from: NamespaceFrom::Directory }) => {
                PolicyDirectory::Namespaces(dir.clone())
            }
        }
    }
}

/// The directories, none of which is read twice; what is wrong is told as a sentence each.
pub fn resolve(paths: &[PolicyPath], wrong: &mut Vec<String>) -> Vec<PolicyDirectory> {
    let named = paths.iter().map(PolicyPath::directory).filter(|directory| !directory.path().as_os_str().is_empty());
    let mut directories: Vec<PolicyDirectory> = Vec::new();
    for directory in named {
        match directories.iter().find_map(|other| overlap(&directory, other)) {
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
        let reads_it = matches!(holder, PolicyDirectory::Namespaces(_)) && path.parent() == Some(outer);
        let (inner, outer) = (inner.path().display(), holder.path().display());
        reads_it.then(|| format!("`{inner}` lies in `{outer}`, where it is the source of a namespace already"))
    })
}

/// A path without `.` and doubled separators; symlinks are not followed.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::policy::document;

    fn read(text: &str) -> Result<Vec<PolicyPath>, String> {
        document::parse_typed("s.yaml", text).map_err(|why| why.to_string())
    }

    #[test]
    fn an_entry_has_two_forms() {
        let paths = read("- ./policies\n- {dir: ./teams, namespace_from: directory}\n").unwrap();
        let directories = resolve(&paths, &mut Vec::new());
        let expected = [PolicyDirectory::Source("./policies".into()), PolicyDirectory::Namespaces("./teams".into())];
        assert_eq!(directories, expected);
        assert_eq!(
            serde_json::to_string(&paths).unwrap(),
            r#"["./policies",{"dir":"./teams","namespace_from":"directory"}]"#
        );
    }

    #[test]
    fn a_wrong_entry_is_told_with_its_place() {
        for (text, place, part) in [
            ("- a\n- {dir: b, namespaces_from: directory}\n", "s.yaml:2:", "namespaces_from"),
            ("- {dir: b, namespace_from: label}\n", "s.yaml:1:", "label"),
            ("- {dir: b}\n", "s.yaml:1:", "namespace_from"),
            ("- [a]\n", "s.yaml:1:", "namespace_from: directory"),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.starts_with(place) && why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn no_directory_is_read_twice() {
        let plain = |path: &str| PolicyPath::Plain(path.into());
        let teams = |path: &str| {
            PolicyPath::PerNamespace(PerNamespace { dir: path.into(), namespace_from: NamespaceFrom::Directory })
        };
        for (paths, expected) in [
            (vec![plain("policies"), teams("policies/teams")], ""),
            (vec![teams("teams"), plain("teams/shop/more")], ""),
            (vec![teams("teams"), plain("teams-2")], ""),
            (vec![plain("a"), plain("./a/")], "is named twice"),
            (vec![teams("a"), plain("a")], "is named twice"),
            (vec![teams("./teams"), plain("teams/shop")], "`teams/shop` lies in `./teams`"),
            (vec![plain("teams/shop"), teams("teams")], "`teams/shop` lies in `teams`"),
            (vec![plain("")], "at least one"),
        ] {
            let mut wrong = Vec::new();
            resolve(&paths, &mut wrong);
            assert_eq!(wrong.is_empty(), expected.is_empty(), "{paths:?}: {wrong:?}");
            assert!(wrong.iter().all(|why| why.starts_with("policies: ") && why.contains(expected)), "{wrong:?}");
        }
    }
}
