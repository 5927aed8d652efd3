//! The output of `customs audit tail`: one line per record, as text or as it was written. A search
//! formats its lines as it does.
//!
//! The rule: each line is flushed at once, so that a pipe shows the same as a terminal, and the
//! tool exits without an error when the reader of its output has gone away.

use std::io::{self, Write};

use crate::app::cli::{TailArgs, TailFormat};
use crate::app::terminal;
use customs_record::decode;
use customs_record::pretty;
use customs_record::proto::Record;

/// How a record becomes a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineFormat {
    format: TailFormat,
    is_coloured: bool,
}

impl LineFormat {
    /// Returns the format that the flags select.
    pub(super) fn of(format: TailFormat) -> LineFormat {
        LineFormat {
            format,
            is_coloured: terminal::takes_colours(&io::stdout()),
        }
    }

    /// Returns a record as a line: as the given one, if there is one.
    pub(super) fn line(self, record: &Record, line: Option<&str>) -> String {
        let is_safe = |line: &&str| line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        match (self.format, line.filter(is_safe)) {
            (TailFormat::Pretty, _) => pretty::line(record, self.is_coloured),
            // As it was written, including unknown fields.
            (TailFormat::Json, Some(line)) => line.to_owned(),
            (TailFormat::Json, None) => decode::to_line(record).unwrap_or_default(),
        }
    }
}

/// The output for records.
pub(super) struct RecordOutput {
    format: LineFormat,
    /// How many more to print; `None` means all.
    left: Option<u64>,
}

impl RecordOutput {
    /// Creates the output that the flags select.
    pub(super) fn of(args: &TailArgs) -> RecordOutput {
        RecordOutput {
            format: LineFormat::of(args.format),
            left: args.count,
        }
    }

    /// Returns whether more records are to be printed.
    pub(super) fn is_open(&self) -> bool {
        self.left != Some(0)
    }

    /// Prints a record, as the given line if there is one; returns false if no more are to be
    /// printed.
    pub(super) fn show(&mut self, record: &Record, line: Option<&str>) -> bool {
        if !self.is_open() {
            return false;
        }
        let text = self.format.line(record, line);
        self.left = self.left.map(|left| left - 1);
        let mut out = io::stdout().lock();
        if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
            self.left = Some(0);
        }
        self.is_open()
    }
}
