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
//! - reports the calls that the transport refuses by itself, which are visible nowhere else,
//! - refuses calls while too many wait ([`shedding`]), if it is asked to.
//!
//! It decides nothing else about a call and stores none. Reports go to a [`ConnectionObserver`]. The
//! rule: bytes pass unchanged and in order, except those of an authority and of a refused call. What
//! the guard does not understand passes too, and the transport judges it.

mod answers;
mod authority;
mod budgets;
mod byte_stream;
mod call_headers;
mod frame;
mod header_block;
mod header_table;
mod huffman;
mod input;
mod open_calls;
mod protocol;
mod shedding;

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use super::activity::{ConnectionActivity, WireActivity};
use super::limits::ConnectionLimits;
use answers::Answers;
use budgets::{ControlBudget, ReadShare, ResetBudget};
use frame::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEAD, HEADERS, LONGEST, RST_STREAM,
    SETTINGS,
};
use input::Input;
use open_calls::OpenCalls;
use protocol::PREFACE;
use shedding::Shedding;

pub use header_table::ExpectedPath;
pub(crate) use protocol::identify_protocol;

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
    /// The client's headers contradict HPACK. Its connection ends.
    HeadersMalformed,
    /// The transport refuses a call by itself.
    StreamRefused,
}

/// Receives the refusals that the guard sees.
pub trait ConnectionObserver {
    /// Reports a refusal. `example` describes it in a few words.
    fn refused(&self, refusal: ConnectionRefusal, example: &dyn Display);

    /// Reports so many calls that were refused because too many wait.
    fn shed(&self, calls: u64);
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
    concurrent_streams: u32,
    header_list_size: u32,
    shedding: Option<Shedding>,
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
    /// The rest of frames that the transport does not see.
    Dropped(usize),
    /// Whole frames of headers, for which the transport gets others.
    Replaced(usize),
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
            share: ReadShare::new(activity.queue().is_bounded()),
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
            is_paused: false,
            reader: None,
            answers: Answers::default(),
            concurrent_streams: limits.concurrent_streams,
            header_list_size: limits.header_list_size,
            shedding: None,
        }
    }

    /// Refuses calls of a path that may not wait for their turn.
    pub fn shed(mut self, path: Arc<ExpectedPath>) -> Self {
        let is_bounded = self.activity.queue().is_bounded();
        self.shedding = is_bounded.then(|| Shedding::new(path, self.header_list_size));
        self
    }

    /// Inspects what was read, and releases what is understood, as far as the share allows. Stops at
    /// what must be dropped while bytes before it wait to pass.
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
                Phase::Dropped(_) | Phase::Replaced(_) if !self.input.passing().is_empty() => {
                    self.is_paused = true;
                    return Ok(());
                }
                Phase::Dropped(left) => {
                    let dropped = left.min(self.input.unseen().len());
                    self.input.drop(dropped);
                    self.share.count_dropped(dropped);
                    if dropped < left {
                        self.phase = Phase::Dropped(left - dropped);
                    } else {
                        self.finish_frame();
                    }
                }
                Phase::Replaced(length) => {
                    let rewritten = self.shedding.as_ref().map(Shedding::rewritten_headers);
                    self.input.exchange(length, rewritten.unwrap_or_default());
                    self.finish_frame();
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
            Phase::Rest(_) | Phase::Dropped(_) | Phase::Replaced(_) => true,
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
        if let Some(shedding) = &mut self.shedding {
            if shedding.is_of_refused(frame, self.open_calls.last()) {
                self.count_dropped_frame(frame)?;
                self.phase = Phase::Dropped(HEAD + frame.length);
                return Ok(true);
            }
            if frame.kind == SETTINGS && !frame.has(ACK) {
                shedding.settings();
            }
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
        self.count_control_frame(frame)
    }

    /// Takes a frame of a call that was refused here from its budget.
    fn count_dropped_frame(&mut self, frame: Frame) -> Result<(), Cut> {
        if frame.kind == DATA && frame.length > 0 {
            return Ok(());
        }
        self.count_control_frame(frame)
    }

    fn count_control_frame(&mut self, frame: Frame) -> Result<(), Cut> {
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

#[cfg(test)]
mod tests;
