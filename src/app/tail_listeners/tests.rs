//! Subscribers over real connections: one that reads, one that does not, and too many streams.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tonic::transport::{Channel, Endpoint};

use super::*;
use crate::app::ports::refusals::PortKind;
use crate::ops::metrics::Metrics;
use customs_audit::tail::Ring;
use customs_audit::tail::proto::audit_service_client::AuditServiceClient;
use customs_net::{ConnectionSlots, SlotLimits};
use customs_record::RefusalCause;
use customs_record::proto::{Record, TailRequest};

const BOUND: Duration = Duration::from_secs(10);

/// How long a subscription may be unread here.
const UNREAD: Duration = Duration::from_millis(400);

struct Served {
    ring: Arc<Ring>,
    address: String,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

async fn served() -> Served {
    let listener = "127.0.0.1:0"
        .parse::<Address>()
        .unwrap()
        .bind()
        .await
        .unwrap();
    let address = format!("http://{}", listener.local());
    let (ring, metrics) = (Arc::<Ring>::default(), Arc::<Metrics>::default());
    let tail = Tail {
        address: String::new(),
        ring: ring.clone(),
    };
    let refusals = Arc::new(PortRefusals::of(
        metrics.clone(),
        Arc::default(),
        PortKind::Tail,
    ));
    let slots = ConnectionSlots::new(SlotLimits::default());
    let port = Port::new(slots, BOUND, refusals);
    let limits = ConnectionLimits {
        idle_timeout: UNREAD,
        ..ConnectionLimits::DEFAULT
    };
    let stop = CancellationToken::new();
    let serving = serve(
        TailServer::new(&tail).unwrap(),
        listener,
        port,
        limits,
        stop.clone(),
    );
    Served {
        ring,
        address,
        metrics,
        stop,
        task: tokio::spawn(serving),
    }
}

impl Served {
    async fn connect(&self) -> AuditServiceClient<Channel> {
        // The least that HTTP/2 begins with: what a client reads shows soon.
        let endpoint = Endpoint::from_shared(self.address.clone())
            .unwrap()
            .initial_stream_window_size(65_535)
            .initial_connection_window_size(65_535);
        AuditServiceClient::new(endpoint.connect().await.unwrap())
    }

    /// Adds records of a kilobyte each.
    fn push(&self, numbers: std::ops::Range<u64>) {
        let record = |sequence| Record {
            kind: "decision".into(),
            stream: "s".into(),
            sequence,
            path: "x".repeat(1000),
            ..Record::default()
        };
        let records = numbers.map(record);
        let bytes: Vec<u8> = records
            .flat_map(|record| record.encode_length_delimited_to_vec())
            .collect();
        self.ring.push_delimited(&bytes);
    }

    fn refused(&self, cause: RefusalCause) -> bool {
        let text = self.metrics.encode(
            customs_engine::time::UnixNanos(0),
            crate::ops::exposition::Exposition::Classic,
        );
        let line = format!("customs_refusals_total{{cause=\"{}\"}} 0", cause.as_str());
        !text.lines().any(|found| found == line)
    }
}

fn from_start() -> TailRequest {
    TailRequest {
        from_start: true,
        ..TailRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_is_not_read_is_closed_and_one_that_waits_is_kept() {
    let served = served().await;
    served.push(1..2_000);
    let (mut waits, mut does_not_read) = (served.connect().await, served.connect().await);
    let mut waits = waits.tail(from_start()).await.unwrap().into_inner();
    for sequence in 1..2_000 {
        let record = waits.next().await.unwrap().unwrap().record.unwrap();
        assert_eq!(record.sequence, sequence);
    }
    let unread = does_not_read.tail(from_start()).await.unwrap().into_inner();
    let is_closed = async {
        while !served.refused(RefusalCause::SubscriptionUnread) {
            tokio::time::sleep(UNREAD / 10).await;
        }
    };
    timeout(BOUND, is_closed).await.unwrap();
    // What was received before is there, and then the stream breaks.
    let read: Vec<_> = timeout(BOUND, unread.collect()).await.unwrap();
    assert!(read.len() < 1_999 && read.last().unwrap().is_err());
    served.push(2_000..2_001);
    let record = timeout(BOUND, waits.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(record.record.unwrap().sequence, 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_has_few_streams_and_ends_with_the_ring() {
    let served = served().await;
    served.push(1..2);
    let client = served.connect().await;
    let mut subscriptions = Vec::new();
    for _ in 0..8 {
        let subscription = client.clone().tail(from_start()).await.unwrap();
        subscriptions.push(subscription.into_inner());
    }
    let one_more = client.clone();
    let one_more = tokio::spawn(async move { one_more.clone().tail(from_start()).await.map(drop) });
    tokio::time::sleep(UNREAD / 4).await;
    assert!(!one_more.is_finished(), "the client waits for a stream");
    served.ring.close();
    served.stop.cancel();
    for subscription in subscriptions {
        let read: Vec<_> = timeout(BOUND, subscription.collect()).await.unwrap();
        assert!(read.len() == 1 && read[0].is_ok(), "{read:?}");
    }
    let _ended = timeout(BOUND, one_more).await.unwrap().unwrap();
    drop(client);
    timeout(BOUND, served.task).await.unwrap().unwrap().unwrap();
}
