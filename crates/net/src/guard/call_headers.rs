//! The headers of calls on their way to the transport: what is mended, what is refused, and what is
//! written in another way.
//!
//! Headers may take several frames. They are inspected together, once they are whole, if calls may
//! be refused on the connection; otherwise they pass one by one. What the headers are good for is
//! judged elsewhere: by [`authority`], by [`shedding`](super::shedding), and by
//! the transport.

use std::io;

use super::authority;
use super::frame::{CONTINUATION, END_HEADERS, Frame, HEAD};
use super::input::READ_BUFFER;
use super::shedding::{HeaderFate, NewCall};
use super::{ConnectionObserver, ConnectionRefusal, Cut, Phase, TransportGuard};

/// The frames of one block of headers.
#[derive(Clone, Copy, Debug)]
struct HeaderFrames {
    /// The bytes of all of them.
    length: usize,
    /// How many follow the first.
    continuations: usize,
    /// Nothing of the block is missing.
    is_whole: bool,
}

impl<IO, O: ConnectionObserver> TransportGuard<IO, O> {
    /// Inspects headers. Returns false if more of them must arrive first.
    pub(super) fn inspect_headers(&mut self, frame: Frame) -> Result<bool, Cut> {
        if self.input.unseen().len() < HEAD + frame.length {
            return Ok(false);
        }
        let frame = self.mend_authority(frame);
        let Some(frames) = self.header_frames(frame) else {
            return Ok(false);
        };
        let begins = self.open_calls.begins(frame.stream);
        let is_admitted = !begins
            || self.shedding.is_none()
            || self.open_calls.count() < self.concurrent_streams && self.activity.queue().admit();
        let call = NewCall {
            begins,
            is_admitted,
            last: self.open_calls.last(),
        };
        let fate = match (&mut self.shedding, self.input.unseen().get(..frames.length)) {
            (Some(shedding), Some(bytes)) if frames.is_whole => {
                shedding.headers(frame, bytes, call)
            }
            (Some(shedding), _) => shedding.unread_headers(frame),
            (None, _) => HeaderFate::Passes,
        };
        for _ in 0..frames.continuations {
            self.count_control_frame(Frame {
                kind: CONTINUATION,
                ..frame
            })?;
        }
        match fate {
            HeaderFate::Passes => {
                self.input.pass(frames.length);
                self.count_headers(frame, frames, is_admitted)?;
                self.finish_frame();
            }
            HeaderFate::Rewritten => {
                self.count_headers(frame, frames, is_admitted)?;
                self.phase = Phase::Replaced(frames.length);
            }
            HeaderFate::Refused => self.drop_call(frame, frames),
            HeaderFate::TooLong(problem) => {
                self.observer
                    .refused(ConnectionRefusal::StreamRefused, &problem);
                self.drop_call(frame, frames);
            }
            HeaderFate::Dropped => {
                self.count_control_frame(frame)?;
                self.phase = Phase::Dropped(frames.length);
            }
            HeaderFate::Malformed(problem) => {
                return Err(Cut {
                    refusal: ConnectionRefusal::HeadersMalformed,
                    example: problem.to_string(),
                    kind: io::ErrorKind::InvalidData,
                });
            }
        }
        Ok(true)
    }

    /// Makes the authority one that the transport accepts. Returns the frame as it is then.
    fn mend_authority(&mut self, frame: Frame) -> Frame {
        let mending = self.input.unseen().get(..HEAD + frame.length);
        let mending = mending.and_then(|whole| {
            let block = frame.block(whole)?;
            let mending = authority::mend(whole.get(block.clone())?)?;
            let place = block.start + mending.place.start..block.start + mending.place.end;
            Some((place, mending.text))
        });
        let Some((place, text)) = mending else {
            return frame;
        };
        let length = frame.length - (place.len() - text.len());
        self.input.replace(place, &text);
        self.input.set_length(length);
        Frame { length, ..frame }
    }

    /// Returns the frames of the headers that begin with a whole frame. `None` if more of them must
    /// arrive first.
    fn header_frames(&self, first: Frame) -> Option<HeaderFrames> {
        let alone = HeaderFrames {
            length: HEAD + first.length,
            continuations: 0,
            is_whole: first.has(END_HEADERS),
        };
        let mut frames = alone;
        let is_read_whole = self.shedding.as_ref().is_some_and(|it| it.reads_headers());
        while is_read_whole && !frames.is_whole {
            let rest = self.input.unseen().get(frames.length..).unwrap_or_default();
            let next = Frame::of(rest);
            if next.is_some_and(|next| next.kind != CONTINUATION || next.stream != first.stream) {
                // The transport ends the connection.
                return Some(alone);
            }
            let Some(next) = next.filter(|next| HEAD + next.length <= rest.len()) else {
                let is_full = self.input.unseen().len() >= READ_BUFFER;
                return is_full.then_some(alone);
            };
            frames = HeaderFrames {
                length: frames.length + HEAD + next.length,
                continuations: frames.continuations + 1,
                is_whole: next.has(END_HEADERS),
            };
        }
        Some(frames)
    }

    /// Counts headers that the transport gets.
    fn count_headers(
        &mut self,
        frame: Frame,
        frames: HeaderFrames,
        is_admitted: bool,
    ) -> Result<(), Cut> {
        self.is_in_block = !frames.is_whole;
        if !self.open_calls.begin(frame.stream) {
            return self.count_frame(frame);
        }
        self.wire.begun_calls = self.wire.begun_calls.wrapping_add(1);
        if self.shedding.is_none() || !is_admitted {
            self.share.count_call();
        }
        self.control.earn();
        Ok(())
    }

    /// Counts a call that was answered here, and drops its headers.
    fn drop_call(&mut self, frame: Frame, frames: HeaderFrames) {
        self.open_calls.skip(frame.stream);
        self.wire.begun_calls = self.wire.begun_calls.wrapping_add(1);
        self.control.earn();
        self.phase = Phase::Dropped(frames.length);
    }
}
