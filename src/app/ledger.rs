//! Joins the checks to the record and to the metrics: one entry, told to both.

use std::fmt::Display;
use std::sync::Arc;

use crate::ops::metrics::{InFlight, Metrics};
use crate::ops::refusals::Refusals;
use customs_audit::recorder::{Recorder, Room};
use customs_engine::reason::Reason;
use customs_extauthz::service::Ledger;
use customs_record::clock::now;
use customs_record::{Entry, PackedDecision, PeerAddress, RefusalCause};

/// The record and the metrics of this server.
#[derive(Clone, Debug)]
pub struct Books {
    /// The record's end of the checks.
    pub recorder: Recorder,
    /// The numbers.
    pub metrics: Arc<Metrics>,
    /// What was refused before it was a check.
    pub refusals: Arc<Refusals>,
}

impl Books {
    /// Puts on record what was refused since the last time, if something was.
    pub async fn record_refusals(&self) {
        if let Some(refusals) = self.refusals.take(now()) {
            self.recorder.record(Entry::Refusals(refusals.into())).await;
        }
    }
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

    fn waits_for_disk(&self) -> bool {
        self.recorder.waits_for_disk()
    }

    fn is_pressed(&self) -> bool {
        self.recorder.is_pressed()
    }

    fn record(&self, room: Room, entry: Arc<PackedDecision>) {
        self.metrics.observe_decision(entry.facts());
        if entry.facts().caller_gone {
            self.metrics.observe_caller_gone();
        }
        // Whoever waits for the disk asks for that.
        drop(room.record(entry));
    }

    async fn record_on_disk(&self, room: Room, entry: Arc<PackedDecision>) -> bool {
        self.metrics.observe_decision(entry.facts());
        let mut waiting = Waiting { books: self, entry: &entry, is_over: false };
        let kept = room.record(entry.clone()).in_time(&entry, Reason::AuditUnavailable.as_str()).await;
        waiting.is_over = true;
        if !kept {
            self.metrics.observe_withheld();
        }
        kept
    }

    fn withhold(&self, entry: Arc<PackedDecision>) -> bool {
        self.metrics.observe_decision(entry.facts());
        if entry.facts().caller_gone {
            self.metrics.observe_caller_gone();
        }
        self.recorder.withhold(entry)
    }

    fn count_caller_gone(&self) {
        self.metrics.observe_caller_gone();
    }

    fn tell_caller_gone(&self, entry: &PackedDecision) {
        self.metrics.observe_caller_gone();
        self.recorder.tell_caller_gone(entry);
    }

    fn refuse(&self, peer: PeerAddress, cause: RefusalCause, example: &dyn Display) {
        self.metrics.observe_refusal(cause);
        self.refusals.add(peer, cause, example, now());
    }
}

/// A decision whose record is on its way to the disk. Dropped meanwhile, as when its caller gives up, that goes on record.
struct Waiting<'b> {
    books: &'b Books,
    entry: &'b PackedDecision,
    is_over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.books.tell_caller_gone(self.entry);
        }
    }
}
