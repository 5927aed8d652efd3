//! Serves gRPC on the bound listeners: Authorization, health, and reflection in both versions.
//!
//! Shutting down is gentle by default: listeners close, connections get GOAWAY, checks in flight
//! finish, and streams that would never end by themselves (health Watch, reflection) are ended. The
//! caller decides how long that may take.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::authorization_server::AuthorizationServer;
use http::HeaderValue;
use http_body::Frame;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::Service;

use super::connection;
use super::decision_log::DecisionLog;
use super::router::{CheckRouter, StreamEnd};
use super::service::Checks;
use customs_net::{ConnectionLimits, Listener, Port, PortObserver, Workers};

/// The services that reflection lists, itself in both versions included.
pub const SERVICES: [&str; 4] = [
    super::AUTHORIZATION,
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The most bytes of a request of reflection: it names a file or a symbol.
const LONGEST_REFLECTION: usize = 4 << 10;

/// The services of one server. Every listener serves all of them.
#[derive(Clone, Debug)]
pub struct Services<L> {
    router: CheckRouter<L>,
    shutdown: CancellationToken,
}

impl<L: DecisionLog> Services<L> {
    /// Joins the Authorization service, a health service and reflection. `limits` bound each
    /// connection, and `shutdown` ends them.
    ///
    /// # Errors
    /// If the descriptors cannot be read, which would be a broken build.
    pub fn new<H>(
        checks: Checks<L>,
        health: H,
        limits: ConnectionLimits,
        shutdown: CancellationToken,
    ) -> Result<Services<L>, ReflectionError>
    where
        H: GrpcService,
        H::Future: Send,
    {
        let ended = |service| EndAtShutdown {
            service,
            shutdown: shutdown.clone(),
        };
        let reflection = || {
            let builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(super::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(
                    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
                );
            SERVICES.iter().fold(builder, |builder, service| {
                builder.with_service_name(*service)
            })
        };
        let v1 = reflection().build_v1()?;
        let v1 = v1.max_decoding_message_size(LONGEST_REFLECTION);
        let v1alpha = reflection().build_v1alpha()?;
        let v1alpha = v1alpha.max_decoding_message_size(LONGEST_REFLECTION);
        let checks = Arc::new(checks);
        let unusual = AuthorizationServer::from_arc(checks.clone())
            .max_decoding_message_size(limits.message_size);
        let routes = Routes::new(unusual)
            .add_service(ended(health))
            .add_service(EndAtShutdown {
                service: v1,
                shutdown: shutdown.clone(),
            })
            .add_service(EndAtShutdown {
                service: v1alpha,
                shutdown: shutdown.clone(),
            });
        Ok(Services {
            router: CheckRouter::new(checks, routes.prepare(), limits),
            shutdown,
        })
    }

    /// Serves one listener of the port until the shutdown, then until its last connection has
    /// ended.
    ///
    /// # Errors
    /// If the listener breaks permanently.
    pub async fn serve<O: PortObserver>(
        self,
        port: Port<O>,
        listener: Listener,
        workers: Workers,
    ) -> io::Result<()> {
        let Services { router, shutdown } = self;
        let stop = shutdown.clone();
        let serve =
            move |connection| connection::serve(connection, router.clone(), shutdown.child_token());
        port.serve(listener, workers, stop, serve).await
    }
}

/// A gRPC service in the form that tonic's router accepts.
pub trait GrpcService:
    Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
    + NamedService
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> GrpcService for S where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Why reflection could not be built.
pub type ReflectionError = tonic_reflection::server::Error;

/// Ends a service's streams at the shutdown.
#[derive(Clone, Debug)]
struct EndAtShutdown<S> {
    service: S,
    shutdown: CancellationToken,
}

impl<S: NamedService> NamedService for EndAtShutdown<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for EndAtShutdown<S>
where
    S: GrpcService,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        // The end of the connection is the shutdown too, for what is open on it.
        let end = request.extensions().get().map(|StreamEnd(end)| end);
        let end = end.unwrap_or(&self.shutdown).clone();
        let response = self.service.call(request);
        let shutdown = Box::pin(end.cancelled_owned());
        Box::pin(async move {
            Ok(response.await?.map(|inner| {
                Body::new(Ended {
                    inner,
                    shutdown,
                    over: false,
                })
            }))
        })
    }
}

/// A body that ends with `UNAVAILABLE` at the shutdown, if it has not ended before.
struct Ended {
    inner: Body,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    over: bool,
}

impl http_body::Body for Ended {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            return Poll::Ready(frame);
        }
        if self.shutdown.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.over = true;
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("14"));
        trailers.insert("grpc-message", HeaderValue::from_static("shutting down"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}
