//! The one reader of records: it cuts a stream of bytes into records.
//!
//! It reads lines of JSON and protobuf messages behind their lengths, plain or packed with gzip,
//! and gives the place of each record. It verifies nothing, and it decodes a record only if it is
//! asked to. The rules:
//!
//! - Memory is bounded by the longest record, [`MAX_RECORD`], whatever the stream holds.
//! - Bytes that cannot be a record are reported with their place. After a line that is too long the
//!   reader continues with the next line. After a length that is too long or cannot be read it
//!   cannot continue.
//! - The end of the bytes may be temporary: the reader continues when a file grows.
//!   [`RecordReader::unfinished`] gives the bytes behind the last whole record.

mod framing;
mod unpack;

use std::io::{self, Cursor, Read};
use std::ops::Range;

use self::framing::{Frame, line_feed};
pub use self::framing::{MAX_RECORD, split_message};
pub(crate) use self::framing::{SAMPLE, format_of};
pub use self::unpack::Unpack;
pub(crate) use self::unpack::is_packed;
use crate::decode::{self, RecordDecodeError};
use crate::proto::Record;
use crate::stream::Format;

/// How many bytes are read at once.
const CHUNK: usize = 64 << 10;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// The number of the line or of the message, from 1.
    pub number: u64,
    /// The number of bytes before it, unpacked.
    pub offset: u64,
}

/// The bytes of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRecord<'r> {
    /// A line without its line feed, or a message without its length. The bytes are not checked.
    pub bytes: &'r [u8],
    /// Their format.
    pub format: Format,
    /// Where it is.
    pub place: RecordPlace,
}

/// What comes next in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'r> {
    /// The bytes of a record.
    Record(RawRecord<'r>),
    /// Bytes that cannot be cut into records.
    NoRecord(RecordPlace, FramingError),
}

/// The beginning of a record that has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnfinishedRecord<'r> {
    /// A line without its line feed, or a message with its length, as far as they are there.
    pub bytes: &'r [u8],
    /// Their format; `None` if there are too few bytes to recognise it.
    pub format: Option<Format>,
    /// Where it begins.
    pub place: RecordPlace,
}

impl<'r> UnfinishedRecord<'r> {
    /// Returns it as a line that only lacks its line feed; `None` for a message.
    pub fn as_line(&self) -> Option<RawRecord<'r>> {
        let line = RawRecord {
            bytes: self.bytes,
            format: Format::Json,
            place: self.place,
        };
        (self.format != Some(Format::Protobuf)).then_some(line)
    }
}

/// Why bytes cannot be cut into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FramingError {
    /// The line is skipped.
    #[error("a line is longer than {MAX_RECORD} bytes")]
    LongLine,
    /// Nothing behind it can be read.
    #[error("no record begins here, and nothing behind it can be read")]
    NoLength,
}

/// Why a stream cannot be read further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordReadError {
    /// The system refuses to read it.
    #[error(transparent)]
    System(io::Error),
    /// Packed data ends too early.
    #[error(transparent)]
    CutShort(io::Error),
    /// Packed data is damaged.
    #[error(transparent)]
    Damaged(io::Error),
}

impl From<RecordReadError> for io::Error {
    fn from(error: RecordReadError) -> io::Error {
        match error {
            RecordReadError::System(why)
            | RecordReadError::CutShort(why)
            | RecordReadError::Damaged(why) => why,
        }
    }
}

impl RawRecord<'_> {
    /// Decodes the record as the type of the proto.
    ///
    /// # Errors
    /// If the bytes are not a record.
    pub fn decode(&self) -> Result<Record, RecordDecodeError> {
        decode::record(self.format, self.bytes)
    }
}

/// What follows at the reader's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Records.
    Records,
    /// The rest of a line that is too long.
    LongLine,
    /// Bytes that cannot be read.
    Unreadable,
}

/// A step of the reader. The bytes of a record are in its buffer.
enum Step {
    Record(Range<usize>, Format, RecordPlace),
    NoRecord(RecordPlace, FramingError),
}

/// Cuts a stream of bytes into records.
#[derive(Debug)]
pub struct RecordReader<R> {
    input: R,
    is_packed: bool,
    /// Where bytes are read to.
    chunk: Vec<u8>,
    /// The bytes from `from` on were read and not returned yet.
    held: Vec<u8>,
    from: usize,
    /// How many of these bytes are known to have no line feed.
    looked: usize,
    format: Option<Format>,
    /// The place of what comes next.
    place: RecordPlace,
    state: State,
    /// The error of a read by [`peek`](RecordReader::peek).
    failure: Option<io::Error>,
}

impl<R: Read> RecordReader<R> {
    /// Reads unpacked bytes in the format with which they begin.
    pub fn new(input: R) -> RecordReader<R> {
        RecordReader {
            input,
            is_packed: false,
            chunk: vec![0; CHUNK],
            held: Vec::new(),
            from: 0,
            looked: 0,
            format: None,
            place: RecordPlace {
                number: 1,
                offset: 0,
            },
            state: State::Records,
            failure: None,
        }
    }

    /// Reads in this format, whatever the bytes begin with.
    #[must_use]
    pub fn with_format(self, format: Format) -> RecordReader<R> {
        RecordReader {
            format: Some(format),
            ..self
        }
    }

    /// Reads lines from the middle of one: the first record is the one after the next line feed.
    pub(crate) fn within_line(input: R) -> RecordReader<R> {
        RecordReader {
            state: State::LongLine,
            ..RecordReader::new(input).with_format(Format::Json)
        }
    }

    /// Returns what comes next; `None` until more bytes come.
    ///
    /// # Errors
    /// Why there are no more bytes. Nothing comes after an error.
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>, RecordReadError> {
        let step = loop {
            if let Some(step) = self.step() {
                break step;
            }
            if self.state == State::Unreadable || !self.read_on()? {
                return Ok(None);
            }
        };
        Ok(Some(match step {
            Step::NoRecord(place, why) => Piece::NoRecord(place, why),
            Step::Record(range, format, place) => Piece::Record(RawRecord {
                bytes: self.held.get(range).unwrap_or_default(),
                format,
                place,
            }),
        }))
    }

    /// Takes the bytes after the last whole record, at the end of the stream.
    pub fn unfinished(&mut self) -> Option<UnfinishedRecord<'_>> {
        let (from, place) = (self.from, self.place);
        self.advance(self.held.len().saturating_sub(from));
        let bytes = self.held.get(from..).unwrap_or_default();
        let is_unfinished = self.state == State::Records && !bytes.is_empty();
        is_unfinished.then_some(UnfinishedRecord {
            bytes,
            format: self.format,
            place,
        })
    }

    /// Returns the next bytes without taking them, at most `most`; fewer at the end of the stream
    /// or if reading fails. [`next_piece`](Self::next_piece) reports the failure in its place.
    pub fn peek(&mut self, most: usize) -> &[u8] {
        while self.held.len() - self.from < most && self.failure.is_none() {
            match self.read_chunk() {
                Ok(0) => break,
                Ok(_) => {}
                Err(why) => self.failure = Some(why),
            }
        }
        let rest = self.held.get(self.from..).unwrap_or_default();
        rest.get(..most).unwrap_or(rest)
    }

    /// Returns whether reading failed while peeking.
    pub fn is_failing(&self) -> bool {
        self.failure.is_some()
    }

    /// Returns whether the stream is packed.
    pub fn is_packed(&self) -> bool {
        self.is_packed
    }

    /// Returns the input.
    pub fn input(&self) -> &R {
        &self.input
    }

    /// Returns the bytes that are still to come, as they are.
    pub fn into_unread(mut self) -> impl Read {
        self.held.drain(..self.from);
        Cursor::new(self.held).chain(self.input)
    }

    /// Finds the next record in the buffer.
    fn step(&mut self) -> Option<Step> {
        if self.state == State::LongLine && !self.end_line() {
            return None;
        }
        let rest = self.held.get(self.from..).unwrap_or_default();
        if self.format.is_none() && rest.len() >= SAMPLE {
            self.format = Some(format_of(rest));
        }
        if self.state == State::Unreadable {
            return None;
        }
        let (format, place) = (self.format?, self.place);
        let error = match Frame::of(format, rest, self.looked) {
            Frame::Whole { record, next } => {
                let range = self.from + record.start..self.from + record.end;
                self.advance(next);
                self.place.number += 1;
                return Some(Step::Record(range, format, place));
            }
            Frame::Unfinished => {
                self.looked = rest.len();
                return None;
            }
            Frame::TooLong if format == Format::Json => {
                self.state = State::LongLine;
                FramingError::LongLine
            }
            Frame::TooLong | Frame::NoLength => {
                self.state = State::Unreadable;
                FramingError::NoLength
            }
        };
        self.place.number += 1;
        Some(Step::NoRecord(place, error))
    }

    /// Skips the rest of a line; returns false if its end has not arrived yet.
    fn end_line(&mut self) -> bool {
        let rest = self.held.get(self.from..).unwrap_or_default();
        let end = line_feed(rest);
        self.advance(end.map_or(rest.len(), |at| at + 1));
        if end.is_some() {
            self.state = State::Records;
        }
        end.is_some()
    }

    fn advance(&mut self, bytes: usize) {
        self.from += bytes;
        self.looked = 0;
        self.place.offset += bytes as u64;
    }

    /// Reads more; returns false if there is nothing more now.
    fn read_on(&mut self) -> Result<bool, RecordReadError> {
        let read = match self.failure.take() {
            Some(why) => Err(why),
            None => self.read_chunk(),
        };
        read.map(|bytes| bytes > 0).map_err(|why| {
            self.state = State::Unreadable;
            match (self.is_packed, why.kind()) {
                (false, _) => RecordReadError::System(why),
                (true, io::ErrorKind::UnexpectedEof) => RecordReadError::CutShort(why),
                (true, _) => RecordReadError::Damaged(why),
            }
        })
    }

    fn read_chunk(&mut self) -> io::Result<usize> {
        let bytes = loop {
            match self.input.read(&mut self.chunk) {
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.held.drain(..self.from);
        self.from = 0;
        self.held
            .extend_from_slice(self.chunk.get(..bytes).unwrap_or_default());
        Ok(bytes)
    }
}

impl<R: Read> RecordReader<Unpack<R>> {
    /// Reads bytes that may be packed, in the format with which they begin.
    ///
    /// # Errors
    /// If the system refuses to read them.
    pub fn unpack(input: R) -> io::Result<RecordReader<Unpack<R>>> {
        let input = Unpack::new(input)?;
        let is_packed = input.is_packed();
        Ok(RecordReader {
            is_packed,
            ..RecordReader::new(input)
        })
    }
}

#[cfg(test)]
mod tests;
