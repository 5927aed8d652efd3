//! The frames that the transport writes, read to find the calls that they end, the calls that the
//! transport refuses by itself, and what another frame between them has to know.
//!
//! Bytes may arrive in any pieces. None of them is changed.

use super::frame::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEAD, HEADERS, RST_STREAM, SETTINGS,
};

/// What a frame of the transport says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Headers of a call's answer are written, and are its last if it ends with them.
    Headers { ended: Option<u32> },
    /// A part of a call's answer is written.
    Part,
    /// A call's answer is written to the end.
    Ended(u32),
    /// A call is reset with this code.
    Reset(u32, u32),
    /// The client's settings are acknowledged.
    Acknowledged,
}

/// Reads the frames that the transport writes.
#[derive(Debug, Default)]
pub(super) struct Answers {
    head: [u8; HEAD],
    /// How many bytes of the head have arrived.
    seen: usize,
    /// How many bytes of the frame are still to come.
    left: usize,
    /// What is known once the frame is whole.
    answer: Option<Answer>,
    /// More frames of the same headers follow.
    is_within_headers: bool,
}

impl Answers {
    /// Returns whether everything so far was whole frames, so that another frame may follow.
    pub(super) fn are_whole(&self) -> bool {
        self.seen == 0 && self.left == 0 && !self.is_within_headers
    }

    pub(super) fn look(&mut self, mut bytes: &[u8], mut found: impl FnMut(Answer)) {
        while let Some((byte, rest)) = bytes.split_first() {
            if self.left > 0 {
                let (passed, rest) = bytes.split_at_checked(self.left).unwrap_or((bytes, &[]));
                self.left -= passed.len();
                if let Some(Answer::Reset(_, code)) = &mut self.answer {
                    *code = passed
                        .iter()
                        .fold(*code, |code, byte| code << 8 | u32::from(*byte));
                }
                bytes = rest;
            } else {
                if let Some(place) = self.head.get_mut(self.seen) {
                    *place = *byte;
                }
                self.seen += 1;
                bytes = rest;
                if self.seen < HEAD {
                    continue;
                }
                if let Some(frame) = Frame::of(&self.head) {
                    self.left = frame.length;
                    self.answer = Answer::of(frame);
                    if matches!(frame.kind, HEADERS | CONTINUATION) {
                        self.is_within_headers = !frame.has(END_HEADERS);
                    }
                }
                self.seen = 0;
            }
            if self.left == 0
                && let Some(answer) = self.answer.take()
            {
                found(answer);
            }
        }
    }
}

impl Answer {
    fn of(frame: Frame) -> Option<Answer> {
        match frame.kind {
            RST_STREAM => Some(Answer::Reset(frame.stream, 0)),
            HEADERS => Some(Answer::Headers {
                ended: frame.has(END_STREAM).then_some(frame.stream),
            }),
            DATA if frame.has(END_STREAM) => Some(Answer::Ended(frame.stream)),
            DATA | CONTINUATION => Some(Answer::Part),
            SETTINGS if frame.has(ACK) => Some(Answer::Acknowledged),
            _ => None,
        }
    }
}
