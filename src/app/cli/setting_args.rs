//! The flags and variables of settings, made from the table of settings.
//!
//! Each command takes a set of them: `serve` takes all, the tools those that can change a verdict.
//! What is not given is left to the settings file and the defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, ValueHint, value_parser};

use crate::app::settings::{
    LayeredSettings, Origin, SETTINGS, Setting, Settings, SettingsDocument, SettingsFileError,
};

/// The argument that names the settings file.
const CONFIG: &str = "config";
/// The setting that names policy directories; tools take it without a flag.
const POLICIES: &str = "policies";
/// The value name of such an argument.
const DIRECTORY: &str = "DIR";
/// The value name of an argument that may be a file too.
const PATH: &str = "PATH";
/// What such an argument is.
const PATHS_HELP: &str = "Directories of policies, policy files, and - for stdin; together they are one set [default: the setting `policies`]";

/// Every setting that has a flag.
pub type ServeArgs = SettingArgs<EverySetting>;
/// The settings that can change a verdict, and the directories as plain arguments.
pub type ReadArgs = SettingArgs<DirectoriesAndVerdicts>;
/// The settings that can change a verdict, and directories and files as plain arguments.
pub type LintReadArgs = SettingArgs<PathsAndVerdicts>;
/// The settings that can change a verdict.
pub type VerdictArgs = SettingArgs<Verdicts>;

/// The settings that a command takes.
pub trait SettingSet {
    /// The heading of `--config` in help; `None` puts it among the options of the command.
    const HEADING: Option<&'static str>;

    /// Returns the argument for a setting, if the command takes it.
    fn argument(setting: &Setting) -> Option<Arg>;
}

/// The heading of the settings that a tool takes.
const TOOLS: &str = "Settings";

/// See [`ServeArgs`].
#[derive(Debug)]
pub enum EverySetting {}

impl SettingSet for EverySetting {
    const HEADING: Option<&'static str> = None;

    fn argument(setting: &Setting) -> Option<Arg> {
        Some(setting.argument()?.help_heading(setting.group()))
    }
}

/// See [`VerdictArgs`].
#[derive(Debug)]
pub enum Verdicts {}

impl SettingSet for Verdicts {
    const HEADING: Option<&'static str> = Some(TOOLS);

    fn argument(setting: &Setting) -> Option<Arg> {
        let argument = setting.argument().filter(|_| setting.changes_verdicts())?;
        Some(argument.help_heading(TOOLS))
    }
}

/// See [`ReadArgs`].
#[derive(Debug)]
pub enum DirectoriesAndVerdicts {}

impl SettingSet for DirectoriesAndVerdicts {
    const HEADING: Option<&'static str> = Verdicts::HEADING;

    fn argument(setting: &Setting) -> Option<Arg> {
        if setting.name == POLICIES {
            let flag = setting.argument()?;
            let directories = flag.long(Resettable::Reset).num_args(1..);
            let directories = directories.value_hint(ValueHint::DirPath);
            return Some(directories.value_name(DIRECTORY));
        }
        Verdicts::argument(setting)
    }
}

/// See [`LintReadArgs`].
#[derive(Debug)]
pub enum PathsAndVerdicts {}

impl SettingSet for PathsAndVerdicts {
    const HEADING: Option<&'static str> = Verdicts::HEADING;

    fn argument(setting: &Setting) -> Option<Arg> {
        let argument = DirectoriesAndVerdicts::argument(setting)?;
        Some(match setting.name {
            POLICIES => argument.value_name(PATH).help(PATHS_HELP),
            _ => argument,
        })
    }
}

/// The settings file and the settings that a command was given.
pub struct SettingArgs<S> {
    config: Option<PathBuf>,
    /// The values that were given, among the defaults.
    values: Box<Settings>,
    /// Where each of them comes from.
    given: BTreeMap<&'static str, Origin>,
    set: PhantomData<S>,
}

// Written by hand: a derived implementation would require the trait of the set too.
impl<S> Clone for SettingArgs<S> {
    fn clone(&self) -> Self {
        SettingArgs {
            config: self.config.clone(),
            values: self.values.clone(),
            given: self.given.clone(),
            set: PhantomData,
        }
    }
}

impl<S> fmt::Debug for SettingArgs<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettingArgs")
            .field("config", &self.config)
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

impl<S> SettingArgs<S> {
    /// Returns the settings file, if one was named.
    pub fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Returns the effective settings: flags and environment override the settings file, which
    /// overrides the defaults.
    ///
    /// # Errors
    /// Returns what is wrong with the settings file.
    pub(crate) fn settings(&self) -> Result<LayeredSettings, SettingsFileError> {
        let document = match self.config() {
            Some(path) => SettingsDocument::read(path)?,
            None => SettingsDocument::default(),
        };
        Ok(self.over(document))
    }

    /// Returns the effective settings with this file.
    pub(crate) fn over(&self, document: SettingsDocument) -> LayeredSettings {
        let SettingsDocument {
            mut settings,
            places,
        } = document;
        for setting in self.given.keys().filter_map(|name| Setting::of(name)) {
            setting.copy(&self.values, &mut settings);
        }
        LayeredSettings {
            settings,
            given: self.given.clone(),
            places,
        }
    }
}

/// Returns the origin of a setting's value that an argument gives.
fn origin(setting: &Setting, argument: &Arg, source: Option<ValueSource>) -> Origin {
    match (source, setting.variable(), argument.get_long()) {
        (Some(ValueSource::EnvVariable), Some(variable), _) => Origin::Variable(variable),
        (_, _, Some(flag)) => Origin::Flag(format!("--{flag}")),
        (_, _, None) => Origin::Flag(DIRECTORY.to_owned()),
    }
}

impl<S: SettingSet> FromArgMatches for SettingArgs<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (mut values, mut given) = (Box::<Settings>::default(), BTreeMap::new());
        for setting in SETTINGS {
            // The command may have another argument with this name.
            let Some(argument) = S::argument(setting) else {
                continue;
            };
            if matches.ids().any(|id| id == setting.name) {
                setting.assign(matches, &mut values);
                let source = matches.value_source(setting.name);
                given.insert(setting.name, origin(setting, &argument, source));
            }
        }
        Ok(SettingArgs {
            config: matches.get_one(CONFIG).cloned(),
            values,
            given,
            set: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = SettingArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<S: SettingSet> Args for SettingArgs<S> {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .env("CUSTOMS_CONFIG")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath)
            .hide_env(true)
            .help_heading(S::HEADING)
            .help("A settings file (YAML)")
            .long_help(
                "A settings file (YAML). Flags and environment variables override it. customs \
                 settings prints one.\n\n[env: CUSTOMS_CONFIG]",
            );
        command
            .arg(config)
            .args(SETTINGS.iter().filter_map(S::argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests;
