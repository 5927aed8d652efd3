//! Connects the checks to the audit log and to the metrics: both get the same record.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use crate::ops::metrics::{InFlight, Metrics};
use crate::ops::refusals::Refusals;
use customs_audit::recorder::{Recorder, Reservation};
use customs_engine::decision::Decision;
use customs_engine::reason::Reason;
use customs_engine::time::UnixNanos;
use customs_extauthz::{CheckStage, CheckTrace, Commit, DecisionLog};
use customs_record::clock::now;
use customs_record::{DecisionRecord, Entry, PeerAddress, RefusalCause, TraceContext};
use customs_telemetry::{CheckSpan, SpanRecorder};

/// The audit log and the metrics of this server.
#[derive(Clone, Debug)]
pub struct AuditedDecisionLog {
    /// The side of the audit log that checks write to.
    pub recorder: Recorder,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The refusals of what was not a check.
    pub refusals: Arc<Refusals>,
    /// What takes the spans of checks, if they go anywhere.
    pub spans: Option<SpanRecorder>,
}

/// The span of a check, while the check runs.
#[derive(Debug)]
pub struct TracedCheck(CheckSpan);

impl CheckTrace for TracedCheck {
    fn pass(&mut self, stage: CheckStage) {
        self.0.pass(stage.as_str());
    }

    fn context(&self) -> TraceContext {
        self.0.context()
    }
}

impl AuditedDecisionLog {
    /// Records the refusals since the last call, if there were any.
    pub async fn record_refusals(&self) {
        if let Some(refusals) = self.refusals.take(now()) {
            self.recorder.record(Entry::Refusals(refusals.into())).await;
        }
    }

    fn observe(&self, record: &DecisionRecord) {
        let facts = record.facts();
        let namespace = record.text(facts.namespace);
        self.metrics.observe_decision(facts, namespace);
        if facts.caller_gone {
            self.metrics.observe_caller_gone();
        }
    }

    /// Passes a record on and waits until it is on disk. Returns false if it is not in time.
    async fn record_durably(&self, reservation: Reservation, record: &Arc<DecisionRecord>) -> bool {
        self.observe(record);
        let mut guard = CallerGoneGuard {
            log: self,
            record,
            is_over: false,
        };
        let is_durable = reservation
            .record(record.clone())
            .wait_durable(record, Reason::AuditUnavailable.as_str())
            .await;
        guard.is_over = true;
        if !is_durable {
            self.metrics.observe_withheld();
        }
        is_durable
    }
}

impl DecisionLog for AuditedDecisionLog {
    type Reservation = Reservation;
    type InFlight<'l> = InFlight<'l>;
    type Trace = TracedCheck;

    fn begin(&self) -> InFlight<'_> {
        self.metrics.in_flight()
    }

    fn next_number(&self) -> u64 {
        self.recorder.number()
    }

    fn may_trace(&self) -> bool {
        self.spans.is_some()
    }

    fn begin_trace(
        &self,
        parent: impl FnOnce() -> Option<TraceContext>,
        time: UnixNanos,
        started: Instant,
    ) -> Option<TracedCheck> {
        let spans = self.spans.as_ref()?;
        Some(TracedCheck(spans.begin(parent, time, started)?))
    }

    fn end_trace(&self, trace: TracedCheck, record: &DecisionRecord, is_answered: bool) {
        let TracedCheck(span) = trace;
        self.metrics.observe_trace(span.context(), record);
        if let Some(spans) = &self.spans {
            spans.end(span, record, is_answered);
        }
    }

    fn count_rules(&self, decision: &Decision, time: UnixNanos) {
        self.metrics.rule_hits().count(decision, time);
    }

    async fn reserve(&self, record: &DecisionRecord) -> Option<Reservation> {
        self.recorder.admit(record).await
    }

    async fn commit(
        &self,
        reservation: Reservation,
        record: &Arc<DecisionRecord>,
    ) -> Commit<Reservation> {
        if self.recorder.waits_for_disk() {
            return match self.record_durably(reservation, record).await {
                true => Commit::Durable,
                false => Commit::NotDurable,
            };
        }
        // A caller that does not take its answer keeps its reservation, so the number of such
        // callers is limited.
        if !self.recorder.is_pressed() {
            return Commit::Deferred(reservation);
        }
        self.record(reservation, record.clone());
        Commit::Recorded
    }

    fn record(&self, reservation: Reservation, record: Arc<DecisionRecord>) {
        self.observe(&record);
        // A caller that waits for the disk must request it.
        drop(reservation.record(record));
    }

    fn withhold(&self, record: Arc<DecisionRecord>) -> bool {
        self.observe(&record);
        self.recorder.withhold(record)
    }

    fn caller_gone(&self, record: Option<&DecisionRecord>) {
        self.metrics.observe_caller_gone();
        if let Some(record) = record {
            self.recorder.record_caller_gone(record);
        }
    }

    fn count_panic(&self) {
        self.metrics.observe_panic();
    }

    fn refuse(&self, peer: PeerAddress, cause: RefusalCause, example: &dyn Display) {
        self.metrics.observe_refusals(cause, 1);
        self.refusals.add(peer, cause, example, now());
    }

    fn shed(&self, peer: PeerAddress, checks: u64) {
        let cause = RefusalCause::Overloaded;
        self.metrics.observe_refusals(cause, checks);
        let example = format_args!("{checks} checks that came at once");
        self.refusals.add_many(peer, cause, checks, &example, now());
    }
}

/// Guards a decision whose record is on its way to the disk. If the guard is dropped before that,
/// because the caller gave up, the drop is recorded.
struct CallerGoneGuard<'b> {
    log: &'b AuditedDecisionLog,
    record: &'b DecisionRecord,
    is_over: bool,
}

impl Drop for CallerGoneGuard<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.log.caller_gone(Some(self.record));
        }
    }
}
