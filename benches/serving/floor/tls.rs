//! Mutual TLS for a floor, as servers of tonic have it: rustls with its defaults, and an authority
//! that must vouch for each client.
//!
//! It compares no identity with a list. The rule: a handshake has a task of its own, so that no
//! connection waits for that of another one.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Result;
use customs_test_support::tls_files::{CERTIFICATE, CLIENT_CA, PRIVATE_KEY};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::Connected;

use super::Tickets;

/// Reads the files of a folder.
pub(super) fn acceptor(folder: &Path, tickets: Tickets) -> Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join(CLIENT_CA))?)?;
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients.build()?)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(folder.join(CERTIFICATE))?],
            PrivateKeyDer::from_pem_file(folder.join(PRIVATE_KEY))?,
        )?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    if tickets == Tickets::None {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config).into())
}

/// Returns the connections whose handshakes are complete.
pub(super) fn handshakes(
    mut incoming: impl Stream<Item = io::Result<TcpStream>> + Unpin + Send + 'static,
    acceptor: TlsAcceptor,
) -> impl Stream<Item = io::Result<TlsConnection>> + Unpin {
    let (done, complete) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(stream)) = incoming.next().await {
            let (accept, done) = (acceptor.accept(stream), done.clone());
            tokio::spawn(async move {
                // A handshake that fails shows in the load's failed connections.
                if let Ok(stream) = accept.await {
                    let _ = done.send(Ok(TlsConnection(stream)));
                }
            });
        }
    });
    UnboundedReceiverStream::new(complete)
}

/// A connection after its handshake. It is vectored, as tonic's own is.
pub(super) struct TlsConnection(TlsStream<TcpStream>);

impl Connected for TlsConnection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for TlsConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
