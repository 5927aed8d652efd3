//! The options of an OTLP sink: whom it trusts, what it presents, and the headers of its calls.
//!
//! It reads no file. The rule: the value of a header may be a token, so it is in no message, in no
//! record and in no `Debug`.

use std::fmt;
use std::path::PathBuf;

use customs_tls::client::{ClientFiles, IdentityFiles};
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::metadata::{Ascii, AsciiMetadataValue, MetadataKey, MetadataMap};

use super::SinkOptionError;

/// The headers that the protocol or customs itself sets.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// The options of an OTLP sink beside those of every sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtlpOptions {
    /// `ca`: the file of the authorities that may vouch for the collector; the system's without it.
    pub authorities: Option<PathBuf>,
    /// `certificate`: the file of the certificate that the collector gets.
    pub certificate: Option<PathBuf>,
    /// `private_key`: the file of its key.
    pub private_key: Option<PathBuf>,
    /// `server_name`: the name in the collector's certificate; the URL's host without it.
    pub server_name: Option<String>,
    /// `header`: headers of every call.
    pub headers: Headers,
    /// `headers_file`: a file of more headers.
    pub headers_file: Option<PathBuf>,
}

/// Why options do not fit together, or do not fit the URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpOptionsError {
    /// An option of TLS beside a URL without it.
    #[error("the option `{0}` needs TLS: write `otlp:https://HOST:PORT`, or remove the option")]
    NeedsTls(&'static str),
    /// Half of a certificate.
    #[error("the option `{0}` needs the option `{1}` beside it")]
    Alone(&'static str, &'static str),
}

impl OtlpOptions {
    /// Sets one of them.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), SinkOptionError> {
        let path = || match value {
            "" => Err(SinkOptionError::Path),
            path => Ok(Some(PathBuf::from(path))),
        };
        match key {
            "ca" => self.authorities = path()?,
            "certificate" => self.certificate = path()?,
            "private_key" => self.private_key = path()?,
            "headers_file" => self.headers_file = path()?,
            "header" => self.headers.add_pair(value)?,
            _ => {
                let name = ServerName::try_from(value.to_owned());
                name.map_err(|_| SinkOptionError::ServerName(value.to_owned()))?;
                self.server_name = Some(value.to_owned());
            }
        }
        Ok(())
    }

    /// Returns the files of TLS.
    pub fn files(&self) -> ClientFiles {
        let identity = self.certificate.clone().zip(self.private_key.clone());
        ClientFiles {
            authorities: self.authorities.clone(),
            identity: identity.map(|(certificate, private_key)| IdentityFiles {
                certificate,
                private_key,
            }),
        }
    }

    /// Checks that the options fit together.
    pub(super) fn check(&self, url: &str) -> Result<(), OtlpOptionsError> {
        let given = [
            ("ca", self.authorities.is_some()),
            ("certificate", self.certificate.is_some()),
            ("private_key", self.private_key.is_some()),
            ("server_name", self.server_name.is_some()),
        ];
        if let Some((option, _)) = given.iter().find(|(_, is_given)| *is_given)
            && !is_https(url)
        {
            return Err(OtlpOptionsError::NeedsTls(option));
        }
        match (&self.certificate, &self.private_key) {
            (Some(_), None) => Err(OtlpOptionsError::Alone("certificate", "private_key")),
            (None, Some(_)) => Err(OtlpOptionsError::Alone("private_key", "certificate")),
            _ => Ok(()),
        }
    }
}

/// Returns whether a URL asks for TLS.
pub(crate) fn is_https(url: &str) -> bool {
    url.starts_with("https://")
}

/// Headers, each with a name of its own.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(MetadataKey<Ascii>, String)>);

/// Why a header cannot be sent. No message shows a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// No colon.
    #[error("expected `NAME:VALUE`, such as `header=x-tenant:shop`")]
    NoColon,
    /// A name that HTTP does not allow, or that ends in `-bin`.
    #[error(
        "the name `{0}` cannot be sent: expected letters, digits and `-`, and no `-bin` at the end"
    )]
    Name(String),
    /// A name that the protocol uses.
    #[error("the header `{0}` belongs to the protocol; remove it")]
    Reserved(String),
    /// A value that HTTP does not allow.
    #[error("the value of the header `{0}` cannot be sent: expected printable ASCII")]
    Value(String),
    /// A name for the second time.
    #[error("the header `{0}` is given twice; give it once")]
    Twice(String),
}

impl Headers {
    /// Adds one. White space around name and value is not part of them.
    ///
    /// # Errors
    /// If it cannot be sent, or there is one with this name.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        let name = name.trim().to_ascii_lowercase();
        let Ok(key) = MetadataKey::<Ascii>::from_bytes(name.as_bytes()) else {
            return Err(HeaderError::Name(name));
        };
        if RESERVED.contains(&&*name) || name.starts_with("grpc-") {
            return Err(HeaderError::Reserved(name));
        }
        let value = value.trim();
        if value.parse::<AsciiMetadataValue>().is_err() {
            return Err(HeaderError::Value(name));
        }
        if self.0.iter().any(|(known, _)| *known == key) {
            return Err(HeaderError::Twice(name));
        }
        self.0.push((key, value.to_owned()));
        Ok(())
    }

    /// Adds one that is written as `NAME:VALUE`.
    pub(crate) fn add_pair(&mut self, text: &str) -> Result<(), HeaderError> {
        let (name, value) = text.split_once(':').ok_or(HeaderError::NoColon)?;
        self.add(name, value)
    }

    /// Returns them as the headers of a call. Their values are marked, so that neither a log nor
    /// the compression of headers keeps them.
    pub(crate) fn metadata(&self) -> MetadataMap {
        let mut map = MetadataMap::new();
        for (name, value) in &self.0 {
            if let Ok(mut value) = value.parse::<AsciiMetadataValue>() {
                value.set_sensitive(true);
                map.insert(name.clone(), value);
            }
        }
        map
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests;
