//! Queries a running server at its admin address: one HTTP request, and its answer or an error that
//! says what to do.
//!
//! It decides nothing and retries nothing; its wait and the size of the answer are bounded.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::explain::answer::Explanation;

/// How long the server may take to accept the connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long the server may take to answer: an explanation evaluates every rule.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// The size of the largest answer that is accepted, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Why a server does not answer a question, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum AskError {
    /// The text is not an address.
    #[error("--admin: invalid address `{0}`: expected HOST:PORT, as in `serve --admin`")]
    Address(String),
    /// The async runtime cannot be started.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
    /// The connection is refused.
    #[error("cannot reach {address}: {why}; is `customs serve` running with --admin {address}?")]
    Connect {
        /// The server.
        address: String,
        /// The error of the operating system.
        #[source]
        why: io::Error,
    },
    /// The connection is not accepted in time.
    #[error("cannot reach {0}: no answer in time; is `customs serve` running with --admin {0}?")]
    ConnectTimeout(String),
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
    #[error("{address} did not answer: {why}; is it the --admin address of a customs?")]
    Exchange {
        /// The server.
        address: String,
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
pub(super) fn ask(admin: &str, question: &Value) -> Result<Explanation, AskError> {
    let address = address(admin)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(AskError::Runtime)?;
    let (status, body) = runtime.block_on(post(address, question.to_string()))?;
    match status {
        StatusCode::OK => serde_json::from_slice(&body).map_err(|why| AskError::Answer {
            address: address.to_owned(),
            why,
        }),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Err(AskError::NoQuestions(address.to_owned()))
        }
        status => {
            let body = String::from_utf8_lossy(&body).trim_end().to_owned();
            Err(AskError::Refused {
                address: address.to_owned(),
                status: status.as_u16(),
                body,
            })
        }
    }
}

/// Returns the `HOST:PORT` of an address that may be written as a URL.
fn address(admin: &str) -> Result<&str, AskError> {
    let address = admin
        .strip_prefix("http://")
        .unwrap_or(admin)
        .trim_end_matches('/');
    let port = address.rsplit_once(':').map(|(_, port)| port);
    match port.is_some_and(|port| port.parse::<u16>().is_ok()) && !address.contains('/') {
        true => Ok(address),
        false => Err(AskError::Address(admin.to_owned())),
    }
}

async fn post(address: &str, question: String) -> Result<(StatusCode, Bytes), AskError> {
    let named = || address.to_owned();
    let connected = timeout(CONNECT_WAIT, TcpStream::connect(address)).await;
    let connected = connected.map_err(|_| AskError::ConnectTimeout(named()))?;
    let stream = connected.map_err(|why| AskError::Connect {
        address: named(),
        why,
    })?;
    let request = Request::post("/explain")
        .header(header::HOST, address)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(question)))
        .map_err(|why| AskError::Request {
            address: named(),
            why,
        })?;
    let answered = timeout(ANSWER_WAIT, exchange(stream, request)).await;
    answered
        .map_err(|_| AskError::AnswerTimeout(named()))?
        .map_err(|why| AskError::Exchange {
            address: named(),
            why,
        })
}

async fn exchange(
    stream: TcpStream,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answered = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok((
            head.status,
            Limited::new(body, MAX_ANSWER).collect().await?.to_bytes(),
        ))
    };
    // The task that waits for the answer also drives the connection, which ends with it.
    let (answered, _) = tokio::join!(answered, connection);
    answered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_serve_has_it_or_as_a_url() {
        for (admin, expected) in [
            ("127.0.0.1:9192", Some("127.0.0.1:9192")),
            ("http://localhost:9192/", Some("localhost:9192")),
            ("[::1]:9192", Some("[::1]:9192")),
            ("https://localhost:9192", None),
            ("unix:/run/x", None),
            ("http://localhost:9192/explain", None),
            ("localhost", None),
            ("localhost:70000", None),
        ] {
            assert_eq!(address(admin).ok(), expected, "{admin}");
        }
    }
}
