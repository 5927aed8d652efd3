//! Checkpoints that are kept outside of the audit log, and the rule which checkpoints count.
//!
//! It reads no record. The rule: with keys, a checkpoint counts if one of them signed it, and one
//! that claims such a key with a wrong signature is bad. Without keys every checkpoint counts, and
//! the report says what that is worth.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::files::LogReadError;
use super::record::Checkpoint;
use super::report::{Bad, Named, What};
use crate::record_reader::{Piece, RawRecord, RecordReader};
use crate::signing::{SignedFields, Verifier};
use crate::stream::Format;
use customs_policy::printable;

/// Whether a checkpoint counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    Counts,
    /// It is not signed, or signed by another key.
    Ignored,
    /// It names a known key, which did not sign it.
    BadSignature,
}

/// Returns what a checkpoint is worth with these keys.
pub(super) fn worth(keys: &[Verifier], checkpoint: &Checkpoint) -> Worth {
    if keys.is_empty() {
        return Worth::Counts;
    }
    let Some(key) = keys.iter().find(|key| key.id() == checkpoint.key) else {
        return Worth::Ignored;
    };
    let Checkpoint {
        time,
        stream,
        records,
        head,
        is_final,
        signature,
        ..
    } = checkpoint;
    let sealed = SignedFields {
        stream,
        records: *records,
        head,
        time,
        is_final: *is_final,
    };
    if key.is_valid(&sealed, signature) {
        Worth::Counts
    } else {
        Worth::BadSignature
    }
}

/// The checkpoints of a checkpoint file that count, by stream and in the order of their records.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    /// The file, as it was given.
    pub file: String,
    by_stream: BTreeMap<String, Vec<FileCheckpoint>>,
    /// The first with a bad signature.
    pub bad: Option<Bad>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

/// A checkpoint of a checkpoint file, and its line.
#[derive(Clone, Debug)]
pub(super) struct FileCheckpoint {
    pub checkpoint: Checkpoint,
    pub line: u64,
}

/// What the lines of a checkpoint file hold.
#[derive(Debug, Default)]
struct LineCounts {
    /// How many lines are not checkpoints.
    strange: u64,
    /// How many checkpoints do not count.
    others: u64,
    /// Whether some line looks like JSON.
    is_json: bool,
}

impl Checkpoints {
    /// Reads a checkpoint file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read(path: &Path, keys: &[Verifier]) -> Result<Checkpoints, LogReadError> {
        let failed = |problem| LogReadError::File {
            path: path.to_owned(),
            problem,
        };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(LogReadError::Directory(path.to_owned()));
        }
        let mut checkpoints = Checkpoints {
            file: path.display().to_string(),
            ..Checkpoints::default()
        };
        let mut reader = RecordReader::new(file).with_format(Format::Json);
        let mut counts = LineCounts::default();
        while let Some(piece) = reader.next_piece().map_err(|why| failed(why.into()))? {
            match piece {
                Piece::Record(line) => checkpoints.take(keys, line, &mut counts),
                Piece::NoRecord(..) => counts.strange += 1,
            }
        }
        if let Some(line) = reader.unfinished().and_then(|rest| rest.as_line()) {
            checkpoints.take(keys, line, &mut counts);
        }
        let LineCounts {
            strange,
            others,
            is_json,
        } = counts;
        if strange > 0 && !is_json {
            return Err(LogReadError::NoCheckpoints(path.to_owned()));
        }
        let file = &checkpoints.file;
        if strange > 0 {
            checkpoints.notes.push(format!(
                "{strange} lines of {file} are not checkpoints; they do not count"
            ));
        }
        if others > 0 {
            checkpoints.notes.push(format!(
                "{others} checkpoints of {file} are not signed by that key; they do not count"
            ));
        }
        if checkpoints.by_stream.is_empty() {
            checkpoints.notes.push(format!(
                "{} has no checkpoint that counts",
                checkpoints.file
            ));
        }
        checkpoints
            .by_stream
            .values_mut()
            .for_each(|kept| kept.sort_by_key(|kept| kept.checkpoint.records));
        Ok(checkpoints)
    }

    /// Reads a checkpoint file if there is one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn of_option(
        path: Option<&Path>,
        keys: &[Verifier],
    ) -> Result<Checkpoints, LogReadError> {
        let read = path.map(|path| Checkpoints::read(path, keys)).transpose()?;
        Ok(read.unwrap_or_default())
    }

    /// Returns the lines of a checkpoint file that are about these records, as they are.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn lines(
        path: &Path,
        is_wanted: impl Fn(&str, u64) -> bool,
    ) -> Result<Vec<u8>, LogReadError> {
        // What is not a checkpoint file is refused here.
        Checkpoints::read(path, &[])?;
        let failed = |problem| LogReadError::File {
            path: path.to_owned(),
            problem,
        };
        let file = File::open(path).map_err(failed)?;
        let mut reader = RecordReader::new(file).with_format(Format::Json);
        let mut lines = Vec::new();
        while let Some(piece) = reader.next_piece().map_err(|why| failed(why.into()))? {
            if let Piece::Record(line) = piece
                && let Some(checkpoint) = Checkpoint::read(line.bytes)
                && is_wanted(&checkpoint.stream, checkpoint.records)
            {
                lines.extend_from_slice(line.bytes);
                lines.push(b'\n');
            }
        }
        Ok(lines)
    }

    fn take(&mut self, keys: &[Verifier], line: RawRecord<'_>, counts: &mut LineCounts) {
        counts.is_json = counts.is_json || line.bytes.starts_with(b"{");
        let Some(checkpoint) = Checkpoint::read(line.bytes) else {
            counts.strange += u64::from(!line.bytes.trim_ascii().is_empty());
            return;
        };
        let line = line.place.number;
        match worth(keys, &checkpoint) {
            Worth::Counts => self.keep(FileCheckpoint { checkpoint, line }),
            Worth::Ignored => counts.others += 1,
            Worth::BadSignature => self.refuse(&checkpoint, line),
        }
    }

    fn keep(&mut self, kept: FileCheckpoint) {
        self.by_stream
            .entry(kept.checkpoint.stream.clone())
            .or_default()
            .push(kept);
    }

    fn refuse(&mut self, checkpoint: &Checkpoint, line: u64) {
        let named = Named {
            file: self.file.clone(),
            number: line,
            unit: "line",
            stream: printable::line(&checkpoint.stream).into_owned(),
            sequence: checkpoint.records,
            time: checkpoint.time.clone(),
        };
        let why = format!("key {} did not sign this checkpoint", checkpoint.key);
        self.bad
            .get_or_insert(Bad::at(What::BadSignature, named, why));
    }

    /// Returns the checkpoints of a stream.
    pub(super) fn of(&self, stream: &str) -> &[FileCheckpoint] {
        self.by_stream.get(stream).map_or(&[], Vec::as_slice)
    }

    /// Returns the last checkpoint of each stream.
    pub(super) fn last_ones(&self) -> impl Iterator<Item = &FileCheckpoint> {
        self.by_stream.values().filter_map(|kept| kept.last())
    }
}
