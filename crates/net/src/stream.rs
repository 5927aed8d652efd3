//! The bytes of an accepted connection, whatever carries them.
//!
//! It frames nothing and knows no protocol. The rule: a stream belongs to the runtime of the thread
//! that made it, so it is made where it is served ([`Accepted::into_stream`]).

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::listen::Accepted;
use super::peer::ConnectionPeer;

/// A connection that belongs to the runtime of this thread.
#[derive(Debug)]
pub enum ServerStream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
    /// Over TLS, after the handshake.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Accepted {
    /// Returns who is at the other end.
    pub fn peer(&self) -> ConnectionPeer {
        match self {
            Accepted::Tcp(_, peer) | Accepted::Unix(_, peer) => *peer,
        }
    }

    /// Makes the connection belong to the runtime of this thread.
    ///
    /// # Errors
    /// If the system cannot wait for one more connection.
    pub fn into_stream(self) -> io::Result<ServerStream> {
        match self {
            Accepted::Tcp(stream, _) => TcpStream::from_std(stream).map(ServerStream::Tcp),
            Accepted::Unix(stream, _) => UnixStream::from_std(stream).map(ServerStream::Unix),
        }
    }
}

impl ServerStream {
    /// Waits for the first byte of the client, and leaves it unread. Returns false if the client
    /// ends the connection without one.
    ///
    /// # Errors
    /// If the connection breaks.
    pub(crate) async fn first_byte(&self) -> io::Result<bool> {
        match self {
            ServerStream::Tcp(stream) => {
                stream
                    .async_io(Interest::READABLE, || peek(stream.as_fd()))
                    .await
            }
            ServerStream::Unix(stream) => {
                stream
                    .async_io(Interest::READABLE, || peek(stream.as_fd()))
                    .await
            }
            // Its handshake has begun with a byte.
            ServerStream::Tls(_) => Ok(true),
        }
    }

    /// Takes the connection away from the runtime of this thread.
    ///
    /// # Errors
    /// If the connection has ended in a way that the system reports here, or has a TLS session, which
    /// stays where its handshake was.
    pub(crate) fn into_accepted(self, peer: ConnectionPeer) -> io::Result<Accepted> {
        Ok(match self {
            ServerStream::Tcp(stream) => {
                // An answer is one small write, which must not wait for another (Nagle).
                stream.set_nodelay(true)?;
                Accepted::Tcp(stream.into_std()?, peer)
            }
            ServerStream::Unix(stream) => Accepted::Unix(stream.into_std()?, peer),
            ServerStream::Tls(_) => return Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

/// Looks whether there is a byte to read.
fn peek(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let mut byte = [0_u8; 1];
    let (_, count) = recv(socket, &mut byte, RecvFlags::PEEK)?;
    Ok(count > 0)
}

impl AsyncRead for ServerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ServerStream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            ServerStream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
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
            ServerStream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            ServerStream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            ServerStream::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            ServerStream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            ServerStream::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ServerStream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            ServerStream::Tls(stream) => Pin::new(stream).poll_flush(context),
            ServerStream::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ServerStream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            ServerStream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            ServerStream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl Connected for ServerStream {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}
