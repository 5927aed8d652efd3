//! The certificates in use, from Envoy's `/certs`.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::foreign_document::{ForeignDocument, foreign};

/// A certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvoyCertificate {
    /// Whether it is one of an authority.
    pub is_authority: bool,
    /// Its first name, or its serial number.
    pub name: String,
    /// From when it is valid.
    pub not_before: Option<Timestamp>,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Document {
    certificates: Vec<Pair>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pair {
    ca_cert: Vec<Details>,
    cert_chain: Vec<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    serial_number: String,
    subject_alt_names: Vec<Value>,
    valid_from: Option<Timestamp>,
    expiration_time: Option<Timestamp>,
}

/// Why a text has no certificates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvoyCertificatesError {
    /// It is something else.
    #[error("{0}")]
    Foreign(ForeignDocument),
    /// It is JSON of something else.
    #[error("it is not the answer of Envoy to `GET /certs`: {0}")]
    Document(#[source] serde_json::Error),
}

/// Reads the body of an answer to `GET /certs`; equal certificates are one.
///
/// # Errors
/// What it is instead.
pub fn read(body: &[u8]) -> Result<Vec<EnvoyCertificate>, EnvoyCertificatesError> {
    let document: Document = serde_json::from_slice(body).map_err(|why| match foreign(body) {
        Some(foreign) => EnvoyCertificatesError::Foreign(foreign),
        None => EnvoyCertificatesError::Document(why),
    })?;
    let mut found: Vec<EnvoyCertificate> = Vec::new();
    for Pair {
        ca_cert,
        cert_chain,
    } in document.certificates
    {
        let authorities = ca_cert.into_iter().map(|details| (true, details));
        let own = cert_chain.into_iter().map(|details| (false, details));
        for (is_authority, details) in authorities.chain(own) {
            let Some(not_after) = details.expiration_time else {
                continue;
            };
            let name = details.subject_alt_names.iter().find_map(|name| {
                let names = name.as_object()?.values();
                names.filter_map(Value::as_str).next()
            });
            let serial = || format!("serial number {}", details.serial_number);
            let certificate = EnvoyCertificate {
                is_authority,
                name: name.map_or_else(serial, str::to_owned),
                not_before: details.valid_from,
                not_after,
            };
            if !found.contains(&certificate) {
                found.push(certificate);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_once_each() {
        let pair = r#"{"ca_cert": [{"serial_number": "1b", "subject_alt_names": [], "valid_from": "2026-11-29T20:35:24Z", "expiration_time": "2026-12-01T21:35:24Z"}],
            "cert_chain": [{"serial_number": "77", "subject_alt_names": [{"uri": "spiffe://a/ns/b/sa/c"}], "expiration_time": "2026-12-01T21:35:25Z"}, {"serial_number": "no end"}]}"#;
        let found = read(format!("{{\"certificates\": [{pair}, {pair}]}}").as_bytes()).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|found| (found.is_authority, found.name.as_str()))
            .collect();
        assert_eq!(
            names,
            [(true, "serial number 1b"), (false, "spiffe://a/ns/b/sa/c")]
        );
        assert!(found[0].not_before.is_some() && found[1].not_before.is_none());
    }

    #[test]
    fn another_text_is_refused() {
        for text in ["", "<html>", "{}", "{\"certificates\": [{\"ca_cert\""] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
