//! Inspects the frames of HTTP/2 between a socket and the transport.
//!
//! It reads ahead for the transport, and on the way it
//!
//! - reports a client that does not use HTTP/2 at all, and ends its connection,
//! - replaces an authority that the transport would refuse by one that it accepts ([`authority`]),
//! - ends a connection whose client resets more calls than a proxy does after a stall, or sends a
//!   flood of frames that carry no call ([`budgets`]),
//! - hands over no more at once than is answered in a moment, and nothing while the client takes no
//!   answers, so that the transport holds little,
//! - counts what passes, for the [deadlines](super::deadlines),
//! - reports the calls that the transport refuses by itself, which are visible nowhere else.
//!
//! It decides nothing about a call and stores none. Reports go to a [`ConnectionObserver`]. The
//! rule: bytes pass unchanged and in order, except those of an authority. What the guard does not
//! understand passes too, and the transport judges it.

mod answers;
mod authority;
mod budgets;
mod frame;
mod header_block;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the guard withholds no block yet")
)]
mod header_table;
mod huffman;
mod input;
mod open_calls;
mod protocol;

use std::fmt::Display;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::{ConnectionActivity, WireActivity};
use super::limits::ConnectionLimits;
use answers::{Answer, Answers};
use budgets::{ControlBudget, ReadShare, ResetBudget};
use frame::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEAD, HEADERS, LONGEST, RST_STREAM,
};
use input::Input;
use open_calls::OpenCalls;
use protocol::PREFACE;

pub(crate) use protocol::identify_protocol;

/// The code of a GOAWAY for a flood: ENHANCE_YOUR_CALM (RFC 9113, 7).
const CALM: u32 = 11;

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
    /// The client sends more frames without a call than [`ConnectionLimits::control_frames`]
    /// allows. Its connection ends.
    FrameFlood,
    /// The client did not send its whole preface within [`ConnectionLimits::handshake_timeout`].
    HandshakeTimeout,
    /// The client did not send a frame, or the headers of a call, to the end within
    /// [`ConnectionLimits::request_timeout`]. Its connection ends.
    RequestTimeout,
    /// The client took no answers for [`ConnectionLimits::request_timeout`]. Its connection ends.
    AnswersUnread,
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
    activity: Arc<ConnectionActivity>,
    wire: WireActivity,
    input: Input,
    phase: Phase,
    /// A block of headers has begun that the next frame continues.
    is_in_block: bool,
    open_calls: OpenCalls,
    resets: ResetBudget,
    control: ControlBudget,
    share: ReadShare,
    /// What was read is not inspected to the end, because the share was over.
    is_paused: bool,
    /// The reader that waits until the client takes bytes.
    reader: Option<Waker>,
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
    /// Wraps a stream whose client has sent nothing yet. What passes is counted in `activity`.
    pub fn new(
        io: IO,
        limits: &ConnectionLimits,
        observer: Arc<O>,
        activity: Arc<ConnectionActivity>,
    ) -> Self {
        TransportGuard {
            io,
            observer,
            activity,
            wire: WireActivity::default(),
            input: Input::new(),
            phase: Phase::Preface(0),
            is_in_block: false,
            open_calls: OpenCalls::new(limits.concurrent_streams),
            resets: ResetBudget::new(limits),
            control: ControlBudget::new(limits, Instant::now()),
            share: ReadShare::default(),
            is_paused: false,
            reader: None,
            answers: Answers::default(),
        }
    }

    /// Inspects what was read, and releases what is understood, as far as the share allows.
    fn inspect(&mut self) -> Result<(), Cut> {
        self.is_paused = false;
        while !self.input.unseen().is_empty() {
            match self.phase {
                Phase::Preface(seen) => self.inspect_preface(seen)?,
                Phase::Rest(left) => {
                    let passed = left.min(self.input.unseen().len());
                    self.input.pass(passed);
                    if passed < left {
                        self.phase = Phase::Rest(left - passed);
                    } else {
                        self.finish_frame();
                    }
                }
                Phase::Head => {
                    if self.share.is_over() {
                        self.is_paused = true;
                        return Ok(());
                    }
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

    /// Counts a frame that has passed to its end.
    fn finish_frame(&mut self) {
        self.phase = Phase::Head;
        self.wire.frames = self.wire.frames.wrapping_add(1);
        self.wire.is_established = true;
    }

    /// Shows what was counted.
    fn publish(&mut self) {
        self.wire.is_unfinished = match self.phase {
            Phase::Head => self.is_in_block || !self.input.unseen().is_empty(),
            Phase::Rest(_) => true,
            Phase::Preface(_) | Phase::Blind | Phase::Ended => false,
        };
        self.wire.open_calls = self.open_calls.count();
        self.activity.set_wire(self.wire);
    }

    fn inspect_preface(&mut self, seen: usize) -> Result<(), Cut> {
        let (bytes, expected) = (self.input.unseen(), PREFACE.get(seen..).unwrap_or_default());
        let equal = bytes
            .iter()
            .zip(expected)
            .take_while(|(byte, expected)| byte == expected)
            .count();
        if equal < bytes.len().min(expected.len()) {
            let begun = [PREFACE.get(..seen).unwrap_or_default(), bytes].concat();
            let (refusal, example) = identify_protocol(&begun);
            return Err(Cut {
                refusal,
                example,
                kind: io::ErrorKind::InvalidData,
            });
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
    fn inspect_frame(&mut self, frame: Frame) -> Result<bool, Cut> {
        if frame.length > LONGEST {
            // The transport ends such a connection.
            self.phase = Phase::Blind;
            return Ok(true);
        }
        if frame.kind == HEADERS {
            return self.inspect_headers(frame);
        }
        self.count_frame(frame)?;
        self.input.pass(HEAD);
        if frame.length == 0 {
            self.finish_frame();
        } else {
            self.phase = Phase::Rest(frame.length);
        }
        Ok(true)
    }

    /// Takes a frame that begins no call from its budget. A part of a message costs nothing here,
    /// nor does the end of one: the transport bounds them.
    fn count_frame(&mut self, frame: Frame) -> Result<(), Cut> {
        match frame.kind {
            RST_STREAM => {
                self.open_calls.end(frame.stream);
                if self.resets.take(Instant::now()) {
                    return Ok(());
                }
                let most = self.resets.most();
                let example = format!("the client reset more than {most} calls in a second");
                return Err(Cut::flood(ConnectionRefusal::TooManyResets, example));
            }
            DATA if frame.length > 0 || frame.has(END_STREAM) => return Ok(()),
            CONTINUATION if frame.has(END_HEADERS) => self.is_in_block = false,
            _ => {}
        }
        if self.control.take(Instant::now) {
            return Ok(());
        }
        let most = self.control.per_second();
        let kind = frame.name();
        let example = format!(
            "the client sent more than {most} frames a second that carry no call, the last one of type {kind}"
        );
        Err(Cut::flood(ConnectionRefusal::FrameFlood, example))
    }

    /// Inspects the headers of a call, once their frame is whole.
    fn inspect_headers(&mut self, frame: Frame) -> Result<bool, Cut> {
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
        self.is_in_block = !frame.has(END_HEADERS);
        if self.open_calls.begin(frame.stream) {
            self.wire.begun_calls = self.wire.begun_calls.wrapping_add(1);
            self.share.count_call();
            self.control.earn();
        } else {
            self.count_frame(frame)?;
        }
        self.finish_frame();
        Ok(true)
    }
}

/// Why the guard ends a connection.
struct Cut {
    refusal: ConnectionRefusal,
    example: String,
    kind: io::ErrorKind,
}

impl Cut {
    fn flood(refusal: ConnectionRefusal, example: String) -> Cut {
        let kind = io::ErrorKind::ConnectionAborted;
        Cut {
            refusal,
            example,
            kind,
        }
    }
}

impl<IO: AsyncWrite + Unpin, O: ConnectionObserver> TransportGuard<IO, O> {
    /// Reports why the connection ends, and tells the client if that takes no time.
    fn end(&mut self, cut: Cut, context: &mut Context<'_>) -> io::Error {
        let Cut {
            refusal,
            example,
            kind,
        } = cut;
        self.observer.refused(refusal, &example);
        if kind == io::ErrorKind::ConnectionAborted
            && self.answers.are_whole()
            && !self.wire.is_blocked
        {
            let [a, b, c, d] = self.open_calls.last().to_be_bytes();
            let [e, f, g, h] = CALM.to_be_bytes();
            let goaway = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h];
            // A client that takes no bytes now is not waited for.
            if let Poll::Ready(Ok(_)) = Pin::new(&mut self.io).poll_write(context, &goaway) {
                let _ = Pin::new(&mut self.io).poll_flush(context);
            }
        }
        io::Error::new(kind, example)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, O: ConnectionObserver> AsyncRead
    for TransportGuard<IO, O>
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        let read = guard.read(context, out);
        guard.publish();
        read
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin, O: ConnectionObserver> TransportGuard<IO, O> {
    fn read(&mut self, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.wire.is_blocked {
            // More calls would only add to the answers that wait for the client.
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        self.share.begin(self.activity.turn());
        loop {
            let passing = self.input.passing();
            if !passing.is_empty() {
                let taken = passing.len().min(out.remaining());
                out.put_slice(passing.get(..taken).unwrap_or_default());
                self.input.taken(taken);
                self.share.count_bytes(taken);
                return Poll::Ready(Ok(()));
            }
            if self.phase == Phase::Ended {
                return Poll::Ready(Ok(()));
            }
            if self.share.is_over() {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !self.is_paused {
                match self.input.read(&mut self.io, context)? {
                    Poll::Ready(0) => self.finish_input(),
                    Poll::Ready(_) => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
            if let Err(cut) = self.inspect() {
                return Poll::Ready(Err(self.end(cut, context)));
            }
        }
    }

    fn finish_input(&mut self) {
        if matches!(self.phase, Phase::Preface(1..)) {
            let example = "a connection that ended within the preface of HTTP/2";
            self.observer
                .refused(ConnectionRefusal::OtherProtocol, &example);
        }
        // What is left is the beginning of a frame that will never be whole.
        self.phase = Phase::Ended;
    }
}

impl<IO: AsyncWrite + Unpin, O: ConnectionObserver> TransportGuard<IO, O> {
    /// Notes whether the client takes bytes, and lets the reader continue once it has taken all that
    /// there is: one that takes a little would else be given more and more.
    fn set_blocked(&mut self, is_blocked: bool) {
        if self.wire.is_blocked == is_blocked {
            return;
        }
        self.wire.is_blocked = is_blocked;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn look_at_answers(&mut self, bytes: &[u8]) {
        let (open_calls, wire, observer) = (&mut self.open_calls, &mut self.wire, &self.observer);
        self.answers.look(bytes, |answer| {
            wire.answer_frames = wire.answer_frames.wrapping_add(1);
            match answer {
                Answer::Part => {}
                Answer::Ended(stream) => open_calls.end(stream),
                Answer::Reset(stream, code) => {
                    open_calls.end(stream);
                    if let Some(name) = refusing(code) {
                        let example = format_args!("a call that HTTP/2 refused with {name}");
                        observer.refused(ConnectionRefusal::StreamRefused, &example);
                    }
                }
            }
        });
    }
}

impl<IO: AsyncWrite + Unpin, O: ConnectionObserver> AsyncWrite for TransportGuard<IO, O> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let guard = &mut *self;
        let written = Pin::new(&mut guard.io).poll_write(context, bytes);
        match written {
            Poll::Ready(Ok(count)) => {
                guard.look_at_answers(bytes.get(..count).unwrap_or_default());
            }
            Poll::Ready(Err(_)) => guard.set_blocked(false),
            Poll::Pending => guard.set_blocked(true),
        }
        guard.publish();
        written
    }

    // Not vectored, so that the transport gathers frames up to a kilobyte into one write. To a
    // vectored stream it writes every frame from 256 bytes on separately, and a write costs as much
    // as deciding.

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = &mut *self;
        let flushed = Pin::new(&mut guard.io).poll_flush(context);
        guard.set_blocked(flushed.is_pending());
        guard.publish();
        flushed
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

#[cfg(test)]
mod tests;
