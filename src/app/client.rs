//! Asks a running server at its admin address a question: its answer, or an error that says what to
//! do.
//!
//! It decides nothing. [`fetch`] sends the request and bounds the answer.

use std::io;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fetch::{self, FetchError, Fetched};
use super::server_connection::ServerAddress;
use crate::ops::questions::QuestionKind;

/// The size of the largest answer that is accepted, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Why a server does not answer a question, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum AskError {
    /// The async runtime cannot be started.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] io::Error),
    /// There is no connection, or no answer in time.
    #[error(transparent)]
    Fetch(FetchError),
    /// The address does not form a valid request.
    #[error("--admin: {0}")]
    Request(#[source] FetchError),
    /// The connection ends before the answer is complete.
    #[error("{address} did not answer: {why}; is it the --admin address of a customs?{hint}")]
    Exchange {
        /// The server.
        address: String,
        /// What else to do, after a space.
        hint: String,
        /// The error of the connection.
        #[source]
        why: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The answer is not the document that was asked for.
    #[error(
        "{address} sends something other than an answer ({why}); is it a customs of this version?"
    )]
    Answer {
        /// The server.
        address: String,
        /// Why it is invalid.
        #[source]
        why: serde_json::Error,
    },
    /// The server does not have the path of the question.
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

impl From<FetchError> for AskError {
    fn from(error: FetchError) -> AskError {
        match error {
            FetchError::Request { .. } => AskError::Request(error),
            FetchError::Exchange { address, hint, why } => {
                AskError::Exchange { address, hint, why }
            }
            other => AskError::Fetch(other),
        }
    }
}

/// Sends a question of a kind and returns the answer, a document of that kind.
///
/// # Errors
/// Returns why there is no answer, and what to do.
pub(super) fn ask<T: DeserializeOwned>(
    server: &ServerAddress,
    kind: QuestionKind,
    question: &Value,
) -> Result<T, AskError> {
    let address = server.server();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(AskError::Runtime)?;
    let request = Request::post(kind.path()).header(header::CONTENT_TYPE, "application/json");
    let question = Bytes::from(question.to_string());
    let Fetched { status, body, .. } =
        runtime.block_on(fetch::send(server, request, question, MAX_ANSWER))?;
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
