//! What is still to be done about a decision once its answer is sent, or turns out not to be.
//!
//! It does nothing by itself: [`service`](super::service) does it.

use std::fmt;
use std::sync::Arc;

use super::decision_log::DecisionLog;
use customs_record::DecisionRecord;

/// What is still to be done about a decision whose answer has not been sent yet.
#[must_use]
pub struct Pending<L: DecisionLog> {
    pub(crate) record: PendingRecord<L::Reservation>,
    pub(crate) trace: Option<Box<Traced<L::Trace>>>,
}

impl<L: DecisionLog> fmt::Debug for Pending<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

/// What is still to be recorded about it.
#[must_use]
pub(crate) enum PendingRecord<R> {
    /// The decision itself, in the room reserved for it.
    Reserved(R, Arc<DecisionRecord>),
    /// Nothing, unless the caller turns out to be gone.
    Recorded(Arc<DecisionRecord>),
    /// Nothing: the decision had no room in some sink and counts as withheld there, so no later
    /// record may name it.
    Counted,
}

/// A decision whose check is traced.
pub(crate) struct Traced<T> {
    pub(crate) trace: T,
    pub(crate) record: Arc<DecisionRecord>,
}
