//! What a certificate says about itself: its names, its number, and from when to when it is valid.
//!
//! It verifies no signature. The rule: what cannot be read whole is an error, so that no name is
//! overlooked.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The most names that are shown of one certificate.
const SHOWN_NAMES: usize = 8;

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
