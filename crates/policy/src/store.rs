//! The only mutable cell between the two journeys: one [`Publisher`] writes the snapshot in force, many [`Reader`]s
//! load it without waiting.
//!
//! There is always a snapshot; before the first good set it is one that denies everything. The publisher cannot be
//! cloned, so one task publishes, and the last good snapshot stays until that task has a better one.

use std::ops::Deref;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use customs_engine::snapshot::Snapshot;

/// How often, and how long each time, whoever lets go of a set waits for checks that still hold it.
const MOST_PAUSES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(1);

/// Makes the cell, with what is in force before anything was loaded.
pub fn cell(initial: Snapshot) -> (Publisher, Reader) {
    let cell = Arc::new(ArcSwap::from_pointee(initial));
    (Publisher(cell.clone()), Reader(cell))
}

/// The write half.
#[derive(Debug)]
pub struct Publisher(Arc<ArcSwap<Snapshot>>);

impl Publisher {
    /// Puts a whole snapshot in force, at once for every reader.
    pub fn publish(&self, snapshot: Snapshot) -> Replaced {
        Replaced(self.0.swap(Arc::new(snapshot)))
    }

    /// What is in force.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

/// The snapshot that was in force before, which checks may still hold.
#[derive(Debug)]
pub struct Replaced(Arc<Snapshot>);

impl Replaced {
    /// Takes it apart once no check holds it; blocks. Whoever lets go last takes a large set apart, which takes
    /// milliseconds: it must be a thread that nobody waits for.
    pub fn let_go(self) {
        // Checks hold it for microseconds, so after a short while the last is this thread and no check. Whoever explains
        // may hold it longer, and has the time.
        for _ in 0..MOST_PAUSES {
            if Arc::strong_count(&self.0) == 1 {
                break;
            }
            thread::sleep(PAUSE);
        }
    }
}

/// The snapshot in force when it was asked for. Checks on several threads take and leave it without writing to memory that
/// they share.
#[derive(Debug)]
pub struct InForce(Guard<Arc<Snapshot>>);

impl Deref for InForce {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

/// The read half.
#[derive(Clone, Debug)]
pub struct Reader(Arc<ArcSwap<Snapshot>>);

impl Reader {
    /// The snapshot in force; hold it for one check only.
    pub fn snapshot(&self) -> InForce {
        InForce(self.0.load())
    }

    /// The same, to be kept for longer.
    pub fn shared(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_engine::settings::Settings;

    #[test]
    fn whoever_lets_go_is_the_last_that_held_it() {
        let unloaded = || Snapshot::unloaded(Settings::default());
        let (publisher, reader) = cell(unloaded());
        let old = Arc::downgrade(&reader.shared());
        let (holds, held) = std::sync::mpsc::channel();
        let check = thread::spawn(move || {
            let _snapshot = reader.snapshot();
            holds.send(()).unwrap();
            thread::sleep(10 * PAUSE);
        });
        held.recv().unwrap();
        let replaced = publisher.publish(unloaded());
        assert!(old.strong_count() > 1);
        replaced.let_go();
        assert_eq!(old.strong_count(), 0, "a check may be the last otherwise");
        check.join().unwrap();
    }
}
