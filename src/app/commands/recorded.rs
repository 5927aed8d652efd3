//! Reads the records of an audit log for the tools that judge policies by them.
//!
//! It verifies nothing; that is the task of `audit verify`. The rule: what cannot be read is
//! printed, and what is not a record is counted.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::audit::read::{self, FileContent, LogItem};
use super::print_error;
use crate::app::cli::RecordArgs;
use crate::app::record_files::RecordFileError;
use customs_record::proto::Record;
use customs_record::segment_name::is_index;

/// The time of the decisions that are looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecordWindow {
    /// The first moment.
    pub since: Option<Timestamp>,
    /// The first moment after it.
    pub until: Option<Timestamp>,
}

impl RecordWindow {
    /// Returns the window that the flags name.
    pub(super) fn of(args: &RecordArgs) -> RecordWindow {
        RecordWindow {
            since: args.since,
            until: args.until,
        }
    }

    /// Returns whether it holds a time. A record without one is only in a window without bounds.
    pub(super) fn holds(&self, time: Option<Timestamp>) -> bool {
        self.overlaps(time, time)
    }

    /// Returns whether it holds some time from `first` to `last`.
    pub(super) fn overlaps(&self, first: Option<Timestamp>, last: Option<Timestamp>) -> bool {
        let is_late = |since| last.is_some_and(|last| last >= since);
        let is_early = |until| first.is_some_and(|first| first < until);
        self.since.is_none_or(is_late) && self.until.is_none_or(is_early)
    }

    /// Returns the window in words.
    pub(super) fn in_words(&self) -> String {
        match (self.since, self.until) {
            (None, None) => "at any time".to_owned(),
            (Some(since), None) => format!("from {since} on"),
            (None, Some(until)) => format!("before {until}"),
            (Some(since), Some(until)) => format!("from {since} to {until}"),
        }
    }
}

/// Says why there is nothing, given the first and last time of the decisions outside the window.
pub(super) fn nothing_found(
    window: &RecordWindow,
    others: Option<(Timestamp, Timestamp)>,
) -> String {
    match others {
        None => "the records hold none".to_owned(),
        Some((first, last)) => format!(
            "the records hold none {}; theirs are from {first} to {last}",
            window.in_words()
        ),
    }
}

/// What comes next in the files.
pub(super) enum RecordedItem<'r> {
    /// A record.
    Record(&'r Record),
    /// A line or a message that is not a record.
    NoRecord,
    /// An unfinished record at the end of a file.
    Torn,
}

/// Reads files. Returns whether all of them could be read to their end; problems are printed.
pub(super) fn read(files: &[PathBuf], mut take: impl FnMut(RecordedItem<'_>)) -> bool {
    let mut is_read = true;
    for file in files.iter().filter(|file| !is_index(file)) {
        if let Err(why) = read_file(file, &mut take) {
            print_error(&why.to_string());
            is_read = false;
        }
    }
    is_read
}

fn read_file(file: &Path, take: &mut impl FnMut(RecordedItem<'_>)) -> Result<(), RecordFileError> {
    let mut content = FileContent::default();
    let mut put = |item: LogItem<'_>| {
        content.take(&item);
        match item {
            LogItem::Record(record, _) => take(RecordedItem::Record(&record)),
            LogItem::NoRecord(_) => take(RecordedItem::NoRecord),
            LogItem::Torn(_) => take(RecordedItem::Torn),
        }
        true
    };
    let mut reader = read::open(file)?;
    read::each(&mut reader, &mut put).map_err(|why| RecordFileError::Partial {
        path: file.display().to_string(),
        why: why.to_string(),
    })?;
    read::last(&mut reader).map(&mut put);
    content.is_log(file)
}
