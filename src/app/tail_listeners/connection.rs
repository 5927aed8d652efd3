//! One connection of a tail: HTTP/2 behind the guard of the transport, its calls, and subscriptions
//! that are not read.
//!
//! It knows no record. The rules: a client may have few streams; a request must be whole in time;
//! and a client that does not read its subscription for a long time is disconnected. It can
//! subscribe again from the record where it stopped. A subscription may last forever, so a
//! connection has no greatest age.

use std::convert::Infallible;
use std::fmt::Display;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

use crate::app::ports::refusals::PortRefusals;
use customs_audit::tail::SubscriptionWatch;
use customs_extauthz::refusal_cause;
use customs_net::{
    ConnectionActivity, ConnectionDeadlines, ConnectionExpiry, ConnectionLimits,
    ConnectionObserver, ConnectionPeer, ConnectionRefusal, HeldBody, MemoryPool, ServerConnection,
    ServerStream, SlotHandle, TransportGuard,
};
use customs_record::RefusalCause;

/// The most streams of a connection. A client has one subscription, rarely a few.
const STREAMS: u32 = 8;

/// How many resets a client may make at once and in a second.
const RESETS: u32 = 64;

/// How many bytes a client may send before they are read. A request is short.
const WINDOW: u32 = 64 << 10;

/// How many bytes of records the transport keeps for a stream until they are written.
const SEND_BUFFER: usize = 64 << 10;

/// The paths of subscriptions.
const SUBSCRIPTIONS: &str = "/customs.audit.v1.AuditService/";

/// How often a connection is pinged to find out whether its client is still there. A client that is
/// gone would otherwise hold its place forever.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long the client may take to answer a ping.
const PING_BOUND: Duration = Duration::from_secs(20);

/// What serves the connections of one tail.
#[derive(Clone, Debug)]
pub(super) struct TailService {
    routes: Routes,
    limits: ConnectionLimits,
    refusals: Arc<PortRefusals>,
}

impl TailService {
    /// Joins the services with the limits of the settings, as far as they apply to a tail.
    pub(super) fn new(
        routes: Routes,
        settings: ConnectionLimits,
        refusals: Arc<PortRefusals>,
    ) -> TailService {
        let limits = ConnectionLimits {
            concurrent_streams: STREAMS,
            pending_resets: RESETS,
            age: None,
            ..settings
        };
        TailService {
            routes,
            limits,
            refusals,
        }
    }

    /// Serves a connection until its client or the shutdown ends it, or until it is not read.
    pub(super) async fn serve(self, connection: ServerConnection, shutdown: CancellationToken) {
        let ServerConnection {
            stream,
            peer,
            accepted_at,
            slot,
            ..
        } = connection;
        let activity = Arc::new(ConnectionActivity::new(MemoryPool::default()));
        let deadlines =
            ConnectionDeadlines::new(&self.limits, accepted_at.into(), activity.clone());
        let observer = Arc::new(TailObserver {
            refusals: self.refusals.clone(),
            peer,
        });
        let (watch, unread_timeout) = (SubscriptionWatch::default(), self.limits.idle_timeout);
        let calls = TailCalls {
            routes: self.routes,
            watch: watch.clone(),
            activity,
            slot,
            request_timeout: self.limits.request_timeout,
        };
        let serving = serve_http2(stream, calls, self.limits, deadlines, &observer, shutdown);
        tokio::select! {
            ended = serving => if let Err(problem) = ended {
                tracing::debug!(%problem, "a connection of a tail ended");
            },
            () = unread(&watch, unread_timeout) => {
                let example = format_args!("a subscription that was not read for {unread_timeout:?}");
                self.refusals.refuse(&peer, RefusalCause::SubscriptionUnread, &example);
            }
        }
    }
}

/// Waits until a subscription is unread for so long.
async fn unread(watch: &SubscriptionWatch, limit: Duration) {
    let mut looks = interval((limit / 8).max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let unread = watch.unread_for(Instant::now());
        if unread.is_some_and(|unread| unread >= limit) {
            return;
        }
    }
}

async fn serve_http2(
    stream: ServerStream,
    calls: TailCalls,
    limits: ConnectionLimits,
    mut deadlines: ConnectionDeadlines,
    observer: &Arc<TailObserver>,
    shutdown: CancellationToken,
) -> hyper::Result<()> {
    let activity = calls.activity.clone();
    let guard = TransportGuard::new(stream, &limits, observer.clone(), activity.clone());
    let service = service_fn(move |request| calls.clone().answer(request));
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.concurrent_streams)
        .max_pending_accept_reset_streams(usize::try_from(limits.pending_resets).unwrap_or(0))
        .max_header_list_size(limits.header_list_size)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_BOUND)
        // No gRPC client reads the date of an answer.
        .auto_date_header(false);
    let mut connection = pin!(http.serve_connection(TokioIo::new(guard), service));
    let mut is_ending = false;
    loop {
        tokio::select! {
            biased;
            ended = poll_fn(|context| {
                activity.begin_turn();
                connection.as_mut().poll(context)
            }) => return ended,
            () = shutdown.cancelled(), if !is_ending => {
                if !activity.is_established() {
                    // The transport would wait for the rest of the preface.
                    return Ok(());
                }
                is_ending = true;
                // Subscriptions end with the audit log, and who ends the tail bounds that time.
                connection.as_mut().graceful_shutdown();
            }
            expiry = deadlines.expired() => match expiry {
                ConnectionExpiry::Retire => connection.as_mut().graceful_shutdown(),
                ConnectionExpiry::Close => return Ok(()),
                ConnectionExpiry::Refuse(refusal, example) => {
                    observer.refused(refusal, &example);
                    return Ok(());
                }
            },
        }
    }
}

/// Answers the calls of one connection.
#[derive(Clone, Debug)]
struct TailCalls {
    routes: Routes,
    watch: SubscriptionWatch,
    activity: Arc<ConnectionActivity>,
    slot: SlotHandle,
    request_timeout: Duration,
}

impl TailCalls {
    /// Answers one call. A subscription proves the connection.
    async fn answer(
        mut self,
        mut request: Request<Incoming>,
    ) -> Result<Response<HeldBody<Body, customs_net::CallInHand>>, Infallible> {
        let in_hand = self.activity.take_call();
        let is_subscription = request.uri().path().starts_with(SUBSCRIPTIONS);
        request.extensions_mut().insert(self.watch);
        let calling = self.routes.call(request.map(Body::new));
        let response = match timeout(self.request_timeout, calling).await {
            Ok(Ok(response)) => response,
            Err(_late) => {
                Status::deadline_exceeded("the request was not whole in time").into_http()
            }
        };
        // A call that is refused at once has its status in its headers.
        if is_subscription && !response.headers().contains_key("grpc-status") {
            self.activity.set_whole_call();
            self.slot.prove();
        }
        Ok(response.map(|body| HeldBody::new(body, in_hand)))
    }
}

/// Reports what the guard of one connection refuses.
#[derive(Debug)]
struct TailObserver {
    refusals: Arc<PortRefusals>,
    peer: ConnectionPeer,
}

impl ConnectionObserver for TailObserver {
    fn refused(&self, refusal: ConnectionRefusal, example: &dyn Display) {
        self.refusals
            .refuse(&self.peer, refusal_cause(refusal), example);
    }

    /// Subscriptions wait in no queue, so none is refused for it.
    fn shed(&self, _calls: u64) {}
}
