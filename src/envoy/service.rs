//! The journey of one check: attributes -> request -> snapshot -> decision -> record -> response.
//!
//! Every check gives exactly one decision, one entry and one response. There is no `?` on the way: a verdict is always
//! gRPC OK, and trouble is a reason inside it. Room for the record is reserved before deciding, so an answer that could
//! not be recorded is withheld.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use envoy_types::pb::envoy::service::auth::v3::authorization_server::Authorization;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{attributes, response};
use crate::clock::now;
use crate::engine::record::{DecisionEntry, Occasion};
use crate::store::Reader;

/// Where decisions are recorded and counted; the edges that do so are joined to this one by the app.
pub trait Ledger: Send + Sync + 'static {
    /// Room for one record.
    type Slot: Send;
    /// Alive as long as the check is in flight.
    type InFlight: Send;

    /// A check has begun.
    fn begin(&self) -> Self::InFlight;
    /// Reserves room for the record of a check, waiting a bounded time. `None`: it could not be recorded.
    fn reserve(&self) -> impl Future<Output = Option<Self::Slot>> + Send;
    /// Records a decision in the room reserved for it, or counts one that was withheld for want of room.
    fn record(&self, slot: Option<Self::Slot>, entry: DecisionEntry);
}

/// The Authorization service.
#[derive(Debug)]
pub struct Checks<L> {
    reader: Reader,
    ledger: Arc<L>,
    help: Option<String>,
}

impl<L: Ledger> Checks<L> {
    /// A service that decides by the snapshot in force. `help` is told to people who are denied.
    pub fn new(reader: Reader, ledger: Arc<L>, help: Option<String>) -> Self {
        Checks { reader, ledger, help }
    }

    fn answer(&self, check: &CheckRequest, slot: Option<L::Slot>) -> CheckResponse {
        let time = now();
        let started = Instant::now();
        let snapshot = self.reader.snapshot();
        let attributes = attributes::read(check);
        let request = attributes.normalise(snapshot.settings());
        let decision = snapshot.decide(&request, time);
        let decision = if slot.is_some() { decision } else { decision.withheld() };
        let occasion = Occasion {
            time,
            duration_micros: u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX),
            decision_id: Uuid::now_v7().to_string(),
        };
        let entry = DecisionEntry::of(&attributes, &request, &decision, &snapshot, occasion);
        let response = response::build(&decision, &entry, self.help.as_deref());
        self.ledger.record(slot, entry);
        response
    }
}

#[tonic::async_trait]
impl<L: Ledger> Authorization for Checks<L> {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let _in_flight = self.ledger.begin();
        // The only wait. A check that Envoy gives up here was not decided and is not recorded.
        let slot = self.ledger.reserve().await;
        Ok(Response::new(self.answer(request.get_ref(), slot)))
    }
}
