//! Why a client and a server did not agree on a connection over TLS, as people say it.
//!
//! It knows no flag and no setting, so it does not say what to write: the caller does, by the
//! variant.

use std::io;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// Why there is no connection over TLS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsClientError {
    /// The server's certificate comes from another authority.
    #[error("none of the trusted authorities vouches for the server's certificate")]
    UntrustedAuthority,
    /// The server's certificate is for other names.
    #[error("the server's certificate is for {names}, not for `{asked}`")]
    OtherName {
        /// The name that was asked for.
        asked: String,
        /// The names in the certificate.
        names: String,
    },
    /// The server's certificate is not valid at this time.
    #[error("the server's certificate {0}")]
    NotValidNow(String),
    /// The server's certificate is invalid for another reason.
    #[error("the server's certificate is invalid: {0}")]
    InvalidCertificate(String),
    /// The server asks for a certificate, and the client has none.
    #[error("the server asks for a client certificate")]
    CertificateRequired,
    /// The server refuses the client's certificate.
    #[error("the server refuses the client certificate: {0}")]
    CertificateRefused(&'static str),
    /// The server does not answer with TLS.
    #[error("the server answers without TLS")]
    PlainText,
    /// The server ends the connection in the handshake, as one without TLS does.
    #[error("the server closed the connection within the TLS handshake")]
    Closed,
    /// The server has another protocol within TLS.
    #[error("the server does not offer `{0}` (ALPN)")]
    ApplicationProtocol(String),
    /// Client and server have no version of TLS in common.
    #[error("the server has no version of TLS from 1.2 on")]
    Version,
    /// Anything else.
    #[error("the TLS connection failed: {0}")]
    Other(String),
}

impl TlsClientError {
    /// Returns what TLS says about a connection that failed, or `None` if TLS is not the reason.
    /// `asked` is the protocol that the client names by ALPN.
    pub fn of(why: &io::Error, asked: &str) -> Option<TlsClientError> {
        let error = why.get_ref()?.downcast_ref()?;
        Some(match error {
            Error::InvalidCertificate(problem) => of_certificate(problem),
            Error::AlertReceived(alert) => of_alert(*alert, asked),
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => TlsClientError::PlainText,
            Error::NoApplicationProtocol => TlsClientError::ApplicationProtocol(asked.to_owned()),
            Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
                TlsClientError::Version
            }
            error => TlsClientError::Other(error.to_string()),
        })
    }

    /// Returns why a handshake failed, whatever the reason is.
    pub fn of_handshake(why: &io::Error, asked: &str) -> TlsClientError {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match TlsClientError::of(why, asked) {
            Some(error) => error,
            None => match why.kind() {
                BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => {
                    TlsClientError::Closed
                }
                _ => TlsClientError::Other(why.to_string()),
            },
        }
    }
}

fn of_certificate(problem: &CertificateError) -> TlsClientError {
    use CertificateError as Problem;
    match problem {
        // An authority that was replaced under the same name did not make the signature.
        Problem::UnknownIssuer | Problem::BadSignature => TlsClientError::UntrustedAuthority,
        Problem::NotValidForNameContext {
            expected,
            presented,
        } => TlsClientError::OtherName {
            asked: expected.to_str().into_owned(),
            names: names(presented),
        },
        Problem::ExpiredContext { not_after, .. } => {
            TlsClientError::NotValidNow(format!("expired at {}", shown(*not_after)))
        }
        Problem::NotValidYetContext { not_before, .. } => {
            TlsClientError::NotValidNow(format!("is not valid before {}", shown(*not_before)))
        }
        problem => TlsClientError::InvalidCertificate(problem.to_string()),
    }
}

/// Returns what a server's alert means. To this client, an alert about a certificate is about its
/// own.
fn of_alert(alert: AlertDescription, asked: &str) -> TlsClientError {
    use AlertDescription as Alert;
    let refused = TlsClientError::CertificateRefused;
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => TlsClientError::CertificateRequired,
        Alert::UnknownCA | Alert::DecryptError => {
            refused("it comes from none of the server's authorities")
        }
        Alert::CertificateExpired => refused("it has expired, or is not valid yet"),
        Alert::CertificateRevoked => refused("it was revoked"),
        Alert::UnsupportedCertificate => refused("it is for another purpose"),
        Alert::CertificateUnknown | Alert::AccessDenied => {
            refused("the server does not permit its identity")
        }
        Alert::BadCertificate => refused("it cannot be verified"),
        Alert::NoApplicationProtocol => TlsClientError::ApplicationProtocol(asked.to_owned()),
        Alert::ProtocolVersion => TlsClientError::Version,
        alert => TlsClientError::Other(format!("the server ended it ({alert:?})")),
    }
}

/// Returns the names in a certificate. rustls writes each with its kind: `DnsName("a.example")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, rest)| rest);
        format!("`{}`", inner.trim_end_matches(')').trim_matches('"'))
    };
    match presented {
        [] => "no name".to_owned(),
        names => names.iter().map(bare).collect::<Vec<_>>().join(", "),
    }
}

/// Returns a time as people write it.
fn shown(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .map_or_else(|_| "an unknown time".into(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::ServerName;

    fn of(error: Error) -> TlsClientError {
        let why = io::Error::new(io::ErrorKind::InvalidData, error);
        TlsClientError::of(&why, "h2").unwrap()
    }

    #[test]
    fn what_a_handshake_ends_with_is_said_in_words() {
        let context = CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("localhost").unwrap(),
            presented: vec![
                "DnsName(\"a.example\")".into(),
                "IpAddress(10.0.0.1)".into(),
            ],
        };
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(86_400));
        for (error, expected) in [
            (
                context.into(),
                "the server's certificate is for `a.example`, `10.0.0.1`, not for `localhost`",
            ),
            (
                CertificateError::UnknownIssuer.into(),
                "none of the trusted authorities vouches for the server's certificate",
            ),
            (
                CertificateError::ExpiredContext {
                    time,
                    not_after: time,
                }
                .into(),
                "the server's certificate expired at 1970-01-02T00:00:00Z",
            ),
            (
                CertificateError::BadEncoding.into(),
                "the server's certificate is invalid: BadEncoding",
            ),
            (
                Error::AlertReceived(AlertDescription::CertificateRequired),
                "the server asks for a client certificate",
            ),
            (
                Error::AlertReceived(AlertDescription::UnknownCA),
                "the server refuses the client certificate: it comes from none of the server's authorities",
            ),
            (
                Error::AlertReceived(AlertDescription::CertificateUnknown),
                "the server refuses the client certificate: the server does not permit its identity",
            ),
            (
                Error::AlertReceived(AlertDescription::NoApplicationProtocol),
                "the server does not offer `h2` (ALPN)",
            ),
            (
                Error::AlertReceived(AlertDescription::InternalError),
                "the TLS connection failed: the server ended it (InternalError)",
            ),
            (
                InvalidMessage::InvalidContentType.into(),
                "the server answers without TLS",
            ),
        ] {
            assert_eq!(of(error).to_string(), expected);
        }
    }

    #[test]
    fn an_end_without_a_word_is_one_only_within_the_handshake() {
        let end = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(TlsClientError::of(&end, "h2"), None);
        assert_eq!(
            TlsClientError::of_handshake(&end, "h2"),
            TlsClientError::Closed
        );
    }
}
