//! How many calls that are not checks may be open: health and reflection.
//!
//! They may last as long as their connection, and each holds more than a check does. The rules: a
//! connection may always ask for health, so that nobody else's streams make a proxy take this server
//! for sick; beyond that there are few on a connection, and few on all connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;

use super::unary;
use customs_record::RefusalCause;

/// The beginning of the paths of health, and the most bytes of a request of health.
const HEALTH_PATH: &str = "/grpc.health.v1.Health/";
const LONGEST_HEALTH: usize = 4 << 10;

/// The most calls of a connection that are not checks.
pub(crate) const PER_CONNECTION: u32 = 16;

/// How many of them may always be calls of health.
const HEALTH: u32 = 2;

/// The most on all connections, without those.
pub(crate) const IN_TOTAL: u32 = 64;

/// The calls that are not checks: those of all connections, and those of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct OtherCalls {
    all: Arc<AtomicU32>,
    here: Arc<AtomicU32>,
}

/// An open call, until it is dropped.
#[derive(Debug)]
pub(crate) struct OtherCall {
    here: Arc<AtomicU32>,
    all: Option<Arc<AtomicU32>>,
}

impl OtherCalls {
    /// Returns the calls of another connection.
    pub(crate) fn of_connection(&self) -> OtherCalls {
        OtherCalls {
            all: self.all.clone(),
            here: Arc::default(),
        }
    }

    /// Counts a call. `None` if there are as many as there may be.
    pub(crate) fn begin(&self, is_health: bool) -> Option<OtherCall> {
        let here = self.here.clone();
        let before = add(&here, PER_CONNECTION)?;
        let mut call = OtherCall { here, all: None };
        if !is_health || before >= HEALTH {
            add(&self.all, IN_TOTAL)?;
            call.all = Some(self.all.clone());
        }
        Some(call)
    }
}

/// Adds one to a count below a limit, and returns the count before.
fn add(count: &AtomicU32, limit: u32) -> Option<u32> {
    let more = |count: u32| (count < limit).then_some(count + 1);
    count.fetch_update(Relaxed, Relaxed, more).ok()
}

impl Drop for OtherCall {
    fn drop(&mut self) {
        self.here.fetch_sub(1, Relaxed);
        self.all.iter().for_each(|all| {
            all.fetch_sub(1, Relaxed);
        });
    }
}

/// Returns whether a call is one of health.
pub(crate) fn is_health(uri: &Uri) -> bool {
    uri.path().starts_with(HEALTH_PATH)
}

/// Why a call of health is refused before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OtherCallError {
    /// Its request is too long, or ends within its message.
    #[error("a request of health that is not whole within {LONGEST_HEALTH} bytes")]
    TooLong,
    /// Its request is not whole in time.
    #[error("a request of health that is not whole after {0:?}")]
    TooLate(Duration),
}

impl OtherCallError {
    pub(crate) fn cause(self) -> RefusalCause {
        match self {
            OtherCallError::TooLong => RefusalCause::MessageTooLarge,
            OtherCallError::TooLate(_) => RefusalCause::RequestTimeout,
        }
    }

    pub(crate) fn status(self) -> Status {
        match self {
            OtherCallError::TooLong => Status::resource_exhausted(self.to_string()),
            OtherCallError::TooLate(_) => Status::deadline_exceeded(self.to_string()),
        }
    }
}

/// Prepares a call that may last, so that it keeps none of the transport's buffers. The request of a
/// call of health is read to its end.
///
/// # Errors
/// If the request of a call of health is too long or too late.
pub(crate) async fn detach(
    request: Request<Incoming>,
    is_health: bool,
    time: Duration,
) -> Result<Request<Body>, OtherCallError> {
    let (mut head, body) = request.into_parts();
    unary::strip(&mut head.headers);
    if let Ok(uri) = Uri::try_from(head.uri.path()) {
        head.uri = uri;
    }
    if !is_health {
        return Ok(Request::from_parts(head, Body::new(body)));
    }
    let reading = Limited::new(body, LONGEST_HEALTH).collect();
    let read = timeout(time, reading).await;
    let body = read.map_err(|_late| OtherCallError::TooLate(time))?;
    let body = body.map_err(|_long| OtherCallError::TooLong)?.to_bytes();
    let body = Full::new(Bytes::copy_from_slice(&body));
    Ok(Request::from_parts(head, Body::new(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(calls: &OtherCalls, is_health: bool) -> Vec<OtherCall> {
        std::iter::from_fn(|| calls.begin(is_health)).collect()
    }

    #[test]
    fn a_connection_has_few() {
        let calls = OtherCalls::default();
        for is_health in [true, false] {
            let open = begin(&calls.of_connection(), is_health);
            assert_eq!(open.len(), PER_CONNECTION as usize);
        }
    }

    #[test]
    fn all_connections_have_few_and_health_can_always_be_asked_for() {
        let calls = OtherCalls::default();
        let connections: Vec<_> = (0..100).map(|_| calls.of_connection()).collect();
        let streams: Vec<_> = connections
            .iter()
            .flat_map(|connection| begin(connection, false))
            .collect();
        assert_eq!(streams.len(), IN_TOTAL as usize);
        let fresh = calls.of_connection();
        assert!(fresh.begin(false).is_none());
        assert_eq!(begin(&fresh, true).len(), HEALTH as usize);
    }

    #[test]
    fn a_call_that_is_over_makes_room() {
        let calls = OtherCalls::default().of_connection();
        for _ in 0..1_000 {
            drop(calls.begin(false).unwrap());
        }
        let open = begin(&calls, false);
        drop(open);
        assert_eq!((calls.all.load(Relaxed), calls.here.load(Relaxed)), (0, 0));
    }
}
