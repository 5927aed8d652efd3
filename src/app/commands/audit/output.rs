//! Where `customs audit tail` shows records: a line each, for people or as it was written.
//!
//! The rule: each line is written out at once, so that a pipe shows what a terminal does, and it ends without a word when
//! nobody reads on.

use std::io::{self, IsTerminal, Write};

use super::pretty;
use crate::app::cli::{Color, TailArgs, TailFormat};
use customs_record::decode;
use customs_record::proto::Record;

/// Where records are shown.
pub struct RecordOutput {
    format: TailFormat,
    is_coloured: bool,
    /// How many more; `None` is all.
    left: Option<u64>,
}

impl RecordOutput {
    /// As the flags ask.
    pub fn of(args: &TailArgs) -> RecordOutput {
        // As no-color.org has it: any value but an empty one.
        let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_coloured = match args.color {
            Color::Auto => io::stdout().is_terminal() && !is_refused,
            Color::Always => true,
            Color::Never => false,
        };
        RecordOutput {
            format: args.format,
            is_coloured,
            left: args.count,
        }
    }

    /// Whether more is to be shown.
    pub fn is_open(&self) -> bool {
        self.left != Some(0)
    }

    /// Shows a record, whose line is this one if it has one; false if no more are to be shown.
    pub fn show(&mut self, record: &Record, line: Option<&str>) -> bool {
        if !self.is_open() {
            return false;
        }
        let is_safe = |line: &&str| line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let text = match (self.format, line.filter(is_safe)) {
            (TailFormat::Pretty, _) => pretty::line(record, self.is_coloured),
            // As it was written, also with what is not known here.
            (TailFormat::Json, Some(line)) => line.to_owned(),
            (TailFormat::Json, None) => decode::to_line(record).unwrap_or_default(),
        };
        self.left = self.left.map(|left| left - 1);
        let mut out = io::stdout().lock();
        if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
            self.left = Some(0);
        }
        self.is_open()
    }
}
