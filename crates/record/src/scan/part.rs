//! Reads one part of a file, record by record.
//!
//! The rule: every byte of a part belongs to a record that is handed over, or to something that is
//! counted. A record belongs to the part in which it begins, even if it ends in another.

use std::borrow::Cow;
use std::io::Read;
use std::ops::ControlFlow;

use super::input::{Bytes, Counted, Stretch};
use super::{FileOutcome, RecordFold, ScanError, ScanOptions};
use crate::decode::{Decoded, RecordDecodeError, decode};
use crate::proto::Record;
use crate::record_fields::RecordFields;
use crate::record_reader::{Piece, RawRecord, RecordReader};
use crate::stream::Format;

/// A record of a file.
#[derive(Clone, Copy, Debug)]
pub struct ScannedRecord<'r> {
    /// Its fields, as far as decisions have them.
    pub fields: &'r RecordFields<'r>,
    /// All of it, if it has other fields too.
    whole: Option<&'r Record>,
    raw: RawRecord<'r>,
    /// The number of bytes before it in its file, unpacked.
    pub offset: u64,
}

impl<'r> ScannedRecord<'r> {
    /// Returns all of it as the type of the proto.
    pub fn record(&self) -> Cow<'r, Record> {
        match self.whole {
            Some(record) => Cow::Borrowed(record),
            None => Cow::Owned(self.fields.to_record()),
        }
    }

    /// Returns all of it, if it has fields that no decision has.
    pub fn whole(&self) -> Option<&'r Record> {
        self.whole
    }

    /// Returns its bytes: a line without its line feed, or a message without its length.
    pub fn bytes(&self) -> &'r [u8] {
        self.raw.bytes
    }

    /// Returns its format.
    pub fn format(&self) -> Format {
        self.raw.format
    }

    /// Returns its line; `None` for a message.
    pub fn line(&self) -> Option<&'r str> {
        match self.raw.format {
            Format::Json => std::str::from_utf8(self.raw.bytes).ok(),
            Format::Protobuf => None,
        }
    }
}

impl RawRecord<'_> {
    /// Decodes the record, and calls `take` with it.
    ///
    /// # Errors
    /// If the bytes are not a record.
    pub fn scan<T>(
        &self,
        take: impl FnOnce(&ScannedRecord<'_>) -> T,
    ) -> Result<T, RecordDecodeError> {
        let (raw, offset) = (*self, self.place.offset);
        Ok(match decode(raw.format, raw.bytes)? {
            Decoded::Fields(fields) => take(&ScannedRecord {
                fields: &fields,
                whole: None,
                raw,
                offset,
            }),
            Decoded::Record(record) => take(&ScannedRecord {
                fields: &RecordFields::of(&record),
                whole: Some(&record),
                raw,
                offset,
            }),
        })
    }
}

/// A part of a file.
pub(super) struct Part {
    /// Its place among all parts.
    pub(super) order: u64,
    /// The index of its file.
    pub(super) file: usize,
    pub(super) bytes: Bytes,
}

impl Part {
    /// Folds its records into values, and hands these over.
    pub(super) fn read<T: RecordFold>(
        self,
        options: &ScanOptions<'_>,
        make: &impl Fn(usize) -> T,
        put: &mut impl FnMut(T) -> ControlFlow<()>,
    ) -> FileOutcome {
        let count = options.progress;
        let mut reading = Reading {
            outcome: FileOutcome::default(),
            make: || make(self.file),
            value: make(self.file),
            put,
            part: options.part,
            base: 0,
            end: None,
            cut: options.part,
        };
        match self.bytes {
            Bytes::None(outcome) => return outcome,
            Bytes::Whole(input) => match RecordReader::unpack(Counted { input, count }) {
                Ok(mut reader) => reading.run(&mut reader),
                Err(why) => reading.outcome.failure = Some(ScanError::Open(why)),
            },
            Bytes::Stretch(file, from, to) => {
                reading.end = to;
                let input = |at| Counted {
                    input: Stretch::of(file, at),
                    count,
                };
                match from.checked_sub(1) {
                    None => reading.run(&mut RecordReader::new(input(0)).with_format(Format::Json)),
                    Some(before) => {
                        reading.base = before;
                        reading.cut += before;
                        reading.run(&mut RecordReader::within_line(input(before)));
                    }
                }
            }
        }
        let Reading { outcome, .. } = reading;
        outcome
    }
}

struct Reading<'p, T, M, P> {
    outcome: FileOutcome,
    make: M,
    value: T,
    put: &'p mut P,
    part: u64,
    /// Where the reader began in the file.
    base: u64,
    /// Records that begin here or later belong to another part.
    end: Option<u64>,
    /// Where the value is handed over.
    cut: u64,
}

impl<T: RecordFold, M: Fn() -> T, P: FnMut(T) -> ControlFlow<()>> Reading<'_, T, M, P> {
    fn run<R: Read>(&mut self, reader: &mut RecordReader<R>) {
        loop {
            let piece = match reader.next_piece() {
                Ok(Some(piece)) => piece,
                Ok(None) => break self.last(reader),
                Err(why) => break self.outcome.failure = Some(ScanError::Read(why)),
            };
            let at = self.base.saturating_add(match &piece {
                Piece::Record(raw) => raw.place.offset,
                Piece::NoRecord(place, _) => place.offset,
            });
            if self.end.is_some_and(|end| at >= end) {
                break;
            }
            if at >= self.cut {
                self.cut = at.saturating_add(self.part);
                let value = std::mem::replace(&mut self.value, (self.make)());
                if (self.put)(value).is_break() {
                    return;
                }
            }
            match piece {
                Piece::Record(raw) => {
                    if let Err(why) = self.record(raw, at) {
                        self.no_record(at, why.to_string());
                    }
                }
                Piece::NoRecord(_, why) => self.no_record(at, why.to_string()),
            }
        }
        let value = std::mem::replace(&mut self.value, (self.make)());
        // Whether others go on is not the matter of a part that is over.
        let _ = (self.put)(value);
    }

    fn record(&mut self, mut raw: RawRecord<'_>, at: u64) -> Result<(), RecordDecodeError> {
        if raw.format == Format::Json && raw.bytes.trim_ascii().is_empty() {
            return Ok(());
        }
        raw.place.offset = at;
        raw.scan(|record| self.value.take(record))?;
        self.outcome.records += 1;
        Ok(())
    }

    fn no_record(&mut self, at: u64, why: String) {
        self.outcome.no_records += 1;
        self.outcome.first_no_record.get_or_insert((at, why));
    }

    /// Takes what is left at the end of a file; a line that only lacks its line feed is whole.
    fn last<R: Read>(&mut self, reader: &mut RecordReader<R>) {
        let Some(rest) = reader.unfinished() else {
            return;
        };
        let at = self.base.saturating_add(rest.place.offset);
        let is_elsewhere = self.end.is_some_and(|end| at >= end);
        if is_elsewhere || rest.bytes.trim_ascii().is_empty() {
            return;
        }
        let is_whole = rest
            .as_line()
            .is_some_and(|line| self.record(line, at).is_ok());
        if !is_whole {
            self.outcome.torn = rest.bytes.len();
        }
    }
}
