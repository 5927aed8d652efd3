//! Reads one file of the audit log as it grows, for the tool that shows records.
//!
//! It verifies nothing; that is the task of `audit verify`. The [`RecordReader`] splits and decodes
//! the bytes. The rule: bytes that are not a record are reported and skipped.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::app::record_files::RecordFileError;
use customs_record::decode::RecordDecodeError;
use customs_record::proto::Record;
use customs_record::record_reader::{Piece, RawRecord, RecordReader, Unpack};
use customs_record::stream::Format;

/// One element of a file.
#[derive(Debug, PartialEq)]
pub(super) enum LogItem<'b> {
    /// A record, and its line if the format is JSON.
    Record(Box<Record>, Option<&'b str>),
    /// Something that is not a record, and why.
    NoRecord(String),
    /// The number of bytes of an incomplete record at the end.
    Torn(usize),
}

/// Converts a piece; an empty line is skipped.
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

/// Calls `take` for every item up to the current end, or until it returns false.
///
/// # Errors
/// Returns the error of the operating system; the pieces before it were passed on.
pub(super) fn each<R: Read>(
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

/// Returns what is left at the end of a file; a line that only lacks its line feed is complete.
pub(super) fn last<R: Read>(reader: &mut RecordReader<R>) -> Option<LogItem<'_>> {
    let rest = reader.unfinished()?;
    if rest.bytes.trim_ascii().is_empty() {
        return None;
    }
    let whole = rest.as_line().and_then(|line| record(line).ok());
    Some(whole.unwrap_or(LogItem::Torn(rest.bytes.len())))
}

/// The content of a file, as far as it was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FileContent {
    records: u64,
    others: u64,
}

impl FileContent {
    /// Counts an item.
    pub(super) fn take(&mut self, item: &LogItem<'_>) {
        match item {
            LogItem::Record(..) => self.records += 1,
            LogItem::NoRecord(_) | LogItem::Torn(_) => self.others += 1,
        }
    }

    /// Checks whether it is an audit log, as far as it was read. An empty file may become one; a
    /// file with content and without a record is not one.
    ///
    /// # Errors
    /// If it is not one.
    pub(super) fn is_log(self, path: &Path) -> Result<(), RecordFileError> {
        if self.records == 0 && self.others > 0 {
            return Err(RecordFileError::NoLog(path.display().to_string()));
        }
        Ok(())
    }
}

/// Opens a file, or stdin for `-`, and decompresses it.
///
/// # Errors
/// Returns the error of the operating system, with the file's name.
pub(super) fn open(path: &Path) -> Result<RecordReader<Unpack<Box<dyn Read>>>, RecordFileError> {
    let unreadable = |why| RecordFileError::read(path, why);
    let file: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(path).map_err(unreadable)?),
    };
    RecordReader::unpack(file).map_err(unreadable)
}

#[cfg(test)]
mod tests;
