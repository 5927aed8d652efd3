//! What a certificate says about itself: its names, its number, and from when to when it is valid.
//!
//! It verifies no signature. The rule: what cannot be read whole is an error, so that no name is
//! overlooked.

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The most names that are shown of one certificate.
const SHOWN_NAMES: usize = 8;

/// From when on an expiration is reported: in the last fifth of the lifetime, and at most this long
/// before the end. A certificate that is renewed in time is renewed before that.
const NEAR: SignedDuration = SignedDuration::from_hours(7 * 24);
const NEAR_PART: i32 = 5;

/// How near the end of a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateExpiry {
    /// It is valid for a while.
    Far,
    /// It should have been renewed by now.
    Near,
    /// It has expired.
    Over,
}

impl CertificateExpiry {
    /// Returns how near the end is. Without the beginning, the longest time before it counts.
    pub fn of(
        not_before: Option<Timestamp>,
        not_after: Timestamp,
        now: Timestamp,
    ) -> CertificateExpiry {
        let left = now.duration_until(not_after);
        let part = not_before.map_or(NEAR, |begin| begin.duration_until(not_after) / NEAR_PART);
        if left.is_negative() {
            CertificateExpiry::Over
        } else if left <= NEAR.min(part) {
            CertificateExpiry::Near
        } else {
            CertificateExpiry::Far
        }
    }
}

/// A certificate as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSummary {
    /// The serial number, in hexadecimal.
    pub serial: String,
    /// The DNS names and URIs that it is for; without any, its subject.
    pub names: Vec<String>,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

/// Why a certificate cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It is not an X.509 certificate.
    #[error("it is not an X.509 certificate")]
    Encoding,
    /// It has names that cannot be read, or several lists of them.
    #[error("its subject alternative names cannot be read")]
    Names,
}

impl CertificateSummary {
    /// Reads a certificate.
    ///
    /// # Errors
    /// If it is not an X.509 certificate, or its names cannot be read.
    pub fn read(der: &CertificateDer<'_>) -> Result<CertificateSummary, CertificateError> {
        let certificate = parse(der)?;
        let mut names: Vec<String> = alternative_names(&certificate)?
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
                _ => None,
            })
            .take(SHOWN_NAMES)
            .collect();
        if names.is_empty() {
            names.push(certificate.subject().to_string());
        }
        let (not_before, not_after) = validity_of(&certificate);
        Ok(CertificateSummary {
            serial: certificate.raw_serial_as_string(),
            names,
            not_before,
            not_after,
        })
    }
}

impl CertificateSummary {
    /// Returns how near its end is.
    pub fn expiry(&self, now: Timestamp) -> CertificateExpiry {
        CertificateExpiry::of(Some(self.not_before), self.not_after, now)
    }
}

/// Returns the URIs among the names of a certificate.
pub(crate) fn uris(der: &CertificateDer<'_>) -> Result<Vec<String>, CertificateError> {
    let certificate = parse(der)?;
    let uris = alternative_names(&certificate)?
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        });
    Ok(uris.collect())
}

/// Returns from when and until when a certificate is valid.
pub(crate) fn validity(
    der: &CertificateDer<'_>,
) -> Result<(Timestamp, Timestamp), CertificateError> {
    parse(der).map(|certificate| validity_of(&certificate))
}

fn validity_of(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let validity = certificate.validity();
    let (not_before, not_after) = (validity.not_before, validity.not_after);
    (time(not_before.timestamp()), time(not_after.timestamp()))
}

fn parse<'c>(der: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, CertificateError> {
    match X509Certificate::from_der(der.as_ref()) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(CertificateError::Encoding),
    }
}

/// Returns the subject alternative names. A name that cannot be read could be one more URI, so it
/// is an error.
fn alternative_names<'c>(
    certificate: &'c X509Certificate<'_>,
) -> Result<&'c [GeneralName<'c>], CertificateError> {
    let extension = certificate
        .subject_alternative_name()
        .map_err(|_| CertificateError::Names)?;
    let names = extension.map_or(&[][..], |extension| &extension.value.general_names);
    match names
        .iter()
        .any(|name| matches!(name, GeneralName::Invalid(..)))
    {
        false => Ok(names),
        true => Err(CertificateError::Names),
    }
}

/// Returns a time; one that cannot be represented is the nearest that can.
fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(match seconds < 0 {
        true => Timestamp::MIN,
        false => Timestamp::MAX,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_end_is_near_in_the_last_fifth_and_at_most_a_week_before() {
        let (begin, end) = (at("2030-01-01T00:00:00Z"), at("2030-01-02T00:00:00Z"));
        for (begin, end, now, expected) in [
            (begin, end, "2030-01-01T19:00:00Z", CertificateExpiry::Far),
            (begin, end, "2030-01-01T19:12:00Z", CertificateExpiry::Near),
            (begin, end, "2030-01-02T00:00:00Z", CertificateExpiry::Near),
            (begin, end, "2030-01-02T00:00:01Z", CertificateExpiry::Over),
            (
                at("2020-01-01T00:00:00Z"),
                end,
                "2029-12-25T00:00:00Z",
                CertificateExpiry::Far,
            ),
            (
                at("2020-01-01T00:00:00Z"),
                end,
                "2029-12-26T00:00:00Z",
                CertificateExpiry::Near,
            ),
        ] {
            assert_eq!(
                CertificateExpiry::of(Some(begin), end, at(now)),
                expected,
                "{now}"
            );
        }
    }
}
