//! One connection of a tail: HTTP/2, its calls, and subscriptions that are not read.
//!
//! It knows no record. The rules: a client may have few streams; a request must be whole in time;
//! and a client that does not read its subscription for a long time is disconnected. It can
//! subscribe again from the record where it stopped.

use std::convert::Infallible;
use std::pin::pin;
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
use customs_net::{PrefaceGuard, ServerConnection, ServerStream, SlotHandle};
use customs_record::RefusalCause;

/// The most streams of a connection. A client has one subscription, rarely a few.
const STREAMS: u32 = 8;

/// The paths of subscriptions.
const SUBSCRIPTIONS: &str = "/customs.audit.v1.AuditService/";

/// How often a connection is pinged to find out whether its client is still there. A client that is
/// gone would otherwise hold its place forever.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long the client may take to answer a ping.
const PING_BOUND: Duration = Duration::from_secs(20);

/// What a client of a tail may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TailLimits {
    /// How long the message of a call may take.
    pub(super) request_timeout: Duration,
    /// How long a subscription may be unread.
    pub(super) unread_timeout: Duration,
    /// The largest list of headers of a call, in bytes.
    pub(super) header_list_size: u32,
}

impl Default for TailLimits {
    fn default() -> Self {
        TailLimits {
            request_timeout: Duration::from_secs(5),
            unread_timeout: Duration::from_secs(300),
            header_list_size: 16 << 10,
        }
    }
}

/// Serves a connection until its client or the shutdown ends it, or until it is not read.
pub(super) async fn serve(
    connection: ServerConnection,
    routes: Routes,
    limits: TailLimits,
    refusals: &PortRefusals,
    shutdown: CancellationToken,
) {
    let ServerConnection {
        stream, peer, slot, ..
    } = connection;
    let watch = SubscriptionWatch::default();
    let serving = serve_http2(stream, (routes, slot), limits, watch.clone(), shutdown);
    tokio::select! {
        ended = serving => if let Err(problem) = ended {
            tracing::debug!(%problem, "a connection of a tail ended");
        },
        unread = unread(&watch, limits.unread_timeout) => {
            let example = format_args!("a subscription that was not read for {unread:?}");
            refusals.refuse(&peer, RefusalCause::SubscriptionUnread, &example);
        }
    }
}

/// Waits until a subscription is unread for so long.
async fn unread(watch: &SubscriptionWatch, limit: Duration) -> Duration {
    let mut looks = interval((limit / 8).max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let unread = watch.unread_for(Instant::now());
        if unread.is_some_and(|unread| unread >= limit) {
            return limit;
        }
    }
}

async fn serve_http2(
    stream: ServerStream,
    (routes, slot): (Routes, SlotHandle),
    limits: TailLimits,
    watch: SubscriptionWatch,
    shutdown: CancellationToken,
) -> hyper::Result<()> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (routes, slot) = (routes.clone(), slot.clone());
        request.extensions_mut().insert(watch.clone());
        let calling = call(routes, request, slot);
        async move {
            let late = |_| Status::deadline_exceeded("the request was not whole in time");
            let answered = timeout(limits.request_timeout, calling).await.map_err(late);
            Ok::<_, Infallible>(answered.unwrap_or_else(Status::into_http))
        }
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(limits.header_list_size)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_BOUND)
        // No gRPC client reads the date of an answer.
        .auto_date_header(false);
    let stream = TokioIo::new(PrefaceGuard::new(stream, &shutdown));
    let mut connection = pin!(http.serve_connection(stream, service));
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Answers one call. A subscription proves the connection.
async fn call(mut routes: Routes, request: Request<Incoming>, slot: SlotHandle) -> Response<Body> {
    let is_subscription = request.uri().path().starts_with(SUBSCRIPTIONS);
    let Ok(response) = routes.call(request.map(Body::new)).await;
    // A call that is refused at once has its status in its headers.
    if is_subscription && !response.headers().contains_key("grpc-status") {
        slot.prove();
    }
    response
}
