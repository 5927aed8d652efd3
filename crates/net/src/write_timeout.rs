//! A stream that ends if its client does not read.
//!
//! It looks at no byte. The rule: a write that makes no progress for a while fails, so what is kept
//! for a client that does not read is kept for a bounded time. A stream whose client reads arms no
//! timer.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream, and how long a write may wait for its client.
#[derive(Debug)]
pub struct WriteTimeout<IO> {
    io: IO,
    limit: Duration,
    /// When the present wait is too long.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<IO> WriteTimeout<IO> {
    /// Wraps a stream.
    pub fn new(io: IO, limit: Duration) -> WriteTimeout<IO> {
        WriteTimeout {
            io,
            limit,
            waiting: None,
        }
    }

    /// Passes on what a write returned, unless it waits for too long.
    fn bounded<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        waiting.as_mut().poll(context).map(|()| {
            let problem = "the client does not read what it asked for";
            Err(io::Error::new(io::ErrorKind::TimedOut, problem))
        })
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for WriteTimeout<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.bounded(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.bounded(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.io).poll_shutdown(context);
        self.bounded(closed, context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_client_that_reads_slowly_gets_everything() {
        let (server, mut client) = duplex(16);
        let mut server = WriteTimeout::new(server, LIMIT);
        let writing = tokio::spawn(async move { server.write_all(&[7; 160]).await });
        let mut read = Vec::new();
        while read.len() < 160 {
            tokio::time::sleep(LIMIT / 8).await;
            let mut bytes = [0; 16];
            let count = client.read(&mut bytes).await.unwrap();
            read.extend_from_slice(&bytes[..count]);
        }
        writing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_given_up() {
        let (server, _client) = duplex(16);
        let mut server = WriteTimeout::new(server, LIMIT);
        server.write_all(&[7; 16]).await.unwrap();
        let written = timeout(50 * LIMIT, server.write_all(&[7; 1]))
            .await
            .unwrap();
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
