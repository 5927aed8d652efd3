//! One connection: HTTP/2 over an accepted stream, until its client closes it or the shutdown ends
//! it.
//!
//! It does not look into calls: the [`router`](super::router) answers them, and the
//! [guard](customs_net::TransportGuard) inspects the bytes before. The rule: at the shutdown the
//! client is asked to open nothing more (GOAWAY), calls in flight are answered, and then the
//! connection ends.

use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::select;
use tokio_util::sync::CancellationToken;

use super::router::CheckRouter;
use super::service::{DecisionLog, PeerIdentity};
use customs_net::{PrefaceGuard, ServerConnection, ServerStream, TransportGuard};
use customs_record::{PeerAddress, RefusalCause};

/// Serves one connection, on the thread that runs this.
pub(crate) async fn serve<L: DecisionLog>(
    connection: ServerConnection,
    router: CheckRouter<L>,
    shutdown: CancellationToken,
) {
    let ServerConnection {
        stream,
        peer,
        slot,
        peer_id,
        ..
    } = connection;
    let peer = peer.ip().map_or(PeerAddress::Unix, PeerAddress::Ip);
    // Each connection has a router of its own, so checks on two threads share no counter.
    let router = Arc::new(router.of(peer, PeerIdentity(peer_id), slot));
    let over = serve_http2(stream, router.clone(), shutdown).await;
    if let Err(problem) = over {
        match cut(&problem) {
            Some(why) => router.refuse(RefusalCause::ConnectionCut, &why),
            None => tracing::debug!(%problem, "a connection ended"),
        }
    }
}

/// Returns why HTTP/2 ended a connection, if this side ended it and not the client or the network.
fn cut(problem: &hyper::Error) -> Option<String> {
    let why = problem
        .source()
        .filter(|why| !why.is::<io::Error>())?
        .to_string();
    (!why.starts_with("connection error received")).then_some(why)
}

async fn serve_http2<L: DecisionLog>(
    stream: ServerStream,
    router: Arc<CheckRouter<L>>,
    shutdown: CancellationToken,
) -> hyper::Result<()> {
    let limits = router.limits();
    let stream = PrefaceGuard::new(stream, &shutdown);
    let stream = TokioIo::new(TransportGuard::new(stream, limits, router.clone()));
    let service = service_fn(move |request| {
        let router = router.clone();
        // Boxed, since the transport moves a call several times, and a call is some kilobytes.
        Box::pin(async move { router.answer(request).await })
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    let pending_resets = usize::try_from(limits.pending_resets).unwrap_or(usize::MAX);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.concurrent_streams)
        .max_pending_accept_reset_streams(pending_resets)
        // No gRPC client reads the date of an answer.
        .auto_date_header(false);
    let mut connection = pin!(http.serve_connection(stream, service));
    select! {
        biased;
        over = connection.as_mut() => return over,
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
