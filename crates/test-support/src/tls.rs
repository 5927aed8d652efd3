//! TLS clients. One is for the passthrough listeners: it names a server (SNI), trusts one authority,
//! and distinguishes an answer from a connection that was closed before there was one. The other
//! finds out whom a server of HTTP/2 accepts, and what the server presents.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    StreamOwned,
};

use crate::http::{self, Response};

/// The result of an attempt.
#[derive(Debug)]
pub enum Attempt {
    /// The site outside answered over TLS.
    Answered(Response),
    /// The connection ended before the handshake did; the text is the client's error.
    Closed(String),
}

/// Sends `GET /` over TLS to 127.0.0.1, naming `sni`.
pub fn get(port: u16, sni: &str, authority: &Path) -> Result<Attempt> {
    let name = ServerName::try_from(sni.to_owned())
        .with_context(|| format!("{sni:?} is not a valid name for SNI"))?;
    let mut session = ClientConnection::new(Arc::new(trusting(authority)?), name)?;
    let mut socket = http::connect(port)?;
    while session.is_handshaking() {
        if let Err(error) = session.complete_io(&mut socket) {
            return Ok(Attempt::Closed(error.to_string()));
        }
    }
    let mut stream = StreamOwned::new(session, socket);
    http::exchange(&mut stream, sni, "/", &[]).map(Attempt::Answered)
}

fn trusting(authority: &Path) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(
        CertificateDer::from_pem_file(authority)
            .with_context(|| authority.display().to_string())?,
    )?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// What a server of HTTP/2 did with a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reception {
    /// It began HTTP/2. It presented this certificate.
    Accepted(CertificateDer<'static>),
    /// It ended the connection; the text is the client's error.
    Refused(String),
}

/// The first bytes of a client of HTTP/2: the preface, and an empty SETTINGS frame.
const HTTP2_BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Connects to 127.0.0.1 over TLS with this certificate and key (PEM), and begins HTTP/2. It takes
/// any certificate of the server: the question is what the server thinks of the client.
pub fn knock(port: u16, identity: Option<(&Path, &Path)>) -> Result<Reception> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder.with_client_auth_cert(
            CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?,
            PrivateKeyDer::from_pem_file(key)?,
        )?,
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost")?;
    let session = ClientConnection::new(Arc::new(config), name)?;
    let mut stream = StreamOwned::new(session, http::connect(port)?);
    // A server of TLS 1.3 looks at the client's certificate after the client's part of the handshake
    // has ended, so a refusal shows only when something is read.
    let mut first = [0; 9];
    let begun = stream
        .write_all(HTTP2_BEGIN)
        .and_then(|()| stream.read_exact(&mut first));
    if let Err(why) = begun {
        return Ok(Reception::Refused(why.to_string()));
    }
    let presented = stream.conn.peer_certificates().and_then(<[_]>::first);
    let presented = presented.context("the server presented nothing")?;
    Ok(Reception::Accepted(presented.clone().into_owned()))
}

/// Takes any certificate whose key the server has.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
