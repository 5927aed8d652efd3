//! Joins the checks to the record and to the metrics: one entry, told to both.

use std::sync::Arc;

use crate::audit::writer::{Recorder, Slot};
use crate::engine::record::{DecisionEntry, Entry};
use crate::envoy::service::Ledger;
use crate::ops::metrics::{InFlight, Metrics};

/// The record and the metrics of this server.
#[derive(Clone, Debug)]
pub struct Books {
    /// The audit's end of the checks.
    pub recorder: Recorder,
    /// The numbers.
    pub metrics: Arc<Metrics>,
}

impl Ledger for Books {
    type Slot = Slot;
    type InFlight = InFlight;

    fn begin(&self) -> InFlight {
        self.metrics.in_flight()
    }

    async fn reserve(&self) -> Option<Slot> {
        self.recorder.reserve().await
    }

    fn record(&self, slot: Option<Slot>, entry: DecisionEntry) {
        self.metrics.observe_decision(&entry);
        if let Some(slot) = slot {
            slot.record(Entry::Decision(Box::new(entry)));
        }
    }
}
