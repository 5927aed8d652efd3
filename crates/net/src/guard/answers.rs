//! The frames that the transport writes, read only to find the calls that it refuses by itself.
//!
//! Bytes may arrive in any pieces. None of them is changed.

use super::frame::{Frame, HEAD, RST_STREAM};

/// Reads the frames that the transport writes. Only those that reset a call matter.
#[derive(Debug, Default)]
pub(super) struct Answers {
    head: [u8; HEAD],
    /// How many bytes of the head have arrived.
    seen: usize,
    /// How many bytes of the frame are still to come.
    left: usize,
    /// The code of a reset, as far as it has arrived.
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
