//! How a setting is declared: the columns of the table, and the macro that reads it.
//!
//! This row of the table in [`settings`](super)
//!
//! ```text
//! /// The number of calls that a connection may have open at once. More about it.
//! max_concurrent_streams: u32 = 1024, Flag("N"), Restart;
//! ```
//!
//! becomes three things:
//!
//! - the field `pub max_concurrent_streams: u32` of [`Settings`], with the comment, by which serde
//!   reads the settings file;
//! - `max_concurrent_streams: 1024` in `Settings::default()`;
//! - one [`Setting`] in [`SETTINGS`], with the name and the comment as text.
//!
//! `group "Audit log";` before a row begins a group of flags in the help, which ends where the next
//! begins.
//!
//! The macro does no more than that. Everything else is ordinary code over `SETTINGS`: the flag
//! `--max-concurrent-streams`, the variable `CUSTOMS_MAX_CONCURRENT_STREAMS`, its help (the first
//! sentence of the comment, and the default), what a reload may change, and the reference. The type
//! says how the flag's text is parsed ([`SettingValue`](super::value::SettingValue)).

use std::sync::LazyLock;

use clap::{Arg, ArgMatches};
use serde_json::Value;

use super::{SETTINGS, Settings};

/// The prefix of every variable.
pub(crate) const PREFIX: &str = "CUSTOMS_";

/// Every default, as the settings file would have it; the help of each flag looks one up.
static DEFAULTS: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(Settings::default()).unwrap_or_default());

/// How a setting is written outside of the settings file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// As a flag and as a variable; help shows the value by this name.
    Flag(&'static str),
    /// Only in the settings file: it is a mapping.
    FileOnly,
}

/// When a change of the settings file takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesEffect {
    /// At a restart. Until then the value at the start stays in force, and a warning reports that.
    Restart,
    /// At a reload, because it is part of what decides. The file may leave it out: its default lets
    /// nothing pass that another value would stop.
    Reload,
    /// At a reload as well. A file that no longer has it is rejected, because its default
    /// could let requests pass that do not pass now.
    ReloadIfWritten,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key in the settings file.
    pub name: &'static str,
    /// Its documentation, in lines; the first sentence is the help of its flag.
    pub doc: &'static str,
    /// How it is written outside of the settings file.
    pub written: Written,
    /// When a change of the settings file takes effect.
    pub takes_effect: TakesEffect,
    /// The group that begins with this row, if one does.
    pub(super) begins: &'static [&'static str],
    /// Makes an argument take the setting's values.
    pub(super) argument: fn(Arg) -> Arg,
    /// Takes the value of its flag or variable over.
    pub(super) assign: fn(&ArgMatches, &mut Settings),
    /// Copies the value.
    pub(super) copy: fn(&Settings, &mut Settings),
    /// Returns whether both have the same value.
    pub(super) is_same: fn(&Settings, &Settings) -> bool,
}

impl Setting {
    /// Returns the setting of a path such as `gateway.listeners[0].port`.
    pub fn of(path: &str) -> Option<&'static Setting> {
        let name = path.split(['.', '[']).next().unwrap_or_default();
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Returns whether it can change a verdict.
    pub fn changes_verdicts(&self) -> bool {
        self.takes_effect != TakesEffect::Restart
    }

    /// Returns the group of the setting, in which help shows its flag.
    pub fn group(&self) -> &'static str {
        let before = SETTINGS.iter().position(|row| row.name == self.name);
        let rows = SETTINGS.iter().take(before.unwrap_or_default() + 1);
        rows.flat_map(|row| row.begins)
            .last()
            .copied()
            .unwrap_or_default()
    }

    /// Returns the flag without its dashes, if it has one.
    pub fn flag(&self) -> Option<String> {
        (self.written != Written::FileOnly).then(|| self.name.replace('_', "-"))
    }

    /// Returns the environment variable, if it has one.
    pub fn variable(&self) -> Option<String> {
        (self.written != Written::FileOnly)
            .then(|| format!("{PREFIX}{}", self.name.to_ascii_uppercase()))
    }

    /// Returns the default, as in the settings file.
    pub fn default_value(&self) -> Value {
        DEFAULTS.get(self.name).cloned().unwrap_or_default()
    }

    /// Returns the flag as an argument of the command line, with its variable and its help.
    pub(crate) fn argument(&self) -> Option<Arg> {
        let Written::Flag(value_name) = self.written else {
            return None;
        };
        let arg = Arg::new(self.name)
            .long(self.flag()?)
            .env(self.variable()?)
            // The long help names the variable. Its value may hold a secret, such as a header for a
            // collector.
            .hide_env(true)
            .value_name(value_name)
            .help(self.help())
            .long_help(self.long_help());
        Some((self.argument)(arg))
    }

    /// Takes the value of its flag or its variable.
    pub(crate) fn assign(&self, matches: &ArgMatches, settings: &mut Settings) {
        (self.assign)(matches, settings);
    }

    /// Copies its value from one to the other.
    pub(crate) fn copy(&self, from: &Settings, to: &mut Settings) {
        (self.copy)(from, to);
    }

    /// Returns whether both have the same value.
    pub(crate) fn is_same(&self, one: &Settings, other: &Settings) -> bool {
        (self.is_same)(one, other)
    }

    /// Returns the first sentence of the documentation, and the default.
    fn help(&self) -> String {
        let sentence = first_sentence(self.doc).replace('`', "");
        match one_line(&self.default_value()) {
            Some(default) => format!("{sentence} [default: {default}]"),
            None => sentence,
        }
    }

    /// Returns the whole documentation, the default and the variable.
    fn long_help(&self) -> String {
        let words: Vec<&str> = self.doc.split_whitespace().collect();
        let mut help = words.join(" ").replace('`', "");
        let mut notes = Vec::new();
        if let Some(default) = one_line(&self.default_value()) {
            notes.push(format!("[default: {default}]"));
        }
        notes.extend(self.variable().map(|name| format!("[env: {name}]")));
        if !notes.is_empty() {
            help.push_str(&format!("\n\n{}", notes.join(" ")));
        }
        help
    }
}

/// Returns the first sentence of a text, on one line and without its full stop.
fn first_sentence(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let whole = words.join(" ");
    let first = whole.split(". ").next().unwrap_or_default();
    first.trim_end_matches('.').to_owned()
}

/// Returns a default as text for the help; `None` for null.
fn one_line(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.is_empty() => Some("none".to_owned()),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().filter_map(one_line).collect();
            Some(items.join(", "))
        }
        other => Some(other.to_string()),
    }
}

/// Declares the settings, see the [module](self).
macro_rules! settings {
    ($(
        $(group $group:literal;)?
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty = $default:expr, $written:expr, $takes_effect:ident;
    )+) => {
        /// Every setting, as the settings file spells it.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct Settings {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Settings {
            fn default() -> Settings {
                Settings { $($name: $default,)+ }
            }
        }

        /// Every row of the table, in its order.
        pub(crate) const SETTINGS: &[Setting] = &[$(Setting {
            name: stringify!($name),
            doc: concat!($($doc, "\n"),+),
            written: $written,
            takes_effect: TakesEffect::$takes_effect,
            begins: &[$($group)?],
            argument: <$type as SettingValue>::argument,
            assign: |matches, settings| {
                if let Some(value) = SettingValue::given(matches, stringify!($name)) {
                    settings.$name = value;
                }
            },
            copy: |from, to| to.$name = from.$name.clone(),
            is_same: |one, other| one.$name == other.$name,
        },)+];
    };
}
pub(super) use settings;

/// Declares the keys within a setting that is a mapping: a struct whose fields have defaults.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $section:ident;
        $($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr;)+
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct $section {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for $section {
            fn default() -> $section {
                $section { $($name: $default,)+ }
            }
        }
    };
}
pub(crate) use section;
