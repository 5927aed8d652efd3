//! A regular file: when it is left for another one, and that nothing is lost over it.
//!
//! It renders nothing. The rules:
//!
//! - The file is locked, so that no other process writes to it.
//! - It is left between two records alone, after it was synced: once it has the size or the age, once it is asked to be
//!   opened again, and once its name is another file's or nobody's.
//! - Where the next file cannot be opened, this one goes on, and it is tried again once a second. But a file that lost its
//!   name takes nothing more: who looks for the record would not find it there.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::recover::{self, Found};
use super::retention::Retention;
use super::segment_name::{Forms, Moment, SegmentNames};
use super::{FileSinkError, Id, append, readable};
use crate::config::Rotation;
use crate::sinks::{Place, Reopen};
use customs_engine::time::UnixNanos;
use customs_record::entry::audit_log::Position;
use customs_record::stream::{Format, Left};

/// The least time between two looks at what the name stands for.
const LOOK: Duration = Duration::from_millis(250);

/// The least time between two tries to go over to another file.
const RETRY: Duration = Duration::from_secs(1);

/// The least size at which a file is closed. Every file begins with a record that says what it goes on from; a limit
/// near the size of that one would make files of nothing else.
const MIN_SIZE: u64 = 16 << 10;

/// How often a file is opened whose name is taken away meanwhile.
const TRIES: usize = 8;

/// A file, and those that come after it under the same name.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    format: Format,
    rotation: Rotation,
    reopen: Reopen,
    asked: u64,
    held: Held,
    left: Left,
    retention: Retention,
    /// When it was last looked whether the name still stands for this file.
    looked: UnixNanos,
    /// Whether it does not.
    is_elsewhere: bool,
    /// Whether somebody cut it.
    is_cut: bool,
    /// What somebody else did with the file that was left last; empty where nobody did.
    previous_file: &'static str,
    /// When going over to another file failed, if the last try did.
    failed: Option<UnixNanos>,
    is_truncation_told: bool,
}

impl RotatingFile {
    /// Opens it, makes it if need be, and cuts off what is torn.
    pub(super) fn open(
        path: &Path,
        format: Format,
        rotation: Rotation,
        reopen: Reopen,
        now: UnixNanos,
    ) -> Result<RotatingFile, FileSinkError> {
        let (held, mut left) = Held::open(path, format, now)?;
        let segments = SegmentNames::of(&held.place);
        if held.length == 0 && left.previous.is_none() {
            left = before(&segments, format, left.torn_bytes);
        }
        let mut retention = Retention::new(&rotation);
        retention.tidy(segments);
        Ok(RotatingFile {
            path: path.to_owned(),
            format,
            rotation,
            asked: reopen.asked(),
            reopen,
            held,
            left,
            retention,
            looked: now,
            is_elsewhere: false,
            is_cut: false,
            previous_file: "",
            failed: None,
            is_truncation_told: false,
        })
    }

    /// What was there when it was opened.
    pub(super) fn left(&mut self) -> Left {
        std::mem::take(&mut self.left)
    }

    /// Goes over to another file if that is due; true if it did.
    pub(super) fn turn(&mut self, now: UnixNanos) -> io::Result<bool> {
        self.retention.poll();
        let asked = self.reopen.asked();
        if self.is_elsewhere
            || self.is_cut
            || asked != self.asked
            || is_past(self.looked, LOOK, now)
        {
            (self.asked, self.looked) = (asked, now);
            self.is_elsewhere = !self.held.is_named(&self.path);
            if self.was_truncated()? {
                return Ok(true);
            }
        }
        if !(self.is_elsewhere || self.is_due(now)) {
            self.failed = None;
            return Ok(false);
        }
        // A file that lost its name takes nothing meanwhile, so it is tried as often as somebody asks.
        if !self.is_elsewhere
            && self
                .failed
                .is_some_and(|failed| !is_past(failed, RETRY, now))
        {
            return Ok(false);
        }
        let gone_over = self.go_over(now);
        self.failed = gone_over.is_err().then_some(now);
        gone_over
            .map(|()| true)
            .map_err(|unfit| unfit.at(&self.path))
    }

    /// What became of the file that is written to.
    pub(super) fn place(&mut self) -> Place {
        let place = self.held.place(&self.path);
        self.is_elsewhere = matches!(place, Place::Moved | Place::Deleted);
        self.is_cut = place == Place::Cut;
        place
    }

    /// What somebody else did with the file that was left last.
    pub(super) fn previous_file(&self) -> &'static str {
        self.previous_file
    }

    /// How many bytes it should still get.
    pub(super) fn room(&self) -> usize {
        match self.size_limit() {
            // Where the next file cannot be opened, batches stay whole.
            Some(limit) if self.failed.is_none() => {
                usize::try_from(limit.saturating_sub(self.held.length)).unwrap_or(usize::MAX)
            }
            _ => usize::MAX,
        }
    }

    /// Takes some of the bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.held.file.write(bytes).inspect_err(|problem| {
            if problem.kind() == io::ErrorKind::StorageFull {
                self.give_back();
            }
        })?;
        self.held.length += taken as u64;
        Ok(taken)
    }

    /// Empties a file that was deleted: who deletes it because the disk is full gets nothing back as long as it is held,
    /// and between two records, where it could be left, no write comes that fails.
    fn give_back(&mut self) {
        if !self
            .held
            .file
            .metadata()
            .is_ok_and(|about| about.nlink() == 0)
        {
            return;
        }
        match self.held.file.set_len(0) {
            Ok(()) => self.held.length = 0,
            Err(problem) => {
                tracing::error!(path = %self.path.display(), %problem, "the audit file was deleted and its room cannot be given back");
            }
        }
    }

    /// Waits until everything is on the disk, the name of the file included.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.held.file.sync_data()?;
        if self.held.is_new {
            File::open(SegmentNames::of(&self.held.place).directory())?.sync_all()?;
            self.held.is_new = false;
        }
        Ok(())
    }

    fn size_limit(&self) -> Option<u64> {
        self.rotation.size.map(|size| size.max(MIN_SIZE))
    }

    fn is_due(&self, now: UnixNanos) -> bool {
        let is_full = self
            .size_limit()
            .is_some_and(|limit| self.held.length >= limit);
        let is_old = |age: Duration| now.0 - self.held.begun.0 >= nanos(age);
        is_full || (self.held.length > 0 && self.rotation.age.is_some_and(is_old))
    }

    /// Leaves the file for the next one.
    fn go_over(&mut self, now: UnixNanos) -> Result<(), FileSinkError> {
        let synced = self.held.file.sync_data();
        // Somebody may have renamed it since the last look, and what has its name now is not to be renamed.
        let place = self.place();
        if self.is_elsewhere {
            let next = self.open_next(now)?;
            if let Err(problem) = synced {
                tracing::error!(path = %self.path.display(), %problem, "an audit file that lost its name could not be synced");
            }
            (self.held, self.previous_file) = (
                next,
                if place == Place::Deleted {
                    "deleted"
                } else {
                    "moved"
                },
            );
            match place {
                Place::Deleted => tracing::error!(
                    path = %self.path.display(),
                    "somebody deleted the audit file, and its records with it; the audit goes on in a new one"
                ),
                _ => {
                    tracing::info!(path = %self.path.display(), "somebody moved the audit file; the audit goes on in a new one")
                }
            }
        } else {
            synced?;
            (self.held, self.previous_file) = (self.rotate(now)?, "");
        }
        self.is_elsewhere = false;
        if self.rotation.gzip || self.rotation.keep.is_some() {
            self.retention.tidy(SegmentNames::of(&self.held.place));
        }
        Ok(())
    }

    fn rotate(&self, now: UnixNanos) -> Result<Held, FileSinkError> {
        let place = fs::canonicalize(&self.path)?;
        let segments = SegmentNames::of(&place);
        let closed = segments.plain(segments.next(now)?);
        fs::rename(&place, &closed)?;
        self.open_next(now).inspect_err(|_| {
            // Where that fails too, the file goes on under its new name; its lock tells that it is not closed.
            if !place.exists() {
                let _ = fs::rename(&closed, &place);
            }
        })
    }

    fn open_next(&self, now: UnixNanos) -> Result<Held, FileSinkError> {
        let (held, left) = Held::open(&self.path, self.format, now)?;
        if left.torn_bytes > 0 {
            tracing::warn!(path = %self.path.display(), bytes = left.torn_bytes, "a torn record was cut off the audit file");
        }
        Ok(held)
    }

    /// Whether somebody cut bytes off the file; what follows then says what it goes on from.
    fn was_truncated(&mut self) -> io::Result<bool> {
        let length = self.held.file.metadata()?.len();
        if length >= self.held.length {
            return Ok(false);
        }
        if !self.is_truncation_told {
            let lost = self.held.length - length;
            tracing::error!(
                path = %self.path.display(),
                bytes = lost,
                "somebody cut the audit file while it was written (logrotate's `copytruncate` does); records may be lost: \
                 use rotate_size and rotate_age, or have it renamed instead"
            );
            self.is_truncation_told = true;
        }
        (self.held.length, self.previous_file, self.is_cut) = (length, "", false);
        Ok(true)
    }
}

/// The file that is written to.
#[derive(Debug)]
struct Held {
    file: File,
    /// Where it really is: its directory is the one of the closed files.
    place: PathBuf,
    length: u64,
    /// The time of its first record, or when it was opened.
    begun: UnixNanos,
    /// Whether the directory may not have its name on the disk yet.
    is_new: bool,
}

impl Held {
    fn open(path: &Path, format: Format, now: UnixNanos) -> Result<(Held, Left), FileSinkError> {
        let file = locked(path)?;
        let length = file.metadata()?.len();
        let Found {
            position,
            whole,
            begun,
        } = found(&file, path, length, format)?;
        let torn_bytes = length - whole;
        if torn_bytes > 0 {
            file.set_len(whole)?;
        }
        let place = fs::canonicalize(path)?;
        let begun = begun.filter(|_| whole > 0).unwrap_or(now);
        Ok((
            Held {
                file,
                place,
                length: whole,
                begun,
                is_new: true,
            },
            Left {
                previous: position,
                torn_bytes,
            },
        ))
    }

    fn is_named(&self, path: &Path) -> bool {
        is_named(&self.file, path)
    }

    /// Two questions to the system, since this is asked after each batch.
    fn place(&self, path: &Path) -> Place {
        let Ok(held) = self.file.metadata() else {
            return Place::Moved;
        };
        let (length, links) = (held.len(), held.nlink());
        let id = Id::from(held);
        match fs::metadata(path).map(Id::from) {
            Ok(named) if named == id && length < self.length => Place::Cut,
            Ok(named) if named == id => Place::Kept,
            _ if links == 0 => Place::Deleted,
            _ => Place::Moved,
        }
    }
}

fn is_named(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => Id::from(held) == Id::from(named),
        _ => false,
    }
}

/// Opens a file and takes its lock.
fn locked(path: &Path) -> Result<File, FileSinkError> {
    for _ in 0..TRIES {
        let file = append(path, true)?;
        if !file.metadata()?.is_file() {
            return Err(FileSinkError::new(
                "it is no regular file any more",
                "put it aside, or restart customs to write to it",
            ));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FileSinkError::new(
                    "another process writes to it",
                    "give each its own file",
                ));
            }
            Err(TryLockError::Error(problem)) => {
                tracing::warn!(path = %path.display(), %problem, "the audit file cannot be locked; let nobody else write to it");
            }
        }
        // Whoever had it until now may have given it another name.
        if is_named(&file, path) {
            return Ok(file);
        }
    }
    Err(FileSinkError::new(
        "its name stands for ever another file",
        "find out who renames it, and let customs alone do that",
    ))
}

/// What a file holds that was opened for appending.
fn found(file: &File, path: &Path, length: u64, format: Format) -> Result<Found, FileSinkError> {
    if length == 0 {
        return Ok(Found::default());
    }
    let reader = readable(path)?;
    if Id::from(reader.metadata()?) != Id::from(file.metadata()?) {
        return Err(FileSinkError::new(
            "it was renamed while it was opened",
            "start again",
        ));
    }
    recover::look(&reader, length, format)
}

/// What stands before a file that is empty: the newest closed one.
fn before(segments: &SegmentNames, format: Format, torn_bytes: u64) -> Left {
    let nothing = Left {
        previous: None,
        torn_bytes,
    };
    let newest = match segments.closed() {
        Ok(closed) => closed
            .into_iter()
            .rfind(|(_, forms)| forms.plain || forms.gzip),
        Err(problem) => return unread(segments.directory(), &problem, nothing),
    };
    let Some((moment, forms)) = newest else {
        return nothing;
    };
    match last_of(segments, moment, forms, format) {
        Ok((previous, torn)) => Left {
            previous,
            torn_bytes: torn_bytes + torn,
        },
        Err(problem) => unread(&segments.plain(moment), &problem, nothing),
    }
}

/// The last record of a closed file. If the process ended when it was closed already and the next one could not be
/// opened, a torn record stands behind it, and is cut off.
fn last_of(
    segments: &SegmentNames,
    moment: Moment,
    forms: Forms,
    format: Format,
) -> io::Result<(Option<Position>, u64)> {
    if !forms.plain {
        return Ok((recover::look_compressed(&segments.gzip(moment), format)?, 0));
    }
    let path = segments.plain(moment);
    let file = File::open(&path)?;
    let length = file.metadata()?.len();
    let found = recover::look(&file, length, format).map_err(|unfit| unfit.at(&path))?;
    if found.whole < length {
        append(&path, false)?.set_len(found.whole)?;
    }
    Ok((found.position, length - found.whole))
}

fn unread(path: &Path, problem: &io::Error, left: Left) -> Left {
    tracing::warn!(path = %path.display(), %problem, "the last closed audit file cannot be read; a new chain begins");
    left
}

/// Whether so much time has passed; true as well if the clock was set back by that much.
fn is_past(since: UnixNanos, time: Duration, now: UnixNanos) -> bool {
    now.0.abs_diff(since.0) >= time.as_nanos()
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
impl RotatingFile {
    /// What a write does that finds the disk full; the bytes that the file has then.
    pub(super) fn on_full_disk(&mut self) -> u64 {
        self.give_back();
        self.held.file.metadata().unwrap().len()
    }

    /// Waits until closed files are dealt with.
    pub(super) fn finish(&mut self) {
        self.retention.finish();
    }
}

#[cfg(test)]
mod tests;
