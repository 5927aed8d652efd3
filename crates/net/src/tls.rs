//! The TLS handshake of one connection, and why it is refused.
//!
//! Certificates, keys and lists are the business of `customs_tls`; here they meet a connection. The
//! rules: nothing that a client sends is used before its handshake is complete, and a refusal says
//! what the person who runs the client, or this server, can change.

use std::fmt;
use std::io;
use std::sync::Arc;

use customs_tls::server::CurrentConfig;
use customs_tls::spiffe_id::{PeerIdentityError, SpiffeId};
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use tokio_rustls::server::TlsStream;

use super::guard::identify_protocol;

/// The first byte of a TLS handshake: the type of its record.
const HANDSHAKE_RECORD: u8 = 0x16;
/// How many of a client's first bytes say which protocol it uses.
const FIRST: usize = 24;

/// A connection after its handshake.
#[derive(Debug)]
pub(crate) struct TlsConnection {
    /// Its bytes, as plain text.
    pub(crate) stream: Box<TlsStream<TcpStream>>,
    /// The client's SPIFFE id, if its certificate was asked for and has one.
    pub(crate) peer_id: Option<Arc<str>>,
}

/// Why a handshake ends without a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The client closed the connection without a byte, as a probe of the port does.
    #[error("the client closed the connection")]
    Closed,
    /// The client is refused. The text describes it in a few words.
    #[error("{1}")]
    Refused(HandshakeRefusal, String),
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandshakeRefusal {
    /// The client does not begin a TLS handshake.
    PlainText,
    /// The client does not name the protocol of this address (ALPN).
    ApplicationProtocol,
    /// The client has no certificate.
    NoCertificate,
    /// The client's certificate comes from none of the authorities.
    UnknownAuthority,
    /// The client's certificate is not valid any more, or not yet.
    CertificateExpired,
    /// The client's certificate is invalid for another reason.
    CertificateInvalid,
    /// The client's id is not on the list, or its certificate has no valid id.
    NotPermitted,
    /// The client does not accept this server's certificate.
    ServerCertificateRejected,
    /// The handshake fails for another reason, such as no version in common.
    Failed,
}

impl HandshakeError {
    fn refused(refusal: HandshakeRefusal, example: impl fmt::Display) -> HandshakeError {
        HandshakeError::Refused(refusal, example.to_string())
    }
}

/// Completes the handshake of a connection. It has no deadline of its own: the caller sets one for
/// everything up to the first request.
///
/// # Errors
/// [`HandshakeError`], if the client is refused or gone.
pub(crate) async fn handshake(
    stream: TcpStream,
    current: &CurrentConfig,
) -> Result<TlsConnection, HandshakeError> {
    use HandshakeRefusal::{ApplicationProtocol, NotPermitted, PlainText};
    let mut first = [0; FIRST];
    let seen = stream.peek(&mut first).await.unwrap_or_default();
    let first = first.get(..seen).unwrap_or_default();
    match first.first() {
        None => return Err(HandshakeError::Closed),
        Some(&HANDSHAKE_RECORD) => {}
        Some(_) => {
            let example = format_args!("{}, without TLS", plain_protocol(first));
            return Err(HandshakeError::refused(PlainText, example));
        }
    }
    let acceptor = TlsAcceptor::from(current.load());
    let stream = acceptor.accept(stream).await.map_err(|why| refusal(&why))?;
    let (_, session) = stream.get_ref();
    let protocol = current.protocol().as_str();
    // rustls refuses a client that names other protocols, and accepts one that names none.
    if session.alpn_protocol() != Some(protocol.as_bytes()) {
        let example =
            format_args!("a client that names no protocol by ALPN, not even `{protocol}`");
        return Err(HandshakeError::refused(ApplicationProtocol, example));
    }
    let certificates = session.peer_certificates().unwrap_or_default();
    let peer_id = match certificates.first().map(SpiffeId::of) {
        None => None,
        Some(Ok(id)) => id.map(|id| id.shared()),
        Some(Err(why)) => return Err(HandshakeError::refused(NotPermitted, why)),
    };
    Ok(TlsConnection {
        stream: Box::new(stream),
        peer_id,
    })
}

/// Describes what a client sends instead of a handshake.
fn plain_protocol(first: &[u8]) -> String {
    if first.starts_with(b"PRI * HTTP/2.0") {
        return "a connection of HTTP/2".to_owned();
    }
    let (_, example) = identify_protocol(first);
    example
}

fn refusal(why: &io::Error) -> HandshakeError {
    let inner = why.get_ref().and_then(|inner| inner.downcast_ref());
    let Some(error) = inner else {
        let example = format_args!("a connection that ended within the TLS handshake ({why})");
        return HandshakeError::refused(HandshakeRefusal::Failed, example);
    };
    let (refusal, example) = match error {
        Error::NoCertificatesPresented => (
            HandshakeRefusal::NoCertificate,
            "a client without a certificate".to_owned(),
        ),
        Error::NoApplicationProtocol => (
            HandshakeRefusal::ApplicationProtocol,
            "a client that names other protocols by ALPN".to_owned(),
        ),
        Error::InvalidCertificate(problem) => certificate_refusal(problem),
        Error::AlertReceived(alert) => alert_refusal(*alert),
        Error::PeerIncompatible(
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => (
            HandshakeRefusal::Failed,
            "a client that has no version of TLS from `min_version` on".to_owned(),
        ),
        error => (HandshakeRefusal::Failed, error.to_string()),
    };
    HandshakeError::Refused(refusal, example)
}

fn certificate_refusal(problem: &CertificateError) -> (HandshakeRefusal, String) {
    use CertificateError as Problem;
    match problem {
        // An authority that was replaced under the same name did not make the signature.
        Problem::UnknownIssuer | Problem::BadSignature => (
            HandshakeRefusal::UnknownAuthority,
            "a certificate from none of the authorities of `client_ca`".to_owned(),
        ),
        Problem::ExpiredContext { not_after, .. } => (
            HandshakeRefusal::CertificateExpired,
            format!("a certificate that expired at {}", shown(*not_after)),
        ),
        Problem::NotValidYetContext { not_before, .. } => (
            HandshakeRefusal::CertificateExpired,
            format!(
                "a certificate that is not valid before {}",
                shown(*not_before)
            ),
        ),
        Problem::Expired | Problem::NotValidYet => (
            HandshakeRefusal::CertificateExpired,
            format!("the client's certificate: {problem}"),
        ),
        Problem::Other(other) => match other.0.downcast_ref::<PeerIdentityError>() {
            Some(identity) => (HandshakeRefusal::NotPermitted, identity.to_string()),
            None => (HandshakeRefusal::CertificateInvalid, problem.to_string()),
        },
        _ => (HandshakeRefusal::CertificateInvalid, problem.to_string()),
    }
}

/// Returns a time as people write it.
fn shown(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds)
        .map_or_else(|_| "an unknown time".into(), |time| time.to_string())
}

/// Returns what a client's alert means. To this server, an alert about a certificate is about its
/// own.
fn alert_refusal(alert: AlertDescription) -> (HandshakeRefusal, String) {
    let refusal = match alert {
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::DecryptError => HandshakeRefusal::ServerCertificateRejected,
        _ => HandshakeRefusal::Failed,
    };
    (
        refusal,
        format!("the client ended the handshake: {alert:?}"),
    )
}

#[cfg(test)]
mod tests;
