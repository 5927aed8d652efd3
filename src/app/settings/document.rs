//! The settings file: its text as [`Settings`], and the place of each value in it.

use std::collections::BTreeMap;
use std::path::Path;

use super::Settings;
use customs_policy::document::{self, Node, Value};
use customs_policy::problem::{Place, Problem};

/// Why a settings file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SettingsFileError {
    /// The file cannot be read.
    #[error("cannot read settings file {file}: {problem}")]
    Read {
        /// The file.
        file: String,
        /// The error of the operating system.
        #[source]
        problem: std::io::Error,
    },
    /// The file has an invalid value or key.
    #[error("{0}; `customs settings` prints every setting with its default")]
    Invalid(Box<Problem>),
}

/// A settings file that was read. The default is that of no file.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingsDocument {
    /// The defaults, overridden by the file.
    pub(crate) settings: Settings,
    /// The places of the values in the file.
    pub(crate) places: SettingPlaces,
}

impl SettingsDocument {
    /// Reads a settings file.
    ///
    /// # Errors
    /// Returns what is wrong, with its place.
    pub(crate) fn read(path: &Path) -> Result<SettingsDocument, SettingsFileError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|problem| SettingsFileError::Read {
            file: file.clone(),
            problem,
        })?;
        SettingsDocument::parse(&file, &text)
            .map_err(|problem| SettingsFileError::Invalid(Box::new(problem)))
    }

    /// Parses the text of a settings file.
    ///
    /// # Errors
    /// Returns what is wrong, with its place.
    pub(crate) fn parse(file: &str, text: &str) -> Result<SettingsDocument, Problem> {
        let is_empty = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if text.lines().all(is_empty) {
            return Ok(SettingsDocument::default());
        }
        let settings = document::parse_typed(file, text)?;
        let places = SettingPlaces::read(file, text)?;
        Ok(SettingsDocument { settings, places })
    }
}

/// The place of each setting that a file writes, by its path: `gateway.listeners[0].port`.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingPlaces(BTreeMap<String, WrittenAt>);

/// The places of a setting.
#[derive(Clone, Debug)]
struct WrittenAt {
    key: Place,
    value: Place,
}

impl SettingPlaces {
    /// Finds the places in a text. The text need not be a valid settings file: the code that reads
    /// it into a type reports what is wrong.
    ///
    /// # Errors
    /// Returns the first problem, if the text is not YAML.
    pub(crate) fn read(file: &str, text: &str) -> Result<SettingPlaces, Problem> {
        let mut places = SettingPlaces::default();
        for node in document::parse(file, text) {
            let node = node?;
            if !matches!(node.value, Value::Map(_)) {
                places.add("", &node.place, &node);
            }
            places.descend("", &node);
        }
        Ok(places)
    }

    fn descend(&mut self, path: &str, node: &Node) {
        match &node.value {
            Value::Map(pairs) => {
                for (key, value) in pairs {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.add(&format!("{path}{dot}{}", key.name), &key.place, value);
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.add(&format!("{path}[{index}]"), &item.place, item);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
        }
    }

    fn add(&mut self, path: &str, key: &Place, node: &Node) {
        let (key, value) = (key.clone(), node.place.clone());
        self.0.insert(path.to_owned(), WrittenAt { key, value });
        self.descend(path, node);
    }

    /// Returns whether the file has no settings.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the file has this setting.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Returns the place of a setting's key.
    pub(crate) fn key(&self, path: &str) -> Option<&Place> {
        self.0.get(path).map(|at| &at.key)
    }

    /// Returns the place of a setting's value, or of the innermost value in the file that would
    /// contain it.
    pub(crate) fn value(&self, path: &str) -> Option<&Place> {
        let mut path = path;
        loop {
            if let Some(at) = self.0.get(path) {
                return Some(&at.value);
            }
            (path, _) = path.split_at_checked(path.rfind(['.', '['])?)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_path_and_its_place() {
        let text =
            "default: deny\ngateway:\n  namespace: a\n  listeners:\n  - {port: 1, host: b}\n";
        let places = SettingPlaces::read("s.yaml", text).unwrap();
        for (path, place) in [
            ("default", "s.yaml:1:10"),
            ("gateway.namespace", "s.yaml:3:14"),
            ("gateway.listeners[0].host", "s.yaml:5:21"),
            ("gateway.listeners[0].target_port", "s.yaml:5:5"),
            ("gateway.labels", "s.yaml:3:3"),
        ] {
            let found = places.value(path).map(ToString::to_string);
            assert_eq!(found.as_deref(), Some(place), "{path}");
        }
        assert_eq!(places.key("gateway").unwrap().to_string(), "s.yaml:2:1");
        assert!(places.value("admin").is_none() && !places.has("gateway.labels"));
    }

    #[test]
    fn a_file_that_writes_nothing_is_empty_and_one_that_is_not_a_mapping_is_not() {
        for text in ["", "# a\n", "{}", "null", "---\n...\n"] {
            assert!(SettingPlaces::read("s.yaml", text).unwrap().is_empty());
        }
        for text in ["[]", "a", "1", "{a: }"] {
            let places = SettingPlaces::read("s.yaml", text).unwrap();
            assert!(!places.is_empty(), "{text}");
        }
        assert!(SettingPlaces::read("s.yaml", "a: [").is_err());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "admin: off\nlissten: x\n").unwrap();
        let why = SettingsDocument::read(file.path()).unwrap_err().to_string();
        assert!(why.contains(":2:1") && why.contains("lissten"), "{why}");
    }
}
