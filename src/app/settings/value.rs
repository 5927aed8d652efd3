//! How a flag or a variable writes the value of a setting, by the setting's type.

use std::num::NonZeroU16;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::{DefaultEffect, Enforcement, Gateway, IdentitySource, PolicyGuards};
use crate::app::audit_settings::{AuditDurability, AuditLogSettings};
use crate::app::policy_paths::PolicyPath;
use crate::app::tls_settings::TlsSettings;

/// A type of settings.
pub(crate) trait SettingValue: Sized {
    /// Makes an argument take values of this type.
    fn argument(arg: Arg) -> Arg {
        arg
    }

    /// Returns the value that the command line or the environment gives to the argument of this
    /// name. A mapping can be written only in the settings file.
    fn given(matches: &ArgMatches, name: &str) -> Option<Self> {
        let _ = (matches, name);
        None
    }
}

impl SettingValue for Gateway {}
impl SettingValue for AuditLogSettings {}

/// A flag without a value is `true`.
impl SettingValue for bool {
    fn argument(arg: Arg) -> Arg {
        arg.value_parser(value_parser!(bool))
            .num_args(0..=1)
            .default_missing_value("true")
    }

    fn given(matches: &ArgMatches, name: &str) -> Option<bool> {
        matches.get_one(name).copied()
    }
}

/// A value that is one text.
pub(crate) trait OneText: Clone + Send + Sync + 'static {
    /// Returns the parser of the text.
    fn parser() -> ValueParser;
}

macro_rules! one_text {
    ($($type:ty),+) => {
        $(
            impl OneText for $type {
                fn parser() -> ValueParser {
                    value_parser!($type).into()
                }
            }

            impl SettingValue for $type {
                fn argument(arg: Arg) -> Arg {
                    arg.value_parser(<$type>::parser())
                }

                fn given(matches: &ArgMatches, name: &str) -> Option<$type> {
                    matches.get_one(name).cloned()
                }
            }
        )+
    };
}

one_text!(
    AuditDurability,
    DefaultEffect,
    Enforcement,
    IdentitySource,
    NonZeroU16,
    PolicyGuards,
    PolicyPath,
    String,
    TlsSettings,
    u32
);

/// On the command line, a setting without a default is like one with a default.
impl<T: OneText> SettingValue for Option<T> {
    fn argument(arg: Arg) -> Arg {
        arg.value_parser(T::parser())
    }

    fn given(matches: &ArgMatches, name: &str) -> Option<Option<T>> {
        matches.get_one(name).cloned().map(Some)
    }
}

/// The items of a list are separated by commas, and the flag may be repeated.
impl<T: OneText> SettingValue for Vec<T> {
    fn argument(arg: Arg) -> Arg {
        arg.value_parser(T::parser())
            .value_delimiter(',')
            .action(ArgAction::Append)
    }

    fn given(matches: &ArgMatches, name: &str) -> Option<Vec<T>> {
        matches
            .get_many(name)
            .map(|values| values.cloned().collect())
    }
}
