//! Queries a running server at its admin address: one HTTP request, and its answer or an error that
//! says what to do.
//!
//! It decides nothing and retries nothing; its wait and the size of the answer are bounded.

use std::io;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use serde_json::Value;
use tokio::time::timeout;

use super::explain::answer::Explanation;
use super::fetch::exchange;
use super::server_connection::{ConnectError, ServerAddress};

/// How long the server may take to answer: an explanation evaluates every rule.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// The size of the largest answer that is accepted, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Why a server does not answer a question, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum AskError {
    /// The async runtime cannot be started.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
    /// There is no connection, or TLS ends it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The address does not form a valid request.
    #[error("--admin: `{address}`: {why}")]
    Request {
        /// The server.
        address: String,
        /// Why it is invalid.
        #[source]
        why: hyper::http::Error,
    },
    /// The connection ends before the answer is complete.
    #[error("{address} did not answer: {why}; is it the --admin address of a customs?{hint}")]
    Exchange {
        /// The server.
        address: String,
        /// What else to do, after a space.
        hint: String,
        /// The error of the connection.
        #[source]
        why: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server accepts the connection and does not answer.
    #[error("{0} did not answer within {seconds} s", seconds = ANSWER_WAIT.as_secs())]
    AnswerTimeout(String),
    /// The answer is not an explanation.
    #[error(
        "{address} sends something other than an explanation ({why}); is it a customs of this version?"
    )]
    Answer {
        /// The server.
        address: String,
        /// Why it is invalid.
        #[source]
        why: serde_json::Error,
    },
    /// The server does not have the path `/explain`.
    #[error(
        "{0} does not answer questions; is it the --admin address of a customs of this version?"
    )]
    NoQuestions(String),
    /// The server rejects the question.
    #[error("{address} rejects the question ({status}): {body}")]
    Refused {
        /// The server.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The body of the answer.
        body: String,
    },
}

/// Sends a question and returns the answer.
///
/// # Errors
/// Returns why there is no answer, and what to do.
pub(super) fn ask(server: &ServerAddress, question: &Value) -> Result<Explanation, AskError> {
    let address = server.server();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(AskError::Runtime)?;
    let (status, body) = runtime.block_on(post(server, question.to_string()))?;
    match status {
        StatusCode::OK => serde_json::from_slice(&body).map_err(|why| AskError::Answer {
            address: address.to_string(),
            why,
        }),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Err(AskError::NoQuestions(address.to_string()))
        }
        status => {
            let body = String::from_utf8_lossy(&body).trim_end().to_owned();
            Err(AskError::Refused {
                address: address.to_string(),
                status: status.as_u16(),
                body,
            })
        }
    }
}

async fn post(server: &ServerAddress, question: String) -> Result<(StatusCode, Bytes), AskError> {
    let named = || server.server().to_string();
    let request = Request::post("/explain")
        .header(header::HOST, server.authority())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(question)))
        .map_err(|why| AskError::Request {
            address: named(),
            why,
        })?;
    let stream = server.connect().await?;
    let answered = timeout(ANSWER_WAIT, exchange(stream, request, MAX_ANSWER)).await;
    let answered = answered.map_err(|_| AskError::AnswerTimeout(named()))?;
    answered
        .map(|(head, body)| (head.status, body))
        .map_err(|why| match server.tls_failure() {
            Some(failure) => failure.into(),
            None => AskError::Exchange {
                address: named(),
                hint: match server.may_lack_tls() {
                    true => format!(" Or {}", server.server().try_tls()),
                    false => String::new(),
                },
                why,
            },
        })
}
