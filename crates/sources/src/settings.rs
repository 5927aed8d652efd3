//! The settings file as the loop sees it: a file that may change, and a function that interprets
//! it.
//!
//! Nothing here knows a setting. The bytes are read as policies are; the function comes from the
//! program that started the loop.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::problems::whole;
use super::read::read_file;
use customs_engine::settings::Settings;
use customs_policy::policy_set::{ParsedSettings, SettingsBytes};
use customs_policy::problem::{Code, Problem};

/// Interprets the text of a settings file, given the settings in force.
type Interpret = dyn Fn(&str, &Settings) -> Result<ParsedSettings, Vec<Problem>> + Send + Sync;

/// A settings file that may change while the loop runs.
#[derive(Clone)]
pub struct SettingsFile {
    path: PathBuf,
    interpret: Arc<Interpret>,
}

impl SettingsFile {
    /// Creates the file, with the function that interprets it.
    pub fn new(
        path: PathBuf,
        interpret: impl Fn(&str, &Settings) -> Result<ParsedSettings, Vec<Problem>>
        + Send
        + Sync
        + 'static,
    ) -> SettingsFile {
        SettingsFile {
            path,
            interpret: Arc::new(interpret),
        }
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file once.
    pub(super) fn read(&self) -> SettingsBytes {
        read_file(&self.path).map_err(|problem| vec![*problem])
    }

    /// Parses the bytes, given the settings in force.
    pub(super) fn parse(
        &self,
        bytes: &SettingsBytes,
        in_force: &Settings,
    ) -> Result<ParsedSettings, Vec<Problem>> {
        let bytes = bytes.as_ref().map_err(Clone::clone)?;
        let text = std::str::from_utf8(bytes).map_err(|_| {
            let problem = Problem::error(
                Code::YamlSyntax,
                whole(&self.path),
                "the file is not UTF-8 text",
            );
            vec![problem.hint("save it as UTF-8")]
        })?;
        (self.interpret)(text, in_force)
    }
}

impl fmt::Debug for SettingsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettingsFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
