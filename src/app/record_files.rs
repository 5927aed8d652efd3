//! The arguments `RECORD..` of the commands that read the audit log: files, directories of them, or
//! `-`.
//!
//! It reads no more of a file than its first records. The rules:
//!
//! - A directory represents the files of every audit log in it: the one that is written, and those
//!   that were rotated, compressed or not. Checkpoint files, indices and half-compressed files are
//!   passed over; a file that holds no record is named.
//! - Files come in the order of time: by their first records, and within a stream by its numbers.
//! - The file that is written is opened before the others are listed, so a rotation in between
//!   hides no record.
//! - Each file is read once, even if it is named twice or is there in both forms.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::print_error;
use super::progress::Progress;
use customs_record::proto::Record;
use customs_record::record_reader::{Piece, RecordReader};
use customs_record::scan::{
    self, FileOutcome, RecordFold, ScanError, ScanInput, ScanOptions, ScanOutcome,
};
use customs_record::segment_name::{SegmentForm, SegmentName, is_index};

/// How many lines or messages of a file are read to find its first record.
const LOOKED_AT: usize = 64;

/// How many files of a directory are held open because they may be rotated: more than a server
/// writes, and fewer than a process may open.
const HELD_OPEN: usize = 128;

/// The records that a command reads.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecordArgs {
    /// Files of the audit log, or directories of them; - reads stdin
    ///
    /// A file has JSON lines or protobuf, and may be compressed (.gz).
    #[arg(value_name = "RECORD", required = true)]
    pub(crate) records: Vec<PathBuf>,
}

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RecordFilesError {
    /// A directory cannot be listed.
    #[error("cannot list {}: {why}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        why: io::Error,
    },
    /// A directory has no file of an audit log.
    #[error(
        "{} holds no audit log: name the directory of a file that customs writes with `--audit`",
        .0.display()
    )]
    NoLog(PathBuf),
}

/// Why a file cannot be read, or not be read to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RecordFileError {
    /// The file cannot be read.
    #[error("cannot read {path}: {why}")]
    Read {
        /// The file.
        path: String,
        /// The error of the operating system.
        #[source]
        why: io::Error,
    },
    /// Reading failed before the end.
    #[error("cannot read {path} to its end: {why}; what comes before that was read")]
    Partial {
        /// The file.
        path: String,
        /// The error of the operating system.
        why: String,
    },
    /// The file is not an audit log.
    #[error(
        "{0} is not an audit log: it holds no record; name a file that customs wrote with `--audit`"
    )]
    NoLog(String),
    /// The input cannot be followed.
    #[error("--follow: stdin cannot be followed; remove the flag, stdin is read to its end")]
    FollowStdin,
}

impl RecordFileError {
    /// Returns the error for a file that cannot be read.
    pub(crate) fn read(path: &Path, why: io::Error) -> RecordFileError {
        RecordFileError::Read {
            path: path.display().to_string(),
            why,
        }
    }

    /// Returns what is wrong with a file that was scanned, if anything is.
    pub(crate) fn of(path: &Path, outcome: &FileOutcome) -> Option<RecordFileError> {
        let path = path.display().to_string();
        match &outcome.failure {
            Some(ScanError::Open(why)) => Some(RecordFileError::Read {
                path,
                why: io::Error::new(why.kind(), why.to_string()),
            }),
            Some(why) => Some(RecordFileError::Partial {
                path,
                why: why.to_string(),
            }),
            None => outcome.is_no_log().then_some(RecordFileError::NoLog(path)),
        }
    }
}

/// The files that the arguments name.
#[derive(Debug, Default)]
pub(crate) struct RecordFiles {
    /// The files, in the order of time.
    pub(crate) inputs: Vec<ScanInput>,
    /// What a reader should know: which files were left out, and why.
    pub(crate) notes: Vec<String>,
    /// How many bytes they have together; `None` if that is not known.
    pub(crate) bytes: Option<u64>,
}

/// A file that was looked at.
struct Candidate {
    input: ScanInput,
    id: Option<(u64, u64)>,
    length: Option<u64>,
    /// Its first record.
    first: Option<Box<Record>>,
    /// Why a directory does not represent it.
    unfit: Option<Unfit>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unfit {
    /// It is empty, or it is a checkpoint file.
    Other,
    /// It has content, and no record at its beginning.
    NoRecord,
}

impl RecordFiles {
    /// Finds the files.
    ///
    /// # Errors
    /// If a directory cannot be listed, or has no file of an audit log. A file that cannot be read
    /// is kept: the code that reads it reports it.
    pub(crate) fn find(paths: &[PathBuf]) -> Result<RecordFiles, RecordFilesError> {
        let (mut found, mut notes) = (Vec::new(), Vec::new());
        for path in paths {
            if path.is_dir() {
                found.extend(in_directory(path, &mut notes)?);
            } else if !is_index(path) {
                found.push(Candidate::of(path.clone(), None));
            }
        }
        let found = in_order(each_once(found, &mut notes));
        let bytes = found
            .iter()
            .try_fold(0_u64, |sum, file| sum.checked_add(file.length?));
        Ok(RecordFiles {
            inputs: found.into_iter().map(|file| file.input).collect(),
            notes,
            bytes,
        })
    }

    /// Returns the paths of the files, for a reader that opens them itself.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.inputs.iter().map(|input| input.path.clone()).collect()
    }

    /// Scans the files on all cores, and shows the progress. `make` returns the value that a part
    /// of a file is folded into, by the index of the file; `merge` takes the values in order. What
    /// was left out is said first.
    pub(crate) fn scan<T: RecordFold>(
        &self,
        what: &'static str,
        make: impl Fn(usize) -> T + Sync,
        mut merge: impl FnMut(&Progress, T) -> ControlFlow<()>,
    ) -> ScanOutcome {
        self.notes.iter().for_each(|note| print_error(note));
        let progress = Progress::of_bytes(what, self.bytes);
        let options = ScanOptions {
            progress: Some(progress.counter()),
            ..ScanOptions::default()
        };
        scan::scan(&self.inputs, &options, make, |value| {
            merge(&progress, value)
        })
    }
}

/// Returns the files of the audit logs of a directory.
fn in_directory(
    directory: &Path,
    notes: &mut Vec<String>,
) -> Result<Vec<Candidate>, RecordFilesError> {
    let failed = |why| RecordFilesError::Directory {
        path: directory.to_owned(),
        why,
    };
    let is_closed = |path: &PathBuf| path.file_name().and_then(SegmentName::parse).is_some();
    let written: Vec<PathBuf> = files_of(directory).map_err(failed)?;
    let written = written.into_iter().filter(|path| !is_closed(path));
    let mut found: Vec<Candidate> = written
        .enumerate()
        .map(|(number, path)| {
            let open = (number < HELD_OPEN)
                .then(|| File::open(&path).ok())
                .flatten();
            Candidate::of(path, open.map(Arc::new))
        })
        .collect();
    for path in files_of(directory).map_err(failed)? {
        let segment = path.file_name().and_then(SegmentName::parse);
        let is_records =
            |name: &SegmentName| matches!(name.form, SegmentForm::Plain | SegmentForm::Packed);
        if segment.as_ref().is_some_and(is_records) {
            found.push(Candidate::of(path, None));
        }
    }
    let (fit, unfit): (Vec<_>, Vec<_>) = found.into_iter().partition(|file| file.unfit.is_none());
    let left_out = unfit
        .iter()
        .filter(|file| file.unfit == Some(Unfit::NoRecord));
    notes.extend(left_out.map(|file| {
        let path = file.input.path.display();
        format!("{path} is left out: it does not begin with a record")
    }));
    if fit.is_empty() {
        return Err(RecordFilesError::NoLog(directory.to_owned()));
    }
    Ok(fit)
}

/// Returns the regular files of a directory, sorted by name.
fn files_of(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

impl Candidate {
    fn of(path: PathBuf, open: Option<Arc<File>>) -> Candidate {
        let input = ScanInput { path, open };
        let mut candidate = Candidate {
            id: None,
            length: None,
            first: None,
            unfit: None,
            input,
        };
        if candidate.input.is_stdin() {
            return candidate;
        }
        let opened = match &candidate.input.open {
            Some(file) => Ok(file.clone()),
            // Opening a pipe would take what is in it from the reader.
            None if !candidate.input.path.is_file() => return candidate,
            None => scan::open(&candidate.input.path).map(Arc::new),
        };
        // The reader of a file that cannot be read says so.
        if let Ok(file) = opened
            && let Ok(about) = file.metadata()
            && about.is_file()
        {
            candidate.id = Some((about.dev(), about.ino()));
            candidate.length = Some(about.len());
            (candidate.first, candidate.unfit) = begins(&file, about.len());
        }
        candidate
    }

    /// Returns whether both hold the same records, as a file and its compressed form do.
    fn is_twin_of(&self, other: &Candidate) -> bool {
        let chained = self.first.as_ref().filter(|first| !first.chain.is_empty());
        chained.is_some_and(|first| other.first.as_ref() == Some(first))
    }
}

/// Reads how a file begins.
fn begins(file: &File, length: u64) -> (Option<Box<Record>>, Option<Unfit>) {
    if length == 0 {
        return (None, Some(Unfit::Other));
    }
    let Ok(mut reader) = RecordReader::unpack(FromStart { file, at: 0 }) else {
        return (None, None);
    };
    for _ in 0..LOOKED_AT {
        match reader.next_piece() {
            Ok(Some(Piece::Record(raw))) => {
                if let Ok(record) = raw.decode() {
                    return judge(record);
                }
            }
            Ok(Some(Piece::NoRecord(..))) => {}
            Ok(None) => break,
            // Damage is for the reader to report.
            Err(_) => return (None, None),
        }
    }
    let rest = reader.unfinished().and_then(|rest| rest.as_line());
    match rest.and_then(|line| line.decode().ok()) {
        Some(record) => judge(record),
        None => (None, Some(Unfit::NoRecord)),
    }
}

/// A checkpoint without a chain is a line of a checkpoint file.
fn judge(record: Record) -> (Option<Box<Record>>, Option<Unfit>) {
    let is_checkpoint = record.kind == "checkpoint" && record.chain.is_empty();
    (
        Some(Box::new(record)),
        is_checkpoint.then_some(Unfit::Other),
    )
}

/// Reads a file from its start, whatever others read of it.
struct FromStart<'f> {
    file: &'f File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Leaves out what is there twice: the same file, and the compressed form of a file.
fn each_once(files: Vec<Candidate>, notes: &mut Vec<String>) -> Vec<Candidate> {
    let mut ids = BTreeSet::new();
    let kept: Vec<Candidate> = files
        .into_iter()
        .filter(|file| file.id.is_none_or(|id| ids.insert(id)))
        .collect();
    let by_path: BTreeMap<&Path, &Candidate> = kept
        .iter()
        .map(|file| (file.input.path.as_path(), file))
        .collect();
    let is_spare = |file: &Candidate| {
        let is_packed = file.input.path.extension() == Some(OsStr::new("gz"));
        let plain = by_path.get(file.input.path.with_extension("").as_path());
        is_packed && plain.is_some_and(|plain| file.is_twin_of(plain))
    };
    let spare: Vec<bool> = kept.iter().map(is_spare).collect();
    let (spare, kept): (Vec<_>, Vec<_>) =
        kept.into_iter().zip(spare).partition(|(_, spare)| *spare);
    notes.extend(spare.into_iter().map(|(file, _)| {
        let path = file.input.path.display();
        format!("{path} is left out: it was being packed, and the plain file is there")
    }));
    kept.into_iter().map(|(file, _)| file).collect()
}

/// Sorts files by the times of their first records, and those of one stream by its numbers. What
/// has no record, and the standard input, comes last.
fn in_order(mut files: Vec<Candidate>) -> Vec<Candidate> {
    files.sort_by_key(|file| {
        let time = file.first.as_ref().and_then(|first| first.time);
        let place = time.map(|time| (time.seconds, time.nanos, file.input.path.clone()));
        (place.is_none(), place)
    });
    let mut ordered: Vec<Candidate> = Vec::new();
    for file in files {
        let comes_before = |other: &Candidate| match (&file.first, &other.first) {
            (Some(one), Some(other)) => {
                let is_earlier = match one.stream == other.stream {
                    true => one.sequence < other.sequence,
                    false => one.stream == other.previous_stream,
                };
                is_earlier && !one.stream.is_empty()
            }
            _ => false,
        };
        let at = ordered.iter().position(comes_before);
        ordered.insert(at.unwrap_or(ordered.len()), file);
    }
    ordered
}

#[cfg(test)]
mod tests;
