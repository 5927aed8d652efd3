//! The place of a rule and whom to ask about it.

use std::fmt;

use customs_engine::{RuleInfo, UnixNanos};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The place of a rule and whom to ask about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleFacts {
    /// Its id, as in answers and records.
    pub id: String,
    /// Where it is written: `file:line`.
    pub origin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

impl RuleFacts {
    /// Returns the facts of a rule.
    pub fn of(info: &RuleInfo) -> RuleFacts {
        let moment = |at: UnixNanos| {
            Timestamp::from_nanosecond(at.0)
                .ok()
                .map(|moment| moment.to_string())
        };
        RuleFacts {
            id: info.id.to_string(),
            origin: info.origin(),
            owner: info.owner().map(str::to_owned),
            ticket: info.ticket().map(str::to_owned),
            reason: info.reason().map(str::to_owned),
            expires: info.expires().and_then(moment),
        }
    }
}

impl fmt::Display for RuleFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.origin)?;
        for (name, value) in [
            ("owner", &self.owner),
            ("ticket", &self.ticket),
            ("until", &self.expires),
        ] {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        match &self.reason {
            Some(reason) => write!(
                f,
                ": {}",
                reason.split_whitespace().collect::<Vec<_>>().join(" ")
            ),
            None => Ok(()),
        }
    }
}
