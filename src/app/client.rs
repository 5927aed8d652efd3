//! Asks a running server at its admin address: one HTTP request, and its answer or what to do.
//!
//! It decides nothing and tries nothing twice; it waits a bounded time and reads a bounded answer.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::asking::answer::Explanation;

/// How long the server may take to take the connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long it may take to answer: explaining looks at every rule.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Puts a question.
///
/// # Errors
/// Why there is no answer, and what to do.
pub fn ask(admin: &str, question: &Value) -> Result<Explanation, String> {
    let address = address(admin)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| format!("cannot start the runtime: {why}"))?;
    let (status, body) = runtime.block_on(post(address, question.to_string()))?;
    match status {
        StatusCode::OK => serde_json::from_slice(&body)
            .map_err(|why| format!("{address} answers with something else ({why}); is it a customs of this version?")),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Err(format!("{address} answers no questions; is it the --admin address of a customs of this version?"))
        }
        status => {
            Err(format!("{address} refuses ({}): {}", status.as_u16(), String::from_utf8_lossy(&body).trim_end()))
        }
    }
}

/// `HOST:PORT` of what may be written as a URL.
fn address(admin: &str) -> Result<&str, String> {
    let address = admin.strip_prefix("http://").unwrap_or(admin).trim_end_matches('/');
    let port = address.rsplit_once(':').map(|(_, port)| port);
    match port.is_some_and(|port| port.parse::<u16>().is_ok()) && !address.contains('/') {
        true => Ok(address),
        false => Err(format!("--admin: `{admin}` is no admin address; write HOST:PORT, as `serve --admin` has it")),
    }
}

async fn post(address: &str, question: String) -> Result<(StatusCode, Bytes), String> {
    let refused = |why: &dyn std::fmt::Display| {
        format!("cannot reach {address}: {why}; is `customs serve` running with --admin {address}?")
    };
    let connected = timeout(CONNECT_WAIT, TcpStream::connect(address)).await;
    let stream = connected.map_err(|_| refused(&"no answer in time"))?.map_err(|why| refused(&why))?;
    let request = Request::post("/explain")
        .header(header::HOST, address)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(question)))
        .map_err(|why| format!("--admin: `{address}`: {why}"))?;
    let answered = timeout(ANSWER_WAIT, exchange(stream, request)).await;
    answered
        .map_err(|_| format!("{address} did not answer within {} s", ANSWER_WAIT.as_secs()))?
        .map_err(|why| format!("{address} did not answer: {why}; is it the --admin address of a customs?"))
}

async fn exchange(
    stream: TcpStream,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answered = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok((head.status, Limited::new(body, MAX_ANSWER).collect().await?.to_bytes()))
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
