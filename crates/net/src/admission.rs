//! Which calls may wait for their turn on a thread.
//!
//! A thread answers one call after another. If more arrive than it can answer, each waits longer
//! than the one before, until no caller waits for its answer any more. So the number of calls that
//! wait on a thread is bounded. As long as calls have to be refused, few wait, so that the thread
//! soon reads again and refuses the next.
//!
//! It knows no call and no answer. The rules: threads share nothing; a call that finds few others
//! waiting costs one look at a number of its thread; and a connection with few waiting calls has its
//! place beside one with many.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long few calls may wait after one was refused.
const SHEDDING: Duration = Duration::from_millis(100);

/// How many calls may wait on a thread while others are refused: enough that it reads and writes for
/// many at once. A client that obeys a limit of 1,024 calls would otherwise wait for its refusals,
/// and keep more checks in a queue of its own.
const WHILE_SHEDDING: u32 = 128;

/// How many calls of a connection may wait whatever others do, as long as none of them has to be
/// refused: as many as come at once from a client that is not part of the overload.
const UNPRESSED: u32 = 16;

thread_local! {
    static THREAD: ThreadQueue = const { ThreadQueue::new() };
}

/// The calls that wait on one thread.
#[derive(Debug)]
struct ThreadQueue {
    waiting: Cell<u32>,
    /// The connections that have waiting calls.
    connections: Cell<u32>,
    /// Until when few may wait.
    shedding_until: Cell<Option<Instant>>,
}

impl ThreadQueue {
    const fn new() -> ThreadQueue {
        ThreadQueue {
            waiting: Cell::new(0),
            connections: Cell::new(0),
            shedding_until: Cell::new(None),
        }
    }

    /// Returns whether one more call may wait, of a connection that has `own` waiting calls. `most`
    /// may wait on the thread as a rule, and `always` of the connection in any case.
    fn admits(&self, own: u32, most: u32, always: u32) -> bool {
        let (waiting, few) = (self.waiting.get(), WHILE_SHEDDING.min(most));
        if waiting < few {
            return true;
        }
        let now = Instant::now();
        let is_shedding = self.shedding_until.get().is_some_and(|until| now < until);
        if !is_shedding && waiting < most {
            return true;
        }
        self.shedding_until.set(Some(now + SHEDDING));
        // Half of the places are shared out, and the first to come have the others.
        own < (few / 2 / self.connections.get().max(1)).max(always)
    }

    /// Notes that a connection has `after` waiting calls instead of `before`.
    fn change(&self, before: u32, after: u32) {
        let others = self.waiting.get().saturating_sub(before);
        self.waiting.set(others.saturating_add(after));
        let connections = self.connections.get();
        self.connections.set(match (before, after) {
            (0, 1..) => connections.saturating_add(1),
            (1.., 0) => connections.saturating_sub(1),
            _ => connections,
        });
    }
}

/// The calls of one connection that wait for their turn. Only the thread that serves the connection
/// may use it.
#[derive(Debug, Default)]
pub struct ConnectionQueue {
    /// How many calls may wait on the thread; zero if there is no bound, and nothing is counted.
    most: u32,
    waiting: AtomicU32,
    /// A call was refused in this turn, and in the turn before.
    has_refused: AtomicBool,
    had_refused: AtomicBool,
}

impl ConnectionQueue {
    /// Creates the queue of a connection on a thread where `most` calls may wait. Zero means that
    /// there is no bound.
    pub(crate) fn new(most: u32) -> ConnectionQueue {
        ConnectionQueue {
            most,
            ..ConnectionQueue::default()
        }
    }

    /// Returns whether there is a bound.
    pub(crate) fn is_bounded(&self) -> bool {
        self.most > 0
    }

    /// Counts a call that has arrived, if it may wait for its turn. Returns false if it may not.
    pub(crate) fn admit(&self) -> bool {
        if !self.is_bounded() {
            return true;
        }
        let own = self.waiting.load(Relaxed);
        let is_pressed = self.has_refused.load(Relaxed) || self.had_refused.load(Relaxed);
        let always = if is_pressed {
            1
        } else {
            UNPRESSED.min(self.most)
        };
        let is_admitted = THREAD.with(|thread| {
            let is_admitted = thread.admits(own, self.most, always);
            if is_admitted {
                thread.change(own, own.saturating_add(1));
            }
            is_admitted
        });
        if is_admitted {
            self.waiting.store(own.saturating_add(1), Relaxed);
        } else {
            self.has_refused.store(true, Relaxed);
        }
        is_admitted
    }

    /// Notes how many calls wait at the end of a turn, when all that arrived were handed over and
    /// some were run. Of those that were admitted, the transport may have refused some by itself.
    pub fn settle(&self, waiting: usize) {
        if !self.is_bounded() {
            return;
        }
        let has_refused = self.has_refused.load(Relaxed);
        if has_refused || self.had_refused.load(Relaxed) {
            self.had_refused.store(has_refused, Relaxed);
            self.has_refused.store(false, Relaxed);
        }
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        let before = self.waiting.swap(waiting, Relaxed);
        if before != waiting {
            THREAD.with(|thread| thread.change(before, waiting));
        }
    }
}

#[cfg(test)]
mod tests;
