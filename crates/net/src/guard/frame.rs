//! The head of an HTTP/2 frame (RFC 9113, 4.1 and 6), and the position of a block of headers in a
//! frame.
//!
//! It reads the bytes that it gets and keeps nothing.

use std::ops::Range;

/// The length of a frame's head, and of the longest frame that the transport accepts.
pub(super) const HEAD: usize = 9;
pub(super) const LONGEST: usize = 16 << 10;

/// The types of frames, and the flags, that matter here (RFC 9113, 6).
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 0x1;
/// Of SETTINGS; of other frames the same bit is [`END_STREAM`].
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const PRIORITY: u8 = 0x20;

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// The stream that it belongs to; zero is the connection.
    pub(super) stream: u32,
}

impl Frame {
    /// Reads a head. `None` if it is not whole.
    pub(super) fn of(bytes: &[u8]) -> Option<Frame> {
        let &[high, middle, low, kind, flags, a, b, c, d] = bytes.first_chunk::<HEAD>()?;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        Some(Frame {
            length,
            kind,
            flags,
            // The highest bit is reserved.
            stream: u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff,
        })
    }

    /// Returns the name of its type.
    pub(super) fn name(self) -> &'static str {
        match self.kind {
            DATA => "DATA",
            HEADERS => "HEADERS",
            2 => "PRIORITY",
            RST_STREAM => "RST_STREAM",
            SETTINGS => "SETTINGS",
            PUSH_PROMISE => "PUSH_PROMISE",
            6 => "PING",
            GOAWAY => "GOAWAY",
            WINDOW_UPDATE => "WINDOW_UPDATE",
            CONTINUATION => "CONTINUATION",
            _ => "unknown",
        }
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Returns whether the priority of a call depends on the call itself, in a whole frame of headers.
    pub(super) fn depends_on_itself(self, whole: &[u8]) -> bool {
        let start = HEAD + usize::from(self.has(PADDED));
        let parent = whole.get(start..).and_then(|rest| rest.first_chunk());
        self.has(PRIORITY)
            && parent.is_some_and(|parent| u32::from_be_bytes(*parent) & 0x7fff_ffff == self.stream)
    }

    /// Returns the position of the block of headers in a whole frame: after optional fields and
    /// before padding.
    pub(super) fn block(self, whole: &[u8]) -> Option<Range<usize>> {
        let (mut start, mut end) = (HEAD, whole.len());
        if self.has(PADDED) {
            end = end.checked_sub(usize::from(*whole.get(HEAD)?))?;
            start += 1;
        }
        if self.has(PRIORITY) {
            start += 5;
        }
        (start <= end).then_some(start..end)
    }
}

/// Writes a frame: its type, flags and stream, and its payload.
pub(super) fn write_frame(out: &mut Vec<u8>, (kind, flags, stream): (u8, u8, u32), payload: &[u8]) {
    let [_, high, middle, low] = u32::try_from(payload.len())
        .unwrap_or_default()
        .to_be_bytes();
    let [a, b, c, d] = stream.to_be_bytes();
    out.reserve(HEAD + payload.len());
    out.extend_from_slice(&[high, middle, low, kind, flags, a, b, c, d]);
    out.extend_from_slice(payload);
}
