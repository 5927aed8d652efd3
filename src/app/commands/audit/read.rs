//! Reads the files of the audit log, for the tools that show and count records.
//!
//! It verifies nothing; that is another command's. The [`RecordReader`] cuts and decodes the bytes. The rule: bytes that are
//! not a record are reported as such and skipped.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use customs_record::decode::RecordDecodeError;
use customs_record::proto::Record;
use customs_record::record_reader::{Piece, RawRecord, RecordReader, Unpack};
use customs_record::stream::Format;

/// One thing that a file holds.
#[derive(Debug, PartialEq)]
pub enum LogItem<'b> {
    /// A record, and its line where it is one.
    Record(Box<Record>, Option<&'b str>),
    /// Something that is not a record, and why.
    NoRecord(String),
    /// So many bytes of a record that has no end.
    Torn(usize),
}

/// What a piece is; an empty line is nothing.
fn item(piece: Piece<'_>) -> Option<LogItem<'_>> {
    match piece {
        Piece::NoRecord(_, why) => Some(LogItem::NoRecord(why.to_string())),
        Piece::Record(raw) if raw.format == Format::Json && raw.bytes.trim_ascii().is_empty() => {
            None
        }
        Piece::Record(raw) => {
            Some(record(raw).unwrap_or_else(|why| LogItem::NoRecord(why.to_string())))
        }
    }
}

fn record(raw: RawRecord<'_>) -> Result<LogItem<'_>, RecordDecodeError> {
    let record = Box::new(raw.decode()?);
    let line = match raw.format {
        Format::Json => std::str::from_utf8(raw.bytes).ok(),
        Format::Protobuf => None,
    };
    Ok(LogItem::Record(record, line))
}

/// Tells every item that is there, until it is not asked to go on.
///
/// # Errors
/// What the system says; what came before it was told.
pub fn each<R: Read>(
    reader: &mut RecordReader<R>,
    mut take: impl FnMut(LogItem<'_>) -> bool,
) -> io::Result<()> {
    while let Some(piece) = reader.next_piece()? {
        if let Some(item) = item(piece)
            && !take(item)
        {
            break;
        }
    }
    Ok(())
}

/// What is left where a file ends: a line that only lacks its line feed is whole.
pub fn last<R: Read>(reader: &mut RecordReader<R>) -> Option<LogItem<'_>> {
    let rest = reader.unfinished()?;
    if rest.bytes.trim_ascii().is_empty() {
        return None;
    }
    let whole = rest.as_line().and_then(|line| record(line).ok());
    Some(whole.unwrap_or(LogItem::Torn(rest.bytes.len())))
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
    /// Counts an item.
    pub fn take(&mut self, item: &LogItem<'_>) {
        match item {
            LogItem::Record(..) => self.records += 1,
            LogItem::NoRecord(_) | LogItem::Torn(_) => self.others += 1,
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
pub fn open(path: &Path) -> Result<RecordReader<Unpack<Box<dyn Read>>>, LogFileError> {
    let told = |why| LogFileError::read(path, why);
    let file: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(path).map_err(told)?),
    };
    RecordReader::unpack(file).map_err(told)
}

#[cfg(test)]
mod tests;
