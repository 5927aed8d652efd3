//! Routes every call: checks, as Envoy sends them, go straight to the [`service`](super::service);
//! every other call goes to the general implementation of gRPC.
//!
//! It decides nothing and reads no attribute. The rules: a check is the same check on either way,
//! so a caller that does something unusual (compresses, sends invalid messages) gets gRPC's answer
//! to it, and never a shorter one. A call that is refused before it was a check is reported to the
//! decision log, with its cause.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;

use super::service::{Checks, Deadline, DecisionLog, PeerIdentity, Pending, late};
use super::unary::{self, Sending, UnaryBody, UnaryResponse, Unusual};
use customs_net::ConnectionLimits;
use customs_net::{ConnectionObserver, ConnectionRefusal, SlotHandle};
use customs_record::{PeerAddress, RefusalCause};

/// The path of the only call that is routed here.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The paths of the health service.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// The most bytes of a client's text that an example shows.
const SHOWN: usize = 100;

/// The answer to a call: a check's own short body, or that of the gRPC implementation.
type CallResponse<L> = Response<Either<UnaryResponse<Settling<L>>, Body>>;

/// Records the rest of a check once its answer is sent. If it is dropped before that, it records
/// that the caller was gone.
#[derive(Debug)]
pub(crate) struct Settling<L: DecisionLog> {
    /// The connection's router, so that two threads share nothing for it.
    router: Arc<CheckRouter<L>>,
    pending: Option<Pending<L::Reservation>>,
}

impl<L: DecisionLog> Sending for Settling<L> {
    fn sent(mut self) -> Option<Bytes> {
        let pending = self.pending.take()?;
        self.router.checks.sent(pending)
    }
}

impl<L: DecisionLog> Drop for Settling<L> {
    fn drop(&mut self) {
        self.pending
            .take()
            .into_iter()
            .for_each(|pending| self.router.checks.unsent(pending));
    }
}

/// The ways that a call can take.
#[derive(Debug)]
pub(crate) struct CheckRouter<L> {
    checks: Arc<Checks<L>>,
    routes: Routes,
    limits: ConnectionLimits,
    peer: PeerAddress,
    identity: PeerIdentity,
    /// What whole calls prove the connection by; `None` before there is a connection.
    slot: Option<SlotHandle>,
}

impl<L> Clone for CheckRouter<L> {
    fn clone(&self) -> Self {
        let CheckRouter {
            checks,
            routes,
            limits,
            peer,
            identity,
            slot,
        } = self;
        CheckRouter {
            checks: checks.clone(),
            routes: routes.clone(),
            limits: *limits,
            peer: *peer,
            identity: identity.clone(),
            slot: slot.clone(),
        }
    }
}

impl<L: DecisionLog> CheckRouter<L> {
    /// Creates a router. `routes` also has the Authorization service, with the same checks.
    pub(crate) fn new(checks: Arc<Checks<L>>, routes: Routes, limits: ConnectionLimits) -> Self {
        CheckRouter {
            checks,
            routes,
            limits,
            peer: PeerAddress::Other,
            identity: PeerIdentity::default(),
            slot: None,
        }
    }

    /// Returns the same router for a connection of this peer.
    pub(crate) fn of(self, peer: PeerAddress, identity: PeerIdentity, slot: SlotHandle) -> Self {
        CheckRouter {
            peer,
            identity,
            slot: Some(slot),
            ..self
        }
    }

    /// Notes a whole call, so that the connection does not give way to a new one.
    fn prove(&self) {
        if let Some(slot) = &self.slot {
            slot.prove();
        }
    }

    /// Returns the limits of a connection.
    pub(crate) fn limits(&self) -> ConnectionLimits {
        self.limits
    }

    /// Reports a call that was refused before it was a check.
    pub(crate) fn refuse(&self, cause: RefusalCause, example: &dyn Display) {
        self.checks.refuse(self.peer, cause, example);
    }

    /// Answers one call, within the time that its caller waits.
    ///
    /// # Errors
    /// If the caller is gone before its request is complete.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> hyper::Result<CallResponse<L>> {
        if let Some(refused) = self.refuse_other_protocols(&request) {
            return Ok(refused.map(Either::Right));
        }
        let grpc_timeout = unary::grpc_timeout(request.headers());
        // There is no timer unless the caller set a timeout.
        let Some(grpc_timeout) = grpc_timeout else {
            return self.take(request, Deadline::default()).await;
        };
        let deadline = Deadline(Instant::now().checked_add(grpc_timeout));
        timeout(grpc_timeout, self.take(request, deadline))
            .await
            .unwrap_or_else(|_late| Ok(late().into_http().map(Either::Right)))
    }

    /// Returns the answer to an HTTP/2 request that is not gRPC. Its HTTP status keeps a client
    /// that does not know gRPC from taking it for success.
    fn refuse_other_protocols<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        if request.method() != Method::POST {
            let method = shown(request.method().as_str());
            self.refuse(
                RefusalCause::HttpMethod,
                &format_args!("the method {method}"),
            );
            let text = "a gRPC call has the method POST";
            return Some(refused(
                StatusCode::METHOD_NOT_ALLOWED,
                Status::internal(text),
            ));
        }
        if unary::is_grpc(request.headers()) {
            // The path of a call is the name of a method, and no method has a query in its name.
            request.uri().query()?;
            let path = shown(request.uri().path());
            self.refuse(
                RefusalCause::UnknownMethod,
                &format_args!("a call of `{path}` with a query"),
            );
            return Some(Status::unimplemented("a gRPC call has no query").into_http());
        }
        let content_type = first(request.headers(), &CONTENT_TYPE);
        match content_type {
            None => self.refuse(RefusalCause::ContentType, &"a call without a content type"),
            Some(content_type) => self.refuse(
                RefusalCause::ContentType,
                &format_args!("the content type `{}`", shown(&content_type)),
            ),
        }
        let text =
            "the content type of a gRPC call is `application/grpc` or `application/grpc+proto`";
        Some(refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Status::invalid_argument(text),
        ))
    }

    async fn take(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
        deadline: Deadline,
    ) -> hyper::Result<CallResponse<L>> {
        if request.uri().path() == CHECK {
            return self.check(request, deadline).await;
        }
        request.extensions_mut().insert(deadline);
        let path = shown(request.uri().path());
        let response = self.route(request.map(Body::new)).await;
        // A call that is refused at once has its status in its headers.
        match response.headers().get("grpc-status") {
            Some(status) if status == UNIMPLEMENTED => self.refuse(
                RefusalCause::UnknownMethod,
                &format_args!("a call of `{path}`"),
            ),
            // A proxy's health checks may have a connection of their own.
            None if path.starts_with(HEALTH) => self.prove(),
            _ => {}
        }
        Ok(response)
    }

    async fn check(
        self: &Arc<Self>,
        request: Request<Incoming>,
        deadline: Deadline,
    ) -> hyper::Result<CallResponse<L>> {
        let (mut head, body) = request.into_parts();
        let mut unread = Unread(Some(self));
        let body = unary::read(body, self.limits.message_size).await?;
        unread.0 = None;
        let unusual = match body {
            UnaryBody::Message(message) => {
                match self.checks.answer(&message, deadline, &self.identity).await {
                    Ok(Some((framed, pending))) => {
                        self.prove();
                        let settling = Settling {
                            router: self.clone(),
                            pending: Some(pending),
                        };
                        return Ok(unary::response(framed, settling).map(Either::Left));
                    }
                    Ok(None) => return Ok(late().into_http().map(Either::Right)),
                    // The general implementation says what is wrong with the bytes.
                    Err(malformed) => {
                        self.refuse(
                            RefusalCause::MessageMalformed,
                            &format_args!("{} bytes: {malformed}", message.len()),
                        );
                        Body::new(Full::new(unary::framed(message.len(), |out| {
                            out.extend_from_slice(&message)
                        })))
                    }
                }
            }
            UnaryBody::Unusual(unusual, body) => {
                self.refuse(unusual.cause(), &unusual);
                match self.refusal(unusual) {
                    Some(status) => return Ok(status.into_http().map(Either::Right)),
                    None => Body::new(body),
                }
            }
        };
        head.extensions.insert(deadline);
        head.extensions.insert(self.identity.clone());
        Ok(self.route(Request::from_parts(head, unusual)).await)
    }

    /// Returns the answer to an unusual message, unless the general implementation answers it.
    fn refusal(&self, unusual: Unusual) -> Option<Status> {
        match unusual {
            Unusual::TooLarge(_) => {
                let most = self.limits.message_size;
                Some(Status::resource_exhausted(format!(
                    "{unusual}; the limit is {most} (max_message_size)"
                )))
            }
            // It has several messages, and the general implementation would answer only the first.
            Unusual::Several => Some(Status::unimplemented("a check is a call with one message")),
            Unusual::Nothing | Unusual::Compressed | Unusual::Unfinished => None,
        }
    }

    /// Calls the general implementation. The future is boxed, so that a check, which does not need
    /// it, is not larger for it.
    fn route(
        &self,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = CallResponse<L>> + Send>> {
        let mut routes = self.routes.clone();
        Box::pin(async move {
            let Ok(response) = routes.call(request).await;
            response.map(Either::Right)
        })
    }
}

impl<L: DecisionLog> ConnectionObserver for CheckRouter<L> {
    fn refused(&self, refusal: ConnectionRefusal, example: &dyn Display) {
        let cause = match refusal {
            ConnectionRefusal::Tls => RefusalCause::Tls,
            ConnectionRefusal::Http1 => RefusalCause::Http1,
            ConnectionRefusal::OtherProtocol => RefusalCause::OtherProtocol,
            ConnectionRefusal::TooManyResets => RefusalCause::ConnectionCut,
            ConnectionRefusal::StreamRefused => RefusalCause::StreamRefused,
        };
        self.refuse(cause, example);
    }
}

/// A call that was not read yet. If it is dropped in this state, its caller has given up or waits
/// no longer.
struct Unread<'f, L: DecisionLog>(Option<&'f CheckRouter<L>>);

impl<L: DecisionLog> Drop for Unread<'_, L> {
    fn drop(&mut self) {
        if let Some(router) = self.0 {
            router.refuse(
                RefusalCause::Abandoned,
                &"a check that its caller gave up before it was read",
            );
        }
    }
}

/// gRPC's spelling of [`Code::Unimplemented`].
const UNIMPLEMENTED: &str = "12";

const _: () = assert!(Code::Unimplemented as u8 == 12);

/// Returns a refusal that has an HTTP status of its own.
fn refused(http: StatusCode, status: Status) -> Response<Body> {
    let mut response = status.into_http();
    *response.status_mut() = http;
    response
}

/// Returns the first value of a header, as text.
fn first(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Returns the beginning of a client's text.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
