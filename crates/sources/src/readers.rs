//! Reads many things on threads that can be left behind, because a file system may never answer.
//!
//! The rule: **what hangs holds up nobody else.** Readings are done one after the other on one thread. Where one does not
//! come to an end, another thread goes on with the rest; and after the patience of the round is over, the round goes on
//! without it. Its thread is left to itself: it must not be joined, since it may never end, and nothing else is asked of that
//! source before it has. What it read in the end is kept, and whoever waits for it is woken.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A reading may take this long before another thread goes on with the rest.
const STALL: Duration = Duration::from_millis(100);

/// Something to be read, under the key of what it is of.
pub(super) struct Reading<K, T> {
    /// The key.
    pub(super) key: K,
    /// Reads it.
    pub(super) read: Box<dyn FnOnce() -> T + Send>,
    /// What becomes of it where the round has gone on meanwhile; it goes on on the same thread.
    pub(super) late: Box<dyn FnOnce(T) + Send>,
}

/// What names something that is read.
pub(super) trait Key: Ord + Clone + Send + 'static {}

impl<K: Ord + Clone + Send + 'static> Key for K {}

/// Reads all of it, and gives back what came to an end within the patience.
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
            // As many again as hang, so that a file system with many sources on it is found out soon.
            let wanted = (stalled + 1).min(state.waiting.len());
            if (0..wanted)
                .filter(|_| spawn(shared.clone()).is_ok())
                .count()
                == 0
                && stalled == 0
            {
                // The system gives no thread; then this one reads.
                drop(state);
                shared.work();
                state = shared.lock();
                continue;
            }
            // Until they have begun they are not counted as running.
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
    // Not joined: what hangs in the system can neither be ended nor waited for. It holds nothing that others need.
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
    /// The round has gone on.
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
            // A reading that panics is one that never comes to an end.
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
    fn one_that_hangs_holds_up_nobody_and_is_taken_later() {
        let (release, hangs) = mpsc::channel::<()>();
        let (tells, told) = mpsc::channel();
        let hung = Reading {
            key: 0,
            read: Box::new(move || {
                let _released = hangs.recv();
                7
            }),
            late: Box::new(move |read: usize| tells.send(read).unwrap()),
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
        assert!(told.try_recv().is_err());
        release.send(()).unwrap();
        assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), 7);
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
