//! How often each rule in force was hit, from customs' `/rules`.

use serde::Deserialize;

use crate::foreign_document::{ForeignDocument, foreign};

/// The rules of one replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RuleHits {
    /// The revision whose rules they are.
    #[serde(default)]
    pub revision: String,
    /// Whether there are more than are listed.
    #[serde(default)]
    pub truncated: bool,
    /// The rules.
    pub rules: Vec<RuleHit>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RuleHit {
    /// Its id, as records name it.
    pub rule: String,
    /// Its kind; an isolation is never counted as unused.
    #[serde(default)]
    pub kind: String,
    /// The place of its text.
    #[serde(default)]
    pub source: Option<String>,
    /// How often it was hit.
    pub hits: u64,
}

/// Why a text has no rules.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleHitsError {
    /// It is something else.
    #[error("{0}")]
    Foreign(ForeignDocument),
    /// It is JSON of something else.
    #[error("it is not the answer to `GET /rules`: {0}")]
    Document(#[source] serde_json::Error),
}

impl RuleHits {
    /// Reads the body of an answer to `GET /rules`.
    ///
    /// # Errors
    /// What it is instead.
    pub fn read(body: &[u8]) -> Result<RuleHits, RuleHitsError> {
        serde_json::from_slice(body).map_err(|why| match foreign(body) {
            Some(foreign) => RuleHitsError::Foreign(foreign),
            None => RuleHitsError::Document(why),
        })
    }
}
