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
use customs_record::{Occasion, PackedDecision, PeerAddress, RefusalCause};

/// Where decisions are recorded and counted; the edges that do so are joined to this one by the app.
pub trait Ledger: Send + Sync + 'static {
    /// Room for one record.
    type Room: Send + Unpin + 'static;
    /// Alive as long as the check is in flight.
    type InFlight<'l>: Send
    where
        Self: 'l;

    /// A check has begun.
    fn begin(&self) -> Self::InFlight<'_>;
    /// The number of the next decision.
    fn number(&self) -> u64;
    /// Makes room for the record of a decision, waiting a bounded time. `None`: it could not be recorded.
    fn admit(&self, entry: &PackedDecision) -> impl Future<Output = Option<Self::Room>> + Send;
    /// Whether an answer waits until its record is on the disk.
    fn waits_for_disk(&self) -> bool;
    /// Whether so much waits for a sink that no answer may keep room while it waits for its transport.
    fn is_pressed(&self) -> bool;
    /// Records a decision in the room made for it.
    fn record(&self, room: Self::Room, entry: Arc<PackedDecision>);
    /// The same, and waits until the record is on the disk. False: it is not in time, and the answer must be withheld.
    fn record_on_disk(&self, room: Self::Room, entry: Arc<PackedDecision>) -> impl Future<Output = bool> + Send;
    /// Counts a decision that has no room, because it was withheld or its caller gave up, and records it wherever there is
    /// some. False if it is not on record everywhere.
    fn withhold(&self, entry: Arc<PackedDecision>) -> bool;
    /// Counts that a caller had given up before it was answered, without a record.
    fn count_caller_gone(&self);
    /// Tells of a decision that is on record that its caller had given up before it was answered.
    fn tell_caller_gone(&self, entry: &PackedDecision);
    /// Counts what was refused before it was a check. `example` says what it was, in a few words.
    fn refuse(&self, peer: PeerAddress, cause: RefusalCause, example: &dyn Display);
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
    Reserved(R, Arc<PackedDecision>),
    /// Nothing, unless it turns out that the caller is gone.
    Recorded(Arc<PackedDecision>),
    /// Nothing: the decision had no room in some sink and counts as withheld there, so no later record may name it.
    Counted,
}

/// The Authorization service.
#[derive(Debug)]
pub struct Checks<L> {
    reader: Reader,
    ledger: Arc<L>,
    ids: DecisionIds,
    options: response::Options,
    told_headers: Vec<String>,
}

impl<L: Ledger> Checks<L> {
    /// A service that decides by the snapshot in force. `options` say how it answers; of the headers in `told_headers` (names in lower case) the record tells the values.
    pub fn new(reader: Reader, ledger: Arc<L>, options: response::Options, told_headers: Vec<String>) -> Self {
        Checks { reader, ledger, ids: DecisionIds::new(), options, told_headers }
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
    ) -> Result<Option<(Bytes, Pending<L::Room>)>, DecodeError> {
        let _in_flight = self.ledger.begin();
        let (decision, entry) = match borrowed::read(message) {
            Some(check) => self.decide(&check.attributes()),
            None => self.decide_plain(&attributes::plain(message)?),
        };
        Ok(self.tell(decision, entry, deadline).await)
    }

    /// Tells what was refused before it was a check.
    pub fn refuse(&self, peer: PeerAddress, cause: RefusalCause, example: &dyn Display) {
        self.ledger.refuse(peer, cause, example);
    }

    /// Decides a check that the decoder wrote, of which the reader reads every one; one that it did not would be empty, and
    /// denied.
    fn decide_plain(&self, plain: &[u8]) -> (Decision, Arc<PackedDecision>) {
        self.decide(&borrowed::read(plain).unwrap_or_default().attributes())
    }

    fn decide(&self, attributes: &Attributes<'_>) -> (Decision, Arc<PackedDecision>) {
        let time = now();
        let started = Instant::now();
        let snapshot = self.reader.snapshot();
        let request = attributes.normalise(snapshot.settings());
        let decision = snapshot.decide(&request, time);
        let number = self.ledger.number();
        let mut id = Uuid::encode_buffer();
        let occasion = Occasion {
            time,
            duration_micros: u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX),
            decision_id: self.ids.of(number, time).encode_lower(&mut id),
            decision_number: number,
            told_headers: &self.told_headers,
        };
        let entry = PackedDecision::of(attributes, &request, &decision, &snapshot, occasion);
        (decision, Arc::new(entry))
    }

    /// The answer to a decision, once it has its place on record; a denial where it has none. `None`: the time that the
    /// caller set has passed, and the record says so.
    async fn tell(
        &self,
        decision: Decision,
        entry: Arc<PackedDecision>,
        deadline: Deadline,
    ) -> Option<(Bytes, Pending<L::Room>)> {
        let mut decided = Decided { ledger: &*self.ledger, entry, is_over: false };
        if deadline.has_passed() {
            return None;
        }
        let room = self.ledger.admit(&decided.entry).await;
        decided.is_over = true;
        let Some(room) = room else {
            let decision = decision.withheld();
            Arc::make_mut(&mut decided.entry).withhold(&decision);
            let response = response::build(&decision, &decided.entry, &self.options);
            let pending = match self.ledger.withhold(decided.entry.clone()) {
                true => Pending::Recorded(decided.entry.clone()),
                false => Pending::Counted,
            };
            return Some((response, pending));
        };
        let entry = decided.entry.clone();
        let response = response::build(&decision, &entry, &self.options);
        if !self.ledger.waits_for_disk() {
            // A caller that takes no answer keeps its room. Of such rooms there may be a few, and no more.
            if !self.ledger.is_pressed() {
                return Some((response, Pending::Reserved(room, entry)));
            }
            self.ledger.record(room, entry);
            return Some((response, Pending::Recorded(decided.entry.clone())));
        }
        let is_kept = self.ledger.record_on_disk(room, entry).await;
        if deadline.has_passed() {
            self.ledger.tell_caller_gone(&decided.entry);
            return None;
        }
        if is_kept {
            return Some((response, Pending::Recorded(decided.entry.clone())));
        }
        let decision = decision.withheld();
        // The record keeps what was decided; that it was withheld is a record of its own.
        Arc::make_mut(&mut decided.entry).withhold(&decision);
        let response = response::build(&decision, &decided.entry, &self.options);
        Some((response, Pending::Recorded(decided.entry.clone())))
    }

    /// The answer goes on its way: what is left to be recorded is recorded now.
    pub fn sent(&self, pending: Pending<L::Room>) {
        if let Pending::Reserved(room, entry) = pending {
            self.ledger.record(room, entry);
        }
    }

    /// The answer cannot be sent, because its caller is gone; the record says so.
    pub fn unsent(&self, pending: Pending<L::Room>) {
        match pending {
            Pending::Reserved(room, mut entry) => {
                Arc::make_mut(&mut entry).mark_caller_gone();
                self.ledger.record(room, entry);
            }
            Pending::Recorded(entry) => self.ledger.tell_caller_gone(&entry),
            Pending::Counted => self.ledger.count_caller_gone(),
        }
    }
}

/// A decision that waits for room. Dropped while it does, as when its caller gives up, it goes on record as one whose
/// answer nobody got.
struct Decided<'l, L: Ledger> {
    ledger: &'l L,
    entry: Arc<PackedDecision>,
    is_over: bool,
}

impl<L: Ledger> Drop for Decided<'_, L> {
    fn drop(&mut self) {
        if !self.is_over {
            Arc::make_mut(&mut self.entry).mark_caller_gone();
            self.ledger.withhold(self.entry.clone());
        }
    }
}

#[tonic::async_trait]
impl<L: Ledger> Authorization for Checks<L> {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let _in_flight = self.ledger.begin();
        let deadline = request.extensions().get().copied().unwrap_or_default();
        let (decision, entry) = self.decide_plain(&attributes::encode_plain(request.into_inner()));
        let Some((framed, pending)) = self.tell(decision, entry, deadline).await else { return Err(late()) };
        self.sent(pending);
        response::read(&framed).map(Response::new)
    }
}

/// What a caller is told whose time has passed.
pub fn late() -> Status {
    Status::deadline_exceeded("the time that the caller set has passed")
}
