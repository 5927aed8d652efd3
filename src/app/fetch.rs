//! Sends one HTTP request to the admin address of a customs or of an Envoy, and reads the answer
//! whole.
//!
//! It knows no document and retries nothing; its wait and the size of the answer are bounded. The
//! time of the server comes with the answer, so that clocks can be compared.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::http::{request, response};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::time::timeout;

use super::server_connection::{ByteStream, ConnectError, ServerAddress};

/// How long a server may take to answer: an explanation evaluates every rule.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// An answer, whole.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    /// The HTTP status.
    pub status: StatusCode,
    /// The header `date`, as it was sent.
    pub date: Option<String>,
    /// The time here when the answer had arrived.
    pub at: Timestamp,
    /// The body.
    pub body: Bytes,
}

/// The error of an exchange.
type ExchangeError = Box<dyn std::error::Error + Send + Sync>;

/// Why a document cannot be fetched, and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum FetchError {
    /// There is no connection, or TLS ends it.
    #[error(transparent)]
    Connect(#[from] Arc<ConnectError>),
    /// The address does not form a valid request.
    #[error("`{address}`: {why}")]
    Request {
        /// The server.
        address: String,
        /// Why it is invalid.
        #[source]
        why: Arc<hyper::http::Error>,
    },
    /// The connection ends before the answer is complete.
    #[error("{address} did not answer: {why}.{hint}")]
    Exchange {
        /// The server.
        address: String,
        /// What to do, after a space.
        hint: String,
        /// The error of the connection.
        #[source]
        why: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The server accepts the connection and does not answer.
    #[error("{0} did not answer within {seconds} s", seconds = ANSWER_WAIT.as_secs())]
    AnswerTimeout(String),
}

/// Fetches the document at a path, of at most `max` bytes.
///
/// # Errors
/// Returns why there is no answer, and what to do. An answer with another status than 200 is an
/// answer.
pub(super) async fn get(
    server: &ServerAddress,
    path: &str,
    max: usize,
) -> Result<Fetched, FetchError> {
    let request = Request::get(path).header(header::CONNECTION, "close");
    send(server, request, Bytes::new(), max).await
}

/// Sends a request with this body; the answer may have at most `max` bytes.
///
/// # Errors
/// Those of [`get`].
pub(super) async fn send(
    server: &ServerAddress,
    request: request::Builder,
    body: Bytes,
    max: usize,
) -> Result<Fetched, FetchError> {
    let named = || server.server().to_string();
    let request = request
        .header(header::HOST, server.authority())
        .body(Full::new(body))
        .map_err(|why| FetchError::Request {
            address: named(),
            why: Arc::new(why),
        })?;
    let stream = server.connect().await.map_err(Arc::new)?;
    let answered = timeout(ANSWER_WAIT, exchange(stream, request, max)).await;
    let (head, body) = answered
        .map_err(|_| FetchError::AnswerTimeout(named()))?
        .map_err(|why| match server.tls_failure() {
            Some(failure) => Arc::new(failure).into(),
            None => FetchError::Exchange {
                address: named(),
                hint: match server.may_lack_tls() {
                    true => format!(" Or {}", server.server().try_tls()),
                    false => String::new(),
                },
                why: why.into(),
            },
        })?;
    let date = head.headers.get(header::DATE);
    Ok(Fetched {
        status: head.status,
        date: date.and_then(|date| Some(date.to_str().ok()?.to_owned())),
        at: Timestamp::now(),
        body,
    })
}

/// Sends one request and reads its answer whole.
async fn exchange(
    stream: Box<dyn ByteStream>,
    request: Request<Full<Bytes>>,
    max: usize,
) -> Result<(response::Parts, Bytes), ExchangeError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answered = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok((head, Limited::new(body, max).collect().await?.to_bytes()))
    };
    // The task that waits for the answer also drives the connection, which ends with it.
    let (answered, _) = tokio::join!(answered, connection);
    answered
}
