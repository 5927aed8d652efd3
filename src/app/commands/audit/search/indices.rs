//! The indices of the files of a search: which files they leave out, and those that are made.
//!
//! The rule: an index that is not of this very file is never used, and one that cannot be written
//! fails no search.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::notes::Findings;
use crate::app::record_files::RecordFiles;
use customs_record::record_query::RecordQuery;
use customs_record::scan::{ScanInput, ScanOutcome};
use customs_record::segment_index::{FileStamp, IndexBuilder, SegmentIndex, SegmentIndexError};
use customs_record::segment_name::index_of;
use customs_record::survey::Survey;

/// What is known of a file that is searched.
#[derive(Debug, Default)]
pub(super) struct KnownFile {
    /// How many files before it are left out.
    left_out: usize,
    /// Where its index is written, and the file that it is made of.
    made: Option<(PathBuf, FileStamp)>,
}

impl KnownFile {
    /// Returns whether its index is made.
    pub(super) fn is_index_made(&self) -> bool {
        self.made.is_some()
    }
}

/// The indices of the files.
#[derive(Debug, Default)]
pub(super) struct Indices {
    /// The files that are searched.
    files: Vec<KnownFile>,
    /// What the files say that are left out, in their order.
    left_out: Vec<Survey>,
}

impl Indices {
    /// Reads the indices, and takes files that surely hold nothing out of the list.
    pub(super) fn of(files: &mut RecordFiles, query: &RecordQuery) -> Indices {
        let mut indices = Indices::default();
        let mut searched = Vec::new();
        for input in std::mem::take(&mut files.inputs) {
            let mut known = KnownFile {
                left_out: indices.left_out.len(),
                made: None,
            };
            if let Some((path, stamp)) = indexed(&input) {
                match SegmentIndex::read(&path, stamp) {
                    Ok(Some(index)) if !index.may_hold(query) => {
                        indices.left_out.push(index.survey);
                        let bytes = fs::metadata(&input.path).map_or(0, |about| about.len());
                        files.bytes = files.bytes.map(|sum| sum.saturating_sub(bytes));
                        continue;
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => known.made = Some((path, stamp)),
                    Err(why) => {
                        let path_of = path.display();
                        files.notes.push(format!("{path_of} is not used: {why}"));
                        // A newer customs may need its own.
                        let is_kept = matches!(why, SegmentIndexError::OtherVersion);
                        known.made = (!is_kept).then_some((path, stamp));
                    }
                }
            }
            known.made = known.made.filter(|(_, stamp)| stamp.is_settled());
            indices.files.push(known);
            searched.push(input);
        }
        files.inputs = searched;
        indices
    }

    /// Returns the files that are searched.
    pub(super) fn files(&self) -> &[KnownFile] {
        &self.files
    }

    /// Writes the indices that were made, and returns what all files say, in their order.
    pub(super) fn finish(&mut self, findings: &mut Findings, outcome: &ScanOutcome) -> Survey {
        let mut left_out = std::mem::take(&mut self.left_out).into_iter();
        let (mut whole, mut passed) = (Survey::default(), 0);
        let mut made = findings.indices.take();
        for (number, known) in self.files.iter().enumerate() {
            for survey in left_out.by_ref().take(known.left_out - passed) {
                whole.join(survey);
            }
            passed = known.left_out;
            let Some(index) = made.remove(&number) else {
                continue;
            };
            whole.join(index.survey.clone());
            let file = outcome.files.get(number);
            let is_clean = file.is_some_and(|file| {
                file.failure.is_none() && file.no_records == 0 && file.torn == 0 && file.records > 0
            });
            if let Some((path, stamp)) = known.made.as_ref().filter(|_| is_clean)
                && let Some(why) = write(index, path, *stamp)
            {
                let path = path.display();
                let note =
                    format!("{path} cannot be written, so the next search reads it all: {why}");
                findings.notes.push(note);
            }
        }
        left_out.for_each(|survey| whole.join(survey));
        whole
    }
}

/// Returns where the index of a file is, and its stamp, if it is a closed file of a log.
fn indexed(input: &ScanInput) -> Option<(PathBuf, FileStamp)> {
    let path = index_of(&input.path)?;
    let about = fs::metadata(&input.path).ok()?;
    about.is_file().then(|| (path, FileStamp::of(&about)))
}

/// Writes an index; returns what went wrong. A directory in which nothing may be written is nothing
/// wrong. If the file changed since it was looked at, the index is not of that file any more, and no
/// reader believes it.
fn write(index: SegmentIndex, path: &Path, stamp: FileStamp) -> Option<io::Error> {
    let written = index.with_file(stamp).write(path);
    let is_refused = |why: &io::Error| {
        let kind = why.kind();
        kind == io::ErrorKind::PermissionDenied || kind == io::ErrorKind::ReadOnlyFilesystem
    };
    written.err().filter(|why| !is_refused(why))
}

/// The indices that are made, by the number of their file. One is being made; the others are done,
/// and small.
#[derive(Debug, Default)]
pub(super) struct MadeIndices {
    current: Option<(usize, IndexBuilder)>,
    done: BTreeMap<usize, SegmentIndex>,
}

impl MadeIndices {
    /// Adds what comes next of a file. Files come in their order.
    pub(super) fn add(&mut self, file: usize, next: IndexBuilder) {
        match &mut self.current {
            Some((current, builder)) if *current == file => builder.join(next),
            _ => {
                self.end();
                self.current = Some((file, next));
            }
        }
    }

    fn end(&mut self) {
        if let Some((file, builder)) = self.current.take() {
            self.done.insert(file, builder.finish(FileStamp::default()));
        }
    }

    fn take(&mut self) -> BTreeMap<usize, SegmentIndex> {
        self.end();
        std::mem::take(&mut self.done)
    }
}
