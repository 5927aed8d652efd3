//! A stream that ends at the shutdown if its client has not started HTTP/2.
//!
//! The transport sends GOAWAY and lets streams finish, but only on a connection whose client has
//! sent the preface. A connection that is merely open would keep the server from ending. So until
//! the preface is whole, the shutdown looks like the end of the input. What follows the preface is
//! left to the transport.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// The length of HTTP/2's connection preface, in bytes (RFC 9113, 3.4).
const PREFACE: usize = 24;

/// A stream, and the shutdown for as long as its client has not sent the preface.
pub struct PrefaceGuard<IO> {
    io: IO,
    silent: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    read: usize,
}

impl<IO> PrefaceGuard<IO> {
    /// Wraps a stream whose client has sent nothing yet.
    pub fn new(io: IO, shutdown: &CancellationToken) -> Self {
        PrefaceGuard {
            io,
            silent: Some(Box::pin(shutdown.clone().cancelled_owned())),
            read: 0,
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for PrefaceGuard<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        self.read = self.read.saturating_add(buffer.filled().len() - before);
        if self.read >= PREFACE {
            self.silent = None;
        }
        match (&read, &mut self.silent) {
            // An empty read is how the end of the input is reported.
            (Poll::Pending, Some(shutdown)) => shutdown.as_mut().poll(context).map(|()| Ok(())),
            _ => read,
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for PrefaceGuard<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    // Not vectored, so that the transport gathers frames up to a kilobyte into one write. To a
    // vectored stream it writes every frame from 256 bytes on separately, and a write costs as much
    // as deciding.

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

impl<IO: Connected> Connected for PrefaceGuard<IO> {
    type ConnectInfo = IO::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.connect_info()
    }
}
