//! Finds the last whole record of an existing file, so that the stream continues from it.
//!
//! It changes nothing, and it does not verify: a record with a wrong chain is still the last one.
//! The rules:
//!
//! - The bytes after the last whole record count as a torn record if they can be one: they begin as
//!   records of customs do, or they are only the zero bytes that a disk leaves after a power
//!   failure. Anything else is refused and left unchanged.
//! - If the whole records are not records of customs, or are too old to have a chain, the file is
//!   appended to without a position.
//! - Memory is bounded by the longest record, whatever is in the file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use jiff::Timestamp;
use prost::Message;
use serde_json::Value;

use super::FileSinkError;
use customs_engine::time::UnixNanos;
use customs_record::chain::Head;
use customs_record::entry::audit_log::Position;
use customs_record::proto;
use customs_record::record_reader::{MAX_RECORD, Piece, RecordReader};
use customs_record::stream::Format;

/// How much is read at once.
const BLOCK: usize = 64 << 10;

/// How every line of customs begins.
const LINE_OPENING: &[u8] = b"{\"time\":\"";

/// How every message of customs begins: with its time, or with its kind.
const MESSAGE_OPENINGS: [u8; 2] = [0x0a, 0x12];

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The position behind its last record, if that is a record of customs.
    pub(super) position: Option<Position>,
    /// The number of bytes of its whole records; the bytes after them are to be cut off.
    pub(super) whole: u64,
    /// The time in its first record.
    pub(super) begun: Option<UnixNanos>,
}

/// Examines a file of `length` bytes.
pub(super) fn look(file: &File, length: u64, format: Format) -> Result<Found, FileSinkError> {
    if length == 0 {
        return Ok(Found::default());
    }
    match format {
        Format::Json => lines(file, length),
        Format::Protobuf => messages(file),
    }
}

/// Returns the position behind the last record of a compressed file.
pub(super) fn look_compressed(path: &Path, format: Format) -> io::Result<Option<Position>> {
    let bytes = MultiGzDecoder::new(BufReader::new(File::open(path)?));
    let reader = RecordReader::new(bytes).with_format(format);
    match format {
        Format::Json => last_line(reader),
        Format::Protobuf => {
            let walk = Walk::through(reader).map_err(|unfit| unfit.at(path))?;
            Ok(proto::Record::decode(walk.last.as_slice())
                .ok()
                .and_then(position_of))
        }
    }
}

// -- lines of JSON

fn lines(file: &File, length: u64) -> Result<Found, FileSinkError> {
    let whole = match line_feed_before(file, length)? {
        Feed::At(at) => at + 1,
        Feed::None => 0,
        Feed::TooFar => return Err(not_lines()),
    };
    // A file with another beginning holds something else, whatever its end looks like.
    let first = match whole {
        0 => Value::Null,
        _ => first_line(file)?,
    };
    let start = match line_feed_before(file, whole.saturating_sub(1))? {
        Feed::At(at) => at + 1,
        Feed::None => 0,
        // Longer than any record.
        Feed::TooFar => whole,
    };
    let tail = bytes_at(file, whole, length)?;
    if !is_torn(&tail, |text| {
        text.starts_with(LINE_OPENING) || LINE_OPENING.starts_with(text)
    }) {
        // Other data has line feeds, too; a first line that is JSON was handled above.
        return Err(match whole {
            0 => not_lines(),
            _ => unfinished(),
        });
    }
    let last = FileFrom { file, at: start }.take(whole - start);
    let position = last_line(RecordReader::new(last).with_format(Format::Json))?;
    let begun = first
        .get("time")
        .and_then(Value::as_str)
        .and_then(|time| time.parse::<Timestamp>().ok());
    Ok(Found {
        position,
        whole,
        begun: begun.map(|time| UnixNanos(time.as_nanosecond())),
    })
}

/// The bytes of a file from an offset on.
struct FileFrom<'f> {
    file: &'f File,
    at: u64,
}

impl Read for FileFrom<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Where the last line feed before an offset is.
enum Feed {
    At(u64),
    None,
    TooFar,
}

/// Searches no further back than the longest record.
fn line_feed_before(file: &File, end: u64) -> io::Result<Feed> {
    let mut to = end;
    let furthest = end.saturating_sub(MAX_RECORD as u64 + 1);
    while to > furthest {
        let from = to.saturating_sub(BLOCK as u64).max(furthest);
        let block = bytes_at(file, from, to)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(Feed::At(from + at as u64));
        }
        to = from;
    }
    Ok(match end > MAX_RECORD as u64 {
        true => Feed::TooFar,
        false => Feed::None,
    })
}

fn bytes_at(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// Returns the first line as JSON; without it the file cannot be an audit log.
fn first_line(file: &File) -> Result<Value, FileSinkError> {
    let mut reader = RecordReader::new(FileFrom { file, at: 0 }).with_format(Format::Json);
    let line = match reader.next_piece().map_err(io::Error::from)? {
        Some(Piece::Record(raw)) => serde_json::from_slice(raw.bytes).ok(),
        Some(Piece::NoRecord(..)) | None => None,
    };
    line.filter(Value::is_object).ok_or_else(not_lines)
}

/// Returns the position behind the last whole line; `None` if that line is not a record of customs.
fn last_line(mut reader: RecordReader<impl Read>) -> io::Result<Option<Position>> {
    let mut last = Vec::new();
    while let Some(piece) = reader.next_piece()? {
        last.clear();
        if let Piece::Record(raw) = piece {
            last.extend_from_slice(raw.bytes);
        }
    }
    Ok(position_in(&last))
}

fn position_in(line: &[u8]) -> Option<Position> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let text = |name| line.get(name).and_then(Value::as_str);
    position(
        text("stream")?,
        text("sequence")?.parse().ok()?,
        text("chain")?,
    )
}

fn position(stream: &str, sequence: u64, chain: &str) -> Option<Position> {
    let is_whole = !stream.is_empty() && sequence > 0 && Head::parse(chain).is_some();
    is_whole.then(|| Position {
        stream: stream.to_owned(),
        sequence,
        chain: chain.to_owned(),
    })
}

// -- messages of protobuf, each after its length

fn messages(file: &File) -> Result<Found, FileSinkError> {
    let reader = RecordReader::new(FileFrom { file, at: 0 }).with_format(Format::Protobuf);
    let walk = Walk::through(reader)?;
    let of = |body: &[u8]| proto::Record::decode(body).ok().and_then(position_of);
    // Its length reached the disk and its end did not.
    Ok(match ends_in_nothing(&walk.last) {
        true => Found {
            position: of(&walk.before),
            whole: walk.last_at,
            begun: walk.begun,
        },
        false => Found {
            position: of(&walk.last),
            whole: walk.at,
            begun: walk.begun,
        },
    })
}

fn position_of(record: proto::Record) -> Option<Position> {
    position(&record.stream, record.sequence, &record.chain)
}

/// A walk through the messages of a file: the last two whole ones, and the offset after them.
#[derive(Default)]
struct Walk {
    last: Vec<u8>,
    before: Vec<u8>,
    last_at: u64,
    at: u64,
    begun: Option<UnixNanos>,
}

impl Walk {
    fn through(mut reader: RecordReader<impl Read>) -> Result<Walk, FileSinkError> {
        let mut walk = Walk::default();
        let is_torn = loop {
            match reader.next_piece().map_err(io::Error::from)? {
                Some(Piece::Record(raw)) => {
                    let is_message = begins_a_message(raw.bytes, false);
                    if is_message && (walk.at > 0 || walk.begin(raw.bytes)) {
                        walk.step(raw.place.offset, raw.bytes);
                        continue;
                    }
                    // A length of zero is what a disk leaves that lost the bytes.
                    break match is_message {
                        true => ends_in_nothing(raw.bytes),
                        false => is_torn(raw.bytes, |text| begins_a_message(text, true)),
                    };
                }
                Some(Piece::NoRecord(..)) => break false,
                None => {
                    let rest = reader.unfinished().map_or(&[][..], |rest| rest.bytes);
                    // Nothing, or only the first bytes of a length, or some of a message.
                    let begun = begun_message(rest);
                    break is_torn(begun, |text| begins_a_message(text, true));
                }
            }
        };
        match is_torn && are_zero(reader.into_unread())? {
            true => Ok(walk),
            false if walk.at == 0 => Err(not_messages()),
            false => Err(broken(walk.at)),
        }
    }

    /// Returns whether the first message is a record; without it the file cannot be an audit log.
    fn begin(&mut self, first: &[u8]) -> bool {
        let record = proto::Record::decode(first)
            .ok()
            .filter(|record| !record.kind.is_empty());
        let Some(first) = record.filter(|_| !ends_in_nothing(first)) else {
            return false;
        };
        let nanos = |time: prost_types::Timestamp| {
            i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos)
        };
        self.begun = first.time.map(nanos).map(UnixNanos);
        true
    }

    /// Moves past a message, which begins with its length at this offset.
    fn step(&mut self, from: u64, message: &[u8]) {
        self.last_at = from;
        self.at = from + prost::length_delimiter_len(message.len()) as u64 + message.len() as u64;
        std::mem::swap(&mut self.before, &mut self.last);
        self.last.clear();
        self.last.extend_from_slice(message);
    }
}

/// Returns whether the disk lost the end of a message: a record ends in its chain, never in a zero
/// byte.
fn ends_in_nothing(message: &[u8]) -> bool {
    message.ends_with(&[0])
}

fn begins_a_message(bytes: &[u8], may_be_empty: bool) -> bool {
    bytes
        .first()
        .map_or(may_be_empty, |byte| MESSAGE_OPENINGS.contains(byte))
}

/// Returns the part of an unfinished message that is there, after its length.
fn begun_message(rest: &[u8]) -> &[u8] {
    let length = rest.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    rest.get(length..).unwrap_or_default()
}

/// Returns whether only zero bytes follow, and no more than a record has.
fn are_zero(bytes: impl Read) -> io::Result<bool> {
    let mut rest = Vec::new();
    bytes.take(MAX_RECORD as u64 + 1).read_to_end(&mut rest)?;
    Ok(rest.len() <= MAX_RECORD && rest.iter().all(|byte| *byte == 0))
}

// -- both

/// Returns whether bytes may be the beginning of a record, with zero bytes where the disk lost the
/// rest.
fn is_torn(tail: &[u8], begins_as_ours: impl Fn(&[u8]) -> bool) -> bool {
    let written = tail
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    tail.get(..written).is_some_and(begins_as_ours)
}

fn not_lines() -> FileSinkError {
    FileSinkError::new(
        "it holds something other than lines of JSON",
        "name another file, or say `format=protobuf` if it is that",
    )
}

fn unfinished() -> FileSinkError {
    let advice = "its last line was not written by customs and is not cut off; end it with a line feed, or name another file";
    FileSinkError::new("it ends in the middle of a line", advice)
}

fn not_messages() -> FileSinkError {
    let advice = "name another file, or say `format=json` if it holds lines of JSON";
    FileSinkError::new("it holds something other than records in protobuf", advice)
}

fn broken(at: u64) -> FileSinkError {
    let advice = "move the file to another name; the audit log continues in a new one";
    FileSinkError::new(
        format!("no record begins at byte {at}, where one should, so nothing can be read after it"),
        advice,
    )
}

#[cfg(test)]
mod tests;
