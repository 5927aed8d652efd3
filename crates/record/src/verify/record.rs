//! One record as it is in a file: its position in the stream, and the very bytes that its chain
//! covers.
//!
//! It renders nothing and judges nothing. The rule: bytes are taken as they are, never rendered
//! again from the decoded record. There is one exception: to find what was changed, a record is
//! tried with another number, stream or kind, and then the chain has to agree.

mod restate;
mod written;

use prost::Message;
use serde::Deserialize;

use crate::Loss;
use crate::chain::Head;
use crate::stream::Format;
use crate::{proto, timestamp};
use customs_engine::time::UnixNanos;

/// The word for a file before that another process deleted.
const DELETED: &str = "deleted";
const MOVED: &str = "moved";

/// The bytes before the 64 digits of the chain of a line.
const JSON_CHAIN: &str = ",\"chain\":\"";

/// The same in a message: the tag of its last field and the length of the digits.
const PROTOBUF_CHAIN: &[u8] = &[0x82, 0x7d, 0x40];

/// How many digits a chain has.
const DIGITS: usize = 64;

/// A record that was read.
#[derive(Clone, Debug)]
pub struct Seen {
    pub time: String,
    pub kind: String,
    pub stream: String,
    pub sequence: u64,
    pub chain: Head,
    /// The bytes that the chain covers.
    pub body: Vec<u8>,
    pub about: About,
    format: Format,
}

/// What the verifier needs of a record besides its position.
#[derive(Clone, Debug)]
pub enum About {
    Decision,
    Stream(Link),
    Gap(Loss),
    Checkpoint(Checkpoint),
    PolicyChange(ChangedRevision),
    Other,
}

/// The revision in force after a policy change, and the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedRevision {
    pub revision: String,
    pub previous: String,
}

/// The record before the first record of a stream or of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub sink: String,
    pub filter: String,
    pub previous: Option<At>,
    pub torn_bytes: u64,
    /// Another process deleted the file before while it was written.
    pub is_before_deleted: bool,
    /// Another process moved it.
    pub is_before_moved: bool,
}

/// A position behind a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    pub stream: String,
    pub sequence: u64,
    pub head: Head,
}

/// The content of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub time: String,
    pub stream: String,
    pub records: u64,
    pub head: String,
    pub is_final: bool,
    pub key: String,
    pub signature: String,
    /// The sink whose stream it covers, if a checkpoint file says so.
    pub sink: String,
}

/// The fields of a line that are read if its beginning does not say enough.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    time: String,
    kind: String,
    sink: String,
    filter: String,
    previous_stream: String,
    previous_sequence: Number,
    previous_chain: String,
    torn_bytes: Number,
    previous_file: String,
    lost: LostLine,
    sealed_stream: String,
    records: Number,
    head: String,
    #[serde(rename = "final")]
    is_final: bool,
    key: String,
    signature: String,
    revision: String,
    previous_revision: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LostLine {
    allows: Number,
    denials: Number,
    differing: Number,
    withheld: Number,
    events: Number,
}

/// A 64-bit number, which is text in JSON.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
struct Number(u64);

impl TryFrom<String> for Number {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Number, Self::Error> {
        text.parse().map(Number)
    }
}

impl Seen {
    /// Reads a line without its line feed, or a message without its length; `None` if it is not a
    /// record.
    pub fn read(format: Format, bytes: &[u8]) -> Option<Seen> {
        match format {
            Format::Json => read_line(bytes),
            Format::Protobuf => read_message(bytes),
        }
    }

    /// Returns the position behind it.
    pub fn at(&self) -> At {
        At {
            stream: self.stream.clone(),
            sequence: self.sequence,
            head: self.chain,
        }
    }

    /// Returns whether its chain follows from that one.
    pub fn fits(&self, head: &Head) -> bool {
        head.then(&self.body) == self.chain
    }

    /// Returns its link to the record before, if it is the first record of a stream or of a file.
    pub fn link(&self) -> Option<&Link> {
        match &self.about {
            About::Stream(link) => Some(link),
            _ => None,
        }
    }

    /// Returns whether it is the first record of a stream or of a file and consistent in itself:
    /// its number and its chain follow from the link that it declares.
    pub fn is_consistent(&self) -> bool {
        let Some(link) = self.link() else {
            return false;
        };
        let (number, head) = match &link.previous {
            Some(previous) if previous.stream == self.stream => {
                (previous.sequence.saturating_add(1), previous.head)
            }
            Some(previous) => (1, previous.head),
            None => (1, Head::START),
        };
        self.sequence == number && self.fits(&head)
    }

    /// Returns whether it is the next record.
    pub fn follows(&self, at: Option<&At>) -> bool {
        let Some(at) = at else {
            return self.is_consistent();
        };
        let number = if self.stream == at.stream {
            at.sequence.checked_add(1)
        } else {
            Some(1)
        };
        let is_joined = match self.link() {
            Some(link) => link.previous.as_ref() == Some(at),
            None => self.stream == at.stream,
        };
        is_joined && Some(self.sequence) == number && self.fits(&at.head)
    }

    /// Returns the revision that decided, of a record that names one.
    pub fn revision(&self) -> Option<String> {
        let revision = match self.format {
            Format::Json => {
                let line = [self.body.as_slice(), b"}"].concat();
                serde_json::from_slice::<Line>(&line).ok()?.revision
            }
            Format::Protobuf => proto::Record::decode(self.body.as_slice()).ok()?.revision,
        };
        (!revision.is_empty()).then_some(revision)
    }
}

/// Returns whether the bytes of an unfinished record hold a whole one that follows from this head.
/// If so, they are not the rest of an interrupted write, but a record with a damaged end or length.
pub(super) fn is_whole(format: Format, rest: &[u8], head: Option<&Head>) -> bool {
    let Some((body, chain, end)) = chain_within(format, rest) else {
        return false;
    };
    let fits = |body: &[u8]| head.is_none_or(|head| head.then(body) == chain);
    match format {
        // A line that only lacks its line feed is unfinished.
        Format::Json => end < rest.len() && fits(body),
        // A damaged length may have taken a byte of the record, or left one of its own.
        Format::Protobuf => (0..=10).filter_map(|prefix| body.get(prefix..)).any(fits),
    }
}

/// Finds the first chain in these bytes: the bytes before it, its value, and where it ends.
fn chain_within(format: Format, bytes: &[u8]) -> Option<(&[u8], Head, usize)> {
    let (mark, after) = match format {
        Format::Json => (JSON_CHAIN.as_bytes(), 2),
        Format::Protobuf => (PROTOBUF_CHAIN, 0),
    };
    let at = bytes
        .windows(mark.len())
        .position(|window| window == mark)?;
    let digits = bytes.get(at + mark.len()..)?.get(..DIGITS)?;
    let head = Head::parse(std::str::from_utf8(digits).ok()?)?;
    let end = at + mark.len() + DIGITS + after;
    (bytes.len() >= end).then_some((bytes.get(..at)?, head, end))
}

/// Recognises the format of a file by its beginning; `None` if it holds no record.
pub(super) fn format_of(beginning: &[u8]) -> Option<Format> {
    let json = chain_within(Format::Json, beginning).map(|(body, ..)| body);
    // A message may hold text that looks like a line; a line holds nothing that looks like a
    // message.
    match (
        chain_within(Format::Protobuf, json.unwrap_or(beginning)),
        json,
    ) {
        (Some(_), _) => Some(Format::Protobuf),
        (None, Some(_)) => Some(Format::Json),
        (None, None) => format_of_torn(beginning),
    }
}

/// Recognises the format of a file without a single whole record.
fn format_of_torn(beginning: &[u8]) -> Option<Format> {
    let first = b"{\"time\":\"";
    if beginning.starts_with(first) || first.starts_with(beginning) {
        return Some(Format::Json);
    }
    // No record is so short that its length takes one byte, and its first field is the time.
    let (length, rest) =
        beginning.split_at(beginning.iter().take_while(|byte| **byte >= 0x80).count());
    let is_message = (1..=3).contains(&length.len()) && rest.get(1).is_none_or(|tag| *tag == 0x0a);
    is_message.then_some(Format::Protobuf)
}

impl Checkpoint {
    /// Reads a line of a checkpoint file; `None` if it is something else.
    pub fn read(line: &[u8]) -> Option<Checkpoint> {
        let line: Line = serde_json::from_slice(line).ok()?;
        let checkpoint = (line.kind == "checkpoint").then(|| line.checkpoint())?;
        (is_time(&checkpoint.time) && !checkpoint.stream.is_empty()).then_some(checkpoint)
    }
}

impl Line {
    fn about(self, kind: &str) -> Option<About> {
        Some(match kind {
            "stream" => About::Stream(Link {
                previous: previous(
                    &self.previous_stream,
                    self.previous_sequence.0,
                    &self.previous_chain,
                )?,
                sink: self.sink,
                filter: self.filter,
                torn_bytes: self.torn_bytes.0,
                is_before_deleted: self.previous_file == DELETED,
                is_before_moved: self.previous_file == MOVED,
            }),
            "gap" => About::Gap(Loss {
                allows: self.lost.allows.0,
                denials: self.lost.denials.0,
                differing: self.lost.differing.0,
                withheld: self.lost.withheld.0,
                events: self.lost.events.0,
            }),
            "policyChange" => About::PolicyChange(ChangedRevision {
                revision: self.revision,
                previous: self.previous_revision,
            }),
            _ => About::Checkpoint(self.checkpoint()),
        })
    }

    fn checkpoint(self) -> Checkpoint {
        Checkpoint {
            time: self.time,
            stream: self.sealed_stream,
            records: self.records.0,
            head: self.head,
            is_final: self.is_final,
            key: self.key,
            signature: self.signature,
            sink: self.sink,
        }
    }
}

/// Returns `Some(None)` if there is no record before, and `None` if the fields are inconsistent.
fn previous(stream: &str, sequence: u64, chain: &str) -> Option<Option<At>> {
    if stream.is_empty() {
        return (sequence == 0 && chain.is_empty()).then_some(None);
    }
    Some(Some(At {
        stream: stream.to_owned(),
        sequence,
        head: Head::parse(chain)?,
    }))
}

fn is_time(text: &str) -> bool {
    (20..=40).contains(&text.len())
        && text
            .bytes()
            .all(|c| matches!(c, b'0'..=b'9' | b'T' | b'Z' | b':' | b'.' | b'-'))
}

fn read_line(line: &[u8]) -> Option<Seen> {
    let text = std::str::from_utf8(line)
        .ok()
        .filter(|text| text.is_ascii())?;
    let (body, end) =
        text.split_at_checked(text.len().checked_sub(JSON_CHAIN.len() + DIGITS + 2)?)?;
    let chain = Head::parse(end.strip_prefix(JSON_CHAIN)?.strip_suffix("\"}")?)?;
    let (time, rest) = body.strip_prefix("{\"time\":\"")?.split_once('"')?;
    let (kind, rest) = rest.strip_prefix(",\"kind\":\"")?.split_once('"')?;
    let (stream, rest) = rest.strip_prefix(",\"stream\":\"")?.split_once('"')?;
    let (number, _) = rest.strip_prefix(",\"sequence\":\"")?.split_once('"')?;
    let sequence = number
        .parse()
        .ok()
        .filter(|n: &u64| !number.starts_with(['0', '+']) && *n > 0)?;
    let about = match kind {
        "decision" => About::Decision,
        "stream" | "gap" | "checkpoint" | "policyChange" => {
            serde_json::from_str::<Line>(&format!("{body}}}"))
                .ok()?
                .about(kind)?
        }
        _ => About::Other,
    };
    let (time, kind, stream) = (time.to_owned(), kind.to_owned(), stream.to_owned());
    Some(Seen {
        time,
        kind,
        stream,
        sequence,
        chain,
        body: body.into(),
        about,
        format: Format::Json,
    })
}

fn read_message(bytes: &[u8]) -> Option<Seen> {
    let (body, end) =
        bytes.split_at_checked(bytes.len().checked_sub(PROTOBUF_CHAIN.len() + DIGITS)?)?;
    let digits = end.strip_prefix(PROTOBUF_CHAIN)?;
    let chain = Head::parse(std::str::from_utf8(digits).ok()?)?;
    let record = proto::Record::decode(body)
        .ok()
        .filter(|record| record.sequence > 0)?;
    let time = record.time.as_ref()?;
    let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let time = timestamp::text(UnixNanos(nanos));
    let about = match record.kind.as_str() {
        "decision" => About::Decision,
        "stream" => About::Stream(Link {
            previous: previous(
                &record.previous_stream,
                record.previous_sequence,
                &record.previous_chain,
            )?,
            sink: record.sink,
            filter: record.filter,
            torn_bytes: record.torn_bytes,
            is_before_deleted: record.previous_file == DELETED,
            is_before_moved: record.previous_file == MOVED,
        }),
        "gap" => About::Gap(record.lost.unwrap_or_default().into()),
        "checkpoint" => About::Checkpoint(Checkpoint {
            time: time.clone(),
            stream: record.sealed_stream,
            records: record.records,
            head: record.head,
            is_final: record.r#final,
            key: record.key,
            signature: record.signature,
            sink: record.sink,
        }),
        "policyChange" => About::PolicyChange(ChangedRevision {
            revision: record.revision,
            previous: record.previous_revision,
        }),
        _ => About::Other,
    };
    let (kind, stream, sequence) = (record.kind, record.stream, record.sequence);
    Some(Seen {
        time,
        kind,
        stream,
        sequence,
        chain,
        body: body.into(),
        about,
        format: Format::Protobuf,
    })
}
