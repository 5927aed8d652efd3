//! Finds the last whole record of a file that was written earlier, so that what follows goes on from it.
//!
//! It changes nothing, and it does not verify: a record whose chain is wrong is still the last one. The rules:
//!
//! - What lies behind the last whole record is a torn one if it can be: it begins as ours do, or is nothing but the zero
//!   bytes that a disk leaves after a power failure. Everything else is refused and stays as it is.
//! - Whole records that are not ours, or are too old to have a chain, are gone on behind; there is just no position.
//! - Memory is bounded by the longest record, whatever is in the file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use prost::Message;
use serde_json::Value;

use super::FileSinkError;
use customs_engine::time::UnixNanos;
use customs_record::chain::Head;
use customs_record::entry::trail::Position;
use customs_record::proto;
use customs_record::stream::Format;

/// More than any record of ours has.
const MAX_RECORD: usize = 4 << 20;

/// How much is read at once.
const BLOCK: usize = 64 << 10;

/// How every line of ours begins.
const LINE_OPENING: &[u8] = b"{\"time\":\"";

/// How every message of ours begins: with its time, or with its kind.
const MESSAGE_OPENINGS: [u8; 2] = [0x0a, 0x12];

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The place behind its last record, if that is one of ours.
    pub(super) position: Option<Position>,
    /// How many bytes its whole records have; what lies behind is to be cut off.
    pub(super) whole: u64,
    /// The time in its first record.
    pub(super) begun: Option<UnixNanos>,
}

/// Looks through a file of so many bytes.
pub(super) fn look(file: &File, length: u64, format: Format) -> Result<Found, FileSinkError> {
    if length == 0 {
        return Ok(Found::default());
    }
    match format {
        Format::Json => lines(file, length),
        Format::Protobuf => messages(&mut BufReader::with_capacity(BLOCK, file)),
    }
}

/// The place behind the last record of a compressed file.
pub(super) fn look_compressed(path: &Path, format: Format) -> io::Result<Option<Position>> {
    let mut bytes = BufReader::with_capacity(
        BLOCK,
        MultiGzDecoder::new(BufReader::new(File::open(path)?)),
    );
    match format {
        Format::Json => last_line(&mut bytes),
        Format::Protobuf => {
            let walk = Walk::through(&mut bytes).map_err(|unfit| unfit.at(path))?;
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
    // What begins otherwise is something else, whatever its end looks like.
    let first = match whole {
        0 => Value::Null,
        _ => first_line(&bytes_at(file, 0, whole.min(MAX_RECORD as u64))?)?,
    };
    let tail = bytes_at(file, whole, length)?;
    if !is_torn(&tail, |text| {
        text.starts_with(LINE_OPENING) || LINE_OPENING.starts_with(text)
    }) {
        // Other data has line feeds, too.
        let is_json =
            whole > 0 && first_line(&bytes_at(file, 0, whole.min(MAX_RECORD as u64))?).is_ok();
        return Err(if is_json { unfinished() } else { not_lines() });
    }
    if whole == 0 {
        return Ok(Found::default());
    }
    let begun = first
        .get("time")
        .and_then(Value::as_str)
        .and_then(|time| time.parse::<Timestamp>().ok());
    let start = match line_feed_before(file, whole - 1)? {
        Feed::At(at) => at + 1,
        Feed::None => 0,
        // Longer than any of ours.
        Feed::TooFar => whole,
    };
    let position = position_in(&bytes_at(file, start, whole)?);
    Ok(Found {
        position,
        whole,
        begun: begun.map(|time| UnixNanos(time.as_nanosecond())),
    })
}

/// Where the last line feed before some place is.
enum Feed {
    At(u64),
    None,
    TooFar,
}

fn line_feed_before(file: &File, end: u64) -> io::Result<Feed> {
    let mut to = end;
    while to > 0 {
        if end - to > MAX_RECORD as u64 {
            return Ok(Feed::TooFar);
        }
        let from = to.saturating_sub(BLOCK as u64);
        let block = bytes_at(file, from, to)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(Feed::At(from + at as u64));
        }
        to = from;
    }
    Ok(Feed::None)
}

fn bytes_at(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// The first line as JSON, without which the file cannot be one of ours.
fn first_line(bytes: &[u8]) -> Result<Value, FileSinkError> {
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    serde_json::from_slice(line)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(not_lines)
}

/// The last line of what can be read but once.
fn last_line(bytes: &mut impl BufRead) -> io::Result<Option<Position>> {
    let (mut last, mut next) = (Vec::new(), Vec::new());
    loop {
        next.clear();
        bytes
            .by_ref()
            .take(MAX_RECORD as u64)
            .read_until(b'\n', &mut next)?;
        match next.last() {
            Some(b'\n') => std::mem::swap(&mut last, &mut next),
            Some(_) if next.len() >= MAX_RECORD => last.clear(),
            _ => return Ok(position_in(&last)),
        }
    }
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

// -- messages of protobuf, each behind its length

fn messages(bytes: &mut impl BufRead) -> Result<Found, FileSinkError> {
    let walk = Walk::through(bytes)?;
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

/// A way through the messages of a file: the last two whole ones, and where what follows begins.
#[derive(Default)]
struct Walk {
    last: Vec<u8>,
    before: Vec<u8>,
    last_at: u64,
    at: u64,
    begun: Option<UnixNanos>,
}

impl Walk {
    fn through(bytes: &mut impl BufRead) -> Result<Walk, FileSinkError> {
        let (mut walk, mut next) = (Walk::default(), Vec::new());
        loop {
            next.clear();
            let (prefix, length) = prefix(bytes)?;
            let body = length.unwrap_or_default().min(MAX_RECORD as u64 + 1);
            bytes.by_ref().take(body).read_to_end(&mut next)?;
            let is_whole = length.is_some_and(|length| length > 0 && length == next.len() as u64);
            let is_message = is_whole && next.len() <= MAX_RECORD && begins_a_message(&next, false);
            if is_message && (walk.at > 0 || walk.begin(&next)) {
                walk.step(&mut next, prefix.len() as u64);
                continue;
            }
            let is_torn = match length {
                // Only the first bytes of a length, or nothing at all.
                None => prefix.len() < 10,
                Some(_) if is_message => ends_in_nothing(&next),
                Some(length) => {
                    length <= MAX_RECORD as u64
                        && is_torn(&next, |text| begins_a_message(text, true))
                }
            };
            // A length of zero is what a disk leaves that lost the bytes.
            return match is_torn && are_zero(bytes)? {
                true => Ok(walk),
                false if walk.at == 0 => Err(not_messages()),
                false => Err(broken(walk.at)),
            };
        }
    }

    /// Whether the first message is a record, without which the file cannot be one of ours.
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

    fn step(&mut self, next: &mut Vec<u8>, prefix: u64) {
        self.last_at = self.at;
        self.at += prefix + next.len() as u64;
        std::mem::swap(&mut self.before, &mut self.last);
        std::mem::swap(&mut self.last, next);
    }
}

/// Whether the disk lost the end of a message: a record of ours ends in its chain, never in a zero byte.
fn ends_in_nothing(message: &[u8]) -> bool {
    message.ends_with(&[0])
}

fn begins_a_message(bytes: &[u8], may_be_empty: bool) -> bool {
    bytes
        .first()
        .map_or(may_be_empty, |byte| MESSAGE_OPENINGS.contains(byte))
}

/// The bytes of a length, and the length if they are whole.
fn prefix(bytes: &mut impl BufRead) -> io::Result<(Vec<u8>, Option<u64>)> {
    let mut prefix = Vec::new();
    while prefix.len() < 10 {
        let Some(byte) = bytes.fill_buf()?.first().copied() else {
            break;
        };
        bytes.consume(1);
        prefix.push(byte);
        if byte & 0x80 == 0 {
            let length = prost::decode_length_delimiter(prefix.as_slice()).ok();
            return Ok((prefix, length.map(|length| length as u64)));
        }
    }
    Ok((prefix, None))
}

fn are_zero(bytes: &mut impl BufRead) -> io::Result<bool> {
    let mut rest = Vec::new();
    bytes
        .by_ref()
        .take(MAX_RECORD as u64)
        .read_to_end(&mut rest)?;
    Ok(rest.iter().all(|byte| *byte == 0) && bytes.fill_buf()?.is_empty())
}

// -- both

/// Whether bytes may be the beginning of a record, with zero bytes where the disk lost the rest.
fn is_torn(tail: &[u8], begins_as_ours: impl Fn(&[u8]) -> bool) -> bool {
    let written = tail
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    tail.get(..written).is_some_and(begins_as_ours)
}

fn not_lines() -> FileSinkError {
    FileSinkError::new(
        "it holds something else than lines of JSON",
        "name another file, or say `format=protobuf` if it is that",
    )
}

fn unfinished() -> FileSinkError {
    let advice = "its last line is none of ours and is not cut off; end it with a line feed, or name another file";
    FileSinkError::new("it ends in the middle of a line", advice)
}

fn not_messages() -> FileSinkError {
    let advice = "name another file, or say `format=json` if it holds lines of JSON";
    FileSinkError::new("it holds something else than records in protobuf", advice)
}

fn broken(at: u64) -> FileSinkError {
    let advice = "put the file aside under another name; the record goes on in a new one";
    FileSinkError::new(
        format!(
            "no record begins at byte {at}, where one should, so nothing can be read behind it"
        ),
        advice,
    )
}

#[cfg(test)]
mod tests;
