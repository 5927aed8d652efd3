//! The state of a sink, as its writer reports it to the checks.
//!
//! It judges nothing: [`sink_queue`](super::sink_queue) says what the state means for an answer.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What the writer reports about itself.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) written: AtomicU64,
    pub(super) failures: AtomicU64,
    /// Whether the sink does not take what it should.
    pub(super) failing: AtomicBool,
    /// Whether the last sync failed.
    pub(super) unsynced: AtomicBool,
    /// How many batches in a row reached the disk too late for their answers.
    pub(super) late: AtomicU64,
    /// Why the sink fails or its last sync failed, and since when.
    trouble: Mutex<Option<(Instant, String)>>,
    /// Since when the writer has been at one batch; `None` while it has nothing to write.
    busy: Mutex<Option<Instant>>,
    /// Whether nothing new is accepted.
    pub(super) closing: AtomicBool,
    /// Whether the writer must stop trying.
    pub(super) give_up: AtomicBool,
    /// Whether the writer has ended.
    pub(super) ended: AtomicBool,
}

impl State {
    /// Records why the sink fails, for the writer; returns true if it worked before.
    pub(super) fn fails(&self, why: &dyn fmt::Display) -> bool {
        self.failures.fetch_add(1, Relaxed);
        self.note(why);
        !self.failing.swap(true, Relaxed)
    }

    /// Records that a sync failed.
    pub(super) fn fails_to_sync(&self, why: &dyn fmt::Display) {
        self.failures.fetch_add(1, Relaxed);
        self.note(why);
        self.unsynced.store(true, Relaxed);
    }

    fn note(&self, why: &dyn fmt::Display) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let since = trouble
            .as_ref()
            .map_or_else(Instant::now, |(since, _)| *since);
        *trouble = Some((since, why.to_string()));
    }

    /// Records that the sink works; returns true if it did not before.
    pub(super) fn works(&self) -> bool {
        let is_back = self.failing.swap(false, Relaxed);
        if is_back && !self.unsynced.load(Relaxed) {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        is_back
    }

    /// Records that a sync succeeded.
    pub(super) fn syncs(&self) {
        if self.unsynced.swap(false, Relaxed) {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Records that the writer begins a batch, or has finished it.
    pub(super) fn set_busy(&self, since: Option<Instant>) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Returns since when it has been at one batch.
    pub(super) fn busy(&self) -> Option<Instant> {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why the sink fails, and since when.
    pub(super) fn trouble(&self) -> Option<(Instant, String)> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
