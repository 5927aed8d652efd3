//! Reads the records of a file, and those that are appended to it.
//!
//! The rules: a file that was renamed is read to its end before its successor is opened; an
//! unfinished record at the end is waited for or reported; and a sequence number that is missing
//! between two records of a stream is reported, because it is a record that was not seen.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::filter;
use super::output::RecordOutput;
use super::read::{self, FileContent, LogItem};
use crate::app::cli::TailArgs;
use crate::app::print_error;
use crate::app::record_files::RecordFileError;
use customs_record::proto::{Filter, Record};
use customs_record::record_reader::RecordReader;

/// How often it checks for more.
const PAUSE: Duration = Duration::from_millis(100);

/// Prints the records of a file, and with `--follow` those that are appended.
///
/// # Errors
/// Returns why it cannot be read.
pub(super) fn run(
    file: &Path,
    args: &TailArgs,
    output: &mut RecordOutput,
) -> Result<(), RecordFileError> {
    let mut view = View {
        filter: filter::filter(&args.filter),
        place: Place::default(),
        content: FileContent::default(),
        output,
    };
    let unreadable = |why| RecordFileError::read(file, why);
    if !args.follow {
        let mut reader = read::open(file)?;
        read::each(&mut reader, |item| view.take(item)).map_err(unreadable)?;
        read::last(&mut reader).map(|item| view.take(item));
        return view.content.is_log(file);
    }
    if file.to_str() == Some("-") {
        return Err(RecordFileError::FollowStdin);
    }
    let mut open = File::open(file).map_err(unreadable)?;
    while view.output.is_open() {
        open = follow(file, open, &mut view).map_err(unreadable)?;
        view.content.is_log(file)?;
    }
    Ok(())
}

/// Prints a file until another one has its name, and returns that one.
fn follow(path: &Path, file: File, view: &mut View<'_>) -> io::Result<File> {
    let mut reader = RecordReader::new(&file);
    let mut successor = None;
    loop {
        read::each(&mut reader, |item| view.take(item))?;
        // A file that is not an audit log never gets a record, however long a user waits.
        if !view.output.is_open() || view.content.is_log(path).is_err() {
            return Ok(file);
        }
        // The successor existed before this last read, so nothing more is appended to this one.
        if let Some(successor) = successor {
            read::last(&mut reader).map(|item| view.take(item));
            return Ok(successor);
        }
        let position = (&file).stream_position()?;
        successor = match File::open(path) {
            Ok(other) if !is_same(&other, &file)? => Some(other),
            Ok(_) if file.metadata()?.len() < position => {
                print_error(&format!(
                    "{} became shorter and is read from its start; records may be missing",
                    path.display()
                ));
                Some(File::open(path)?)
            }
            Ok(_) => None,
            // During a rotation the path exists under neither name for a moment.
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            Err(why) => return Err(why),
        };
        if successor.is_none() {
            thread::sleep(PAUSE);
        }
    }
}

fn is_same(one: &File, other: &File) -> io::Result<bool> {
    let (one, other): (fs::Metadata, fs::Metadata) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

/// The printer of what is read.
struct View<'s> {
    filter: Filter,
    place: Place,
    content: FileContent,
    output: &'s mut RecordOutput,
}

impl View<'_> {
    /// Prints an item; returns whether to continue.
    fn take(&mut self, item: LogItem<'_>) -> bool {
        self.content.take(&item);
        match item {
            LogItem::Record(record, line) => {
                if let Some((from, to)) = self.place.missing(&record) {
                    print_error(&format!(
                        "the records {from} to {to} of stream {} are missing",
                        customs_record::pretty::visible(&record.stream)
                    ));
                }
                !filter::wants(&self.filter, &record) || self.output.show(&record, line)
            }
            LogItem::NoRecord(why) => {
                print_error(&format!(
                    "a line is not a record: {}",
                    customs_record::pretty::visible(&why)
                ));
                true
            }
            LogItem::Torn(bytes) => {
                print_error(&format!("the last record is unfinished ({bytes} bytes)"));
                true
            }
        }
    }
}

/// A position in a stream.
#[derive(Debug, Default)]
struct Place {
    stream: String,
    sequence: u64,
}

impl Place {
    /// Returns the first and the last sequence number that were skipped.
    fn missing(&mut self, record: &Record) -> Option<(u64, u64)> {
        if record.sequence == 0 {
            return None;
        }
        let next = self.sequence.saturating_add(1);
        let is_missing =
            self.stream == record.stream && self.sequence > 0 && record.sequence > next;
        if self.stream != record.stream {
            self.stream.clone_from(&record.stream);
        }
        self.sequence = record.sequence;
        is_missing.then(|| (next, record.sequence.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_passed_over_is_missing() {
        let mut place = Place::default();
        for (stream, sequence, expected) in [
            ("a", 5, None),
            ("a", 6, None),
            ("a", 9, Some((7, 8))),
            ("b", 3, None),
            ("b", 0, None),
            ("b", 4, None),
            ("b", 2, None),
        ] {
            let record = Record {
                stream: stream.into(),
                sequence,
                ..Record::default()
            };
            assert_eq!(place.missing(&record), expected, "{stream} {sequence}");
        }
    }
}
