//! The journey of one check: attributes -> request -> snapshot -> decision -> record -> response.
//!
//! Every check gives exactly one decision, one entry and one response. There is no `?` on the way: a verdict is always
//! gRPC OK, and trouble is a reason inside it. An answer is given only once its record has its place, and an answer that
//! could not be recorded is withheld.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::authorization_server::Authorization;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use prost::{DecodeError, Message};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::attributes::borrowed;
use super::ids::DecisionIds;
use super::{attributes, response};
use crate::clock::now;
use crate::engine::decision::Decision;
use crate::engine::record::{Occasion, PackedDecision};
use crate::engine::request::Attributes;
use crate::store::Reader;

/// Where decisions are recorded and counted; the edges that do so are joined to this one by the app.
pub trait Ledger: Send + Sync + 'static {
    /// Room for one record.
    type Room: Send;
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
    /// Records a decision in the room made for it, and waits until the record is as safe as the settings ask. False: it
    /// is not, and the answer must be withheld.
    fn record(&self, room: Self::Room, entry: Arc<PackedDecision>) -> impl Future<Output = bool> + Send;
    /// Counts a decision that was withheld for want of room, and records it wherever there is some.
    fn withhold(&self, entry: Arc<PackedDecision>);
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

    /// Answers a check in its own bytes with a framed CheckResponse.
    ///
    /// # Errors
    /// If the bytes are no check.
    pub async fn answer(&self, message: &[u8]) -> Result<Bytes, DecodeError> {
        let _in_flight = self.ledger.begin();
        let (decision, entry) = match borrowed::read(message) {
            Some(check) => self.decide(&check.attributes()),
            None => self.decide(&attributes::read(&CheckRequest::decode(message)?)),
        };
        Ok(self.tell(decision, entry).await)
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

    /// The answer to a decision, once it has its place on record; a denial where it has none.
    async fn tell(&self, decision: Decision, mut entry: Arc<PackedDecision>) -> Bytes {
        let Some(room) = self.ledger.admit(&entry).await else {
            let decision = decision.withheld();
            Arc::make_mut(&mut entry).withhold(&decision);
            let response = response::build(&decision, &entry, &self.options);
            self.ledger.withhold(entry);
            return response;
        };
        let response = response::build(&decision, &entry, &self.options);
        if self.ledger.record(room, entry.clone()).await {
            return response;
        }
        let decision = decision.withheld();
        // The record keeps what was decided; that it was withheld is a record of its own.
        Arc::make_mut(&mut entry).withhold(&decision);
        response::build(&decision, &entry, &self.options)
    }
}

#[tonic::async_trait]
impl<L: Ledger> Authorization for Checks<L> {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let _in_flight = self.ledger.begin();
        let (decision, entry) = self.decide(&attributes::read(request.get_ref()));
        let framed = self.tell(decision, entry).await;
        response::read(&framed).map(Response::new)
    }
}
