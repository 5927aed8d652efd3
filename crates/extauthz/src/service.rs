//! The journey of one check: attributes -> request -> snapshot -> decision -> record -> response.
//!
//! Every check gives exactly one decision, one record and one response. There is no `?` on the way:
//! a verdict is always gRPC OK, and trouble is a reason inside it. An answer is given only once its
//! record has its place, and an answer that could not be recorded is withheld. If the caller gave
//! up before it was answered, the record says so. If customs itself fails on a check, it is denied
//! with the reason `internal_error`, and no other check notices.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::authorization_server::Authorization;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use prost::DecodeError;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::attributes::borrowed;
use super::check_trace::{self, CallTrace, CheckStage, CheckTrace};
use super::decision_log::{Commit, DecisionLog};
use super::ids::DecisionIds;
use super::panic_isolation::{PanicError, catch, catch_async};
use super::pending::{Pending, PendingRecord, Traced};
use super::{attributes, response};
use customs_engine::decision::Decision;
use customs_engine::request::{Attributes, Request as EngineRequest};
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::store::Reader;
use customs_record::clock::now;
use customs_record::{DecisionRecord, Occasion, PeerAddress, RefusalCause, TraceContext};

/// Until when a caller waits for its answer; `None` if it does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deadline(pub Option<Instant>);

impl Deadline {
    fn has_passed(self) -> bool {
        self.0.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Who sends checks, as its connection proves; `None` if it proves nothing. Clones share the text.
#[derive(Clone, Debug, Default)]
pub struct PeerIdentity(pub Option<Arc<str>>);

impl PeerIdentity {
    fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

/// The Authorization service.
#[derive(Debug)]
pub struct Checks<L> {
    reader: Reader,
    log: Arc<L>,
    ids: DecisionIds,
    options: response::Options,
    recorded_headers: Vec<String>,
}

impl<L: DecisionLog> Checks<L> {
    /// Creates a service that decides by the snapshot in force. `options` say how it answers. A
    /// record has the values of the headers in `recorded_headers` (names in lower case).
    pub fn new(
        reader: Reader,
        log: Arc<L>,
        options: response::Options,
        recorded_headers: Vec<String>,
    ) -> Self {
        Checks {
            reader,
            log,
            ids: DecisionIds::new(),
            options,
            recorded_headers,
        }
    }

    /// Answers a check in its own bytes with a framed CheckResponse, and returns what is to be
    /// recorded once that is [`sent`](Self::sent) or turns out to be [`unsent`](Self::unsent).
    /// `None` if the deadline has passed.
    ///
    /// # Errors
    /// If the bytes are not a check.
    pub async fn answer(
        &self,
        message: &[u8],
        deadline: Deadline,
        peer: &PeerIdentity,
        call: CallTrace,
    ) -> Result<Option<(Bytes, Pending<L>)>, DecodeError> {
        let _in_flight = self.log.begin();
        Ok(match self.decide_message(message, peer, call)? {
            Some(decided) => self.conclude(decided, deadline).await,
            None => {
                let (record, trace) = (PendingRecord::Counted, None);
                Some((response::build_internal_error(), Pending { record, trace }))
            }
        })
    }

    /// Reports a call that was refused before it was a check.
    pub fn refuse(&self, peer: PeerAddress, cause: RefusalCause, example: &dyn Display) {
        self.log.refuse(peer, cause, example);
    }

    /// Reports checks that were refused because too many were waiting.
    pub fn shed(&self, peer: PeerAddress, checks: u64) {
        self.log.shed(peer, checks);
    }

    /// Decides a check in its own bytes. If that panics, the decision is a denial, whose record has
    /// the inputs if they can be read. `None` if not even that can be recorded.
    fn decide_message(
        &self,
        message: &[u8],
        peer: &PeerIdentity,
        call: CallTrace,
    ) -> Result<Option<Decided<L::Trace>>, DecodeError> {
        let mut begun = Begun::new(peer, call);
        let decided = catch(|| {
            let mut decide =
                |check: &borrowed::Check<'_>| self.decide(&check.attributes(), &mut begun);
            match borrowed::read(message) {
                Some(check) => Ok(decide(&check)),
                // The reader reads every check that the decoder wrote; one that it could not read
                // would be empty, and denied.
                None => attributes::plain(message)
                    .map(|plain| decide(&borrowed::read(&plain).unwrap_or_default())),
            }
        });
        match decided {
            Ok(decided) => decided.map(Some),
            Err(PanicError) => Ok(self.fail_to_decide(message, begun)),
        }
    }

    fn decide(
        &self,
        attributes: &Attributes<'_>,
        begun: &mut Begun<'_, L::Trace>,
    ) -> Decided<L::Trace> {
        if self.log.may_trace() {
            self.begin_trace(attributes, begun);
        }
        let snapshot = self.reader.snapshot();
        let request = attributes.normalise(snapshot.settings());
        begun.pass(CheckStage::Normalised);
        let decision = snapshot.decide(&request, begun.time);
        begun.pass(CheckStage::Decided);
        self.log.count_rules(&decision, begun.time);
        self.decided(attributes, &request, decision, &snapshot, begun)
    }

    /// Begins the trace of a check, if it is sampled: as a part of the trace that the call names, or
    /// else the request.
    fn begin_trace(&self, attributes: &Attributes<'_>, begun: &mut Begun<'_, L::Trace>) {
        let of_request = || check_trace::of_request(attributes.http.as_ref()?.headers);
        let of_call = begun.call.0;
        let parent = || of_call.or_else(of_request);
        begun.trace = self
            .log
            .begin_trace(parent, begun.time, begun.started)
            .map(Box::new);
        begun.pass(CheckStage::Attributes);
    }

    /// Returns the denial of a check that could not be decided.
    fn fail_to_decide(
        &self,
        message: &[u8],
        mut begun: Begun<'_, L::Trace>,
    ) -> Option<Decided<L::Trace>> {
        self.log.count_panic();
        let mut deny = |attributes: &Attributes<'_>| {
            let snapshot = self.reader.snapshot();
            let request = attributes.normalise(snapshot.settings());
            let decision = Decision::internal_error();
            self.decided(attributes, &request, decision, &snapshot, &mut begun)
        };
        let with_inputs = catch(|| borrowed::read(message).map(|check| deny(&check.attributes())));
        let decided = match with_inputs {
            Ok(Some(decided)) => Some(decided),
            Ok(None) | Err(PanicError) => catch(|| deny(&Attributes::default())).ok(),
        };
        tracing::error!(
            decision_id = decided.as_ref().map(|decided| decided.id()),
            "a check was denied because customs failed on it; this is a bug, please report it with the log before this line"
        );
        decided
    }

    /// Joins a decision with its record and its answer.
    fn decided(
        &self,
        attributes: &Attributes<'_>,
        request: &EngineRequest<'_>,
        decision: Decision,
        snapshot: &Snapshot,
        begun: &mut Begun<'_, L::Trace>,
    ) -> Decided<L::Trace> {
        let micros = begun.started.elapsed().as_micros();
        let number = *begun.number.get_or_insert_with(|| self.log.next_number());
        let mut id = Uuid::encode_buffer();
        let occasion = Occasion {
            time: begun.time,
            duration_micros: u32::try_from(micros).unwrap_or(u32::MAX),
            decision_id: self.ids.of(number, begun.time).encode_lower(&mut id),
            decision_number: number,
            recorded_headers: &self.recorded_headers,
            peer_identity: begun.peer.as_str(),
            trace_context: begun.context(),
        };
        let record = DecisionRecord::of(attributes, request, &decision, snapshot, occasion);
        Decided {
            framed: response::build(&decision, &record, &self.options),
            decision,
            record: Arc::new(record),
            trace: begun.trace.take(),
        }
    }

    /// Answers a decision once its record has its place, or with a denial if it has none. `None` if
    /// the time that the caller set has passed, which the record says.
    async fn conclude(
        &self,
        mut decided: Decided<L::Trace>,
        deadline: Deadline,
    ) -> Option<(Bytes, Pending<L>)> {
        let mut is_reserved = false;
        let committed = catch_async(self.commit(&mut decided, deadline, &mut is_reserved)).await;
        let record = match committed {
            Ok(Some(record)) => record,
            Ok(None) => {
                self.end_trace(decided.traced(), false);
                return None;
            }
            Err(PanicError) => {
                self.log.count_panic();
                tracing::error!(
                    decision_id = decided.id(),
                    "a check was denied because customs failed to record it; this is a bug, please report it with the log before this line"
                );
                if catch(|| self.deny(&mut decided, Decision::fail)).is_err() {
                    decided.framed = response::build_internal_error();
                }
                // What was reserved has been handed over or released by now, and either accounts
                // for the decision.
                if is_reserved {
                    PendingRecord::Counted
                } else {
                    self.withhold(&decided)
                }
            }
        };
        if let Some(trace) = &mut decided.trace {
            trace.pass(CheckStage::Recorded);
        }
        let trace = decided.traced();
        Some((decided.framed, Pending { record, trace }))
    }

    /// Turns a decision into a denial: in the decision, in the record and in the answer alike. A
    /// record that was handed over before keeps what was decided.
    fn deny(&self, decided: &mut Decided<L::Trace>, deny: fn(&mut Decision)) {
        deny(&mut decided.decision);
        Arc::make_mut(&mut decided.record).withhold(&decided.decision);
        decided.framed = response::build(&decided.decision, &decided.record, &self.options);
    }

    /// Records a denial that has no reservation, wherever there is room.
    fn withhold(&self, decided: &Decided<L::Trace>) -> PendingRecord<L::Reservation> {
        match catch(|| self.log.withhold(decided.record.clone())) {
            Ok(true) => PendingRecord::Recorded(decided.record.clone()),
            Ok(false) | Err(PanicError) => PendingRecord::Counted,
        }
    }

    /// Records a decision, or withholds it, and returns what is left to be recorded once its answer
    /// is sent.
    async fn commit(
        &self,
        decided: &mut Decided<L::Trace>,
        deadline: Deadline,
        is_reserved: &mut bool,
    ) -> Option<PendingRecord<L::Reservation>> {
        let mut guard = CallerGoneGuard {
            log: &*self.log,
            record: &mut decided.record,
            trace: &mut decided.trace,
            is_over: false,
        };
        if deadline.has_passed() {
            return None;
        }
        let reservation = self.log.reserve(guard.record).await;
        guard.is_over = true;
        drop(guard);
        let Some(reservation) = reservation else {
            self.deny(decided, Decision::withhold);
            return Some(self.withhold(decided));
        };
        *is_reserved = true;
        let is_durable = match self.log.commit(reservation, &decided.record).await {
            Commit::Deferred(reservation) => {
                return Some(PendingRecord::Reserved(reservation, decided.record.clone()));
            }
            Commit::Recorded => return Some(PendingRecord::Recorded(decided.record.clone())),
            Commit::Durable => true,
            Commit::NotDurable => false,
        };
        if deadline.has_passed() {
            self.log.caller_gone(Some(&decided.record));
            return None;
        }
        if !is_durable {
            // The record keeps what was decided; another record says that the answer was withheld.
            self.deny(decided, Decision::withhold);
        }
        Some(PendingRecord::Recorded(decided.record.clone()))
    }

    /// Records what is left, because the answer is being sent. If that panics, it returns the denial
    /// to send instead; the dropped reservation accounts for the decision.
    pub fn sent(&self, pending: Pending<L>) -> Option<Bytes> {
        let Pending { record, mut trace } = pending;
        let failed = match record {
            PendingRecord::Reserved(reservation, record) => {
                self.count_if_panicked(catch(|| self.log.record(reservation, record)))
            }
            PendingRecord::Recorded(_) | PendingRecord::Counted => None,
        };
        if let Some(traced) = &mut trace {
            traced.trace.pass(CheckStage::Answered);
        }
        self.end_trace(trace, true);
        failed.map(|PanicError| response::build_internal_error())
    }

    /// Records that the answer could not be sent, because its caller is gone.
    pub fn unsent(&self, pending: Pending<L>) {
        let Pending { record, trace } = pending;
        self.count_if_panicked(catch(|| match record {
            PendingRecord::Reserved(reservation, mut record) => {
                Arc::make_mut(&mut record).mark_caller_gone();
                self.log.record(reservation, record);
            }
            PendingRecord::Recorded(record) => self.log.caller_gone(Some(&record)),
            PendingRecord::Counted => self.log.caller_gone(None),
        }));
        self.end_trace(trace, false);
    }

    /// Ends the trace of a check. Whatever happens there, its answer stays.
    fn end_trace(&self, traced: Option<Box<Traced<L::Trace>>>, is_answered: bool) {
        let Some(traced) = traced else {
            return;
        };
        let Traced { trace, record } = *traced;
        if catch(|| self.log.end_trace(trace, &record, is_answered)).is_err() {
            tracing::error!(
                "customs failed to trace a check; this is a bug, please report it with the log before this line"
            );
        }
    }

    fn count_if_panicked(&self, done: Result<(), PanicError>) -> Option<PanicError> {
        let panic = done.err()?;
        self.log.count_panic();
        tracing::error!(
            "customs failed to record a decision; this is a bug, please report it with the log before this line"
        );
        Some(panic)
    }
}

/// What is known of a check from its beginning, and stays if deciding it fails.
struct Begun<'p, T> {
    time: UnixNanos,
    started: Instant,
    /// The number of the decision, once it has one.
    number: Option<u64>,
    /// Who sent it.
    peer: &'p PeerIdentity,
    /// The trace of its call.
    call: CallTrace,
    /// Its own trace, if it is sampled.
    trace: Option<Box<T>>,
}

impl<'p, T: CheckTrace> Begun<'p, T> {
    fn new(peer: &'p PeerIdentity, call: CallTrace) -> Begun<'p, T> {
        Begun {
            time: now(),
            started: Instant::now(),
            number: None,
            peer,
            call,
            trace: None,
        }
    }

    fn pass(&mut self, stage: CheckStage) {
        if let Some(trace) = &mut self.trace {
            trace.pass(stage);
        }
    }

    /// Returns the trace for the record of a request that names none.
    fn context(&self) -> Option<TraceContext> {
        let own = || self.trace.as_ref().map(|trace| trace.context());
        self.call.0.or_else(own)
    }
}

/// A decision, its record and its framed answer, which say the same.
struct Decided<T> {
    decision: Decision,
    record: Arc<DecisionRecord>,
    framed: Bytes,
    trace: Option<Box<T>>,
}

impl<T> Decided<T> {
    /// Takes its trace, with the record as it is now.
    fn traced(&mut self) -> Option<Box<Traced<T>>> {
        let (trace, record) = (*self.trace.take()?, self.record.clone());
        Some(Box::new(Traced { trace, record }))
    }

    fn id(&self) -> &str {
        self.record.text(self.record.facts().decision_id)
    }
}

/// Guards a decision that waits for a reservation. If it is dropped meanwhile, as when its caller
/// gives up, it records that no caller received the answer. If waiting panicked, the caller is still
/// there, and gets a denial that has a record of its own.
struct CallerGoneGuard<'l, L: DecisionLog> {
    log: &'l L,
    record: &'l mut Arc<DecisionRecord>,
    trace: &'l mut Option<Box<L::Trace>>,
    is_over: bool,
}

impl<L: DecisionLog> Drop for CallerGoneGuard<'_, L> {
    fn drop(&mut self) {
        if !self.is_over && !std::thread::panicking() {
            Arc::make_mut(self.record).mark_caller_gone();
            self.log.withhold(self.record.clone());
            if let Some(trace) = self.trace.take() {
                self.log.end_trace(*trace, self.record, false);
            }
        }
    }
}

#[tonic::async_trait]
impl<L: DecisionLog> Authorization for Checks<L> {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let _in_flight = self.log.begin();
        let deadline = request.extensions().get().copied().unwrap_or_default();
        let peer = request.extensions().get().cloned().unwrap_or_default();
        let call = request.extensions().get().copied().unwrap_or_default();
        let plain = attributes::encode_plain(request.into_inner());
        let decided = self.decide_message(&plain, &peer, call);
        let decided = decided.map_err(|why| Status::internal(why.to_string()))?;
        let framed = match decided {
            Some(decided) => {
                let answer = self.conclude(decided, deadline).await;
                let (framed, pending) = answer.ok_or_else(late)?;
                self.sent(pending).unwrap_or(framed)
            }
            None => response::build_internal_error(),
        };
        response::read(&framed).map(Response::new)
    }
}

/// Returns the status for a caller whose time has passed.
pub(crate) fn late() -> Status {
    Status::deadline_exceeded("the time that the caller set has passed")
}

/// Returns the status of a call for which there is no memory.
pub(crate) fn without_memory() -> Status {
    Status::resource_exhausted(
        "the server has no memory for another call that is not whole or not read (max_body_memory)",
    )
}
