//! Indexes and compresses closed files, and deletes the oldest.
//!
//! It never touches the file that is written to, nor any that a process holds a lock on. The rules:
//!
//! - One thread at a time does the work, beside the writer, and it is joined. It ends early when
//!   the sink ends.
//! - A compressed file gets its name after the whole of it is on the disk, and only then is the
//!   plain file deleted. So all records are in a file at every time, and unfinished work is done
//!   again at the next start.
//! - An index is made of a closed file before it is compressed, and goes with its file. Searches do
//!   without, so a file that cannot be indexed is only a warning.
//! - A failure is logged, loses nothing, and the work is tried again after the next file is closed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::FILE_MODE;
use crate::config::Rotation;
use customs_record::segment_index::{FileStamp, SegmentIndex};
use customs_record::segment_name::{Forms, SegmentNames, SegmentTime};

/// How much is compressed between two checks whether to stop.
const BLOCK: usize = 64 << 10;

/// The handling of closed files, and the thread that does it.
#[derive(Debug)]
pub(super) struct Retention {
    keep: Option<usize>,
    gzip: bool,
    stop: Arc<AtomicBool>,
    running: Option<JoinHandle<()>>,
    /// What is to be examined after that.
    next: Option<SegmentNames>,
}

impl Retention {
    /// Creates one that does what the settings say.
    pub(super) fn new(rotation: &Rotation) -> Retention {
        let &Rotation {
            size: _,
            age: _,
            keep,
            gzip,
        } = rotation;
        Retention {
            keep,
            gzip,
            stop: Arc::default(),
            running: None,
            next: None,
        }
    }

    /// Examines closed files, now or after the current work.
    pub(super) fn tidy(&mut self, segments: SegmentNames) {
        self.next = Some(segments);
        self.poll();
    }

    /// Begins waiting work if none is running.
    pub(super) fn poll(&mut self) {
        if self
            .running
            .as_ref()
            .is_some_and(|running| !running.is_finished())
        {
            return;
        }
        self.join();
        let Some(segments) = self.next.take() else {
            return;
        };
        let work = Work {
            segments,
            keep: self.keep,
            gzip: self.gzip,
            stop: self.stop.clone(),
        };
        match thread::Builder::new()
            .name("audit-files".into())
            .spawn(move || work.run())
        {
            Ok(running) => self.running = Some(running),
            Err(problem) => {
                tracing::error!(%problem, "closed audit log files stay as they are: the thread for them cannot be started")
            }
        }
    }

    fn join(&mut self) {
        if self
            .running
            .take()
            .is_some_and(|running| running.join().is_err())
        {
            tracing::error!(
                "the thread for closed audit log files ended early; the work is tried again after the next file is closed"
            );
        }
    }
}

impl Drop for Retention {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.join();
    }
}

/// One pass over closed files.
struct Work {
    segments: SegmentNames,
    keep: Option<usize>,
    gzip: bool,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn run(&self) {
        let closed = match self.segments.closed() {
            Ok(closed) => closed,
            Err(problem) => {
                return log_failure(
                    "cannot list the closed audit log files",
                    self.segments.directory(),
                    &problem,
                );
            }
        };
        // The beginning of a compressed file, without a plain one, does not count as a kept file.
        let (closed, leftovers): (BTreeMap<_, _>, BTreeMap<_, _>) = closed
            .into_iter()
            .partition(|(_, forms)| forms.plain || forms.gzip);
        for (time, forms) in leftovers {
            self.remove_if(forms.part, &self.segments.part(time));
            self.remove_if(forms.index, &self.segments.index(time));
        }
        let spare = self
            .keep
            .map_or(0, |keep| closed.len().saturating_sub(keep));
        let (old, kept): (Vec<_>, Vec<_>) = closed
            .into_iter()
            .enumerate()
            .partition(|(index, _)| *index < spare);
        for (_, (time, forms)) in old {
            self.delete(time, forms);
        }
        self.keep(kept.into_iter().map(|(_, closed)| closed).collect());
    }

    fn delete(&self, time: SegmentTime, forms: Forms) {
        let paths = [
            (forms.part, self.segments.part(time)),
            (forms.index, self.segments.index(time)),
            (forms.plain, self.segments.plain(time)),
            (forms.gzip, self.segments.gzip(time)),
        ];
        for (_, path) in paths.iter().filter(|(is_there, _)| *is_there) {
            match locked(path) {
                Ok(Some(_lock)) => remove(path),
                Ok(None) => {}
                Err(problem) => {
                    log_failure("cannot delete a closed audit log file", path, &problem)
                }
            }
        }
    }

    fn keep(&self, kept: BTreeMap<SegmentTime, Forms>) {
        for (time, forms) in kept {
            let (plain, part) = (self.segments.plain(time), self.segments.part(time));
            if forms.part {
                remove(&part);
            }
            if self.stop.load(Relaxed) || !forms.plain {
                continue;
            }
            if forms.gzip {
                // The compressed file is whole, or it would not have its name.
                remove(&plain);
                continue;
            }
            let index = match self.gzip || !forms.index {
                true => self.index(&plain),
                false => None,
            };
            let mut indexed = plain.clone();
            if self.gzip {
                match self.compress(time) {
                    Ok(()) => indexed = self.segments.gzip(time),
                    Err(problem) => {
                        let _ = fs::remove_file(&part);
                        log_failure("cannot compress a closed audit log file", &plain, &problem);
                    }
                }
            }
            if let Some(index) = index {
                self.write_index(index, &indexed, time);
            }
        }
    }

    /// Makes the index of a closed file, unless a process has it locked.
    fn index(&self, plain: &Path) -> Option<SegmentIndex> {
        let is_wanted = || !self.stop.load(Relaxed);
        let made = locked(plain).and_then(|lock| match lock {
            Some(_lock) => SegmentIndex::of(plain, is_wanted),
            None => Ok(None),
        });
        made.unwrap_or_else(|problem| {
            warn_of_index(plain, &problem);
            None
        })
    }

    /// Writes the index of a closed file, as it is now.
    fn write_index(&self, index: SegmentIndex, file: &Path, time: SegmentTime) {
        let stamp = fs::metadata(file).map(|about| FileStamp::of(&about));
        let written =
            stamp.and_then(|stamp| index.with_file(stamp).write(&self.segments.index(time)));
        if let Err(problem) = written {
            warn_of_index(file, &problem);
        }
    }

    fn remove_if(&self, is_there: bool, path: &Path) {
        if is_there {
            remove(path);
        }
    }

    fn compress(&self, time: SegmentTime) -> io::Result<()> {
        let (plain, part) = (self.segments.plain(time), self.segments.part(time));
        let Some(mut from) = locked(&plain)? else {
            return Ok(());
        };
        let to = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&part)?;
        // The processor belongs to the checks: the fastest level costs less than half of the
        // default one.
        let mut to = GzEncoder::new(to, Compression::fast());
        let mut block = vec![0; BLOCK];
        loop {
            let count = from.read(&mut block)?;
            if self.stop.load(Relaxed) {
                return fs::remove_file(&part);
            }
            let Some(bytes @ [_, ..]) = block.get(..count) else {
                break;
            };
            to.write_all(bytes)?;
        }
        to.finish()?.sync_all()?;
        fs::rename(&part, self.segments.gzip(time))?;
        File::open(self.segments.directory())?.sync_all()?;
        fs::remove_file(&plain)
    }
}

/// Opens a file for reading that no process has locked; `None` if one has.
fn locked(path: &Path) -> io::Result<Option<File>> {
    let file = File::open(path)?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Ok(None),
        // On a file system without locks, the name is the only evidence.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

fn remove(path: &Path) {
    if let Err(problem) = fs::remove_file(path) {
        log_failure("cannot delete a closed audit log file", path, &problem);
    }
}

fn warn_of_index(path: &Path, problem: &io::Error) {
    tracing::warn!(path = %path.display(), %problem, "a closed audit log file has no index; `customs audit search` makes it, or reads the whole file");
}

fn log_failure(what: &str, path: &Path, problem: &io::Error) {
    tracing::error!(path = %path.display(), %problem, "{what}; it is tried again after the next one is closed");
}

#[cfg(test)]
impl Retention {
    /// Waits until all work is done.
    pub(super) fn finish(&mut self) {
        while self.running.is_some() || self.next.is_some() {
            self.join();
            self.poll();
        }
    }
}

#[cfg(test)]
mod tests;
