//! Serves a tail over gRPC: its service, and reflection in both versions, so that clients need no
//! proto.
//!
//! It binds and accepts nothing: who serves a connection passes its calls to the
//! [routes](TailServer::routes). The rule: subscribers' streams end when the ring is closed. It
//! protects nothing.

use tonic::service::Routes;

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

/// The most bytes of a request: a filter is lists of names.
const LONGEST_REQUEST: usize = 64 << 10;

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
        let service = AuditServiceServer::new(Service::new(tail.ring.clone()))
            .max_decoding_message_size(LONGEST_REQUEST);
        let routes = Routes::new(service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
        Ok(TailServer(routes.prepare()))
    }

    /// Returns the services, for one connection.
    pub fn routes(&self) -> Routes {
        self.0.clone()
    }
}
