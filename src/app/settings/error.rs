//! What is wrong with a setting: which one, where it was written, and what to write.
//!
//! A message has one form, `ORIGIN: invalid PATH `VALUE`: PROBLEM`:
//!
//! ```text
//! --root-namespace: invalid root_namespace `Root`: expected a DNS label such as `istio-system`
//! ```

use super::document::SettingsFileError;
use super::layers::Origin;
use crate::app::policy_paths::DirectoryOverlapError;
use customs_audit::config::{SinkConfigError, SinkOptionError};
use customs_audit::start::AuditLogConfigError;
use customs_engine::host::HostParseError;
use customs_extauthz::response::metadata::UnknownFieldError;
use customs_net::{ParseAddressError, UnixOptionError};
use customs_policy::targets::ServiceEntryHostError;
use customs_tls::client_ids::ParseClientIdError;

/// One setting that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{}{}", prefix(.origin), self.sentence())]
pub(crate) struct SettingError {
    path: String,
    value: Option<String>,
    origin: Origin,
    #[source]
    problem: SettingValueError,
}

/// Returns `--root-namespace: `, or nothing for a default.
fn prefix(origin: &Origin) -> String {
    match origin {
        Origin::Default => String::new(),
        origin => format!("{origin}: "),
    }
}

impl SettingError {
    /// Returns what is wrong, without its origin.
    pub(crate) fn sentence(&self) -> String {
        let SettingError {
            path,
            value,
            origin: _,
            problem,
        } = self;
        match value {
            Some(value) => format!("invalid {path} `{value}`: {problem}"),
            None => format!("invalid {path}: {problem}"),
        }
    }

    /// Returns its origin.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// What is wrong with a setting's value, and what to write instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SettingValueError {
    /// A namespace that Kubernetes would not accept.
    #[error("expected a DNS label such as `istio-system`")]
    Namespace,
    /// A trust domain that no identity could have.
    #[error("expected a trust domain in lower case, without `spiffe://`, such as `cluster.local`")]
    TrustDomain,
    /// A domain that no name could be in.
    #[error("expected a domain in lower case, such as `cluster.local`")]
    Domain,
    /// A text that is not a duration.
    #[error("expected a duration such as `250ms`, `5s` or `1m`")]
    Duration(#[source] jiff::Error),
    /// A text that is not a number of bytes.
    #[error("expected a size such as `64KiB`, `4MiB` or `1GiB`")]
    Size(#[source] SinkOptionError),
    /// A value that is too small or too large.
    #[error("expected {0}")]
    OutOfRange(String),
    /// A text that is not an address to listen on.
    #[error("expected {expected}")]
    Address {
        /// What to write.
        expected: &'static str,
        /// Why it is invalid.
        #[source]
        cause: ParseAddressError,
    },
    /// An option of a unix socket's address that is wrong.
    #[error("{0}")]
    UnixOption(#[source] UnixOptionError),
    /// A host that cannot be read.
    #[error("{0}; expected a name or an IP address")]
    Host(#[source] HostParseError),
    /// A host that is followed by a port.
    #[error("expected a host without a port{0}")]
    HostWithPort(&'static str),
    /// A host that a ServiceEntry cannot have.
    #[error(transparent)]
    ServiceEntryHost(ServiceEntryHostError),
    /// A list with nothing in it.
    #[error("the list is empty: expected {0}")]
    Empty(&'static str),
    /// A text that cannot be the id of a client.
    #[error(transparent)]
    ClientId(ParseClientIdError),
    /// Two values that exclude each other.
    #[error("{0}")]
    Conflict(String),
    /// A directory that would be read twice.
    #[error(transparent)]
    Overlap(DirectoryOverlapError),
    /// A header whose value must not be recorded.
    #[error("the value of this header is a secret and is never recorded; remove it")]
    SecretHeader,
    /// A sink that cannot be read.
    #[error(transparent)]
    Sink(SinkConfigError),
    /// Sinks that do not fit together.
    #[error(transparent)]
    AuditLog(AuditLogConfigError),
    /// A field that the dynamic metadata does not have.
    #[error(transparent)]
    MetadataField(UnknownFieldError),
}

/// Every setting that is wrong; at least one.
#[derive(Debug, Default, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub(crate) struct SettingsError(Vec<SettingError>);

impl SettingsError {
    /// Adds what is wrong with the value of a setting.
    pub(crate) fn add(
        &mut self,
        path: impl Into<String>,
        value: impl ToString,
        problem: SettingValueError,
    ) {
        self.0.push(SettingError {
            path: path.into(),
            value: Some(value.to_string()),
            origin: Origin::Default,
            problem,
        });
    }

    /// Adds what is wrong with a setting whose value need not be shown.
    pub(crate) fn add_whole(&mut self, path: impl Into<String>, problem: SettingValueError) {
        self.0.push(SettingError {
            path: path.into(),
            value: None,
            origin: Origin::Default,
            problem,
        });
    }

    /// Returns the value, if nothing is wrong.
    ///
    /// # Errors
    /// Returns all errors, if there are any.
    pub(crate) fn or<T>(self, value: T) -> Result<T, SettingsError> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// Adds the origin of each.
    pub(crate) fn with_origins(mut self, origin: impl Fn(&str) -> Origin) -> SettingsError {
        for error in &mut self.0 {
            error.origin = origin(&error.path);
        }
        self
    }

    /// Returns each of them.
    pub(crate) fn errors(&self) -> &[SettingError] {
        &self.0
    }
}

/// Why the settings of a command are unusable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LoadSettingsError {
    /// The settings file cannot be used.
    #[error(transparent)]
    File(#[from] SettingsFileError),
    /// Settings are wrong.
    #[error(transparent)]
    Invalid(#[from] SettingsError),
}

impl LoadSettingsError {
    /// Returns the problems, one per line.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            LoadSettingsError::File(why) => vec![why.to_string()],
            LoadSettingsError::Invalid(all) => {
                all.errors().iter().map(ToString::to_string).collect()
            }
        }
    }
}
