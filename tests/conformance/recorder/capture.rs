//! The ext_authz server of the recorder: it allows everything and stores the checks that it
//! receives.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse, OkHttpResponse};
use envoy_types::pb::google::rpc::Status as RpcStatus;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

struct Keeper(Mutex<Sender<CheckRequest>>);

#[tonic::async_trait]
impl Authorization for Keeper {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let keeper = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keeper
            .send(request.into_inner())
            .map_err(|_| Status::cancelled("the recorder has ended"))?;
        Ok(Response::new(CheckResponse {
            status: Some(RpcStatus {
                code: 0,
                ..RpcStatus::default()
            }),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse::default())),
            ..CheckResponse::default()
        }))
    }
}

/// The running server.
pub(crate) struct Capture {
    pub port: u16,
    seen: Receiver<CheckRequest>,
    pool: DescriptorPool,
    _runtime: Runtime,
}

impl Capture {
    pub(crate) fn start() -> Result<Capture> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        let (sender, seen) = channel();
        let service = AuthorizationServer::new(Keeper(Mutex::new(sender)));
        runtime.spawn(
            Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        Ok(Capture {
            port,
            seen,
            pool: DescriptorPool::decode(customs_extauthz::DESCRIPTORS)?,
            _runtime: runtime,
        })
    }

    /// Returns the one check since the last call, as proto3 JSON without what differs from run to
    /// run.
    pub(crate) fn take(&self) -> Result<Value> {
        let all: Vec<CheckRequest> = self.seen.try_iter().collect();
        ensure!(all.len() == 1, "one request made {} checks", all.len());
        let mut check = all.into_iter().next().context("no check")?;
        without_chance(&mut check);
        let descriptor = self
            .pool
            .get_message_by_name("envoy.service.auth.v3.CheckRequest")
            .context("no CheckRequest")?;
        let message = DynamicMessage::decode(descriptor, check.encode_to_vec().as_slice())?;
        let mut json = serde_json::to_value(&message)?;
        json.sort_all_objects();
        Ok(json)
    }
}

/// Removes time, ids, the client's port and the certificate's hash, so that recording twice gives
/// the same file.
fn without_chance(check: &mut CheckRequest) {
    let Some(attributes) = check.attributes.as_mut() else {
        return;
    };
    if let Some(AddressKind::SocketAddress(socket)) = attributes
        .source
        .as_mut()
        .and_then(|peer| peer.address.as_mut())
        .and_then(|address| address.address.as_mut())
    {
        socket.port_specifier = Some(PortSpecifier::PortValue(40_000));
    }
    let Some(request) = attributes.request.as_mut() else {
        return;
    };
    request.time = None;
    let Some(http) = request.http.as_mut() else {
        return;
    };
    http.id = "1".into();
    http.headers.remove("x-request-id");
    if let Some(certificate) = http.headers.get_mut(CERTIFICATE) {
        *certificate = without_hash(certificate);
    }
    for headers in http.header_map.iter_mut().map(|map| &mut map.headers) {
        headers.retain(|header| header.key != "x-request-id");
        for header in headers
            .iter_mut()
            .filter(|header| header.key == CERTIFICATE)
        {
            header.raw_value =
                without_hash(&String::from_utf8_lossy(&header.raw_value)).into_bytes();
        }
    }
}

const CERTIFICATE: &str = "x-forwarded-client-cert";

fn without_hash(certificate: &str) -> String {
    certificate
        .split(';')
        .filter(|part| !part.starts_with("Hash="))
        .collect::<Vec<_>>()
        .join(";")
}
