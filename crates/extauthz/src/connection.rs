//! One connection: HTTP/2 over an accepted stream, until its client closes it or the shutdown ends
//! it.
//!
//! It does not look into calls: the [`router`](super::router) answers them, the
//! [guard](customs_net::TransportGuard) inspects the bytes before, and its
//! [deadlines](customs_net::ConnectionDeadlines) say when it has lasted long enough. The rule: at
//! the shutdown, and when the connection is old or idle, the client is asked to open nothing more
//! (GOAWAY), calls in flight are answered, and then the connection ends.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::select;
use tokio_util::sync::CancellationToken;

use super::decision_log::DecisionLog;
use super::inline_calls::{CallQueue, InlineCalls};
use super::router::{CheckRouter, ConnectionContext};
use super::service::PeerIdentity;
use customs_net::{ConnectionActivity, ConnectionDeadlines, ConnectionExpiry};
use customs_net::{ConnectionObserver, ServerConnection, ServerStream, TransportGuard};
use customs_record::{PeerAddress, RefusalCause};

/// How many bytes of one call, and of all calls, a client may send before they are read.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;

/// How many bytes of an answer the transport keeps until they are written.
const SEND_BUFFER: usize = 64 << 10;

/// Serves one connection, on the thread that runs this.
pub(crate) async fn serve<L: DecisionLog>(
    connection: ServerConnection,
    router: CheckRouter<L>,
    shutdown: CancellationToken,
) {
    let ServerConnection {
        stream,
        peer,
        accepted_at,
        slot,
        peer_id,
    } = connection;
    let queued_calls = router.limits().queued_calls;
    let activity = ConnectionActivity::new(router.memory()).with_queue(queued_calls);
    let activity = Arc::new(activity);
    let context = ConnectionContext {
        peer: peer.ip().map_or(PeerAddress::Unix, PeerAddress::Ip),
        identity: PeerIdentity(peer_id),
        slot: Some(slot),
        activity: activity.clone(),
        ending: shutdown.clone(),
    };
    // Each connection has a router of its own, so checks on two threads share no counter.
    let router = Arc::new(router.of(context));
    let deadlines = ConnectionDeadlines::new(&router.limits(), accepted_at.into(), activity);
    let over = serve_http2(stream, router.clone(), deadlines, shutdown).await;
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
    mut deadlines: ConnectionDeadlines,
    shutdown: CancellationToken,
) -> hyper::Result<()> {
    let (limits, activity) = (router.limits(), router.activity().clone());
    let guard = TransportGuard::new(stream, &limits, router.clone(), activity.clone())
        .shed(router.sheddable());
    let calls = router.clone();
    let service = service_fn(move |request| {
        let (router, in_hand) = (calls.clone(), calls.activity().take_call());
        // Boxed, since the transport moves a call several times, and a call is some kilobytes.
        Box::pin(async move { router.answer(request, in_hand).await })
    });
    let queue = CallQueue::default();
    let mut http = http2::Builder::new(queue.clone());
    let pending_resets = usize::try_from(limits.pending_resets).unwrap_or(usize::MAX);
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.concurrent_streams)
        .max_pending_accept_reset_streams(pending_resets)
        .max_header_list_size(limits.header_list_size)
        // A large message takes a few round trips. The default windows are a megabyte each, which
        // every client may fill on every connection.
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        // No gRPC client reads the date of an answer.
        .auto_date_header(false);
    let connection = http.serve_connection(TokioIo::new(guard), service);
    let mut connection = InlineCalls::new(connection, queue, activity.clone());
    let mut is_ending = false;
    loop {
        select! {
            biased;
            over = poll_fn(|context| {
                activity.begin_turn();
                std::pin::Pin::new(&mut connection).poll(context)
            }) => return over,
            () = shutdown.cancelled(), if !is_ending => {
                if !activity.is_established() {
                    // The transport would wait for the rest of the preface.
                    return Ok(());
                }
                is_ending = true;
                deadlines.retire();
                connection.connection().graceful_shutdown();
            }
            expiry = deadlines.expired() => match expiry {
                // Ends the streams of this connection as the shutdown does.
                ConnectionExpiry::Retire => shutdown.cancel(),
                ConnectionExpiry::Close => return Ok(()),
                ConnectionExpiry::Refuse(refusal, example) => {
                    router.refused(refusal, &example);
                    return Ok(());
                }
            },
        }
    }
}
