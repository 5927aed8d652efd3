//! Brings the results of threads back into the order of their parts, in bounded memory.
//!
//! It knows no record. The rule: the part whose turn it is can always go on, so no thread waits for
//! ever; every other thread waits once too much is ahead.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What comes next.
pub(super) enum Taken<T, F> {
    /// A value of a part.
    Value(T),
    /// The part is over.
    Finished(F),
}

/// The results that wait for their turn.
pub(super) struct Gate<T, F> {
    most: usize,
    state: Mutex<State<T, F>>,
    /// Something was put, taken or ended.
    changed: Condvar,
}

struct State<T, F> {
    /// The part whose turn it is.
    turn: u64,
    waiting: BTreeMap<u64, Waiting<T, F>>,
    /// The weight of all that wait.
    weight: usize,
    /// How many threads are at work.
    threads: usize,
    is_over: bool,
}

struct Waiting<T, F> {
    values: std::collections::VecDeque<(usize, T)>,
    weight: usize,
    finished: Option<F>,
}

impl<T, F> Default for Waiting<T, F> {
    fn default() -> Self {
        Waiting {
            values: std::collections::VecDeque::new(),
            weight: 0,
            finished: None,
        }
    }
}

/// What every value takes besides its own weight.
const LEAST: usize = 256;

impl<T, F> Gate<T, F> {
    pub(super) fn new(most: usize) -> Gate<T, F> {
        Gate {
            most,
            state: Mutex::new(State {
                turn: 0,
                waiting: BTreeMap::new(),
                weight: 0,
                threads: 0,
                is_over: false,
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T, F>> {
        // A thread that panics leaves whole values behind; the panic continues in the caller.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread begins.
    pub(super) fn enter(&self) {
        self.state().threads += 1;
    }

    /// A thread ends.
    pub(super) fn leave(&self) {
        self.state().threads -= 1;
        self.changed.notify_all();
    }

    /// Ends the work.
    pub(super) fn end(&self) {
        self.state().is_over = true;
        self.changed.notify_all();
    }

    /// Ends the work of all threads if this one panics.
    pub(super) fn end_on_panic(&self) -> EndOnPanic<'_, T, F> {
        EndOnPanic(self)
    }

    /// Puts a value of a part; waits for room. Breaks if the work is over.
    pub(super) fn put(&self, part: u64, weight: usize, value: T) -> ControlFlow<()> {
        let weight = weight.saturating_add(LEAST);
        let mut state = self.state();
        while !state.is_over && !state.has_room(part, self.most) {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_over {
            return ControlFlow::Break(());
        }
        let waiting = state.waiting.entry(part).or_default();
        waiting.values.push_back((weight, value));
        waiting.weight += weight;
        state.weight += weight;
        self.changed.notify_all();
        ControlFlow::Continue(())
    }

    /// Ends a part. Breaks if the work is over.
    pub(super) fn finish(&self, part: u64, finished: F) -> ControlFlow<()> {
        let mut state = self.state();
        state.waiting.entry(part).or_default().finished = Some(finished);
        self.changed.notify_all();
        match state.is_over {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Takes what comes next; waits for it. Returns `None` at the end.
    pub(super) fn take(&self) -> Option<Taken<T, F>> {
        let mut state = self.state();
        loop {
            if state.is_over {
                return None;
            }
            if let Some(taken) = state.next() {
                self.changed.notify_all();
                return Some(taken);
            }
            if state.threads == 0 {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T, F> State<T, F> {
    fn has_room(&self, part: u64, most: usize) -> bool {
        let own = self.waiting.get(&part).map_or(0, |waiting| waiting.weight);
        match part == self.turn {
            true => own < most,
            false => self.weight < most,
        }
    }

    fn next(&mut self) -> Option<Taken<T, F>> {
        let waiting = self.waiting.get_mut(&self.turn)?;
        if let Some((weight, value)) = waiting.values.pop_front() {
            waiting.weight -= weight;
            self.weight -= weight;
            return Some(Taken::Value(value));
        }
        let finished = waiting.finished.take()?;
        self.waiting.remove(&self.turn);
        self.turn += 1;
        Some(Taken::Finished(finished))
    }
}

/// Ends the work if it is dropped by a panic: the others would wait for this thread's part.
pub(super) struct EndOnPanic<'g, T, F>(&'g Gate<T, F>);

impl<T, F> Drop for EndOnPanic<'_, T, F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end();
            self.0.leave();
        }
    }
}
