//! A regular file: when it is rotated, and that nothing is lost by it.
//!
//! It renders nothing. The rules:
//!
//! - The file is locked, so that no other process writes to it.
//! - It is left only between two records, after it was synced: when it reaches the size or the age,
//!   when a reopen is requested, and when its name belongs to another file or to none.
//! - If the next file cannot be opened, this one continues, and opening is tried again once a
//!   second. But a file that lost its name takes nothing more: its records would not be found under
//!   the name of the audit log.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::recover::{self, Found};
use super::retention::Retention;
use super::{FileSinkError, Id, append, readable};
use crate::config::Rotation;
use crate::sinks::{Place, Reopen};
use customs_engine::time::UnixNanos;
use customs_record::entry::audit_log::Position;
use customs_record::segment_name::{Forms, SegmentNames, SegmentTime};
use customs_record::stream::{Format, ResumePoint};

/// The least time between two checks of the file that the name belongs to.
const LOOK: Duration = Duration::from_millis(250);

/// The least time between two tries to rotate.
const RETRY: Duration = Duration::from_secs(1);

/// The least size at which a file is closed. Every file begins with a record that says what it
/// continues; a limit near the size of that record would make files of nothing else.
const MIN_SIZE: u64 = 16 << 10;

/// How often a file is opened whose name changes in the meantime.
const TRIES: usize = 8;

/// A file, and those that come after it under the same name.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    format: Format,
    rotation: Rotation,
    reopen: Reopen,
    reopen_requests: u64,
    held: Held,
    left: ResumePoint,
    retention: Retention,
    /// When the name was last checked.
    looked: UnixNanos,
    /// Whether the name belongs to another file or to none.
    is_elsewhere: bool,
    /// Whether another process truncated it.
    is_cut: bool,
    /// What another process did with the file that was left last; empty if customs itself closed
    /// it.
    previous_file: &'static str,
    /// When rotation failed, if the last try did.
    failed: Option<UnixNanos>,
    is_truncation_told: bool,
}

impl RotatingFile {
    /// Opens it, creates it if necessary, and cuts off a torn record.
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
            reopen_requests: reopen.requests(),
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

    /// Returns what was there when it was opened.
    pub(super) fn resume_point(&mut self) -> ResumePoint {
        std::mem::take(&mut self.left)
    }

    /// Rotates to another file if that is due; returns true if it did.
    pub(super) fn rotate_if_due(&mut self, now: UnixNanos) -> io::Result<bool> {
        self.retention.poll();
        let reopen_requests = self.reopen.requests();
        if self.is_elsewhere
            || self.is_cut
            || reopen_requests != self.reopen_requests
            || is_past(self.looked, LOOK, now)
        {
            (self.reopen_requests, self.looked) = (reopen_requests, now);
            self.is_elsewhere = !self.held.is_named(&self.path);
            if self.was_truncated()? {
                return Ok(true);
            }
        }
        if !(self.is_elsewhere || self.is_due(now)) {
            self.failed = None;
            return Ok(false);
        }
        // A file that lost its name takes nothing in the meantime, so every call tries again.
        if !self.is_elsewhere
            && self
                .failed
                .is_some_and(|failed| !is_past(failed, RETRY, now))
        {
            return Ok(false);
        }
        let rotated = self.leave_for_next(now);
        self.failed = rotated.is_err().then_some(now);
        rotated.map(|()| true).map_err(|unfit| unfit.at(&self.path))
    }

    /// Returns what happened to the file that is written to.
    pub(super) fn place(&mut self) -> Place {
        let place = self.held.place(&self.path);
        self.is_elsewhere = matches!(place, Place::Moved | Place::Deleted);
        self.is_cut = place == Place::Cut;
        place
    }

    /// Returns what another process did with the file that was left last.
    pub(super) fn previous_file(&self) -> &'static str {
        self.previous_file
    }

    /// Returns how many bytes it should still get.
    pub(super) fn room(&self) -> usize {
        match self.size_limit() {
            // If the next file cannot be opened, batches stay whole.
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
                self.release_space();
            }
        })?;
        self.held.length += taken as u64;
        Ok(taken)
    }

    /// Empties a file that was deleted. A user who deletes it because the disk is full gets no
    /// space back as long as it is held open. On a full disk no write succeeds, so the file is not
    /// left between two records either.
    fn release_space(&mut self) {
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
                tracing::error!(path = %self.path.display(), %problem, "the audit log file was deleted and its disk space cannot be released");
            }
        }
    }

    /// Waits until everything is on the disk, including the name of the file.
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
    fn leave_for_next(&mut self, now: UnixNanos) -> Result<(), FileSinkError> {
        let synced = self.held.file.sync_data();
        // Another process may have renamed it since the last check; the file that has its name now
        // must not be renamed.
        let place = self.place();
        if self.is_elsewhere {
            let next = self.open_next(now)?;
            if let Err(problem) = synced {
                tracing::error!(path = %self.path.display(), %problem, "an audit log file that lost its name could not be synced");
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
                    "another process deleted the audit log file, and its records with it; the audit log continues in a new one"
                ),
                _ => {
                    tracing::info!(path = %self.path.display(), "another process moved the audit log file; the audit log continues in a new one")
                }
            }
        } else {
            synced?;
            (self.held, self.previous_file) = (self.rotate(now)?, "");
        }
        self.is_elsewhere = false;
        self.retention.tidy(SegmentNames::of(&self.held.place));
        Ok(())
    }

    fn rotate(&self, now: UnixNanos) -> Result<Held, FileSinkError> {
        let place = fs::canonicalize(&self.path)?;
        let segments = SegmentNames::of(&place);
        let closed = segments.plain(segments.next(now)?);
        fs::rename(&place, &closed)?;
        self.open_next(now).inspect_err(|_| {
            // If that fails too, the file continues under its new name; its lock shows that it is
            // not closed.
            if !place.exists() {
                let _ = fs::rename(&closed, &place);
            }
        })
    }

    fn open_next(&self, now: UnixNanos) -> Result<Held, FileSinkError> {
        let (held, left) = Held::open(&self.path, self.format, now)?;
        if left.torn_bytes > 0 {
            tracing::warn!(path = %self.path.display(), bytes = left.torn_bytes, "a torn record was cut off the audit log file");
        }
        Ok(held)
    }

    /// Returns whether another process truncated the file; the next record then says what it
    /// continues.
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
                "another process truncated the audit log file while it was written (logrotate's `copytruncate` does); records may be lost: \
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
    /// Its real path: the directory of the closed files is that of this path.
    place: PathBuf,
    length: u64,
    /// The time of its first record, or when it was opened.
    begun: UnixNanos,
    /// Whether its name may not be on the disk yet.
    is_new: bool,
}

impl Held {
    fn open(
        path: &Path,
        format: Format,
        now: UnixNanos,
    ) -> Result<(Held, ResumePoint), FileSinkError> {
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
            ResumePoint {
                previous: position,
                torn_bytes,
            },
        ))
    }

    fn is_named(&self, path: &Path) -> bool {
        is_named(&self.file, path)
    }

    /// Makes two system calls, since it runs after each batch.
    fn place(&self, path: &Path) -> Place {
        let Ok(held) = self.file.metadata() else {
            return Place::Moved;
        };
        let (length, links) = (held.len(), held.nlink());
        let id = Id::from(held);
        match fs::metadata(path).map(Id::from) {
            Ok(named) if named == id && length < self.length => Place::Cut,
            Ok(named) if named == id => Place::Unchanged,
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
                "it is not a regular file any more",
                "move it away, or restart customs to write to it",
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
                tracing::warn!(path = %path.display(), %problem, "the audit log file cannot be locked; make sure that no other process writes to it");
            }
        }
        // The previous owner may have renamed it.
        if is_named(&file, path) {
            return Ok(file);
        }
    }
    Err(FileSinkError::new(
        "the path keeps changing to another file",
        "another process is renaming it; disable that process",
    ))
}

/// Examines a file that was opened for appending.
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

/// Returns what an empty file continues: the newest closed one.
fn before(segments: &SegmentNames, format: Format, torn_bytes: u64) -> ResumePoint {
    let nothing = ResumePoint {
        previous: None,
        torn_bytes,
    };
    let newest = match segments.closed() {
        Ok(closed) => closed
            .into_iter()
            .rfind(|(_, forms)| forms.plain || forms.gzip),
        Err(problem) => return unread(segments.directory(), &problem, nothing),
    };
    let Some((time, forms)) = newest else {
        return nothing;
    };
    match last_of(segments, time, forms, format) {
        Ok((previous, torn)) => ResumePoint {
            previous,
            torn_bytes: torn_bytes + torn,
        },
        Err(problem) => unread(&segments.plain(time), &problem, nothing),
    }
}

/// Returns the last record of a closed file. If the process ended after it had closed this file and
/// before it could open the next, a torn record may follow, and is cut off.
fn last_of(
    segments: &SegmentNames,
    time: SegmentTime,
    forms: Forms,
    format: Format,
) -> io::Result<(Option<Position>, u64)> {
    if !forms.plain {
        return Ok((recover::look_compressed(&segments.gzip(time), format)?, 0));
    }
    let path = segments.plain(time);
    let file = File::open(&path)?;
    let length = file.metadata()?.len();
    let found = recover::look(&file, length, format).map_err(|unfit| unfit.at(&path))?;
    if found.whole < length {
        append(&path, false)?.set_len(found.whole)?;
    }
    Ok((found.position, length - found.whole))
}

fn unread(path: &Path, problem: &io::Error, left: ResumePoint) -> ResumePoint {
    tracing::warn!(path = %path.display(), %problem, "the last closed audit log file cannot be read; a new chain begins");
    left
}

/// Returns whether this much time has passed; true as well if the clock was set back by that much.
fn is_past(since: UnixNanos, time: Duration, now: UnixNanos) -> bool {
    now.0.abs_diff(since.0) >= time.as_nanos()
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
impl RotatingFile {
    /// Does what a write does on a full disk; returns the bytes that the file has afterwards.
    pub(super) fn on_full_disk(&mut self) -> u64 {
        self.release_space();
        self.held.file.metadata().unwrap().len()
    }

    /// Waits until closed files are handled.
    pub(super) fn finish(&mut self) {
        self.retention.finish();
    }
}

#[cfg(test)]
mod tests;
