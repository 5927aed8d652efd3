//! Joins the checks to the record and to the metrics: one entry, told to both.

use std::sync::Arc;

use crate::audit::recorder::{Recorder, Room};
use crate::engine::reason::Reason;
use crate::engine::record::PackedDecision;
use crate::envoy::service::Ledger;
use crate::ops::metrics::{InFlight, Metrics};

/// The record and the metrics of this server.
#[derive(Clone, Debug)]
pub struct Books {
    /// The record's end of the checks.
    pub recorder: Recorder,
    /// The numbers.
    pub metrics: Arc<Metrics>,
}

impl Ledger for Books {
    type Room = Room;
    type InFlight<'l> = InFlight<'l>;

    fn begin(&self) -> InFlight<'_> {
        self.metrics.in_flight()
    }

    fn number(&self) -> u64 {
        self.recorder.number()
    }

    async fn admit(&self, entry: &PackedDecision) -> Option<Room> {
        self.recorder.admit(entry).await
    }

    async fn record(&self, room: Room, entry: Arc<PackedDecision>) -> bool {
        self.metrics.observe_decision(entry.facts());
        let kept = room.record(entry.clone()).in_time(&entry, Reason::AuditUnavailable.as_str()).await;
        if !kept {
            self.metrics.observe_withheld();
        }
        kept
    }

    fn withhold(&self, entry: Arc<PackedDecision>) {
        self.metrics.observe_decision(entry.facts());
        self.recorder.withhold(entry);
    }
}
