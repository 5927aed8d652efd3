//! One connection: HTTP/2 over a stream that was accepted, until its client goes or the shutdown ends it.
//!
//! It knows no call; the [`front`](super::front) answers them. The rule: at the shutdown the client is told to open nothing
//! more (GOAWAY), what is in flight is answered, and then it is over.

use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::select;
use tokio_util::sync::CancellationToken;

use super::front::Front;
use super::listen::Accepted;
use super::preface::Prefaced;
use super::service::Ledger;

/// How many bytes are read at once: some fifteen checks, where the transport by itself would read four.
const READ_BUFFER: usize = 32 << 10;

/// Serves one connection. It begins on the thread that runs this.
pub async fn serve<L: Ledger>(accepted: Accepted, front: Front<L>, shutdown: CancellationToken) {
    let over = match accepted {
        Accepted::Tcp(stream) => match TcpStream::from_std(stream) {
            Ok(stream) => speak(stream, front, shutdown).await,
            Err(problem) => return tracing::warn!(%problem, "a connection could not be taken over"),
        },
        Accepted::Unix(stream) => match UnixStream::from_std(stream) {
            Ok(stream) => speak(stream, front, shutdown).await,
            Err(problem) => return tracing::warn!(%problem, "a connection could not be taken over"),
        },
    };
    if let Err(problem) = over {
        tracing::debug!(%problem, "a connection ended");
    }
}

async fn speak<L: Ledger>(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    front: Front<L>,
    shutdown: CancellationToken,
) -> hyper::Result<()> {
    let stream = TokioIo::new(BufReader::with_capacity(READ_BUFFER, Prefaced::new(stream, &shutdown)));
    // A front of its own: checks on two threads then count nothing together.
    let front = Arc::new(front);
    let service = service_fn(move |request| {
        let front = front.clone();
        // In a box, since the transport moves a call several times, and a call is some kilobytes.
        Box::pin(async move { front.answer(request).await })
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    // No gRPC client reads the date of an answer.
    http.timer(TokioTimer::new()).max_concurrent_streams(None).auto_date_header(false);
    let mut connection = pin!(http.serve_connection(stream, service));
    select! {
        biased;
        over = connection.as_mut() => return over,
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
