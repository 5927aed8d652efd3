//! One unary gRPC call on an HTTP/2 stream, without what a check does not need: compression and
//! streams of messages.
//!
//! It reads and writes the five bytes before a message and the trailers after it, and does not look
//! into messages. The rule: anything unusual is not handled here but handed back whole, so that the
//! general implementation, which knows every case, answers it.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;

use super::pieces::{NoMemoryError, Pieces};
use customs_net::{ConnectionActivity, MessageMemory};
use customs_record::RefusalCause;

/// The most bytes of one DATA frame. The transport gathers frames below a kilobyte and writes
/// longer ones one by one.
const MAX_FRAME: usize = 1000;

/// The length of the prefix of a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const OK: HeaderValue = HeaderValue::from_static("0");

/// What a request's body holds.
pub(crate) enum UnaryBody<B> {
    /// One message, and the end; the memory is counted if it arrived in pieces.
    Message(Bytes, Option<MessageMemory>),
    /// Something else, with the part that was read put back.
    Unusual(Unusual, Rewind<B>),
}

/// What is unusual about a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusual {
    /// The message is larger than the limit, by its length in bytes.
    TooLarge(usize),
    /// The message is compressed, or its prefix has another unknown flag.
    Compressed,
    /// There is no message.
    Nothing,
    /// There is more after the message.
    Several,
    /// The body ends within the message.
    Unfinished,
    /// There is no memory for the rest of the message.
    NoMemory,
}

impl Unusual {
    /// Returns the cause of a refusal for it.
    pub(crate) fn cause(self) -> RefusalCause {
        match self {
            Unusual::TooLarge(_) => RefusalCause::MessageTooLarge,
            Unusual::Compressed => RefusalCause::MessageCompressed,
            Unusual::Nothing | Unusual::Several => RefusalCause::MessageCount,
            Unusual::Unfinished => RefusalCause::MessageUnfinished,
            Unusual::NoMemory => RefusalCause::MemoryExhausted,
        }
    }
}

impl fmt::Display for Unusual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusual::TooLarge(length) => write!(f, "a message of {length} bytes"),
            Unusual::Compressed => f.write_str("a compressed message"),
            Unusual::Nothing => f.write_str("a call without a message"),
            Unusual::Several => f.write_str("a call with more than one message"),
            Unusual::Unfinished => f.write_str("a message that ends too soon"),
            Unusual::NoMemory => f.write_str("a message in pieces for which there is no memory"),
        }
    }
}

/// Reads the one message of a call, if it has at most `most` bytes. What must be kept until the rest
/// arrives is counted on the memory of its connection.
///
/// # Errors
/// What the transport reports: the caller is gone and waits for no answer.
pub(crate) async fn read<B: Body<Data = Bytes> + Unpin>(
    mut body: B,
    most: usize,
    connection: &Arc<ConnectionActivity>,
) -> Result<UnaryBody<B>, B::Error> {
    let mut pieces = Pieces::new(connection);
    // The most bytes that this message is to have, with its prefix.
    let mut expected = PREFIX + most;
    while !body.is_end_stream() {
        let next = match poll_once(body.frame()).await {
            Poll::Ready(next) => next,
            Poll::Pending => {
                if let Err(NoMemoryError) = pieces.wait(expected) {
                    return Ok(handed_back(Unusual::NoMemory, pieces, body));
                }
                body.frame().await
            }
        };
        // Trailers of a request have no meaning, and nothing follows them.
        let Some(frame) = next else { break };
        let Ok(data) = frame?.into_data() else { break };
        if let Err(NoMemoryError) = pieces.add(data, expected) {
            return Ok(handed_back(Unusual::NoMemory, pieces, body));
        }
        match message_length(pieces.bytes()) {
            None => {}
            Some(Err(unusual)) => return Ok(handed_back(unusual, pieces, body)),
            Some(Ok(length)) if length > most => {
                return Ok(handed_back(Unusual::TooLarge(length), pieces, body));
            }
            // A body that is longer than its message says is not read further.
            Some(Ok(length)) if pieces.bytes().len() > PREFIX + length => break,
            Some(Ok(length)) => expected = PREFIX + length,
        }
    }
    let read = pieces.bytes();
    let unusual = match message_length(read) {
        Some(Ok(length)) if read.len() == PREFIX + length => {
            let (mut message, memory) = pieces.into_bytes();
            message.advance(PREFIX);
            return Ok(UnaryBody::Message(message, memory));
        }
        Some(Ok(length)) if read.len() > PREFIX + length => Unusual::Several,
        Some(Err(unusual)) => unusual,
        None if read.is_empty() => Unusual::Nothing,
        Some(Ok(_)) | None => Unusual::Unfinished,
    };
    Ok(handed_back(unusual, pieces, body))
}

fn handed_back<B>(unusual: Unusual, pieces: Pieces<'_>, rest: B) -> UnaryBody<B> {
    let (read, _memory) = pieces.into_bytes();
    UnaryBody::Unusual(unusual, Rewind { read, rest })
}

/// Polls a future once.
pub(crate) async fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

/// Returns the length that an uncompressed message declares, once the prefix is complete.
fn message_length(mut read: &[u8]) -> Option<Result<usize, Unusual>> {
    if read.len() < PREFIX {
        return None;
    }
    Some(match read.get_u8() {
        0 => Ok(usize::try_from(read.get_u32()).unwrap_or(usize::MAX)),
        _ => Err(Unusual::Compressed),
    })
}

/// A body of which a part was read already.
pub(crate) struct Rewind<B> {
    read: Bytes,
    rest: B,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Rewind<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.rest).poll_frame(context);
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.read)))))
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }
}

/// Writes a message of about `about` bytes after its prefix.
pub(crate) fn framed(about: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::with_capacity(PREFIX + about);
    out.extend_from_slice(&[0; PREFIX]);
    write(&mut out);
    let length = u32::try_from(out.len() - PREFIX).unwrap_or(u32::MAX);
    if let Some(mut place) = out.get_mut(1..PREFIX) {
        place.put_u32(length);
    }
    out.into()
}

/// Returns the message of a frame that was written here.
pub(crate) fn message(framed: &[u8]) -> &[u8] {
    framed.get(PREFIX..).unwrap_or_default()
}

/// Is notified when an answer is sent, or dropped if the answer cannot be sent any more.
pub(crate) trait Sending: Unpin {
    /// The transport takes the message. Returns the message to send instead, if there is one.
    fn sent(self) -> Option<Bytes>;
}

/// Returns the response of a call that succeeded, with the message that [`framed`] wrote. The
/// transport reads the message after it has taken the head of the response, which it refuses if the
/// caller has given up.
pub(crate) fn response<S: Sending>(framed: Bytes, sending: S) -> Response<UnaryResponse<S>> {
    let mut response = Response::new(UnaryResponse {
        next: Next::Message(framed),
        sending: Some(sending),
    });
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// The body of a response: one message, in short frames, then the status OK.
#[derive(Debug)]
pub(crate) struct UnaryResponse<S> {
    next: Next,
    sending: Option<S>,
}

#[derive(Debug)]
enum Next {
    Message(Bytes),
    Status,
    End,
}

impl<S: Sending> Body for UnaryResponse<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(instead) = self.sending.take().and_then(Sending::sent) {
            self.next = Next::Message(instead);
        }
        let (frame, next) = match std::mem::replace(&mut self.next, Next::End) {
            Next::Message(mut framed) if framed.len() > MAX_FRAME => {
                let rest = framed.split_off(MAX_FRAME);
                (Frame::data(framed), Next::Message(rest))
            }
            Next::Message(framed) => (Frame::data(framed), Next::Status),
            Next::Status => (Frame::trailers(ok()), Next::End),
            Next::End => return Poll::Ready(None),
        };
        self.next = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.next, Next::End)
    }
}

fn ok() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", OK);
    trailers
}

/// The headers of a call that the general implementation reads.
const KEPT: [&str; 4] = [
    "content-type",
    "grpc-encoding",
    "grpc-accept-encoding",
    "grpc-timeout",
];

/// The most bytes of a header that is kept.
const LONGEST_KEPT: usize = 256;

/// Removes the headers that nobody reads, before a call waits: else a call that is never whole would
/// hold all of them, and a buffer of the transport besides. The others are copied.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let mut kept = HeaderMap::with_capacity(KEPT.len());
    for name in KEPT {
        let value = headers.get(name).map(HeaderValue::as_bytes);
        let short = value.filter(|value| value.len() <= LONGEST_KEPT);
        if let Some(value) = short.and_then(|value| HeaderValue::from_bytes(value).ok()) {
            kept.insert(name, value);
        } else if name == "content-type" {
            // Parameters are the only part of it that can be long, and they mean nothing.
            kept.insert(CONTENT_TYPE, GRPC);
        }
    }
    *headers = kept;
}

/// Returns whether the content type is that of gRPC with protobuf: `application/grpc` or
/// `application/grpc+proto`, with or without parameters.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    if content_type == GRPC {
        return true;
    }
    let name = content_type
        .as_bytes()
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    [&b"application/grpc"[..], b"application/grpc+proto"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Returns how long the caller waits, as `grpc-timeout` says: at most eight digits and a unit.
/// `None` if the header is absent or invalid.
pub(crate) fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_plain =
        (1..=8).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| is_plain)?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
