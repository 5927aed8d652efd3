//! The journey of one check: attributes -> request -> snapshot -> decision -> record -> response.
//!
//! Every check gives exactly one decision, one entry and one response. There is no `?` on the way: a verdict is always
//! gRPC OK, and trouble is a reason inside it. An answer is given only once its record has its place, and an answer that
//! could not be recorded is withheld. Where the caller has given up before it is answered, the record says so.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::authorization_server::Authorization;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use prost::DecodeError;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::attributes::borrowed;
use super::ids::DecisionIds;
use super::{attributes, response};
use customs_engine::decision::Decision;
use customs_engine::request::Attributes;
use customs_policy::store::Reader;
use customs_record::clock::now;
use customs_record::{DecisionRecord, Occasion, PeerAddress, RefusalCause};

/// Where decisions are recorded and counted; the edges that do so are joined to this one by the app.
///
/// A decision takes two steps: [`reserve`](Self::reserve) and [`commit`](Self::commit). A decision without a reservation
/// goes to [`withhold`](Self::withhold) instead.
pub trait DecisionLog: Send + Sync + 'static {
    /// Room for one record.
    type Reservation: Send + Unpin + 'static;
    /// Alive as long as the check is in flight.
    type InFlight<'l>: Send
    where
        Self: 'l;

    /// A check has begun.
    fn begin(&self) -> Self::InFlight<'_>;
    /// The number of the next decision.
    fn next_number(&self) -> u64;
    /// Reserves room for the record of a decision, waiting a bounded time. `None`: it could not be recorded.
    fn reserve(
        &self,
        record: &DecisionRecord,
    ) -> impl Future<Output = Option<Self::Reservation>> + Send;
    /// Hands the record over before the answer, where that must be, and waits until it is durable, where that is asked for.
    fn commit(
        &self,
        reservation: Self::Reservation,
        record: &Arc<DecisionRecord>,
    ) -> impl Future<Output = Commit<Self::Reservation>> + Send;
    /// Hands over a record that [`commit`](Self::commit) deferred.
    fn record(&self, reservation: Self::Reservation, record: Arc<DecisionRecord>);
    /// Counts a decision without a reservation, because it was withheld or its caller gave up, and records it wherever there
    /// is room. False if it is not on record everywhere.
    fn withhold(&self, record: Arc<DecisionRecord>) -> bool;
    /// Counts that a caller had given up before it was answered, and records it beside the `record` of its decision.
    /// `None`: not every sink has that record, so no later one may name it.
    fn caller_gone(&self, record: Option<&DecisionRecord>);
    /// Counts what was refused before it was a check. `example` says what it was, in a few words.
    fn refuse(&self, peer: PeerAddress, cause: RefusalCause, example: &dyn Display);
}

/// What became of a record before its answer.
#[derive(Debug)]
#[must_use]
pub enum Commit<R> {
    /// Nothing yet: the answer may go, and the record follows once the transport takes it.
    Deferred(R),
    /// It is handed over, and nobody waits for the disk.
    Recorded,
    /// It is on the disk.
    Durable,
    /// It is handed over and did not reach the disk in time: the answer must be withheld.
    NotDurable,
}

/// Until when a caller waits for its answer; `None` where it does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deadline(pub Option<Instant>);

impl Deadline {
    fn has_passed(self) -> bool {
        self.0.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// What is still to be recorded of a decision whose answer has not been sent yet.
#[derive(Debug)]
#[must_use]
pub enum Pending<R> {
    /// The decision itself, in the room made for it.
    Reserved(R, Arc<DecisionRecord>),
    /// Nothing, unless it turns out that the caller is gone.
    Recorded(Arc<DecisionRecord>),
    /// Nothing: the decision had no room in some sink and counts as withheld there, so no later record may name it.
    Counted,
}

/// The Authorization service.
#[derive(Debug)]
pub struct Checks<L> {
    reader: Reader,
    log: Arc<L>,
    ids: DecisionIds,
    options: response::Options,
    told_headers: Vec<String>,
}

impl<L: DecisionLog> Checks<L> {
    /// A service that decides by the snapshot in force. `options` say how it answers; of the headers in `told_headers` (names in lower case) the record tells the values.
    pub fn new(
        reader: Reader,
        log: Arc<L>,
        options: response::Options,
        told_headers: Vec<String>,
    ) -> Self {
        Checks {
            reader,
            log,
            ids: DecisionIds::new(),
            options,
            told_headers,
        }
    }

    /// Answers a check in its own bytes with a framed CheckResponse, and says what is to be recorded once that is
    /// [`sent`](Self::sent) or turns out to be [`unsent`](Self::unsent). `None`: the deadline has passed.
    ///
    /// # Errors
    /// If the bytes are no check.
    pub async fn answer(
        &self,
        message: &[u8],
        deadline: Deadline,
    ) -> Result<Option<(Bytes, Pending<L::Reservation>)>, DecodeError> {
        let _in_flight = self.log.begin();
        let decided = match borrowed::read(message) {
            Some(check) => self.decide(&check.attributes()),
            None => self.decide_plain(&attributes::plain(message)?),
        };
        Ok(self.conclude(decided, deadline).await)
    }

    /// Tells what was refused before it was a check.
    pub fn refuse(&self, peer: PeerAddress, cause: RefusalCause, example: &dyn Display) {
        self.log.refuse(peer, cause, example);
    }

    /// Decides a check that the decoder wrote, of which the reader reads every one; one that it did not would be empty, and
    /// denied.
    fn decide_plain(&self, plain: &[u8]) -> Decided {
        self.decide(&borrowed::read(plain).unwrap_or_default().attributes())
    }

    fn decide(&self, attributes: &Attributes<'_>) -> Decided {
        let time = now();
        let started = Instant::now();
        let snapshot = self.reader.snapshot();
        let request = attributes.normalise(snapshot.settings());
        let decision = snapshot.decide(&request, time);
        let number = self.log.next_number();
        let mut id = Uuid::encode_buffer();
        let occasion = Occasion {
            time,
            duration_micros: u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX),
            decision_id: self.ids.of(number, time).encode_lower(&mut id),
            decision_number: number,
            told_headers: &self.told_headers,
        };
        let record = DecisionRecord::of(attributes, &request, &decision, &snapshot, occasion);
        Decided {
            decision,
            record: Arc::new(record),
        }
    }

    /// Answers a decision, once it has its place on record; with a denial where it has none. `None`: the time that the
    /// caller set has passed, and the record says so.
    async fn conclude(
        &self,
        mut decided: Decided,
        deadline: Deadline,
    ) -> Option<(Bytes, Pending<L::Reservation>)> {
        let pending = self.commit(&mut decided, deadline).await?;
        Some((
            response::build(&decided.decision, &decided.record, &self.options),
            pending,
        ))
    }

    /// Puts a decision on record, or withholds it, and says what is left to be recorded once its answer goes.
    async fn commit(
        &self,
        decided: &mut Decided,
        deadline: Deadline,
    ) -> Option<Pending<L::Reservation>> {
        let mut guard = CallerGoneGuard {
            log: &*self.log,
            record: &mut decided.record,
            is_over: false,
        };
        if deadline.has_passed() {
            return None;
        }
        let reservation = self.log.reserve(guard.record).await;
        guard.is_over = true;
        drop(guard);
        let Some(reservation) = reservation else {
            decided.withhold();
            return Some(match self.log.withhold(decided.record.clone()) {
                true => Pending::Recorded(decided.record.clone()),
                false => Pending::Counted,
            });
        };
        let is_durable = match self.log.commit(reservation, &decided.record).await {
            Commit::Deferred(reservation) => {
                return Some(Pending::Reserved(reservation, decided.record.clone()));
            }
            Commit::Recorded => return Some(Pending::Recorded(decided.record.clone())),
            Commit::Durable => true,
            Commit::NotDurable => false,
        };
        if deadline.has_passed() {
            self.log.caller_gone(Some(&decided.record));
            return None;
        }
        if !is_durable {
            // The record keeps what was decided; that it was withheld is a record of its own.
            decided.withhold();
        }
        Some(Pending::Recorded(decided.record.clone()))
    }

    /// The answer goes on its way: what is left to be recorded is recorded now.
    pub fn sent(&self, pending: Pending<L::Reservation>) {
        if let Pending::Reserved(reservation, record) = pending {
            self.log.record(reservation, record);
        }
    }

    /// The answer cannot be sent, because its caller is gone; the record says so.
    pub fn unsent(&self, pending: Pending<L::Reservation>) {
        match pending {
            Pending::Reserved(reservation, mut record) => {
                Arc::make_mut(&mut record).mark_caller_gone();
                self.log.record(reservation, record);
            }
            Pending::Recorded(record) => self.log.caller_gone(Some(&record)),
            Pending::Counted => self.log.caller_gone(None),
        }
    }
}

/// A decision and its record, which say the same.
struct Decided {
    decision: Decision,
    record: Arc<DecisionRecord>,
}

impl Decided {
    /// Withholds the answer, in the decision and in the record alike. Whoever has the record already keeps what was decided.
    fn withhold(&mut self) {
        self.decision.withhold();
        Arc::make_mut(&mut self.record).withhold(&self.decision);
    }
}

/// Guards a decision that waits for a reservation. Dropped while it does, as when its caller gives up, the decision goes on
/// record as one whose answer nobody got.
struct CallerGoneGuard<'l, L: DecisionLog> {
    log: &'l L,
    record: &'l mut Arc<DecisionRecord>,
    is_over: bool,
}

impl<L: DecisionLog> Drop for CallerGoneGuard<'_, L> {
    fn drop(&mut self) {
        if !self.is_over {
            Arc::make_mut(self.record).mark_caller_gone();
            self.log.withhold(self.record.clone());
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
        let decided = self.decide_plain(&attributes::encode_plain(request.into_inner()));
        let Some((framed, pending)) = self.conclude(decided, deadline).await else {
            return Err(late());
        };
        self.sent(pending);
        response::read(&framed).map(Response::new)
    }
}

/// What a caller is told whose time has passed.
pub(crate) fn late() -> Status {
    Status::deadline_exceeded("the time that the caller set has passed")
}
