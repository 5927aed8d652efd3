//! Routes every call: checks, as Envoy sends them, go straight to the [`service`](super::service);
//! every other call goes to the general implementation of gRPC.
//!
//! It decides nothing and reads no attribute. The rules: a check is the same check on either way,
//! so a caller that does something unusual (compresses, sends invalid messages) gets gRPC's answer
//! to it, and never a shorter one. A call that is refused before it was a check is reported to the
//! decision log, with its cause.

use std::fmt::Display;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;

use super::check_trace::CallTrace;
use super::decision_log::DecisionLog;
use super::other_calls::{self, OtherCalls};
use super::pending::Pending;
use super::refusal_cause::refusal_cause;
use super::service::{Checks, Deadline, PeerIdentity, late, without_memory};
use super::unary::{self, Sending, UnaryBody, UnaryResponse, Unusual};
use customs_net::HeldBody;
use customs_net::{CallInHand, ConnectionActivity, ConnectionLimits, MemoryPool};
use customs_net::{ConnectionObserver, ConnectionRefusal, ExpectedPath, SlotHandle};
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
    pending: Option<Pending<L>>,
    /// Ends once the transport has the answer.
    _in_hand: CallInHand,
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
    memory: MemoryPool,
    others: OtherCalls,
    /// The calls that are refused while too many wait: the checks.
    sheddable: Arc<ExpectedPath>,
    connection: ConnectionContext,
}

/// What a call's connection has to say about it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionContext {
    /// The client's address.
    pub(crate) peer: PeerAddress,
    /// The client's identity, if the connection has proven one.
    pub(crate) identity: PeerIdentity,
    /// What whole calls prove the connection by; `None` before there is a connection.
    pub(crate) slot: Option<SlotHandle>,
    /// What the connection is doing.
    pub(crate) activity: Arc<ConnectionActivity>,
    /// Ends the streams of the connection.
    pub(crate) ending: CancellationToken,
}

/// Ends the stream of a call whose request has it among its extensions.
#[derive(Clone, Debug)]
pub(crate) struct StreamEnd(pub(crate) CancellationToken);

impl<L> Clone for CheckRouter<L> {
    fn clone(&self) -> Self {
        let CheckRouter {
            checks,
            routes,
            limits,
            memory,
            others,
            sheddable,
            connection,
        } = self;
        CheckRouter {
            checks: checks.clone(),
            routes: routes.clone(),
            limits: *limits,
            memory: memory.clone(),
            others: others.clone(),
            sheddable: sheddable.clone(),
            connection: connection.clone(),
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
            memory: MemoryPool::new(limits.body_memory),
            others: OtherCalls::default(),
            sheddable: Arc::new(ExpectedPath::new(CHECK)),
            connection: ConnectionContext {
                peer: PeerAddress::Other,
                identity: PeerIdentity::default(),
                slot: None,
                activity: Arc::default(),
                ending: CancellationToken::new(),
            },
        }
    }

    /// Returns the same router for a connection.
    pub(crate) fn of(self, connection: ConnectionContext) -> Self {
        CheckRouter {
            connection,
            others: self.others.of_connection(),
            ..self
        }
    }

    /// Notes a whole call, so that the connection does not give way to a new one.
    fn prove(&self) {
        self.connection.activity.set_whole_call();
        if let Some(slot) = &self.connection.slot {
            slot.prove();
        }
    }

    /// Returns the memory that all connections share.
    pub(crate) fn memory(&self) -> MemoryPool {
        self.memory.clone()
    }

    /// Returns the calls that are refused while too many wait.
    pub(crate) fn sheddable(&self) -> Arc<ExpectedPath> {
        self.sheddable.clone()
    }

    /// Returns what the connection is doing.
    pub(crate) fn activity(&self) -> &Arc<ConnectionActivity> {
        &self.connection.activity
    }

    /// Returns the limits of a connection.
    pub(crate) fn limits(&self) -> ConnectionLimits {
        self.limits
    }

    /// Reports a call that was refused before it was a check.
    pub(crate) fn refuse(&self, cause: RefusalCause, example: &dyn Display) {
        self.checks.refuse(self.connection.peer, cause, example);
    }

    /// Answers one call, within the time that its caller waits. The connection has it in hand until
    /// the transport has its answer.
    ///
    /// # Errors
    /// If the caller is gone before its request is complete.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        in_hand: CallInHand,
    ) -> hyper::Result<CallResponse<L>> {
        if !self.connection.activity.has_memory() {
            return Ok(self.refuse_without_memory().map(Either::Right));
        }
        if let Some(refused) = self.refuse_other_protocols(&request) {
            return Ok(refused.map(Either::Right));
        }
        let grpc_timeout = unary::grpc_timeout(request.headers());
        // There is no timer unless the caller set a timeout.
        let Some(grpc_timeout) = grpc_timeout else {
            return self.take(request, Deadline::default(), in_hand).await;
        };
        let deadline = Deadline(Instant::now().checked_add(grpc_timeout));
        timeout(grpc_timeout, self.take(request, deadline, in_hand))
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
        request: Request<Incoming>,
        deadline: Deadline,
        in_hand: CallInHand,
    ) -> hyper::Result<CallResponse<L>> {
        if request.uri().path() == CHECK {
            return self.check(request, deadline, in_hand).await;
        }
        let is_health = other_calls::is_health(request.uri());
        let Some(other) = self.others.begin(is_health) else {
            let most = other_calls::PER_CONNECTION;
            let example =
                format_args!("a call beyond the {most} of a connection that are not checks");
            self.refuse(RefusalCause::TooManyCalls, &example);
            let status = Status::resource_exhausted("too many calls that are not checks");
            return Ok(status.into_http().map(Either::Right));
        };
        let timeout = self.limits.request_timeout;
        let mut request = match other_calls::detach(request, is_health, timeout).await {
            Ok(request) => request,
            Err(why) => {
                self.refuse(why.cause(), &why);
                return Ok(why.status().into_http().map(Either::Right));
            }
        };
        request.extensions_mut().insert(deadline);
        request
            .extensions_mut()
            .insert(StreamEnd(self.connection.ending.clone()));
        let path = shown(request.uri().path());
        let response = self.route(request).await;
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
        Ok(response.map(|body| Either::Right(Body::new(HeldBody::new(body, (in_hand, other))))))
    }

    async fn check(
        self: &Arc<Self>,
        request: Request<Incoming>,
        deadline: Deadline,
        in_hand: CallInHand,
    ) -> hyper::Result<CallResponse<L>> {
        let (mut head, body) = request.into_parts();
        let call = CallTrace::of_call(&head.headers);
        let Some(body) = self.read(&mut head, body).await? else {
            return Ok(unfinished(&self.limits).into_http().map(Either::Right));
        };
        let unusual = match body {
            UnaryBody::Message(message, _memory) => {
                let identity = &self.connection.identity;
                match self.checks.answer(&message, deadline, identity, call).await {
                    Ok(Some((framed, pending))) => {
                        self.prove();
                        let (router, pending) = (self.clone(), Some(pending));
                        let settling = Settling {
                            router,
                            pending,
                            _in_hand: in_hand,
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
        head.extensions.insert(self.connection.identity.clone());
        head.extensions.insert(call);
        let response = self.route(Request::from_parts(head, unusual)).await;
        Ok(response.map(Either::Right))
    }

    /// Reads the message of a check. `None` if it is not whole within the time that the settings
    /// allow. A message that is whole already needs no timer, and its headers stay as they are.
    async fn read(
        &self,
        head: &mut Parts,
        body: Incoming,
    ) -> hyper::Result<Option<UnaryBody<Incoming>>> {
        let mut unread = Unread(Some(self));
        let (limits, activity) = (&self.limits, &self.connection.activity);
        let mut reading = pin!(unary::read(body, limits.message_size, activity));
        let body = match unary::poll_once(reading.as_mut()).await {
            Poll::Ready(body) => Ok(body),
            Poll::Pending => {
                unary::strip(&mut head.headers);
                head.uri = Uri::from_static(CHECK);
                timeout(limits.request_timeout, reading).await
            }
        };
        match body {
            Ok(body) => {
                let body = body?;
                unread.0 = None;
                Ok(Some(body))
            }
            Err(_late) => {
                unread.0 = None;
                let time = self.limits.request_timeout;
                let example = format_args!("a check whose message was not whole after {time:?}");
                self.refuse(RefusalCause::RequestTimeout, &example);
                if !activity.has_whole_call() {
                    // A client that has never finished a call is not worth a connection.
                    self.connection.ending.cancel();
                }
                Ok(None)
            }
        }
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
            Unusual::NoMemory => Some(without_memory()),
            // It has several messages, and the general implementation would answer only the first.
            Unusual::Several => Some(Status::unimplemented("a check is a call with one message")),
            Unusual::Nothing | Unusual::Compressed | Unusual::Unfinished => None,
        }
    }

    fn refuse_without_memory(&self) -> Response<Body> {
        let calls = self.connection.activity.open_calls();
        self.refuse(
            RefusalCause::MemoryExhausted,
            &format_args!("a call on a connection that has {calls} open"),
        );
        without_memory().into_http()
    }

    /// Calls the general implementation. The future is boxed, so that a check, which does not need
    /// it, is not larger for it.
    fn route(
        &self,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> {
        let mut routes = self.routes.clone();
        Box::pin(async move {
            let Ok(response) = routes.call(request).await;
            response
        })
    }
}

impl<L: DecisionLog> ConnectionObserver for CheckRouter<L> {
    fn refused(&self, refusal: ConnectionRefusal, example: &dyn Display) {
        self.refuse(refusal_cause(refusal), example);
    }

    fn shed(&self, calls: u64) {
        self.checks.shed(self.connection.peer, calls);
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

/// Returns the status of a check whose message was not whole in time.
fn unfinished(limits: &ConnectionLimits) -> Status {
    let time = limits.request_timeout;
    Status::deadline_exceeded(format!(
        "the message was not whole after {time:?} (request_timeout)"
    ))
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
