//! One connection of the address for operators: HTTP/1, and what a client may do with it.
//!
//! It knows no path. The rules: a request must be whole in time, and its answer must be read; a
//! connection that waits for its next request may be closed, and gives way to a new one if there
//! are as many as there may be.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use customs_net::{ConnectionLimits, HeldBody, ServerConnection, SlotHandle, WriteTimeout};

/// The most headers of a request.
const HEADERS: usize = 64;

/// What a client of the address for operators may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminLimits {
    /// How long a client may take to send the head of a request, from the connection or the answer
    /// before, and how long it may leave an answer unread. So a connection that waits for its next
    /// request is closed after this time.
    pub request_timeout: Duration,
    /// The size of the largest head of a request, in bytes.
    pub header_size: usize,
}

impl AdminLimits {
    /// Returns the limits of the settings, as far as they apply to operators.
    pub fn new(settings: &ConnectionLimits) -> AdminLimits {
        AdminLimits {
            request_timeout: settings.request_timeout,
            header_size: usize::try_from(settings.header_list_size).unwrap_or(usize::MAX),
        }
    }
}

/// Serves a connection until its client or the shutdown ends it.
pub(super) async fn serve(
    connection: ServerConnection,
    router: Router,
    limits: AdminLimits,
    shutdown: CancellationToken,
) {
    let ServerConnection {
        stream, peer, slot, ..
    } = connection;
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let (router, in_use) = (router.clone(), InUse::new(&slot));
        async move {
            let response = router.oneshot(request.map(Body::new)).await?;
            Ok::<_, Infallible>(response.map(|body| HeldBody::new(body, in_use)))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.request_timeout)
        .max_header_size(limits.header_size)
        .max_headers(HEADERS);
    let io = TokioIo::new(WriteTimeout::new(stream, limits.request_timeout));
    let mut connection = pin!(http.serve_connection(io, service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(problem) = ended {
        tracing::debug!(%problem, "a connection of an operator ended");
    }
}

/// Keeps a connection from giving way while a request of it is answered. It is dropped with the
/// answer's body, once everything is written or the client is gone.
struct InUse(SlotHandle);

impl InUse {
    fn new(slot: &SlotHandle) -> InUse {
        slot.prove();
        InUse(slot.clone())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.wait_again();
    }
}
