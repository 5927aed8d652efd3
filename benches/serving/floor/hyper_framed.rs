//! hyper alone: the message of a call is read whole, the five bytes before it are checked, and an
//! answer that was framed once is sent with its trailers.

use std::convert::Infallible;
use std::future::ready;

use anyhow::Result;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_stream::{Stream, StreamExt};

/// Whether a message is compressed, and its length.
const PREFIX: usize = 5;

/// Serves connections until there are no more.
pub(super) async fn serve(
    mut incoming: impl Stream<Item = std::io::Result<TcpStream>> + Unpin,
) -> Result<()> {
    let answer = framed(&super::allow().encode_to_vec())?;
    let mut connections = JoinSet::new();
    while let Some(stream) = incoming.next().await {
        connections.spawn(connection(stream?, answer.clone()));
        while connections.try_join_next().is_some() {}
    }
    Ok(())
}

async fn connection(stream: TcpStream, answer: Bytes) {
    let service = service_fn(move |request| respond(request, answer.clone()));
    let mut http = http2::Builder::new(TokioExecutor::new());
    // hyper's own default of 200 would slow this floor down when more calls are in flight; the
    // others have no bound.
    http.timer(TokioTimer::new()).max_concurrent_streams(None);
    // A connection that breaks shows in the load's failed requests.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(
    request: Request<Incoming>,
    answer: Bytes,
) -> hyper::Result<Response<impl Body<Data = Bytes, Error = Infallible>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let (answer, status) = if holds_one_message(&body) {
        (answer, HeaderValue::from_static("0"))
    } else {
        (Bytes::new(), HeaderValue::from_static("13"))
    };
    let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), status)]);
    let mut response = Response::new(Full::new(answer).with_trailers(ready(Some(Ok(trailers)))));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// Returns whether a body is one message that is not compressed.
fn holds_one_message(body: &[u8]) -> bool {
    let Some((prefix, message)) = body.split_first_chunk::<PREFIX>() else {
        return false;
    };
    let [compressed, length @ ..] = *prefix;
    compressed == 0 && usize::try_from(u32::from_be_bytes(length)) == Ok(message.len())
}

/// Returns a message with the five bytes that gRPC puts before it.
pub(super) fn framed(message: &[u8]) -> Result<Bytes> {
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len())?);
    framed.put_slice(message);
    Ok(framed.freeze())
}
