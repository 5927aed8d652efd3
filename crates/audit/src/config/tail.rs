//! The options of a tail for TLS: what it presents, and which subscribers it accepts.
//!
//! It reads no file. The rule: a list of subscribers without authorities that prove it, or half of a
//! certificate, is an error.

use std::path::PathBuf;

use customs_tls::client_ids::ClientIdPattern;
use customs_tls::server::{ApplicationProtocol, MinVersion, ServerOptions};

use super::SinkOptionError;

/// The options of a tail beside those of every sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailOptions {
    /// `certificate`: the file of the tail's certificate; the tail is plain text without it.
    pub certificate: Option<PathBuf>,
    /// `private_key`: the file of its key.
    pub private_key: Option<PathBuf>,
    /// `client_ca`: the file of the authorities that must vouch for subscribers.
    pub client_authorities: Option<PathBuf>,
    /// `client_ids`: the ids of the subscribers, one for each time that the option is written.
    pub client_ids: Vec<ClientIdPattern>,
    /// `min_version`: the oldest version of TLS.
    pub min_version: Option<MinVersion>,
}

/// Why options do not fit together, or do not fit the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TailOptionsError {
    /// An option that needs another one.
    #[error("the option `{0}` needs the option `{1}` beside it")]
    Alone(&'static str, &'static str),
    /// TLS over a unix socket.
    #[error(
        "the option `{0}` is for TCP addresses only: a unix socket has `mode`, `owner` and `peers`"
    )]
    UnixSocket(&'static str),
}

impl TailOptions {
    /// Sets one of them.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), SinkOptionError> {
        let path = || match value {
            "" => Err(SinkOptionError::Path),
            path => Ok(Some(PathBuf::from(path))),
        };
        match key {
            "certificate" => self.certificate = path()?,
            "private_key" => self.private_key = path()?,
            "client_ca" => self.client_authorities = path()?,
            "client_ids" => self.client_ids.push(value.parse()?),
            _ => {
                self.min_version = match value {
                    "TLSv1.2" => Some(MinVersion::Tls12),
                    "TLSv1.3" => Some(MinVersion::Tls13),
                    _ => return Err(SinkOptionError::TlsVersion(value.to_owned())),
                }
            }
        }
        Ok(())
    }

    /// Checks that the options fit together and fit the address.
    pub(super) fn check(&self, address: &str) -> Result<(), TailOptionsError> {
        let given = [
            ("certificate", self.certificate.is_some(), "private_key"),
            ("private_key", self.private_key.is_some(), "certificate"),
            (
                "client_ca",
                self.client_authorities.is_some(),
                "certificate",
            ),
            ("client_ids", !self.client_ids.is_empty(), "client_ca"),
            ("min_version", self.min_version.is_some(), "certificate"),
        ];
        let has = |name: &str| {
            given
                .iter()
                .any(|(key, is_given, _)| *key == name && *is_given)
        };
        for (key, is_given, needs) in given {
            if is_given && address.starts_with("unix:") {
                return Err(TailOptionsError::UnixSocket(key));
            }
            if is_given && !has(needs) {
                return Err(TailOptionsError::Alone(key, needs));
            }
        }
        Ok(())
    }

    /// Returns what TLS needs; `None` is plain text.
    pub fn tls(&self) -> Option<ServerOptions> {
        Some(ServerOptions {
            certificate: self.certificate.clone()?,
            private_key: self.private_key.clone()?,
            client_authorities: self.client_authorities.clone(),
            client_ids: self.client_ids.clone(),
            min_version: self.min_version.unwrap_or_default(),
            protocol: ApplicationProtocol::Http2,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::SinkConfig;

    #[test]
    fn a_tail_has_a_certificate_and_a_list_of_subscribers() {
        let text = "tail:127.0.0.1:1?certificate=a&private_key=b&client_ca=c&client_ids=spiffe://x/y&client_ids=spiffe://x/z/*&min_version=TLSv1.2&on_full=drop";
        let sink: SinkConfig = text.parse().unwrap();
        assert_eq!(sink.name(), "tail:127.0.0.1:1");
        let tls = sink.tail.tls().unwrap();
        assert_eq!((tls.certificate, tls.client_ids.len()), ("a".into(), 2));
        let plain: SinkConfig = "tail:127.0.0.1:1".parse().unwrap();
        assert_eq!(plain.tail.tls(), None);
    }

    #[test]
    fn what_does_not_fit_together_is_reported() {
        for (text, expected) in [
            (
                "tail:x:1?certificate=a",
                "`certificate` needs the option `private_key`",
            ),
            (
                "tail:x:1?private_key=a",
                "`private_key` needs the option `certificate`",
            ),
            (
                "tail:x:1?client_ca=a",
                "`client_ca` needs the option `certificate`",
            ),
            (
                "tail:x:1?certificate=a&private_key=b&client_ids=spiffe://x/y",
                "`client_ids` needs the option `client_ca`",
            ),
            ("tail:x:1?client_ids=x", "client_ids: a SPIFFE id begins"),
            (
                "tail:x:1?min_version=1.3",
                "min_version: expected `TLSv1.2` or `TLSv1.3`",
            ),
            ("tail:x:1?certificate=", "certificate: expected a path"),
            (
                "tail:unix:/x?certificate=a&private_key=b",
                "`certificate` is for TCP addresses only",
            ),
            (
                "stdout?client_ca=a",
                "the option `client_ca` is for `tail:` only",
            ),
            (
                "otlp:https://x:1?client_ids=spiffe://x/y",
                "is for `tail:` only",
            ),
        ] {
            let why = text.parse::<SinkConfig>().unwrap_err().to_string();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }
}
