//! One file of an audit log: what each place in it holds, as the verifier sees it.
//!
//! Only this module of the verifier opens files of records. The [`RecordReader`] cuts the bytes;
//! [`Seen`] says what they mean. The rule: truncation or damage of a file is reported at its place.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::record::{Checkpoint, Seen, format_of};
use super::LogReadError;
use crate::record_reader::{FramingError, Piece, RecordReadError, RecordReader, Unpack};
use crate::stream::Format;

/// The number of bytes that are read to recognise a file's format.
const BEGINNING: usize = 64 << 10;

/// Where a record is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file, as it was given.
    pub file: Arc<str>,
    /// The number of the line, or of the record in a binary file, from 1.
    pub number: u64,
    /// `line` or `record`.
    pub unit: &'static str,
}

/// What was found at a place.
#[derive(Debug)]
pub enum Item {
    Record(Box<Seen>),
    /// Something that is not a record.
    Broken(&'static str),
    /// The file ends in the middle of a record, with these bytes of it and of its length.
    Torn(Format, Vec<u8>),
    /// The packed data ends too early.
    CutShort,
    /// The packed data is damaged.
    Damaged,
}

/// Distinguishes a file from another of the same name: device and inode.
pub(super) type Id = (u64, u64);

/// One file.
pub(crate) struct LogFile {
    path: PathBuf,
    pub(super) id: Id,
    name: Arc<str>,
    records: RecordReader<Unpack<File>>,
    format: Format,
    number: u64,
    is_over: bool,
}

/// Opens a file; `None` if it is empty.
pub(crate) fn open(path: &Path) -> Result<Option<LogFile>, LogReadError> {
    let failed = |problem| LogReadError::File {
        path: path.to_owned(),
        problem,
    };
    // `-` is the standard input, as in the other commands.
    let place = if path == Path::new("-") {
        Path::new("/dev/stdin")
    } else {
        path
    };
    let file = File::open(place).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(LogReadError::Directory(path.to_owned()));
    }
    let id = (about.dev(), about.ino());
    let mut records = RecordReader::unpack(file).map_err(failed)?;
    let beginning = records.peek(BEGINNING);
    let is_empty = beginning.is_empty();
    let is_checkpoint = begins_with_checkpoint(beginning);
    let format = format_of(beginning);
    // The failure is reported in its place: damage of packed data is a finding, anything else an
    // error.
    let is_failing = records.is_failing();
    let format = format.or(is_failing.then_some(Format::Json));
    if is_empty && !is_failing {
        return Ok(None);
    }
    if is_checkpoint {
        return Err(LogReadError::Checkpoints(path.to_owned()));
    }
    let format = format.ok_or_else(|| LogReadError::NoLog(path.to_owned()))?;
    let name = path.display().to_string().into();
    Ok(Some(LogFile {
        path: path.to_owned(),
        id,
        name,
        records: records.with_format(format),
        format,
        number: 0,
        is_over: false,
    }))
}

/// Returns whether the first line is a checkpoint of a checkpoint file, which has no chain.
fn begins_with_checkpoint(beginning: &[u8]) -> bool {
    let line = beginning
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    Checkpoint::read(line).is_some() && Seen::read(Format::Json, line).is_none()
}

impl LogFile {
    /// Returns whether it is packed.
    pub(crate) fn is_packed(&self) -> bool {
        self.records.is_packed()
    }

    /// Returns the next record and its place.
    pub(crate) fn next(&mut self) -> Result<Option<(Item, Place)>, LogReadError> {
        if self.is_over {
            return Ok(None);
        }
        let item = self.item()?;
        self.number += 1;
        self.is_over = !matches!(item, Some(Item::Record(_)) | Some(Item::Broken(NO_RECORD)));
        let unit = if self.format == Format::Json {
            "line"
        } else {
            "record"
        };
        Ok(item.map(|item| {
            (
                item,
                Place {
                    file: self.name.clone(),
                    number: self.number,
                    unit,
                },
            )
        }))
    }

    fn item(&mut self) -> Result<Option<Item>, LogReadError> {
        let piece = match self.records.next_piece() {
            Ok(piece) => piece,
            Err(RecordReadError::CutShort(_)) => return Ok(Some(Item::CutShort)),
            Err(RecordReadError::Damaged(_)) => return Ok(Some(Item::Damaged)),
            Err(RecordReadError::System(problem)) => {
                let path = self.path.clone();
                return Err(LogReadError::File { path, problem });
            }
        };
        Ok(match piece {
            Some(Piece::Record(raw)) => {
                let seen = Seen::read(raw.format, raw.bytes);
                Some(seen.map_or(Item::Broken(NO_RECORD), |seen| Item::Record(seen.into())))
            }
            Some(Piece::NoRecord(_, FramingError::LongLine)) => {
                Some(Item::Broken("it is longer than any record"))
            }
            Some(Piece::NoRecord(_, FramingError::NoLength)) => {
                Some(Item::Broken("its length is longer than any record"))
            }
            None => {
                let rest = self.records.unfinished();
                rest.map(|rest| Item::Torn(self.format, rest.bytes.to_vec()))
            }
        })
    }
}

const NO_RECORD: &str = "it is not a record";
