//! `POST /explain`, `/who-can` and `/can-reach`: accepts a question of an operator, and restricts who
//! may ask.
//!
//! The composition makes the answer. The rules: only this machine may ask, over loopback or a unix
//! socket; a browser may not, whatever page it shows; a proxy may not ask for another client; the
//! size of a body, the time to send it and the number of concurrent questions are bounded.

use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use customs_net::ConnectionPeer;

/// The size of the largest question, in bytes.
pub const MAX_QUESTION: usize = 256 * 1024;

/// The number of questions that are answered concurrently.
pub const MAX_AT_ONCE: usize = 2;

/// The addresses of this machine. Not all of loopback: Istio's sidecar forwards foreign connections
/// from 127.0.0.6.
const LOCAL: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// The headers by which a proxy names its client.
const OF_PROXIES: [&str; 3] = ["forwarded", "x-forwarded-for", "x-forwarded-client-cert"];

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionKind {
    /// How one request is decided, and why.
    Explain,
    /// Which callers may go to a destination.
    WhoCan,
    /// Where callers may go.
    CanReach,
}

impl QuestionKind {
    /// Every kind.
    pub const ALL: [QuestionKind; 3] = [
        QuestionKind::Explain,
        QuestionKind::WhoCan,
        QuestionKind::CanReach,
    ];

    /// The path to which such a question is posted.
    pub const fn path(self) -> &'static str {
        match self {
            QuestionKind::Explain => "/explain",
            QuestionKind::WhoCan => "/who-can",
            QuestionKind::CanReach => "/can-reach",
        }
    }
}

/// A question.
#[derive(Clone, Debug)]
pub struct ExplainRequest {
    /// What is asked.
    pub kind: QuestionKind,
    /// The client.
    pub by: ConnectionPeer,
    /// The question, in JSON.
    pub body: Bytes,
}

/// Why a question is not answered; the text is the body of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The question is invalid; one problem per line.
    #[error("{0}")]
    BadQuestion(String),
    /// The answer could not be recorded.
    #[error("the question cannot be recorded, so it is not answered; see customs_audit_healthy\n")]
    NotRecorded,
    /// An internal error.
    #[error("the question could not be answered; the log may say why\n")]
    Failed,
    /// The client is on another machine.
    #[error(
        "only 127.0.0.1 and ::1 may ask questions, and {0} is neither; ask on the server's machine or through a port-forward\n"
    )]
    NotHere(ConnectionPeer),
    /// The client is a browser or a proxy.
    #[error(
        "a request with the header {0} is not answered; ask without a browser or proxy, as the commands with `--admin` do\n"
    )]
    ForOthers(&'static str),
    /// The body is not JSON.
    #[error("a question needs the header content-type: application/json\n")]
    NotJson,
    /// The body is too large or incomplete.
    #[error(
        "the question cannot be read: it may have at most {MAX_QUESTION} bytes and must arrive in time (request_timeout)\n"
    )]
    Body(u16),
    /// Too many questions are being answered.
    #[error("{MAX_AT_ONCE} questions are already being answered; ask again\n")]
    Busy,
}

impl IntoResponse for ExplainError {
    fn into_response(self) -> Response {
        let status = match &self {
            ExplainError::BadQuestion(_) => StatusCode::BAD_REQUEST,
            ExplainError::NotHere(_) | ExplainError::ForOthers(_) => StatusCode::FORBIDDEN,
            ExplainError::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ExplainError::Body(status) => {
                StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST)
            }
            ExplainError::NotRecorded | ExplainError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            ExplainError::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}

/// A pending answer: a JSON document, or why there is none.
pub type Answering = Pin<Box<dyn Future<Output = Result<String, ExplainError>> + Send>>;

/// Answers questions, a few concurrently.
#[derive(Clone)]
pub struct Questions {
    answer: Arc<dyn Fn(ExplainRequest) -> Answering + Send + Sync>,
    room: Arc<Semaphore>,
    /// How long a client may take to send a question.
    body_wait: Duration,
}

impl fmt::Debug for Questions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Questions")
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}

impl Questions {
    /// Returns a handler that answers with `answer`. A client may take `body_wait` to send its
    /// question.
    pub fn new(
        body_wait: Duration,
        answer: impl Fn(ExplainRequest) -> Answering + Send + Sync + 'static,
    ) -> Questions {
        Questions {
            answer: Arc::new(answer),
            room: Arc::new(Semaphore::new(MAX_AT_ONCE)),
            body_wait,
        }
    }

    async fn ask(self, request: ExplainRequest) -> Result<String, ExplainError> {
        let room = self
            .room
            .clone()
            .try_acquire_owned()
            .map_err(|_| ExplainError::Busy)?;
        // A separate task, so that a client that hangs up neither frees the slot early nor prevents
        // the record of the question.
        let answered = tokio::spawn(async move {
            let answer = (self.answer)(request).await;
            drop(room);
            answer
        });
        answered.await.unwrap_or(Err(ExplainError::Failed))
    }
}

/// Returns the path and its handler.
pub fn router(questions: Questions) -> Router {
    let route = |router: Router<Questions>, kind: QuestionKind| {
        let answer = move |questions, by, request| answer(kind, questions, by, request);
        router.route(kind.path(), post(answer))
    };
    QuestionKind::ALL
        .into_iter()
        .fold(Router::new(), route)
        .layer(DefaultBodyLimit::max(MAX_QUESTION))
        .with_state(questions)
}

async fn answer(
    kind: QuestionKind,
    State(questions): State<Questions>,
    ConnectInfo(by): ConnectInfo<ConnectionPeer>,
    request: Request,
) -> Result<Response, ExplainError> {
    may_ask(by, request.headers())?;
    let body = timeout(questions.body_wait, Bytes::from_request(request, &())).await;
    let body = body
        .map_err(|_| ExplainError::Body(408))?
        .map_err(|why| ExplainError::Body(why.status().as_u16()))?;
    let document = questions.ask(ExplainRequest { kind, by, body }).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], document).into_response())
}

/// Checks whether a request with these headers may ask. A web page can reach this address, but the
/// browser always sends its origin, and asks for permission (CORS) before it sends JSON.
fn may_ask(by: ConnectionPeer, headers: &HeaderMap) -> Result<(), ExplainError> {
    // A client over a unix socket is on this machine, and may open its file.
    if by.ip().is_some_and(|ip| !LOCAL.contains(&ip)) {
        return Err(ExplainError::NotHere(by));
    }
    if let Some(name) = ["origin"]
        .iter()
        .chain(&OF_PROXIES)
        .find(|name| headers.contains_key(**name))
    {
        return Err(ExplainError::ForOthers(name));
    }
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(ExplainError::NotJson)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(10);

    #[test]
    fn only_this_machine_asks_and_for_itself() {
        let json = ("content-type", "application/json");
        let user = ConnectionPeer::Unix(None);
        let status = |by: &str, headers: &[(&'static str, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            may_ask(
                by.parse().map(ConnectionPeer::Tcp).unwrap_or(user),
                &headers.collect(),
            )
            .map_err(|refusal| refusal.into_response().status().as_u16())
        };
        for by in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "a user"] {
            assert_eq!(status(by, &[json]), Ok(()), "{by}");
        }
        for by in [
            "10.1.2.3:1",
            "192.0.2.1:1",
            "127.0.0.6:1",
            "[::6]:1",
            "[fe80::1]:1",
            "[::ffff:10.0.0.1]:1",
            "0.0.0.0:1",
        ] {
            assert_eq!(status(by, &[json]), Err(403), "{by}");
        }
        for (header, expected) in [
            (("content-type", "application/json; charset=utf-8"), Ok(())),
            (("content-type", "Application/JSON"), Ok(())),
            (("content-type", "text/plain"), Err(415)),
            (("content-type", "application/jsonp"), Err(415)),
            (("host", "x"), Err(415)),
        ] {
            assert_eq!(status("127.0.0.1:1", &[header]), expected, "{header:?}");
        }
        for name in [
            "origin",
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-client-cert",
        ] {
            assert_eq!(
                status("127.0.0.1:1", &[json, (name, "null")]),
                Err(403),
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn no_more_questions_than_there_is_room_for() {
        let (go, wait) = tokio::sync::watch::channel(false);
        let questions = Questions::new(WAIT, move |_| {
            let mut wait = wait.clone();
            Box::pin(async move {
                wait.wait_for(|go| *go).await.unwrap();
                Ok("{}".into())
            })
        });
        let ask = || {
            questions.clone().ask(ExplainRequest {
                kind: QuestionKind::Explain,
                by: ConnectionPeer::Tcp("127.0.0.1:1".parse().unwrap()),
                body: Bytes::new(),
            })
        };
        let mut begun: Vec<_> = (0..MAX_AT_ONCE).map(|_| tokio::spawn(ask())).collect();
        while questions.room.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let left = begun.remove(0);
        left.abort();
        assert!(left.await.unwrap_err().is_cancelled());
        assert_eq!(
            questions.room.available_permits(),
            0,
            "a client that hangs up does not free its slot"
        );
        assert_eq!(ask().await, Err(ExplainError::Busy));
        go.send(true).unwrap();
        assert_eq!(begun.remove(0).await.unwrap(), Ok("{}".into()));
    }

    #[tokio::test]
    async fn a_broken_answer_is_reported() {
        let questions = Questions::new(WAIT, |_| Box::pin(async { panic!("on purpose") }));
        let request = ExplainRequest {
            kind: QuestionKind::Explain,
            by: ConnectionPeer::Tcp("127.0.0.1:1".parse().unwrap()),
            body: Bytes::new(),
        };
        assert_eq!(questions.ask(request).await, Err(ExplainError::Failed));
    }
}
