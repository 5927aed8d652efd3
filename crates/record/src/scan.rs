//! Reads the records of many files on all cores, and hands over the results in the order of the
//! records.
//!
//! It verifies nothing; [`verify`](crate::verify) does. A file is cut into parts, each part is
//! folded into one value ([`RecordFold`]), and the caller merges these values one after the other.
//! The rules:
//!
//! - Files come in the order in which they are given, and records in the order of their file, so
//!   the result does not depend on the number of threads.
//! - Memory is bounded: by the longest record for each thread, and by [`AHEAD`] for the values that
//!   wait for their turn.
//! - Whatever is not a record is counted for its file ([`FileOutcome`]), and what cannot be read is
//!   named; nothing is left out in silence.

mod input;
mod order;
mod part;

use std::fs::File;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;

pub use self::input::open;
pub use self::part::ScannedRecord;

use self::input::Parts;
use self::order::Gate;
use crate::record_reader::RecordReadError;

/// How many bytes of a file are folded into one value: at least, since a part ends with a record.
const PART: u64 = 2 << 20;

/// How much may wait until it is merged, by [`RecordFold::weight`].
pub const AHEAD: usize = 64 << 20;

/// A file to be read.
#[derive(Clone, Debug)]
pub struct ScanInput {
    /// Its path; `-` is the standard input.
    pub path: PathBuf,
    /// The file, if it is open already because its name may soon belong to another one.
    pub open: Option<Arc<File>>,
}

impl From<PathBuf> for ScanInput {
    fn from(path: PathBuf) -> ScanInput {
        ScanInput { path, open: None }
    }
}

impl ScanInput {
    /// Returns whether it is the standard input.
    pub fn is_stdin(&self) -> bool {
        self.path == Path::new("-")
    }
}

/// How files are read.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions<'o> {
    /// How many threads read; by default as many as there are cores.
    pub threads: Option<NonZero<usize>>,
    /// Counts the bytes that were read, as they are in the files.
    pub progress: Option<&'o AtomicU64>,
    /// How many bytes make a part.
    pub part: u64,
}

impl Default for ScanOptions<'_> {
    fn default() -> Self {
        ScanOptions {
            threads: None,
            progress: None,
            part: PART,
        }
    }
}

/// A value that the records of a part are folded into.
pub trait RecordFold: Send {
    /// Takes the next record.
    fn take(&mut self, record: &ScannedRecord<'_>);

    /// Returns about how many bytes the value takes.
    fn weight(&self) -> usize;
}

/// What became of the files.
#[derive(Debug)]
pub struct ScanOutcome {
    /// One outcome for each input, in their order.
    pub files: Vec<FileOutcome>,
    /// Whether the caller ended the reading early.
    pub is_ended: bool,
}

/// What became of one file.
#[derive(Debug, Default)]
pub struct FileOutcome {
    /// The records that were read.
    pub records: u64,
    /// Lines or messages that are not records.
    pub no_records: u64,
    /// Where the first of them is, and why it is not a record.
    pub first_no_record: Option<(u64, String)>,
    /// The number of bytes of an unfinished record at the end; 0 if there is none.
    pub torn: usize,
    /// Why it could not be opened, or not be read to its end.
    pub failure: Option<ScanError>,
}

/// Why a file was not read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(std::io::Error),
    /// Reading failed before its end; the records before that were read.
    #[error(transparent)]
    Read(RecordReadError),
}

impl FileOutcome {
    /// Returns whether the file has content, and none of it is a record.
    pub fn is_no_log(&self) -> bool {
        self.records == 0 && (self.no_records > 0 || self.torn > 0)
    }

    /// Adds the outcome of a later part of the file.
    fn add(&mut self, later: FileOutcome) {
        self.records += later.records;
        self.no_records += later.no_records;
        self.torn += later.torn;
        let (first, failure) = (later.first_no_record, later.failure);
        self.first_no_record = self.first_no_record.take().or(first);
        self.failure = self.failure.take().or(failure);
    }
}

/// Reads files. `make` returns the value that a part of a file (given by its index) is folded into;
/// `merge` takes the values in the order of their parts, on the calling thread, and ends the
/// reading with a break.
pub fn scan<T: RecordFold>(
    inputs: &[ScanInput],
    options: &ScanOptions<'_>,
    make: impl Fn(usize) -> T + Sync,
    mut merge: impl FnMut(T) -> ControlFlow<()>,
) -> ScanOutcome {
    let mut outcome = ScanOutcome {
        files: inputs.iter().map(|_| FileOutcome::default()).collect(),
        is_ended: false,
    };
    let threads = options
        .threads
        .or_else(|| thread::available_parallelism().ok())
        .map_or(1, NonZero::get);
    let parts = Parts::new(inputs, options);
    let mut add = |file: usize, part: FileOutcome| {
        if let Some(file) = outcome.files.get_mut(file) {
            file.add(part);
        }
    };
    if threads > 1 && !inputs.is_empty() {
        outcome.is_ended = in_parallel(&parts, threads, &make, &mut merge, &mut add);
    }
    // One thread reads by itself; and if no thread can be started, this one reads what is left.
    while !outcome.is_ended
        && let Some(part) = parts.next()
    {
        let file = part.file;
        let read = part.read(options, &make, &mut |value| {
            let flow = merge(value);
            outcome.is_ended |= flow.is_break();
            flow
        });
        add(file, read);
    }
    outcome
}

/// Reads parts on several threads; returns whether `merge` ended the reading.
fn in_parallel<T: RecordFold>(
    parts: &Parts<'_>,
    threads: usize,
    make: &(impl Fn(usize) -> T + Sync),
    merge: &mut impl FnMut(T) -> ControlFlow<()>,
    add: &mut impl FnMut(usize, FileOutcome),
) -> bool {
    let gate = Gate::new(AHEAD);
    thread::scope(|scope| {
        let mut is_started = false;
        for number in 0..threads {
            let gate = &gate;
            let work = move || {
                let _end = gate.end_on_panic();
                while let Some(part) = parts.next() {
                    let (order, file) = (part.order, part.file);
                    let read = part.read(parts.options(), make, &mut |value: T| {
                        gate.put(order, value.weight(), value)
                    });
                    if gate.finish(order, (file, read)).is_break() {
                        break;
                    }
                }
            };
            let thread = thread::Builder::new().name(format!("scan-{number}"));
            gate.enter();
            match thread.spawn_scoped(scope, move || {
                work();
                gate.leave();
            }) {
                Ok(_) => is_started = true,
                Err(_) => gate.leave(),
            }
        }
        if !is_started {
            return false;
        }
        while let Some(taken) = gate.take() {
            match taken {
                order::Taken::Value(value) => {
                    if merge(value).is_break() {
                        gate.end();
                        return true;
                    }
                }
                order::Taken::Finished((file, read)) => add(file, read),
            }
        }
        false
    })
}

#[cfg(test)]
mod tests;
