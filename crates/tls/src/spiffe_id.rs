//! The SPIFFE id of a peer: the one URI in its certificate.
//!
//! The rules are those of the X509-SVID profile of SPIFFE: a certificate of a workload has exactly
//! one URI, and that URI is the id. A DNS name is never an id. So a certificate with a second URI is
//! refused, instead of one of the two being chosen.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use crate::certificate::{self, CertificateError};

/// The longest id, in bytes.
const LONGEST: usize = 2048;
/// The longest trust domain, in bytes.
const LONGEST_TRUST_DOMAIN: usize = 255;
/// What an id begins with.
const SCHEME: &str = "spiffe://";

/// A SPIFFE id: `spiffe://cluster.local/ns/istio-system/sa/egress`. Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpiffeId(Arc<str>);

/// Why a text is not a SPIFFE id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpiffeIdError {
    /// Another scheme.
    #[error("a SPIFFE id begins with `spiffe://`")]
    Scheme,
    /// Too many bytes.
    #[error("a SPIFFE id has at most 2048 bytes")]
    TooLong,
    /// An invalid trust domain.
    #[error(
        "the trust domain of a SPIFFE id has lower-case letters, digits, `.`, `-` and `_`, and no port"
    )]
    TrustDomain,
    /// An invalid path.
    #[error(
        "the path of a SPIFFE id has segments of letters, digits, `.`, `-` and `_`, none of them empty, `.` or `..`"
    )]
    Path,
}

/// Why a certificate does not say who its peer is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerIdentityError {
    /// The certificate cannot be read.
    #[error("cannot read the certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// More URIs than the profile permits.
    #[error("the certificate has {0} URIs; a SPIFFE certificate has exactly one")]
    SeveralUris(usize),
    /// A URI that is almost a SPIFFE id.
    #[error("the certificate has the URI `{uri}`: {problem}")]
    Invalid {
        /// The URI.
        uri: String,
        /// What is wrong.
        #[source]
        problem: SpiffeIdError,
    },
    /// No SPIFFE id, where one is needed.
    #[error("the certificate has no SPIFFE id (a URI that begins with `spiffe://`)")]
    Absent,
    /// An id that is not on the list.
    #[error("`{0}` is not among the permitted client ids")]
    NotPermitted(SpiffeId),
}

impl SpiffeId {
    /// Reads a text.
    ///
    /// # Errors
    /// [`SpiffeIdError`], with what is expected.
    pub fn parse(text: &str) -> Result<SpiffeId, SpiffeIdError> {
        let (trust_domain, path) = split(text)?;
        check_trust_domain(trust_domain)?;
        path.split('/').try_for_each(check_segment)?;
        Ok(SpiffeId(text.into()))
    }

    /// Returns the id in a certificate; `None` if it has none and does not seem to be meant for
    /// SPIFFE.
    ///
    /// # Errors
    /// If the certificate cannot be read, or is for SPIFFE and breaks its rules.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Option<SpiffeId>, PeerIdentityError> {
        let uris = certificate::uris(certificate)?;
        let is_spiffe = |uri: &String| {
            uri.get(..SCHEME.len())
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
        };
        match (uris.as_slice(), uris.iter().find(|uri| is_spiffe(uri))) {
            (_, None) => Ok(None),
            ([uri], Some(_)) => match SpiffeId::parse(uri) {
                Ok(id) => Ok(Some(id)),
                Err(problem) => Err(PeerIdentityError::Invalid {
                    uri: uri.chars().take(80).collect(),
                    problem,
                }),
            },
            (several, Some(_)) => Err(PeerIdentityError::SeveralUris(several.len())),
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text, shared.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Splits a text into the trust domain and the path without its first slash.
pub(crate) fn split(text: &str) -> Result<(&str, &str), SpiffeIdError> {
    if text.len() > LONGEST {
        return Err(SpiffeIdError::TooLong);
    }
    let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
    // An id without a path is that of a trust domain, and of no workload.
    rest.split_once('/').ok_or(SpiffeIdError::Path)
}

pub(crate) fn check_trust_domain(text: &str) -> Result<(), SpiffeIdError> {
    let is_valid =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    match (1..=LONGEST_TRUST_DOMAIN).contains(&text.len()) && text.bytes().all(is_valid) {
        true => Ok(()),
        false => Err(SpiffeIdError::TrustDomain),
    }
}

pub(crate) fn check_segment(text: &str) -> Result<(), SpiffeIdError> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    match !text.is_empty() && text != "." && text != ".." && text.bytes().all(is_valid) {
        true => Ok(()),
        false => Err(SpiffeIdError::Path),
    }
}

#[cfg(test)]
mod tests;
