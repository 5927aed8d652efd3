//! Serves a tail over gRPC: its service, and reflection in both versions, so that clients need no
//! proto.
//!
//! It binds nothing: the caller passes connections in. The rule: subscribers' streams end when the
//! ring is closed; the shutdown then closes the remaining connections. It protects nothing.

use std::fmt::Debug;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use super::Tail;
use super::proto::audit_service_server::AuditServiceServer;
use super::service::Service;
use customs_record::proto::DESCRIPTORS;

/// The services that reflection lists.
const SERVICES: [&str; 3] = [
    "customs.audit.v1.AuditService",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// How often a connection is pinged to find out whether its client is still there. A client that is
/// gone would otherwise hold its place forever.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long the client may take to answer a ping.
const PING_BOUND: Duration = Duration::from_secs(20);

/// Why reflection could not be built.
pub type ReflectionError = tonic_reflection::server::Error;

/// The services of one tail, ready to be served.
#[derive(Clone, Debug)]
pub struct TailServer(Routes);

impl TailServer {
    /// Joins the service and reflection.
    ///
    /// # Errors
    /// If the descriptors cannot be read, which means a broken build.
    pub fn new(tail: &Tail) -> Result<TailServer, ReflectionError> {
        let reflection = || {
            let builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(
                    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
                );
            SERVICES.iter().fold(builder, |builder, service| {
                builder.with_service_name(*service)
            })
        };
        let service = AuditServiceServer::new(Service::new(tail.ring.clone()));
        let routes = Routes::new(service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
        Ok(TailServer(routes.prepare()))
    }

    /// Serves connections until the shutdown, then until the last of them has ended.
    ///
    /// # Errors
    /// The error of the transport.
    pub async fn serve<I, C, E>(
        self,
        connections: I,
        shutdown: CancellationToken,
    ) -> Result<(), tonic::transport::Error>
    where
        I: Stream<Item = Result<C, E>>,
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        C::ConnectInfo: Clone + Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + Debug,
    {
        let mut server = Server::builder()
            .http2_keepalive_interval(Some(PING_INTERVAL))
            .http2_keepalive_timeout(Some(PING_BOUND));
        let router = server.add_routes(self.0);
        router
            .serve_with_incoming_shutdown(connections, shutdown.cancelled())
            .await
    }
}
