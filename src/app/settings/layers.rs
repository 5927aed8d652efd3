//! The effective settings, and the origin of each: a flag, an environment variable, the settings
//! file, or the default.

use std::collections::BTreeMap;
use std::fmt;

use super::document::SettingPlaces;
use super::error::SettingsError;
use super::{Resolved, Setting, Settings};
use customs_policy::problem::Place;

/// The origin of a setting's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The setting was not given.
    #[default]
    Default,
    /// The command line: `--root-namespace`.
    Flag(String),
    /// The environment: `CUSTOMS_ROOT_NAMESPACE`.
    Variable(String),
    /// The settings file.
    File(Place),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("the default"),
            Origin::Flag(name) | Origin::Variable(name) => f.write_str(name),
            Origin::File(place) => place.fmt(f),
        }
    }
}

/// The effective settings, after each layer has overridden the one below.
#[derive(Clone, Debug, Default)]
pub(crate) struct LayeredSettings {
    /// The settings.
    pub(crate) settings: Settings,
    /// The origins of flags and variables, by the names of the settings.
    pub(crate) given: BTreeMap<&'static str, Origin>,
    /// The places in the file.
    pub(crate) places: SettingPlaces,
}

impl LayeredSettings {
    /// Checks every setting.
    ///
    /// # Errors
    /// Returns everything that is wrong, each with its origin.
    pub(crate) fn resolve(&self) -> Result<Resolved, SettingsError> {
        self.settings
            .resolve()
            .map_err(|wrong| wrong.with_origins(|path| self.origin(path)))
    }

    /// Returns the origin of the value of a setting, or of a key within it.
    fn origin(&self, path: &str) -> Origin {
        let given = Setting::of(path).and_then(|setting| self.given.get(setting.name));
        let written = || self.places.value(path).cloned().map(Origin::File);
        given.cloned().or_else(written).unwrap_or_default()
    }
}
