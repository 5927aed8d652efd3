//! The frames that the transport writes, as far as they tell which calls it refuses by itself.
//!
//! Bytes come in any pieces. It changes none of them.

use super::frame::{Frame, HEAD, RST_STREAM};

/// The frames that the transport writes, of which only those are of interest that reset a call.
#[derive(Debug, Default)]
pub(super) struct Answers {
    head: [u8; HEAD],
    /// How many bytes of the head have come.
    seen: usize,
    /// How many bytes of the frame are still to come.
    left: usize,
    /// The code of a reset, as far as it has come.
    code: Option<u32>,
}

impl Answers {
    pub(super) fn look(&mut self, mut bytes: &[u8], mut reset: impl FnMut(u32)) {
        while let Some((byte, rest)) = bytes.split_first() {
            if self.left > 0 {
                let (passed, rest) = bytes.split_at_checked(self.left).unwrap_or((bytes, &[]));
                self.left -= passed.len();
                if let Some(code) = &mut self.code {
                    *code = passed
                        .iter()
                        .fold(*code, |code, byte| code << 8 | u32::from(*byte));
                    if self.left == 0 {
                        reset(*code);
                    }
                }
                bytes = rest;
                continue;
            }
            if let Some(place) = self.head.get_mut(self.seen) {
                *place = *byte;
            }
            self.seen += 1;
            bytes = rest;
            if self.seen == HEAD
                && let Some(frame) = Frame::of(&self.head)
            {
                self.seen = 0;
                self.left = frame.length;
                self.code = (frame.kind == RST_STREAM).then_some(0);
            }
        }
    }
}
