//! What one file says of a window: where its records are in it, and where the first checkpoint
//! behind them is.
//!
//! Nothing is verified here. The rule: a file is read once, and a summary is small whatever the
//! file holds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Window;
use crate::signing::Verifier;
use crate::verify::checkpoints::{Worth, worth};
use crate::verify::files::LogReadError;
use crate::verify::files::log_file::{self, Item};
use crate::verify::record::{About, At, Seen};

/// What is needed of one file. Numbers of records begin at 1.
#[derive(Debug)]
pub(super) struct FileSummary {
    pub(super) path: PathBuf,
    /// The streams in it.
    pub(super) streams: BTreeSet<String>,
    /// The position that its first record continues.
    pub(super) previous: Option<At>,
    /// The position behind its last record.
    pub(super) end: Option<At>,
    /// The number of its last record.
    pub(super) records: u64,
    /// The first and the last record in the window.
    pub(super) first_in: Option<u64>,
    pub(super) last_in: Option<u64>,
    /// The first checkpoint that counts behind the last record in the window.
    pub(super) seal: Option<u64>,
    /// The first checkpoint that counts.
    pub(super) first_checkpoint: Option<u64>,
    /// The time of the last record before the window, and of the first after it.
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    /// The sink and its filter, as the last record of kind `stream` names them.
    pub(super) sink: String,
    pub(super) filter: String,
}

impl FileSummary {
    /// Reads a file; `None` if it is empty.
    ///
    /// # Errors
    /// If it cannot be read or holds no record.
    pub(super) fn read(
        path: &Path,
        window: Window,
        keys: &[Verifier],
        progress: &AtomicU64,
    ) -> Result<Option<FileSummary>, LogReadError> {
        let Some(mut file) = log_file::open(path)? else {
            return Ok(None);
        };
        let mut summary = FileSummary {
            path: path.to_owned(),
            streams: BTreeSet::new(),
            previous: None,
            end: None,
            records: 0,
            first_in: None,
            last_in: None,
            seal: None,
            first_checkpoint: None,
            before: None,
            after: None,
            sink: String::new(),
            filter: String::new(),
        };
        // A file that is packed has fewer bytes than its records; it counts at its end.
        let is_plain = !file.is_packed();
        while let Some((item, place)) = file.next()? {
            if let Item::Record(seen) = item {
                if is_plain {
                    progress.fetch_add(seen.size() as u64, Ordering::Relaxed);
                }
                summary.take(&seen, place.number, window, keys);
            }
        }
        if !is_plain && let Ok(about) = fs::metadata(path) {
            progress.fetch_add(about.len(), Ordering::Relaxed);
        }
        Ok(Some(summary))
    }

    fn take(&mut self, seen: &Seen, number: u64, window: Window, keys: &[Verifier]) {
        if !self.streams.contains(&seen.stream) {
            self.streams.insert(seen.stream.clone());
        }
        if let Some(link) = seen.link() {
            if number == 1 {
                self.previous.clone_from(&link.previous);
            }
            self.sink.clone_from(&link.sink);
            self.filter.clone_from(&link.filter);
        }
        self.records = number;
        self.end = Some(seen.at());
        let is_seal = matches!(&seen.about, About::Checkpoint(checkpoint)
            if checkpoint.stream == seen.stream && worth(keys, checkpoint) == Worth::Counts);
        if is_seal {
            self.first_checkpoint.get_or_insert(number);
        }
        if window.is_after(&seen.time) {
            let is_later = self.before.as_ref().is_none_or(|time| *time < seen.time);
            if is_later {
                self.before = Some(seen.time.clone());
            }
        } else if window.is_before(&seen.time) {
            if self.after.as_ref().is_none_or(|time| *time > seen.time) {
                self.after = Some(seen.time.clone());
            }
        } else {
            self.first_in.get_or_insert(number);
            self.last_in = Some(number);
            self.seal = None;
            return;
        }
        if is_seal && self.last_in.is_some() {
            self.seal.get_or_insert(number);
        }
    }
}
