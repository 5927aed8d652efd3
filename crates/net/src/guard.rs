//! Inspects the frames of HTTP/2 between a socket and the transport.
//!
//! It reads ahead for the transport, and on the way it
//!
//! - reports a client that does not use HTTP/2 at all, and ends its connection,
//! - replaces an authority that the transport would refuse by one that it accepts ([`authority`]),
//! - ends a connection whose client resets more calls than a proxy does after a stall,
//! - reports the calls that the transport refuses by itself, which are visible nowhere else.
//!
//! It decides nothing about a call and stores none. Reports go to a [`ConnectionObserver`]. The
//! rule: bytes pass unchanged and in order, except those of an authority. What the guard does not
//! understand passes too, and the transport judges it.

mod answers;
mod authority;
mod frame;
mod huffman;
mod input;

use std::fmt::Display;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::limits::ConnectionLimits;
use answers::Answers;
use frame::{Frame, HEAD, HEADERS, LONGEST, RST_STREAM};
use input::Input;

/// The first bytes of an HTTP/2 client (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Why a connection, or a call on it, is refused below gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionRefusal {
    /// The client begins a TLS handshake.
    Tls,
    /// The client uses HTTP/1.
    Http1,
    /// The client uses another protocol than HTTP/2, or stops within the preface.
    OtherProtocol,
    /// The client resets more calls than [`ConnectionLimits::pending_resets`] allows. Its
    /// connection ends.
    TooManyResets,
    /// The transport refuses a call by itself.
    StreamRefused,
}

/// Receives the refusals that the guard sees.
pub trait ConnectionObserver {
    /// Reports a refusal. `example` describes it in a few words.
    fn refused(&self, refusal: ConnectionRefusal, example: &dyn Display);
}

/// A connection's bytes on their way to the transport and back.
pub struct TransportGuard<IO, O> {
    io: IO,
    observer: Arc<O>,
    input: Input,
    phase: Phase,
    resets: ResetBudget,
    answers: Answers,
}

/// The part of the input that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The preface, and how many of its bytes have arrived.
    Preface(usize),
    /// The head of a frame.
    Head,
    /// The rest of a frame that is not inspected.
    Rest(usize),
    /// Input that is not understood.
    Blind,
    /// No input.
    Ended,
}

impl<IO, O: ConnectionObserver> TransportGuard<IO, O> {
    /// Wraps a stream whose client has sent nothing yet.
    pub fn new(io: IO, limits: ConnectionLimits, observer: Arc<O>) -> Self {
        let (input, answers, resets) = (Input::new(), Answers::default(), ResetBudget::new(limits));
        TransportGuard {
            io,
            observer,
            input,
            phase: Phase::Preface(0),
            resets,
            answers,
        }
    }

    /// Inspects what was read, and releases what is understood.
    fn inspect(&mut self) -> io::Result<()> {
        while !self.input.unseen().is_empty() {
            match self.phase {
                Phase::Preface(seen) => self.inspect_preface(seen)?,
                Phase::Rest(left) => {
                    let passed = left.min(self.input.unseen().len());
                    self.input.pass(passed);
                    self.phase = if passed < left {
                        Phase::Rest(left - passed)
                    } else {
                        Phase::Head
                    };
                }
                Phase::Head => {
                    let Some(frame) = Frame::of(self.input.unseen()) else {
                        return Ok(());
                    };
                    if !self.inspect_frame(frame)? {
                        return Ok(());
                    }
                }
                Phase::Blind | Phase::Ended => self.input.pass(self.input.unseen().len()),
            }
        }
        Ok(())
    }

    fn inspect_preface(&mut self, seen: usize) -> io::Result<()> {
        let (bytes, expected) = (self.input.unseen(), PREFACE.get(seen..).unwrap_or_default());
        let equal = bytes
            .iter()
            .zip(expected)
            .take_while(|(byte, expected)| byte == expected)
            .count();
        if equal < bytes.len().min(expected.len()) {
            let begun = [PREFACE.get(..seen).unwrap_or_default(), bytes].concat();
            let (refusal, example) = identify_protocol(&begun);
            self.observer.refused(refusal, &example);
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the client does not use HTTP/2",
            ));
        }
        self.input.pass(equal);
        self.phase = if equal < expected.len() {
            Phase::Preface(seen + equal)
        } else {
            Phase::Head
        };
        Ok(())
    }

    /// Inspects a frame. Returns false if more of the frame must arrive first.
    fn inspect_frame(&mut self, frame: Frame) -> io::Result<bool> {
        if frame.length > LONGEST {
            // The transport ends such a connection.
            self.phase = Phase::Blind;
            return Ok(true);
        }
        if frame.kind == RST_STREAM && !self.resets.take(Instant::now()) {
            self.observer.refused(
                ConnectionRefusal::TooManyResets,
                &format_args!(
                    "the client reset more than {} calls in a second",
                    self.resets.most
                ),
            );
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the client resets too many calls",
            ));
        }
        if frame.kind != HEADERS {
            self.input.pass(HEAD);
            self.phase = if frame.length == 0 {
                Phase::Head
            } else {
                Phase::Rest(frame.length)
            };
            return Ok(true);
        }
        let Some(whole) = self.input.unseen().get(..HEAD + frame.length) else {
            return Ok(false);
        };
        let mending = frame.block(whole).and_then(|block| {
            let mending = authority::mend(whole.get(block.clone())?)?;
            Some((
                block.start + mending.place.start..block.start + mending.place.end,
                mending.text,
            ))
        });
        match mending {
            Some((place, text)) => {
                let length = frame.length - (place.len() - text.len());
                self.input.replace(place, &text);
                self.input.set_length(length);
                self.input.pass(HEAD + length);
            }
            None => self.input.pass(HEAD + frame.length),
        }
        Ok(true)
    }
}

/// Identifies the protocol of a client that does not use HTTP/2: the refusal, and an example that
/// contains no text of the client except a method's name.
pub(crate) fn identify_protocol(begun: &[u8]) -> (ConnectionRefusal, String) {
    let word = begun
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase())
        .take(20)
        .map(|byte| char::from(*byte));
    let word: String = word.collect();
    match (begun.first(), begun.get(word.len())) {
        // A handshake record of version 3.x.
        (Some(0x16), Some(_)) if begun.get(1) == Some(&3) => {
            (ConnectionRefusal::Tls, "a TLS handshake".to_owned())
        }
        (_, Some(b' ') | None) if !word.is_empty() => (
            ConnectionRefusal::Http1,
            format!("a request {word} of HTTP/1"),
        ),
        _ => {
            let first: Vec<String> = begun
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            (
                ConnectionRefusal::OtherProtocol,
                format!(
                    "a connection that begins with the bytes {}",
                    first.join(" ")
                ),
            )
        }
    }
}

impl<IO: AsyncRead + Unpin, O: ConnectionObserver> AsyncRead for TransportGuard<IO, O> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        loop {
            let passing = guard.input.passing();
            if !passing.is_empty() {
                let taken = passing.len().min(out.remaining());
                out.put_slice(passing.get(..taken).unwrap_or_default());
                guard.input.taken(taken);
                return Poll::Ready(Ok(()));
            }
            if guard.phase == Phase::Ended {
                return Poll::Ready(Ok(()));
            }
            if ready!(guard.input.read(&mut guard.io, context))? == 0 {
                if matches!(guard.phase, Phase::Preface(1..)) {
                    let example = "a connection that ended within the preface of HTTP/2";
                    guard
                        .observer
                        .refused(ConnectionRefusal::OtherProtocol, &example);
                }
                // What is left is the beginning of a frame that will never be whole.
                guard.phase = Phase::Ended;
            }
            guard.inspect()?;
        }
    }
}

impl<IO: AsyncWrite + Unpin, O: ConnectionObserver> AsyncWrite for TransportGuard<IO, O> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let guard = &mut *self;
        let written = ready!(Pin::new(&mut guard.io).poll_write(context, bytes))?;
        let observer = &guard.observer;
        guard
            .answers
            .look(bytes.get(..written).unwrap_or_default(), |code| {
                if let Some(name) = refusing(code) {
                    let example = format_args!("a call that HTTP/2 refused with {name}");
                    observer.refused(ConnectionRefusal::StreamRefused, &example);
                }
            });
        Poll::Ready(Ok(written))
    }

    // Not vectored, for the reason given at `PrefaceGuard`.

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Returns the name of an error with which the transport refuses a call, and nothing for those with
/// which an answered call ends early.
fn refusing(code: u32) -> Option<&'static str> {
    match code {
        1 => Some("PROTOCOL_ERROR"),
        3 => Some("FLOW_CONTROL_ERROR"),
        6 => Some("FRAME_SIZE_ERROR"),
        7 => Some("REFUSED_STREAM"),
        11 => Some("ENHANCE_YOUR_CALM"),
        _ => None,
    }
}

/// How many more calls the client may reset: at once as many as the transport may hold, and the
/// same number again per second.
///
/// A proxy resets the calls that this server did not answer in time: in a stall of one second,
/// several times as many calls as it may have open. A flood resets everything that it sends, which
/// is more in any second.
#[derive(Debug)]
struct ResetBudget {
    most: f64,
    left: f64,
    since: Option<Instant>,
}

impl ResetBudget {
    fn new(limits: ConnectionLimits) -> ResetBudget {
        let most = f64::from(limits.pending_resets);
        ResetBudget {
            most,
            left: most,
            since: None,
        }
    }

    /// Takes one reset from the budget. Returns false if none is left.
    fn take(&mut self, now: Instant) -> bool {
        let passed = self
            .since
            .map(|since| now.saturating_duration_since(since).as_secs_f64())
            .unwrap_or_default();
        self.since = Some(now);
        self.left = (self.left + passed * self.most).min(self.most) - 1.0;
        self.left >= 0.0
    }
}

#[cfg(test)]
mod tests;
