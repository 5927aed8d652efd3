//! What stands before every call: checks, as Envoy sends them, go straight to the [`service`](super::service); whatever
//! else there is goes to the general implementation of gRPC.
//!
//! It decides nothing and reads no attribute. The rule: a check is the same check on either way, so a caller that does
//! something unusual (compresses, sends what is no message) gets the answer that gRPC has for it, and never a shorter one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;

use super::service::{Checks, Deadline, Ledger, Pending, late};
use super::unary::{self, Answer, Asked, Sending};

/// The path of the one call that matters.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// What answers a call: a check's own short body, or whatever gRPC has.
type Told<L> = Response<Either<Answer<Settling<L>>, Body>>;

/// Records what is left of a check once its answer is sent; dropped before, it records that the caller was gone.
#[derive(Debug)]
pub struct Settling<L: Ledger> {
    /// That of the connection, so that two threads share nothing for it.
    front: Arc<Front<L>>,
    pending: Option<Pending<L::Room>>,
}

impl<L: Ledger> Sending for Settling<L> {
    fn sent(mut self) {
        self.pending.take().into_iter().for_each(|pending| self.front.checks.sent(pending));
    }
}

impl<L: Ledger> Drop for Settling<L> {
    fn drop(&mut self) {
        self.pending.take().into_iter().for_each(|pending| self.front.checks.unsent(pending));
    }
}

/// The ways that a call can take.
#[derive(Debug)]
pub struct Front<L> {
    checks: Arc<Checks<L>>,
    routes: Routes,
}

impl<L> Clone for Front<L> {
    fn clone(&self) -> Self {
        Front { checks: self.checks.clone(), routes: self.routes.clone() }
    }
}

impl<L: Ledger> Front<L> {
    /// `routes` has the Authorization service as well, with the same checks.
    pub fn new(checks: Arc<Checks<L>>, routes: Routes) -> Self {
        Front { checks, routes }
    }

    /// Answers one call, within the time that its caller waits.
    ///
    /// # Errors
    /// If the caller is gone before it has asked.
    pub async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> hyper::Result<Told<L>> {
        let patience = unary::patience(request.headers());
        // Nothing is timed unless the answer has to wait for something.
        let Some(patience) = patience else { return self.take(request, Deadline::default()).await };
        let deadline = Deadline(Instant::now().checked_add(patience));
        timeout(patience, self.take(request, deadline))
            .await
            .unwrap_or_else(|_late| Ok(late().into_http().map(Either::Right)))
    }

    async fn take(self: &Arc<Self>, mut request: Request<Incoming>, deadline: Deadline) -> hyper::Result<Told<L>> {
        if request.method() == Method::POST && request.uri().path() == CHECK {
            self.check(request, deadline).await
        } else {
            request.extensions_mut().insert(deadline);
            Ok(self.route(request.map(Body::new)).await)
        }
    }

    async fn check(self: &Arc<Self>, request: Request<Incoming>, deadline: Deadline) -> hyper::Result<Told<L>> {
        let (mut head, body) = request.into_parts();
        let unusual = match unary::read(body).await? {
            Asked::Message(message) => match self.checks.answer(&message, deadline).await {
                Ok(Some((framed, pending))) => {
                    let settling = Settling { front: self.clone(), pending: Some(pending) };
                    return Ok(unary::response(framed, settling).map(Either::Left));
                }
                Ok(None) => return Ok(late().into_http().map(Either::Right)),
                // Which bytes are no check is for the general implementation to say.
                Err(_malformed) => {
                    Body::new(Full::new(unary::framed(message.len(), |out| out.extend_from_slice(&message))))
                }
            },
            Asked::Other(body) => Body::new(body),
        };
        head.extensions.insert(deadline);
        Ok(self.route(Request::from_parts(head, unusual)).await)
    }

    /// In a box, so that a check, which needs none of it, is not the larger for it.
    fn route(&self, request: Request<Body>) -> Pin<Box<dyn Future<Output = Told<L>> + Send>> {
        let mut routes = self.routes.clone();
        Box::pin(async move {
            let Ok(response) = routes.call(request).await;
            response.map(Either::Right)
        })
    }
}
