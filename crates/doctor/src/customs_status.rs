//! The document of customs' `/status`, as far as it is compared here.
//!
//! It is written by a customs of any version, so an unknown field is ignored and a missing one has
//! a default. The rule: what is not a status of customs is an error that says what it is instead,
//! because the likeliest mistake is the address of another program.

use jiff::Timestamp;
use serde::Deserialize;

use crate::foreign_document::{ForeignDocument, foreign};

/// The state of one server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomsStatus {
    /// The version of customs.
    pub version: String,
    /// Whether the server is ready for checks.
    pub ready: bool,
    /// Whether the server is shutting down.
    #[serde(default)]
    pub draining: bool,
    /// The revision in force; `none` before the first good set.
    pub revision: String,
    /// When it was published.
    #[serde(default)]
    pub loaded_at: Option<Timestamp>,
    /// `enforce` or `report`.
    pub enforcement: String,
    /// `enforce` or `report`, for the built-in rules.
    #[serde(default)]
    pub request_validation: String,
    /// `allow` or `deny`.
    #[serde(default)]
    pub default: String,
    /// The policy directories.
    #[serde(default)]
    pub sources: Vec<SourceStatus>,
    /// The sinks of the audit log.
    #[serde(default)]
    pub audit: Vec<SinkStatus>,
    /// The certificates of the addresses.
    #[serde(default)]
    pub tls: Vec<CertificateStatus>,
}

/// One policy directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SourceStatus {
    /// The directory, as the settings name it.
    pub name: String,
    /// `good`, `refused`, `emptied` or `never_loaded`.
    pub state: String,
    /// Why its content as last read is not in force.
    #[serde(default)]
    pub problems: Vec<SourceProblem>,
}

impl SourceStatus {
    /// Returns whether its content as last read is in force.
    pub fn is_good(&self) -> bool {
        self.state == "good"
    }
}

/// One problem of a policy file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SourceProblem {
    /// `error`, `warning` or `note`.
    #[serde(default)]
    pub severity: String,
    /// `file:line:column`
    #[serde(default)]
    pub place: String,
    /// What is wrong.
    #[serde(default)]
    pub text: String,
}

/// One sink of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SinkStatus {
    /// The sink, as the settings name it.
    pub sink: String,
    /// Whether it accepts the records that its filter selects.
    pub healthy: bool,
    /// Whether every answer that its filter selects is withheld because of it.
    #[serde(default)]
    pub withholding: bool,
    /// What is wrong with it.
    #[serde(default)]
    pub problem: Option<String>,
}

/// The certificates of one address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// The address, by the name of its setting.
    pub address: String,
    /// From when the certificate is valid.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// When the first of the authorities of clients expires.
    #[serde(default)]
    pub client_ca_not_after: Option<Timestamp>,
    /// What is wrong with the files, and what expires soon.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// Why an answer is not the status of a customs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CustomsStatusError {
    /// It is the document of another program.
    #[error("{0}")]
    Foreign(ForeignDocument),
    /// It is JSON, but of something else.
    #[error("the answer is not a status of customs ({0}): is it the --admin address of a customs?")]
    Document(#[source] serde_json::Error),
}

impl CustomsStatusError {
    /// Returns whether Envoy answered.
    pub fn is_envoy(&self) -> bool {
        matches!(self, CustomsStatusError::Foreign(ForeignDocument::Envoy))
    }
}

impl CustomsStatus {
    /// Reads the body of an answer to `GET /status`.
    ///
    /// # Errors
    /// What the body is instead.
    pub fn read(body: &[u8]) -> Result<CustomsStatus, CustomsStatusError> {
        serde_json::from_slice(body).map_err(|why| match foreign(body) {
            Some(foreign) => CustomsStatusError::Foreign(foreign),
            None => CustomsStatusError::Document(why),
        })
    }
}

#[cfg(test)]
mod tests;
