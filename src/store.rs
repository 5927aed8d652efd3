//! The only mutable cell between the two journeys: one [`Publisher`] writes the snapshot in force, many [`Reader`]s
//! load it without waiting.
//!
//! There is always a snapshot; before the first good set it is one that denies everything. The publisher cannot be
//! cloned, so one task publishes, and the last good snapshot stays until that task has a better one.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::engine::snapshot::Snapshot;

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
    pub fn publish(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }

    /// What is in force.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

/// The read half.
#[derive(Clone, Debug)]
pub struct Reader(Arc<ArcSwap<Snapshot>>);

impl Reader {
    /// The snapshot in force; hold it for one check only.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}
