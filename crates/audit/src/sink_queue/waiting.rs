//! Waiting for room in a queue, in async code.
//!
//! It needs tokio's timer; a host without a runtime calls [`SinkQueue::reserve_now`], which never
//! waits.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::time::{Instant, timeout_at};

use super::{Load, SinkQueue};
use crate::config::OnFull;
use customs_engine::time::UnixNanos;

impl SinkQueue {
    /// Reserves room as [`reserve_now`](Self::reserve_now) does, and waits for it until the
    /// deadline if the sink blocks. `waiting` is the time since which the check has waited for this
    /// and other sinks, so that their deadlines do not add up.
    pub async fn reserve(&self, load: Load, waiting: &mut Option<Instant>) -> bool {
        if self.reserve_now(load) {
            return true;
        }
        if self.on_full != OnFull::Block {
            return false;
        }
        let _waiting = Waiting::of(&self.waiting);
        if self.waiting.load(Relaxed) > self.limits.waiting {
            return false;
        }
        let deadline = *waiting.get_or_insert_with(Instant::now) + self.limits.deadline;
        loop {
            let freed = self.freed.notified();
            if self.reserve_now(load) {
                return true;
            }
            if timeout_at(deadline, freed).await.is_err() {
                return self.reserve_now(load);
            }
        }
    }

    /// Reserves room for an event that already happened and must be recorded. Waits as long as it
    /// takes, unless the sink drops. Returns false if the event is lost, which is then counted.
    pub async fn reserve_for_event(&self, time: UnixNanos) -> bool {
        let load = Load::of_event(time);
        loop {
            let freed = self.freed.notified();
            if self.try_reserve(load) {
                return true;
            }
            let is_over = self.state.closing.load(Relaxed) || self.state.ended.load(Relaxed);
            if is_over || self.on_full == OnFull::Drop {
                self.record_drop(load);
                return false;
            }
            freed.await;
        }
    }
}

/// Counts a waiting check until it is dropped.
struct Waiting<'l>(&'l AtomicU64);

impl Waiting<'_> {
    fn of(count: &AtomicU64) -> Waiting<'_> {
        count.fetch_add(1, Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
