//! Asks a running server at its admin address: one HTTP request, and its answer or what to do.
//!
//! It decides nothing and tries nothing twice; it waits a bounded time and reads a bounded answer.

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

/// How long the server may take to take the connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long it may take to answer: explaining looks at every rule.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Why a server does not answer a question, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The text is no address.
    #[error("--admin: `{0}` is no admin address; write HOST:PORT, as `serve --admin` has it")]
    Address(String),
    /// The runtime cannot be started.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
    /// The connection is refused.
    #[error("cannot reach {address}: {why}; is `customs serve` running with --admin {address}?")]
    Connect {
        /// The server.
        address: String,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// Nobody takes the connection.
    #[error("cannot reach {0}: no answer in time; is `customs serve` running with --admin {0}?")]
    ConnectTimeout(String),
    /// No request can be made of the address.
    #[error("--admin: `{address}`: {why}")]
    Request {
        /// The server.
        address: String,
        /// What is wrong with it.
        #[source]
        why: hyper::http::Error,
    },
    /// The connection ends before the answer does.
    #[error("{address} did not answer: {why}; is it the --admin address of a customs?")]
    Exchange {
        /// The server.
        address: String,
        /// What happened.
        #[source]
        why: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is a connection and no answer.
    #[error("{0} did not answer within {seconds} s", seconds = ANSWER_WAIT.as_secs())]
    AnswerTimeout(String),
    /// The answer is no explanation.
    #[error("{address} answers with something else ({why}); is it a customs of this version?")]
    Answer {
        /// The server.
        address: String,
        /// What is wrong with the answer.
        #[source]
        why: serde_json::Error,
    },
    /// The server has no such path.
    #[error("{0} answers no questions; is it the --admin address of a customs of this version?")]
    NoQuestions(String),
    /// The server refuses the question.
    #[error("{address} refuses ({status}): {body}")]
    Refused {
        /// The server.
        address: String,
        /// The status of HTTP.
        status: u16,
        /// What it says.
        body: String,
    },
}

/// Puts a question.
///
/// # Errors
/// Why there is no answer, and what to do.
pub fn ask(admin: &str, question: &Value) -> Result<Explanation, AskError> {
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

/// `HOST:PORT` of what may be written as a URL.
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
    // The connection is driven by whoever waits for the answer, and ends with it.
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
