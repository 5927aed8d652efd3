//! The only mutable cell between checks and reloads: one [`Publisher`] writes the snapshot in
//! force, and many [`Reader`]s load it without waiting.
//!
//! There is always a snapshot. Before the first good set, it denies everything. The publisher
//! cannot be cloned, so one task publishes, and the last good snapshot stays until that task
//! publishes another one.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use customs_engine::snapshot::Snapshot;

/// Creates the cell with the snapshot that is in force before anything is loaded.
pub fn cell(initial: Snapshot) -> (Publisher, Reader) {
    let cell = Arc::new(ArcSwap::from_pointee(initial));
    (Publisher(cell.clone()), Reader(cell))
}

/// The write half.
#[derive(Debug)]
pub struct Publisher(Arc<ArcSwap<Snapshot>>);

impl Publisher {
    /// Puts a whole snapshot in force, at once for every reader. Returns the one before, which
    /// checks may still hold: the thread that drops the last reference frees it.
    pub fn publish(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        self.0.swap(Arc::new(snapshot))
    }

    /// Returns the snapshot in force.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

/// The snapshot that was in force when it was loaded. Checks on several threads acquire and release
/// it without writing to shared memory.
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
    /// Returns the snapshot in force. Hold it for one check only.
    pub fn snapshot(&self) -> InForce {
        InForce(self.0.load())
    }

    /// Returns the snapshot in force, to be kept for longer.
    pub fn shared(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}
