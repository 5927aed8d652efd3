//! Reads the record where it lies: lines of JSON, protobuf behind its length, either with gzip.
//!
//! It verifies nothing; that is another command's. The rules: every form becomes the one type of the proto, by the
//! descriptors that the type was made with, so a field that is added there is read here; what is no record is told as
//! such and read over; and memory does not grow with what is read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::LazyLock;

use flate2::bufread::MultiGzDecoder;
use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor};

use customs_record::proto::{DESCRIPTORS, Record};

/// The most bytes of one record. The largest that is written, a change with many problems, is a small part of it.
const MAX_RECORD: usize = 4 << 20;

/// How many bytes are read at once.
const CHUNK: usize = 64 << 10;

/// How many bytes tell a form from the other.
const SAMPLE: usize = 16;

static RECORD: LazyLock<Option<MessageDescriptor>> = LazyLock::new(|| {
    DescriptorPool::decode(DESCRIPTORS)
        .ok()?
        .get_message_by_name("customs.audit.v1.Record")
});

/// What stands in a file, one after another.
#[derive(Debug, PartialEq)]
pub enum Piece<'b> {
    /// A record, and its line where it is one.
    Record(Box<Record>, Option<&'b str>),
    /// Something that is no record, and why.
    NoRecord(String),
    /// So many bytes of a record that has no end.
    Torn(usize),
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Lines,
    Messages,
    /// It cannot be told any more where a record begins.
    Unreadable,
}

/// Cuts the bytes of one file into records, however they come.
#[derive(Debug, Default)]
pub struct Splitter {
    held: Vec<u8>,
    /// Where what was not told yet begins.
    from: usize,
    /// How much of that is known to have no line feed.
    looked: usize,
    form: Option<Form>,
    /// Whether the rest of a line that is too long is being read over.
    is_skipping: bool,
}

impl Splitter {
    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.drain(..self.from);
        self.from = 0;
        self.held.extend_from_slice(bytes);
    }

    /// The next whole record; `None` until more bytes come.
    pub fn next_piece(&mut self) -> Option<Piece<'_>> {
        let rest = self.held.get(self.from..).unwrap_or_default();
        if self.form.is_none() && rest.len() >= SAMPLE {
            self.form = Some(form(rest));
        }
        match self.form? {
            Form::Lines => self.next_line(),
            Form::Messages => self.next_message(),
            Form::Unreadable => {
                self.from = self.held.len();
                None
            }
        }
    }

    /// What is left where a file ends.
    pub fn last(&mut self) -> Option<Piece<'_>> {
        let rest = self.held.get(self.from..).unwrap_or_default();
        self.from = self.held.len();
        if rest.trim_ascii().is_empty() || self.is_skipping || self.form == Some(Form::Unreadable) {
            return None;
        }
        let whole = if self.form == Some(Form::Messages) {
            None
        } else {
            line(rest).ok()
        };
        Some(whole.unwrap_or(Piece::Torn(rest.len())))
    }

    fn next_line(&mut self) -> Option<Piece<'_>> {
        loop {
            let rest = self.held.get(self.from..).unwrap_or_default();
            let fresh = rest.get(self.looked..).unwrap_or_default();
            let Some(length) = fresh
                .iter()
                .position(|byte| *byte == b'\n')
                .map(|at| at + self.looked)
            else {
                self.looked = rest.len();
                if rest.len() > MAX_RECORD {
                    (self.from, self.looked) = (self.held.len(), 0);
                    if !std::mem::replace(&mut self.is_skipping, true) {
                        return Some(Piece::NoRecord(format!(
                            "a line is longer than {MAX_RECORD} bytes"
                        )));
                    }
                }
                return None;
            };
            let start = self.from;
            (self.from, self.looked) = (start + length + 1, 0);
            let text = self.held.get(start..start + length).unwrap_or_default();
            if !std::mem::take(&mut self.is_skipping) && !text.trim_ascii().is_empty() {
                return Some(line(text).unwrap_or_else(|why| Piece::NoRecord(why.to_string())));
            }
        }
    }

    fn next_message(&mut self) -> Option<Piece<'_>> {
        let rest = self.held.get(self.from..).unwrap_or_default();
        let length = match prost::decode_length_delimiter(rest) {
            Ok(length) if length <= MAX_RECORD => length,
            // A length has at most ten bytes.
            Err(_) if rest.len() < 10 => return None,
            Ok(_) | Err(_) => {
                self.form = Some(Form::Unreadable);
                return Some(Piece::NoRecord(
                    "no record begins here, and nothing behind it can be read".into(),
                ));
            }
        };
        let start = prost::length_delimiter_len(length);
        let message = rest.get(start..start + length)?;
        self.from += start + length;
        let known = |record: &Record| !record.kind.is_empty();
        Some(match Record::decode(message) {
            Ok(record) if known(&record) => Piece::Record(Box::new(record), None),
            Ok(_) => Piece::NoRecord("a message has no kind".into()),
            Err(why) => Piece::NoRecord(why.to_string()),
        })
    }
}

/// A message is behind its length and begins with its time: field 1, a message that begins with a number. One that has
/// none begins with its kind. No text has such bytes.
fn form(sample: &[u8]) -> Form {
    let begins = prost::decode_length_delimiter(sample)
        .ok()
        .and_then(|length| {
            let message = sample.get(prost::length_delimiter_len(length)..)?;
            Some(matches!(
                message,
                [0x0a, 1..=24, 0x08 | 0x10, ..]
                    | [0x0a, 0, 0x12, ..]
                    | [0x12, 1..=24, b'a'..=b'z', ..]
            ))
        });
    if begins == Some(true) {
        Form::Messages
    } else {
        Form::Lines
    }
}

/// Why a line is no record.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(transparent)]
    Encoding(#[from] std::str::Utf8Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Message(#[from] prost::DecodeError),
    #[error("it has no `kind`")]
    NoKind,
    #[error("there is no descriptor of the record")]
    NoDescriptor,
}

/// A record from its line.
fn line(text: &[u8]) -> Result<Piece<'_>, RecordError> {
    let text = std::str::from_utf8(text)?;
    let record = record(text)?;
    if record.kind.is_empty() {
        return Err(RecordError::NoKind);
    }
    Ok(Piece::Record(Box::new(record), Some(text)))
}

fn record(line: &str) -> Result<Record, RecordError> {
    let descriptor = RECORD.clone().ok_or(RecordError::NoDescriptor)?;
    let mut json = serde_json::Deserializer::from_str(line);
    // A newer server may write fields that are not known here.
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let message = DynamicMessage::deserialize_with_options(descriptor, &mut json, &options)?;
    json.end()?;
    Ok(message.transcode_to()?)
}

/// A record as a line of JSON without its end: ASCII, with the fields in the order of their numbers.
pub fn to_line(record: &Record) -> Option<String> {
    let mut message = DynamicMessage::new(RECORD.clone()?);
    message.transcode_from(record).ok()?;
    let text = serde_json::to_string(&message).ok()?;
    // Only within texts is there anything but printable ASCII, and there each character may be escaped.
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, ' '..='~') {
            out.push(character);
        } else {
            let units = &mut [0; 2];
            character
                .encode_utf16(units)
                .iter()
                .for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    Some(out)
}

/// Why a log cannot be shown or counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogFileError {
    /// The system does not let it be read.
    #[error("cannot read {path}: {why}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// Reading broke off.
    #[error("cannot read {path} to its end: {why}; what comes before is counted")]
    Partial {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// It holds something else.
    #[error(
        "{0} is no audit log: it holds no record; name a file that customs wrote with `--audit`"
    )]
    NoLog(String),
    /// What cannot be asked for more.
    #[error(
        "--follow: the standard input cannot be followed; leave the flag out, it is read to its end"
    )]
    FollowStdin,
}

impl LogFileError {
    /// For a file that the system does not let be read.
    pub fn read(path: &Path, why: io::Error) -> LogFileError {
        LogFileError::Read {
            path: path.display().to_string(),
            why,
        }
    }
}

/// What a file was found to hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    records: u64,
    others: u64,
}

impl Held {
    /// Counts a piece.
    pub fn take(&mut self, piece: &Piece<'_>) {
        match piece {
            Piece::Record(..) => self.records += 1,
            Piece::NoRecord(_) | Piece::Torn(_) => self.others += 1,
        }
    }

    /// Whether it is an audit log, as far as it was read: an empty file may become one, but not a file that holds something
    /// and no record.
    ///
    /// # Errors
    /// If it is none.
    pub fn is_log(self, path: &Path) -> Result<(), LogFileError> {
        if self.records == 0 && self.others > 0 {
            return Err(LogFileError::NoLog(path.display().to_string()));
        }
        Ok(())
    }
}

/// Opens a file, or the standard input for `-`, and undoes its compression.
///
/// # Errors
/// What the system says, with the file's name.
pub fn open(path: &Path) -> Result<Box<dyn Read>, LogFileError> {
    let told = |why| LogFileError::read(path, why);
    let file: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(path).map_err(told)?),
    };
    let mut file = BufReader::with_capacity(CHUNK, file);
    let is_gzip = file.fill_buf().map_err(told)?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_gzip {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    })
}

/// Tells every piece up to the end, or until it is not asked to go on.
///
/// # Errors
/// What the system says; what came before it was told.
pub fn each(from: &mut dyn Read, mut take: impl FnMut(Piece<'_>) -> bool) -> io::Result<()> {
    let mut splitter = Splitter::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut chunk) {
            Ok(read) => read,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            Err(why) => return Err(why),
        };
        splitter.push(chunk.get(..read).unwrap_or_default());
        while let Some(piece) = splitter.next_piece() {
            if !take(piece) {
                return Ok(());
            }
        }
        if read == 0 {
            splitter.last().map(take);
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
