//! Sends checks over gRPC as Envoy does, and also bytes that are not a check, a check that never
//! ends, and health requests.

use crate::raw_bytes::Bytes;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::PATIENCE;

/// A pod of the namespace that the policies are about.
pub const SLEEP: &str = "spiffe://cluster.local/ns/demo-frontend/sa/sleep";
/// A pod that the policies are not about.
pub const OTHER: &str = "spiffe://cluster.local/ns/other/sa/sleep";

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The runtime of all clients; the tests themselves are plain functions.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
});

/// Waits for an answer, at most for `PATIENCE`.
pub fn wait<T>(answer: impl Future<Output = T>) -> T {
    RUNTIME
        .block_on(async { tokio::time::timeout(PATIENCE, answer).await })
        .expect("an answer in time")
}

/// Runs a future in the background.
pub fn spawn<T: Send + 'static>(
    ask: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    RUNTIME.spawn(ask)
}

/// A connection to `http://HOST:PORT` or `unix:PATH`, opened at its first use.
pub fn channel(target: &str) -> Channel {
    let _in_runtime = RUNTIME.enter();
    Endpoint::from_shared(target.to_owned())
        .unwrap()
        .connect_lazy()
}

/// Calls a function that needs the runtime of the clients.
pub fn in_runtime<T>(make: impl FnOnce() -> T) -> T {
    let _in_runtime = RUNTIME.enter();
    make()
}

/// The answer that Envoy receives.
#[derive(Clone, Debug)]
pub struct Answer {
    pub allowed: bool,
    /// The HTTP status that Envoy would send; 200 for an allow.
    pub http: i32,
    metadata: BTreeMap<String, String>,
}

impl Answer {
    fn of(response: CheckResponse) -> Answer {
        let code = response.status.expect("a status is always set").code;
        let http = match response
            .http_response
            .expect("an HTTP response is always set")
        {
            HttpResponse::DeniedResponse(denied) => denied.status.unwrap().code,
            _ => 200,
        };
        let text = |kind: Option<Kind>| match kind {
            Some(Kind::StringValue(text)) => text,
            other => panic!("metadata that is not text: {other:?}"),
        };
        let fields = response
            .dynamic_metadata
            .expect("metadata is always set")
            .fields;
        let metadata = fields
            .into_iter()
            .map(|(name, value)| (name, text(value.kind)))
            .collect();
        Answer {
            allowed: code == 0,
            http,
            metadata,
        }
    }

    /// Returns a field of the dynamic metadata.
    pub fn says(&self, name: &str) -> &str {
        &self.metadata[name]
    }

    pub fn reason(&self) -> &str {
        self.says("reason")
    }
}

pub async fn check(channel: &Channel, check: CheckRequest) -> Result<Answer, Status> {
    AuthorizationClient::new(channel.clone())
        .check(check)
        .await
        .map(|response| Answer::of(response.into_inner()))
}

/// Returns a check for `GET /` of a host.
pub fn http(principal: &str, host: &str) -> CheckRequest {
    let http = HttpRequest {
        host: host.into(),
        method: "GET".into(),
        path: "/".into(),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: peer(principal, "10.1.2.3", 40000),
            destination: peer("", "10.9.9.9", 8080),
            request: Some(Request {
                time: None,
                http: Some(http),
            }),
            ..AttributeContext::default()
        }),
    }
}

/// Returns a peer of a connection.
pub(crate) fn peer(principal: &str, ip: &str, port: u32) -> Option<Peer> {
    let port_specifier = Some(PortSpecifier::PortValue(port));
    let socket = SocketAddress {
        address: ip.into(),
        port_specifier,
        ..SocketAddress::default()
    };
    let address = Some(Address {
        address: Some(AddressKind::SocketAddress(socket)),
    });
    Some(Peer {
        address,
        principal: principal.into(),
        ..Peer::default()
    })
}

/// Sends bytes that may not be a CheckRequest.
pub async fn raw(channel: &Channel, bytes: Vec<u8>) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready()
        .await
        .map_err(|why| Status::unavailable(why.to_string()))?;
    grpc.unary(tonic::Request::new(bytes), CHECK.parse().unwrap(), Bytes)
        .await
        .map(drop)
}

/// Begins a check whose bytes never arrive, and returns once the server knows about it.
pub async fn begin_endless(channel: &Channel) {
    let (asked, begun) = oneshot::channel();
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    tokio::spawn(async move {
        let request = tonic::Request::new(Never(Some(asked)));
        let ended: Result<tonic::Response<Vec<u8>>, Status> = grpc
            .client_streaming(request, CHECK.parse().unwrap(), Bytes)
            .await;
        ended.map(drop)
    });
    begun.await.unwrap();
    // On one connection the server reads requests in the order in which they were sent.
    check(channel, http(OTHER, "ok.example")).await.unwrap();
}

/// A request body that never arrives, and that reports when it is polled.
struct Never(Option<oneshot::Sender<()>>);

impl tokio_stream::Stream for Never {
    type Item = Vec<u8>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        self.0.take().map(|asked| asked.send(()));
        Poll::Pending
    }
}

/// The health of the Authorization service, as a stream.
pub struct Watch(tonic::Streaming<tonic_health::pb::HealthCheckResponse>);

impl Watch {
    pub fn begin(channel: &Channel) -> Watch {
        let mut client = HealthClient::new(channel.clone());
        let request = HealthCheckRequest {
            service: "envoy.service.auth.v3.Authorization".into(),
        };
        Watch(wait(client.watch(request)).unwrap().into_inner())
    }

    /// Returns the next status; `None` if the stream has ended.
    pub fn next_status(&mut self) -> Option<ServingStatus> {
        wait(self.0.message())
            .ok()
            .flatten()
            .map(|said| said.status())
    }
}
