//! The position of a reader, for the loop that decides whether it hangs.
//!
//! It says nothing about what was read.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The path that a reader is at, and since when.
#[derive(Debug)]
pub struct Progress(Mutex<(PathBuf, Instant)>);

impl Default for Progress {
    fn default() -> Progress {
        Progress(Mutex::new((PathBuf::new(), Instant::now())))
    }
}

impl Progress {
    /// Stores the path that is inspected or read next.
    pub(super) fn at(&self, path: &Path) {
        let mut at = self.lock();
        path.clone_into(&mut at.0);
        at.1 = Instant::now();
    }

    /// Returns the path that is inspected or read.
    pub(super) fn path(&self) -> PathBuf {
        self.lock().0.clone()
    }

    /// Returns since when the reader has been there.
    pub(super) fn since(&self) -> Instant {
        self.lock().1
    }

    fn lock(&self) -> MutexGuard<'_, (PathBuf, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn pretend_since(&self, since: Instant) {
        self.lock().1 = since;
    }
}
