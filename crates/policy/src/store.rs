//! The only mutable cell between the two journeys: one [`Publisher`] writes the snapshot in force, many [`Reader`]s
//! load it without waiting.
//!
//! There is always a snapshot; before the first good set it is one that denies everything. The publisher cannot be
//! cloned, so one task publishes, and the last good snapshot stays until that task has a better one.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use customs_engine::snapshot::Snapshot;

/// Makes the cell, with what is in force before anything was loaded.
pub fn cell(initial: Snapshot) -> (Publisher, Reader) {
    let cell = Arc::new(ArcSwap::from_pointee(initial));
    (Publisher(cell.clone()), Reader(cell))
}

/// The write half.
#[derive(Debug)]
pub struct Publisher(Arc<ArcSwap<Snapshot>>);

impl Publisher {
    /// Puts a whole snapshot in force, at once for every reader. Returns the one before, which checks
    /// may still hold: the thread that drops the last reference frees it.
    pub fn publish(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        self.0.swap(Arc::new(snapshot))
    }

    /// What is in force.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
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
