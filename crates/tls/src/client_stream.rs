//! A client's connection over TLS: its handshake, its bytes, and why it ended.
//!
//! It opens no connection; it is given one. The rule: what a peer says before it closes is kept. A
//! server of TLS 1.3 refuses a client's certificate after the handshake, and by then the protocol
//! within only sees that the connection is closed.

use std::future::Future;
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

/// The protocol of gRPC, as ALPN names it.
pub const HTTP2: &[u8] = b"h2";

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

    /// Runs the handshake with a collector of OTLP/gRPC over the connection that `connecting` makes,
    /// with the configuration of that time. The rest is as for [`connect`](Self::connect).
    ///
    /// # Errors
    /// Why there is no connection, why the handshake failed, or that the collector does not offer
    /// HTTP/2.
    pub async fn connect_to_collector(
        connecting: impl Future<Output = io::Result<TcpStream>>,
        config: impl FnOnce() -> Arc<ClientConfig>,
        name: ServerName<'static>,
        failure: LastFailure,
    ) -> io::Result<ClientStream> {
        // Whatever the connection before ended with does not concern this one.
        failure.clear();
        let tcp = connecting.await?;
        let failed = |why: io::Error| {
            let text = format!("the TLS handshake with the collector failed: {why}");
            io::Error::new(why.kind(), text)
        };
        let connected = ClientStream::connect(config(), name, tcp, failure).await;
        let stream = connected.map_err(failed)?;
        if stream.protocol() != Some(HTTP2) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the collector does not offer HTTP/2 (ALPN `h2`); name its OTLP/gRPC endpoint",
            ));
        }
        Ok(stream)
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_collector_that_is_gone_is_not_reported_with_an_older_failure() {
        let failure = LastFailure::default();
        failure.note(&io::Error::other("older"), HTTP2);
        assert_eq!(failure.text().as_deref(), Some("older"));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let connecting = ClientStream::connect_to_collector(
            std::future::ready(Err(refused)),
            || panic!("there is nothing to prove"),
            ServerName::try_from("collector.example").unwrap(),
            failure.clone(),
        );
        let connecting = std::pin::pin!(connecting);
        let connected = connecting.poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Err(why)) = connected else {
            panic!("nothing is waited for")
        };
        assert_eq!(why.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(failure.text(), None);
    }
}
