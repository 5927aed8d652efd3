//! A client's connection over TLS: its handshake, its bytes, and why it ended.
//!
//! It opens no connection; it is given one. The rule: what a peer says before it closes is kept. A
//! server of TLS 1.3 refuses a client's certificate after the handshake, and by then the protocol
//! within only sees that the connection is closed.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use rustix::net::{RecvFlags, recv};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub use rustls::pki_types::ServerName;

use crate::client_failure::TlsClientError;

/// Why the last connection ended. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct LastFailure(Arc<Mutex<Option<Failure>>>);

#[derive(Clone, Debug)]
struct Failure {
    text: String,
    tls: Option<TlsClientError>,
}

impl LastFailure {
    /// Returns it in words, if the peer or the system said why.
    pub fn text(&self) -> Option<String> {
        self.get().map(|failure| failure.text)
    }

    /// Returns what TLS says about it, if TLS is the reason.
    pub fn tls(&self) -> Option<TlsClientError> {
        self.get().and_then(|failure| failure.tls)
    }

    /// Forgets it, as a new connection begins.
    pub fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn get(&self) -> Option<Failure> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Keeps the first failure of a connection; later ones follow from it.
    fn note(&self, why: &io::Error, protocol: &[u8]) {
        let failure = || Failure {
            text: why.to_string(),
            tls: TlsClientError::of(why, &String::from_utf8_lossy(protocol)),
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(failure);
    }
}

/// A connection after its handshake. It keeps why it ended.
#[derive(Debug)]
pub struct ClientStream {
    stream: Box<TlsStream<TcpStream>>,
    failure: LastFailure,
}

impl ClientStream {
    /// Runs the handshake. The server has to prove `name`. Why the connection ends, if it does, is
    /// kept in `failure`.
    ///
    /// # Errors
    /// Why the handshake failed; [`TlsClientError::of_handshake`] says it in words.
    pub async fn connect(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        connection: TcpStream,
        failure: LastFailure,
    ) -> io::Result<ClientStream> {
        failure.clear();
        let connector = TlsConnector::from(config);
        let stream = Box::new(connector.connect(name, connection).await?);
        Ok(ClientStream { stream, failure })
    }

    /// Returns the protocol within TLS that the server chose (ALPN).
    pub fn protocol(&self) -> Option<&[u8]> {
        self.stream.get_ref().1.alpn_protocol()
    }

    fn note(&self, why: &io::Error) {
        self.failure.note(why, self.protocol().unwrap_or_default());
    }

    /// Keeps why something could not be written. A peer that refuses says why before it closes.
    fn note_unwritten<T>(&mut self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(why)) = &result {
            let reason = self.last_words();
            self.note(reason.as_ref().unwrap_or(why));
        }
        result
    }

    /// Returns the alert that the peer has sent, if it is there. The runtime may not know yet that
    /// there is something to read, so the socket is asked.
    fn last_words(&mut self) -> Option<io::Error> {
        let (socket, session) = self.stream.get_mut();
        let mut bytes = [0; 4096];
        let (count, _) = recv(&*socket, &mut bytes, RecvFlags::DONTWAIT).ok()?;
        let mut said = bytes.get(..count)?;
        session.read_tls(&mut said).ok()?;
        session.process_new_packets().err().map(io::Error::other)
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Err(why)) = &result {
            self.note(why);
        }
        result
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_unwritten(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.note_unwritten(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
