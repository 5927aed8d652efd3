//! What a check needs of a record: the trait that the program implements.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use super::check_trace::CheckTrace;
use customs_engine::decision::Decision;
use customs_engine::time::UnixNanos;
use customs_record::{DecisionRecord, PeerAddress, RefusalCause, TraceContext};

/// Where decisions are recorded and counted. The program implements it.
///
/// A decision takes two steps: [`reserve`](Self::reserve) and [`commit`](Self::commit). A decision
/// without a reservation goes to [`withhold`](Self::withhold) instead.
pub trait DecisionLog: Send + Sync + 'static {
    /// Room for one record.
    type Reservation: Send + Unpin + 'static;
    /// Alive as long as the check is in flight.
    type InFlight<'l>: Send
    where
        Self: 'l;
    /// What is kept of a check that is traced.
    type Trace: CheckTrace;

    /// Counts a check as begun.
    fn begin(&self) -> Self::InFlight<'_>;
    /// Returns the number of the next decision.
    fn next_number(&self) -> u64;
    /// Returns whether any check may be traced. If none may, nothing is looked up for it.
    fn may_trace(&self) -> bool;
    /// Begins the trace of a check that began at `time` and `started`, unless it is not sampled.
    /// `parent` finds the trace that it is a part of.
    fn begin_trace(
        &self,
        parent: impl FnOnce() -> Option<TraceContext>,
        time: UnixNanos,
        started: Instant,
    ) -> Option<Self::Trace>;
    /// Ends the trace of a check. `is_answered` says whether the transport took the answer.
    fn end_trace(&self, trace: Self::Trace, record: &DecisionRecord, is_answered: bool);
    /// Counts the rules that a decision names.
    fn count_rules(&self, decision: &Decision, time: UnixNanos);
    /// Reserves room for the record of a decision, waiting a bounded time. `None` if it could not
    /// be recorded.
    fn reserve(
        &self,
        record: &DecisionRecord,
    ) -> impl Future<Output = Option<Self::Reservation>> + Send;
    /// Hands the record over before the answer, if the settings require that, and waits until it is
    /// durable, if they require that too.
    fn commit(
        &self,
        reservation: Self::Reservation,
        record: &Arc<DecisionRecord>,
    ) -> impl Future<Output = Commit<Self::Reservation>> + Send;
    /// Hands over a record that [`commit`](Self::commit) deferred.
    fn record(&self, reservation: Self::Reservation, record: Arc<DecisionRecord>);
    /// Counts a decision without a reservation, because it was withheld or its caller gave up, and
    /// records it wherever there is room. Returns false if some sink does not have it.
    fn withhold(&self, record: Arc<DecisionRecord>) -> bool;
    /// Counts that a caller had given up before it was answered, and records that besides the
    /// `record` of its decision. `None` means that not every sink has that record, so no later
    /// record may name it.
    fn caller_gone(&self, record: Option<&DecisionRecord>);
    /// Counts a check on which customs itself failed, so that it was denied. Its record, if there
    /// is one, comes by the other functions.
    fn count_panic(&self);
    /// Counts a call that was refused before it was a check. `example` describes it in a few words.
    fn refuse(&self, peer: PeerAddress, cause: RefusalCause, example: &dyn Display);
    /// Counts checks that were refused because too many were waiting.
    fn shed(&self, peer: PeerAddress, checks: u64);
}

/// What happened to a record before its answer.
#[derive(Debug)]
#[must_use]
pub enum Commit<R> {
    /// Nothing yet: the answer may be sent, and the record follows once the transport takes it.
    Deferred(R),
    /// The record is handed over, and its answer does not wait for the disk.
    Recorded,
    /// The record is on the disk.
    Durable,
    /// The record is handed over and did not reach the disk in time: the answer must be withheld.
    NotDurable,
}
