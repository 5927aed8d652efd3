//! A TLS client for the passthrough listeners. It names a server (SNI), trusts one authority, and
//! distinguishes an answer from a connection that was closed before there was one.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

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
