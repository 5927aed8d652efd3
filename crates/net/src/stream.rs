//! The bytes of an accepted connection, whatever carries them.
//!
//! It frames nothing and knows no protocol. The rule: a stream belongs to the runtime of the thread
//! that made it, so it is made where it is served ([`Accepted::into_stream`]).

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tonic::transport::server::Connected;

use super::listen::Accepted;

/// A connection that belongs to the runtime of this thread.
#[derive(Debug)]
pub enum ServerStream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

impl Accepted {
    /// Returns the client's address; `None` over a unix socket.
    pub fn peer(&self) -> Option<IpAddr> {
        match self {
            Accepted::Tcp(_, peer) => Some(peer.ip().to_canonical()),
            Accepted::Unix(_) => None,
        }
    }

    /// Makes the connection belong to the runtime of this thread.
    ///
    /// # Errors
    /// If the system cannot wait for one more connection.
    pub fn into_stream(self) -> io::Result<ServerStream> {
        match self {
            Accepted::Tcp(stream, _) => TcpStream::from_std(stream).map(ServerStream::Tcp),
            Accepted::Unix(stream) => UnixStream::from_std(stream).map(ServerStream::Unix),
        }
    }
}

impl AsyncRead for ServerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ServerStream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            ServerStream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            ServerStream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            ServerStream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ServerStream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            ServerStream::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ServerStream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            ServerStream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl Connected for ServerStream {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}
