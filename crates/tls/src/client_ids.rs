//! The SPIFFE ids of the clients that may connect.
//!
//! An entry is one id, or everything below a path: `spiffe://cluster.local/ns/istio-system/sa/*`.
//! The rule: `*` is a whole last segment and matches one or more segments, so that a pattern never
//! matches half a name.

use std::fmt;
use std::str::FromStr;

use crate::spiffe_id::{self, SpiffeId, SpiffeIdError};

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdPattern {
    text: String,
    /// What an id must begin with, with the slash at the end; `None` if it must be the text.
    below: Option<String>,
}

/// Why a text is not an entry of the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseClientIdError {
    /// A `*` somewhere else than as the last segment.
    #[error(
        "`*` can only be the whole last segment, as in `spiffe://cluster.local/ns/istio-system/sa/*`"
    )]
    Wildcard,
    /// Not a SPIFFE id.
    #[error(
        "{0}; expected an id such as `spiffe://cluster.local/ns/istio-system/sa/egress`, or all ids below a path, such as `spiffe://cluster.local/ns/istio-system/sa/*`"
    )]
    Id(#[from] SpiffeIdError),
}

impl FromStr for ClientIdPattern {
    type Err = ParseClientIdError;

    fn from_str(text: &str) -> Result<ClientIdPattern, ParseClientIdError> {
        let Some(prefix) = text.strip_suffix('*') else {
            if text.contains('*') {
                return Err(ParseClientIdError::Wildcard);
            }
            SpiffeId::parse(text)?;
            return Ok(ClientIdPattern {
                text: text.to_owned(),
                below: None,
            });
        };
        if prefix.contains('*') || !prefix.ends_with('/') {
            return Err(ParseClientIdError::Wildcard);
        }
        let (trust_domain, path) = spiffe_id::split(prefix)?;
        spiffe_id::check_trust_domain(trust_domain)?;
        // Without a path, every id of the trust domain is meant.
        if let Some(segments) = path.strip_suffix('/') {
            segments.split('/').try_for_each(spiffe_id::check_segment)?;
        }
        Ok(ClientIdPattern {
            text: text.to_owned(),
            below: Some(prefix.to_owned()),
        })
    }
}

impl ClientIdPattern {
    /// Returns whether an id is meant.
    pub fn matches(&self, id: &SpiffeId) -> bool {
        match &self.below {
            None => id.as_str() == self.text,
            Some(below) => id.as_str().starts_with(below),
        }
    }
}

impl fmt::Display for ClientIdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_an_id_or_everything_below_a_path() {
        for (pattern, id, expected) in [
            ("spiffe://a/b", "spiffe://a/b", true),
            ("spiffe://a/b", "spiffe://a/b/c", false),
            ("spiffe://a/b", "spiffe://a/B", false),
            ("spiffe://a/ns/x/sa/*", "spiffe://a/ns/x/sa/y", true),
            ("spiffe://a/ns/x/sa/*", "spiffe://a/ns/x/sa/y/z", true),
            ("spiffe://a/ns/x/sa/*", "spiffe://a/ns/x/sa", false),
            ("spiffe://a/ns/x/sa/*", "spiffe://a/ns/xx/sa/y", false),
            ("spiffe://a/ns/x/*", "spiffe://a/ns/xx/sa/y", false),
            ("spiffe://a/*", "spiffe://a/b", true),
            ("spiffe://a/*", "spiffe://a.b/b", false),
            ("spiffe://a/*", "spiffe://ab/b", false),
        ] {
            let pattern: ClientIdPattern = pattern.parse().unwrap();
            let id = SpiffeId::parse(id).unwrap();
            assert_eq!(pattern.matches(&id), expected, "{pattern} {id}");
        }
    }

    #[test]
    fn what_could_match_half_a_name_is_refused() {
        for text in [
            "*",
            "spiffe://*",
            "spiffe://*/b",
            "spiffe://a/b*",
            "spiffe://a/ns/*/sa/b",
            "spiffe://a/*/*",
            "spiffe://a/**",
            "spiffe://a//*",
            "spiffe://a/b//*",
            "spiffe://A/*",
            "spiffe:///*",
            "spiffe://a/../*",
            "cluster.local/ns/a/sa/*",
            "",
            "spiffe://a/b/",
        ] {
            assert!(text.parse::<ClientIdPattern>().is_err(), "{text}");
        }
    }
}
