//! The guard as a stream: what the transport reads through it, and what it writes.
//!
//! It moves bytes and judges none; the [guard](super) inspects them. The rule: nothing is read while
//! the client takes no answers, so that the transport does not pile up more of them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::answers::Answer;
use super::frame::{GOAWAY, write_frame};
use super::shedding::Shedding;
use super::{ConnectionObserver, ConnectionRefusal, Cut, Phase, TransportGuard};

/// The code of a GOAWAY for a flood: ENHANCE_YOUR_CALM (RFC 9113, 7).
const CALM: u32 = 11;

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
            let (last, mut goaway) = (self.open_calls.last().to_be_bytes(), Vec::new());
            write_frame(
                &mut goaway,
                (GOAWAY, 0, 0),
                &[last, CALM.to_be_bytes()].concat(),
            );
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
        guard.report_shed();
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
            ready!(self.poll_room_for_refusals(context))?;
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

    /// Writes refusals if there are many. While the client takes none, it is not read either.
    fn poll_room_for_refusals(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_full = self.shedding.as_ref().is_some_and(Shedding::is_full);
        if !is_full || self.poll_refusals(context)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        // The transport flushes what it writes, and the refusals with it.
        self.wire.is_blocked = true;
        self.reader = Some(context.waker().clone());
        Poll::Pending
    }

    fn report_shed(&mut self) {
        let refused = self.shedding.as_mut().map(Shedding::take_refused);
        if let Some(refused @ 1..) = refused {
            self.observer.shed(refused);
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

    /// Writes the refusals that wait, if another frame may follow what the transport wrote.
    fn poll_refusals(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.shedding {
            Some(shedding) if shedding.has_answers() => {
                if !self.answers.are_whole() {
                    return Poll::Pending;
                }
                let written = shedding.poll_write_before(&mut self.io, context, &[]);
                self.wire.answer_frames = self.wire.answer_frames.wrapping_add(1);
                written.map_ok(|_| ())
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Writes bytes of the transport, after the refusals that wait.
    fn write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.shedding {
            Some(shedding) if shedding.has_answers() && self.answers.are_whole() => {
                shedding.poll_write_before(&mut self.io, context, bytes)
            }
            _ => Pin::new(&mut self.io).poll_write(context, bytes),
        }
    }

    fn look_at_answers(&mut self, bytes: &[u8]) {
        let (open_calls, wire, observer) = (&mut self.open_calls, &mut self.wire, &self.observer);
        let shedding = &mut self.shedding;
        self.answers.look(bytes, |answer| {
            if answer == Answer::Acknowledged {
                return shedding.iter_mut().for_each(Shedding::acknowledged);
            }
            wire.answer_frames = wire.answer_frames.wrapping_add(1);
            match answer {
                Answer::Headers { ended } => {
                    shedding.iter_mut().for_each(Shedding::wrote_headers);
                    ended.into_iter().for_each(|stream| open_calls.end(stream));
                }
                Answer::Part | Answer::Acknowledged => {}
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
        let written = guard.write(context, bytes);
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
        let flushed = match guard.poll_refusals(context) {
            Poll::Ready(Ok(())) => Pin::new(&mut guard.io).poll_flush(context),
            other => other,
        };
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
