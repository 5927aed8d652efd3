//! A load of checks: several connections, many checks in flight, and the answer to each.
//!
//! It measures what a client sees and draws no conclusion.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::google::protobuf::value::Kind;
use tonic::transport::{Channel, Endpoint};

/// The checks to send, and how.
#[derive(Clone)]
pub struct Load {
    pub port: u16,
    pub connections: usize,
    /// Checks that one connection has in flight.
    pub in_flight: usize,
    /// How many in all.
    pub checks: u64,
    /// A pause after each answer, for a steady load below what the server can do.
    pub pause: Duration,
    /// The checks, taken in turn.
    pub asked: Arc<Vec<CheckRequest>>,
    /// Ends the load early.
    pub stop: Arc<AtomicBool>,
}

/// The result of a load.
#[derive(Debug, Default)]
pub struct LoadResult {
    pub allowed: u64,
    pub denied: u64,
    /// Of the denied, answers that were withheld because they could not be recorded.
    pub withheld: u64,
    /// Calls without an answer.
    pub failed: u64,
    /// The ids of decisions that were answered and not withheld.
    pub ids: Vec<String>,
    pub latencies: Vec<Duration>,
}

impl LoadResult {
    pub fn answered(&self) -> u64 {
        self.allowed + self.denied
    }

    /// Returns the latency that `of_thousand` in a thousand answers stay below.
    pub fn quantile(&mut self, of_thousand: usize) -> Duration {
        self.latencies.sort_unstable();
        let last = self.latencies.len().saturating_sub(1);
        self.latencies
            .get(self.latencies.len() * of_thousand / 1000)
            .or(self.latencies.get(last))
            .copied()
            .unwrap_or_default()
    }

    fn add(&mut self, other: LoadResult) {
        self.allowed += other.allowed;
        self.denied += other.denied;
        self.withheld += other.withheld;
        self.failed += other.failed;
        self.ids.extend(other.ids);
        self.latencies.extend(other.latencies);
    }
}

impl Load {
    /// Creates a load of `checks` of these checks over four connections.
    pub fn new(port: u16, checks: u64, asked: Vec<CheckRequest>) -> Load {
        let (asked, stop) = (Arc::new(asked), Arc::default());
        Load {
            port,
            connections: 4,
            in_flight: 16,
            checks,
            pause: Duration::ZERO,
            asked,
            stop,
        }
    }

    /// Sends it to the server and waits for the last answer.
    pub async fn run(&self) -> LoadResult {
        let left = Arc::new(AtomicU64::new(self.checks));
        let mut workers = Vec::new();
        for _ in 0..self.connections {
            let channel = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.port))
                .unwrap()
                .connect_lazy();
            for _ in 0..self.in_flight {
                workers.push(tokio::spawn(worker(
                    self.clone(),
                    channel.clone(),
                    left.clone(),
                )));
            }
        }
        let mut result = LoadResult::default();
        for worker in workers {
            result.add(worker.await.unwrap());
        }
        result
    }
}

async fn worker(load: Load, channel: Channel, left: Arc<AtomicU64>) -> LoadResult {
    let mut client = AuthorizationClient::new(channel);
    let mut result = LoadResult::default();
    while !load.stop.load(Ordering::Relaxed) {
        let next = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
        let Ok(number) = next else { break };
        let asked = load.asked[usize::try_from(number).unwrap() % load.asked.len()].clone();
        let start = Instant::now();
        let Ok(answer) = client.check(asked).await else {
            result.failed += 1;
            continue;
        };
        result.latencies.push(start.elapsed());
        let answer = answer.into_inner();
        let text = |name: &str| match answer
            .dynamic_metadata
            .as_ref()?
            .fields
            .get(name)?
            .kind
            .as_ref()?
        {
            Kind::StringValue(text) => Some(text.clone()),
            _ => None,
        };
        match answer.status.as_ref().map(|status| status.code) {
            Some(0) => result.allowed += 1,
            _ => result.denied += 1,
        }
        if text("reason").as_deref() == Some("audit_unavailable") {
            result.withheld += 1;
        } else {
            result.ids.extend(text("decision_id"));
        }
        if !load.pause.is_zero() {
            tokio::time::sleep(load.pause).await;
        }
    }
    result
}
