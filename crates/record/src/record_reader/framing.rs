//! Where a record ends, in bytes that are in memory.
//!
//! It reads nothing and decodes nothing. The rule: no record is longer than [`MAX_RECORD`].

use std::ops::Range;

use crate::stream::Format;

/// The most bytes of one record: of a line without its line feed, of a message without its length.
/// The largest record that is written, a policy change with many problems, is a fraction of it.
pub const MAX_RECORD: usize = 4 << 20;

/// The most bytes of the length before a message.
const MAX_LENGTH: usize = 10;

/// What comes first in the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A whole record: where it is, and where the next begins.
    Whole { record: Range<usize>, next: usize },
    /// The beginning of a record, or nothing.
    Unfinished,
    /// A line or a length that is longer than any record.
    TooLong,
    /// Bytes that are not a length, where a length should be.
    NoLength,
}

impl Frame {
    /// Returns what comes first in bytes of this format. The first `looked` of them are known to
    /// have no line feed.
    pub(super) fn of(format: Format, bytes: &[u8], looked: usize) -> Frame {
        match format {
            Format::Json => line(bytes, looked),
            Format::Protobuf => message(bytes),
        }
    }
}

fn line(bytes: &[u8], looked: usize) -> Frame {
    let fresh = bytes.get(looked..).unwrap_or_default();
    let length = line_feed(fresh).map(|at| looked + at);
    match length {
        Some(length) if length <= MAX_RECORD => Frame::Whole {
            record: 0..length,
            next: length + 1,
        },
        None if bytes.len() <= MAX_RECORD => Frame::Unfinished,
        _ => Frame::TooLong,
    }
}

/// Finds the first line feed.
pub(super) fn line_feed(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes)
}

fn message(bytes: &[u8]) -> Frame {
    let ends = bytes.iter().take(MAX_LENGTH).position(|byte| *byte < 0x80);
    let Some(from) = ends.map(|at| at + 1) else {
        return match bytes.len() < MAX_LENGTH {
            true => Frame::Unfinished,
            false => Frame::NoLength,
        };
    };
    match prost::decode_length_delimiter(bytes) {
        Ok(length) if length > MAX_RECORD => Frame::TooLong,
        Ok(length) if length > bytes.len() - from => Frame::Unfinished,
        Ok(length) => Frame::Whole {
            record: from..from + length,
            next: from + length,
        },
        Err(_) => Frame::NoLength,
    }
}

/// Splits off the first message of bytes in which each has its length before it; `None` if no whole
/// message is there.
pub fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match message(bytes) {
        Frame::Whole { record, next } => Some((bytes.get(record)?, bytes.get(next..)?)),
        Frame::Unfinished | Frame::TooLong | Frame::NoLength => None,
    }
}

/// The number of bytes that are enough to recognise a format.
pub(crate) const SAMPLE: usize = 16;

/// Returns the format of bytes with this beginning. A message follows its length and begins with
/// its time: field 1, a message that begins with a number. A message without a time begins with its
/// kind. No text begins with such bytes.
pub(crate) fn format_of(sample: &[u8]) -> Format {
    let message = || {
        let length = prost::decode_length_delimiter(sample).ok()?;
        sample.get(prost::length_delimiter_len(length)..)
    };
    match message() {
        Some(
            [0x0a, 1..=24, 0x08 | 0x10, ..] | [0x0a, 0, 0x12, ..] | [0x12, 1..=24, b'a'..=b'z', ..],
        ) => Format::Protobuf,
        _ => Format::Json,
    }
}
