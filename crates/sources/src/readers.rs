//! Reads many things on threads that can be abandoned, because a file system may never answer.
//!
//! The rule: **a reading that hangs delays no other.** Readings are done one after the other on one
//! thread. If one does not finish, another thread continues with the rest. After the patience of
//! the cycle is over, the cycle continues without it. Its thread is abandoned: it must not be
//! joined, since it may never end, and that source is not read again before it has. What it finally
//! reads is kept, and the loop is woken.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a reading may take before another thread continues with the rest.
const STALL: Duration = Duration::from_millis(100);

/// A reading to do, under the key of its target.
pub(super) struct Reading<K, T> {
    /// The key.
    pub(super) key: K,
    /// Reads it.
    pub(super) read: Box<dyn FnOnce() -> T + Send>,
    /// Receives the result if the cycle has continued meanwhile; it runs on the same thread.
    pub(super) late: Box<dyn FnOnce(T) + Send>,
}

/// The name of a target.
pub(super) trait Key: Ord + Clone + Send + 'static {}

impl<K: Ord + Clone + Send + 'static> Key for K {}

/// Does all readings, and returns those that finished within the patience.
pub(super) fn read_all<K: Key, T: Send + 'static>(
    readings: Vec<Reading<K, T>>,
    patience: Duration,
) -> BTreeMap<K, T> {
    let begun = Instant::now();
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            waiting: readings.into(),
            running: BTreeMap::new(),
            done: BTreeMap::new(),
            over: false,
        }),
        changed: Condvar::new(),
    });
    let mut state = shared.lock();
    let is_left_behind = |state: &State<K, T>| {
        state.waiting.is_empty() && begun.elapsed() > patience && state.all_run_for(patience)
    };
    while !state.is_done() && !is_left_behind(&state) {
        let stalled = state.running.len();
        if !state.waiting.is_empty() && state.all_run_for(STALL) {
            // As many again as hang, so that a file system with many sources on it is found out
            // soon.
            let wanted = (stalled + 1).min(state.waiting.len());
            if (0..wanted)
                .filter(|_| spawn(shared.clone()).is_ok())
                .count()
                == 0
                && stalled == 0
            {
                // If the system provides no thread, this one reads.
                drop(state);
                shared.work();
                state = shared.lock();
                continue;
            }
            // They do not count as running until they have begun.
            state = shared.wait(state, STALL);
            continue;
        }
        state = shared.wait(state, STALL);
    }
    state.over = true;
    std::mem::take(&mut state.done)
}

fn spawn<K: Key, T: Send + 'static>(shared: Arc<Shared<K, T>>) -> std::io::Result<()> {
    let reader = thread::Builder::new().name("customs-reader".to_owned());
    // Not joined: what hangs in the system can neither be ended nor waited for. It holds nothing
    // that others need.
    reader.spawn(move || shared.work()).map(drop)
}

struct Shared<K, T> {
    state: Mutex<State<K, T>>,
    changed: Condvar,
}

struct State<K, T> {
    waiting: VecDeque<Reading<K, T>>,
    running: BTreeMap<K, Instant>,
    done: BTreeMap<K, T>,
    /// The cycle has continued.
    over: bool,
}

impl<K: Key, T> State<K, T> {
    fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    fn all_run_for(&self, time: Duration) -> bool {
        self.running.values().all(|since| since.elapsed() >= time)
    }
}

impl<K: Key, T> Shared<K, T> {
    fn lock(&self) -> MutexGuard<'_, State<K, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(
        &self,
        state: MutexGuard<'s, State<K, T>>,
        time: Duration,
    ) -> MutexGuard<'s, State<K, T>> {
        self.changed
            .wait_timeout(state, time)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// Does one reading after the other until none waits.
    fn work(&self) {
        loop {
            let mut state = self.lock();
            let Some(Reading { key, read, late }) = state.waiting.pop_front() else {
                return;
            };
            state.running.insert(key.clone(), Instant::now());
            drop(state);
            // A reading that panics counts as one that never finishes.
            let found = read();
            let mut state = self.lock();
            state.running.remove(&key);
            if state.over {
                drop(state);
                late(found);
                return;
            }
            state.done.insert(key, found);
            drop(state);
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn reading(
        index: usize,
        read: impl FnOnce() -> usize + Send + 'static,
    ) -> Reading<usize, usize> {
        Reading {
            key: index,
            read: Box::new(read),
            late: Box::new(|_| ()),
        }
    }

    #[test]
    fn everything_that_ends_is_read() {
        let readings = (0..100)
            .map(|index| reading(index, move || index * 2))
            .collect();
        let found = read_all(readings, Duration::from_secs(10));
        assert!(
            found.len() == 100 && found.iter().all(|(index, read)| index * 2 == *read),
            "{found:?}"
        );
    }

    #[test]
    fn a_reading_that_hangs_delays_no_other_and_is_used_later() {
        let (release, hangs) = mpsc::channel::<()>();
        let (sender, receiver) = mpsc::channel();
        let hung = Reading {
            key: 0,
            read: Box::new(move || {
                let _released = hangs.recv();
                7
            }),
            late: Box::new(move |read: usize| sender.send(read).unwrap()),
        };
        let readings = std::iter::once(hung)
            .chain((1..50).map(|index| reading(index, move || index)))
            .collect();
        let begun = Instant::now();
        let found = read_all(readings, Duration::from_millis(200));
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(
            found.keys().copied().collect::<Vec<_>>(),
            (1..50).collect::<Vec<_>>()
        );
        assert!(receiver.try_recv().is_err());
        release.send(()).unwrap();
        assert_eq!(receiver.recv_timeout(Duration::from_secs(10)).unwrap(), 7);
    }

    #[test]
    fn many_that_hang_are_found_out_soon() {
        let (keeps, hangs) = mpsc::channel::<()>();
        let hangs = Arc::new(Mutex::new(hangs));
        let hung = |index| {
            let hangs = hangs.clone();
            reading(index, move || {
                hangs
                    .lock()
                    .map(|hangs| hangs.recv().map_or(0, |()| 1))
                    .unwrap_or_default()
            })
        };
        let readings = (0..60).map(hung).chain([reading(60, || 60)]).collect();
        let begun = Instant::now();
        let found = read_all(readings, Duration::from_millis(100));
        assert_eq!((found.len(), found.get(&60)), (1, Some(&60)));
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
        drop(keeps);
    }
}
