//! The settings that hold, and where each of them comes from: a flag, a variable of the
//! environment, the settings file, or the default.

use std::collections::BTreeMap;
use std::fmt;

use super::document::SettingPlaces;
use super::error::SettingsError;
use super::{Resolved, Setting, Settings};
use customs_policy::problem::Place;

/// Where the value of a setting comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody writes it.
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

/// The settings that hold, after every layer was laid over the one below.
#[derive(Clone, Debug, Default)]
pub(crate) struct LayeredSettings {
    /// The settings.
    pub(crate) settings: Settings,
    /// What flags and variables say, by the names of the settings.
    pub(crate) given: BTreeMap<&'static str, Origin>,
    /// What the file says.
    pub(crate) places: SettingPlaces,
}

impl LayeredSettings {
    /// Checks every setting.
    ///
    /// # Errors
    /// Everything that is wrong, each with the place where it was written.
    pub(crate) fn resolve(&self) -> Result<Resolved, SettingsError> {
        self.settings
            .resolve()
            .map_err(|wrong| wrong.with_origins(|path| self.origin(path)))
    }

    /// Where the value of a setting, or of a key within it, comes from.
    fn origin(&self, path: &str) -> Origin {
        let given = Setting::of(path).and_then(|setting| self.given.get(setting.name));
        let written = || self.places.value(path).cloned().map(Origin::File);
        given.cloned().or_else(written).unwrap_or_default()
    }
}
