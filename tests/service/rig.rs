//! A server on a free port, with a decision log that can be inspected.

use customs_test_support::raw_bytes::Bytes;
use std::fmt::Display;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use customs::ops::health::{self, HealthHandle};
use customs_engine::decision::Decision;
use customs_engine::reason::Reason;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_extauthz::Services;
use customs_extauthz::response::Options;
use customs_extauthz::response::metadata::Fields;
use customs_extauthz::{CheckStage, CheckTrace, Checks, Commit, DecisionLog};
use customs_net::{Address, ConnectionLimits, ConnectionPeer, ConnectionSlots, HandshakeRefusal};
use customs_net::{Port, PortObserver, PortRefusal, SlotLimits, Workers};
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile, Source};
use customs_policy::store;
use customs_record::{DecisionRecord, PeerAddress, RefusalCause, TraceContext};
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address as EnvoyAddress, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

/// Small enough that a test reaches them.
pub(crate) const LIMITS: ConnectionLimits = ConnectionLimits {
    concurrent_streams: 50,
    pending_resets: 200,
    ..ConnectionLimits::DEFAULT
};

/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stores what the port refused.
#[derive(Default)]
pub(crate) struct PortRefusals(Mutex<Vec<PortRefusal>>);

impl PortObserver for PortRefusals {
    fn refused(&self, _peer: &ConnectionPeer, refusal: PortRefusal) {
        self.0.lock().unwrap().push(refusal);
    }

    fn handshake_refused(
        &self,
        _peer: &ConnectionPeer,
        refusal: HandshakeRefusal,
        _example: &dyn Display,
    ) {
        panic!("{refusal:?} on a port without TLS");
    }
}

impl PortRefusals {
    pub(crate) fn all(&self) -> Vec<PortRefusal> {
        self.0.lock().unwrap().clone()
    }
}

pub(crate) struct Rig {
    pub port_refusals: Arc<PortRefusals>,
    pub log: Arc<TestDecisionLog>,
    pub health: HealthHandle,
    pub shutdown: CancellationToken,
    pub serving: Mutex<Option<JoinHandle<std::io::Result<()>>>>,
    pub address: SocketAddr,
    channel: Channel,
}

/// A decision log that stores records, can be full, and can hold checks back.
pub(crate) struct TestDecisionLog {
    entries: Mutex<Vec<DecisionRecord>>,
    /// The checks that were traced.
    pub traces: Mutex<Vec<EndedTrace>>,
    /// The rules that were counted.
    pub rules: Mutex<Vec<String>>,
    withheld: Mutex<usize>,
    full: Mutex<bool>,
    lossy: Mutex<bool>,
    pub gone: Mutex<Vec<u64>>,
    /// How many more callers were gone that no record mentions.
    pub gone_without_record: Mutex<usize>,
    /// Whether every sink has room for a decision whose answer is withheld.
    pub roomy: Mutex<bool>,
    refusals: Mutex<Vec<(PeerAddress, RefusalCause, String)>>,
    /// The functions whose next call panics.
    pub panics: Mutex<Vec<&'static str>>,
    /// How often a panic was reported.
    pub panicked: AtomicUsize,
    /// Reservations that are neither used nor released.
    pub reserved: Arc<AtomicUsize>,
    /// Checks that have begun and not ended.
    pub in_flight: Arc<AtomicUsize>,
    pub gate: Semaphore,
    pub waiting: Semaphore,
}

/// A check that is traced.
pub(crate) struct TestTrace {
    parent: TraceContext,
    stages: Vec<CheckStage>,
}

impl CheckTrace for TestTrace {
    fn pass(&mut self, stage: CheckStage) {
        self.stages.push(stage);
    }

    fn context(&self) -> TraceContext {
        TraceContext {
            span_id: [9; 8],
            ..self.parent
        }
    }
}

/// A check that was traced to its end.
#[derive(Clone, Debug)]
pub(crate) struct EndedTrace {
    pub parent: TraceContext,
    pub stages: Vec<CheckStage>,
    pub reason: Reason,
    pub traceparent: String,
    pub is_answered: bool,
}

impl TestDecisionLog {
    pub(crate) fn set_full(&self, full: bool) {
        *self.full.lock().unwrap() = full;
    }

    /// From now on, answers wait for the disk, and records are not durable in time.
    pub(crate) fn set_lossy(&self, lossy: bool) {
        *self.lossy.lock().unwrap() = lossy;
    }

    pub(crate) fn withheld(&self) -> usize {
        *self.withheld.lock().unwrap()
    }

    /// Returns and clears what was refused so far.
    pub(crate) fn refusals(&self) -> Vec<(PeerAddress, RefusalCause, String)> {
        std::mem::take(&mut self.refusals.lock().unwrap())
    }

    /// Panics if that was asked for, once each time.
    fn may_panic(&self, function: &str) {
        let mut panics = self.panics.lock().unwrap();
        let asked = panics.iter().position(|name| *name == function);
        asked.map(|place| panics.remove(place));
        drop(panics);
        assert!(asked.is_none(), "a bug in {function}");
    }

    pub(crate) fn entries(&self) -> Vec<DecisionRecord> {
        self.entries.lock().unwrap().clone()
    }
}

impl DecisionLog for TestDecisionLog {
    type Reservation = Held;
    type InFlight<'l> = Held;
    type Trace = TestTrace;

    fn begin(&self) -> Held {
        Held::of(&self.in_flight)
    }

    fn next_number(&self) -> u64 {
        self.may_panic("next_number");
        1
    }

    fn may_trace(&self) -> bool {
        true
    }

    /// Traces what its caller traces.
    fn begin_trace(
        &self,
        parent: impl FnOnce() -> Option<TraceContext>,
        _time: UnixNanos,
        _started: Instant,
    ) -> Option<TestTrace> {
        let parent = parent().filter(|parent| parent.is_sampled)?;
        self.may_panic("begin_trace");
        let stages = vec![CheckStage::Received];
        Some(TestTrace { parent, stages })
    }

    fn end_trace(&self, trace: TestTrace, record: &DecisionRecord, is_answered: bool) {
        self.may_panic("end_trace");
        let facts = record.facts();
        self.traces.lock().unwrap().push(EndedTrace {
            parent: trace.parent,
            stages: trace.stages,
            reason: facts.verdict.reason,
            traceparent: record.text(facts.traceparent).to_owned(),
            is_answered,
        });
    }

    fn count_rules(&self, decision: &Decision, _time: UnixNanos) {
        self.may_panic("count_rules");
        let ids = decision.named_rules().map(|info| info.id.to_string());
        self.rules.lock().unwrap().extend(ids);
    }

    async fn reserve(&self, _record: &DecisionRecord) -> Option<Held> {
        self.waiting.add_permits(1);
        let _passed = self.gate.acquire().await.unwrap();
        self.may_panic("reserve");
        (!*self.full.lock().unwrap()).then(|| Held::of(&self.reserved))
    }

    async fn commit(&self, room: Held, record: &Arc<DecisionRecord>) -> Commit<Held> {
        self.may_panic("commit");
        if !*self.lossy.lock().unwrap() {
            return Commit::Deferred(room);
        }
        self.record(room, record.clone());
        Commit::NotDurable
    }

    fn record(&self, _room: Held, record: Arc<DecisionRecord>) {
        self.may_panic("record");
        self.entries
            .lock()
            .unwrap()
            .push(Arc::unwrap_or_clone(record));
    }

    fn withhold(&self, record: Arc<DecisionRecord>) -> bool {
        self.may_panic("withhold");
        *self.withheld.lock().unwrap() += 1;
        let facts = record.facts();
        if facts.caller_gone || facts.verdict.reason == Reason::InternalError {
            self.entries
                .lock()
                .unwrap()
                .push(Arc::unwrap_or_clone(record));
        }
        *self.roomy.lock().unwrap()
    }

    fn caller_gone(&self, record: Option<&DecisionRecord>) {
        match record {
            Some(record) => self
                .gone
                .lock()
                .unwrap()
                .push(record.facts().decision_number),
            None => *self.gone_without_record.lock().unwrap() += 1,
        }
    }

    fn count_panic(&self) {
        self.panicked.fetch_add(1, Relaxed);
    }

    fn refuse(&self, peer: PeerAddress, cause: RefusalCause, example: &dyn Display) {
        self.refusals
            .lock()
            .unwrap()
            .push((peer, cause, example.to_string()));
    }

    fn shed(&self, peer: PeerAddress, checks: u64) {
        for _ in 0..checks {
            self.refuse(peer, RefusalCause::Overloaded, &"too many");
        }
    }
}

/// Counts itself until it is dropped.
#[derive(Debug)]
pub(crate) struct Held(Arc<AtomicUsize>);

impl Held {
    fn of(count: &Arc<AtomicUsize>) -> Held {
        count.fetch_add(1, Relaxed);
        Held(count.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Rig {
    /// Serves a policy; with an empty text there is no policy at all.
    pub(crate) async fn start(policy: &str, settings: Settings) -> Rig {
        Rig::start_limited(policy, settings, LIMITS, SlotLimits::default()).await
    }

    /// Serves a policy with other limits of a connection.
    pub(crate) async fn start_with(
        policy: &str,
        settings: Settings,
        limits: ConnectionLimits,
    ) -> Rig {
        Rig::start_limited(policy, settings, limits, SlotLimits::default()).await
    }

    /// Serves a policy on a port with so many slots.
    pub(crate) async fn start_with_slots(
        policy: &str,
        settings: Settings,
        slots: SlotLimits,
    ) -> Rig {
        Rig::start_limited(policy, settings, LIMITS, slots).await
    }

    async fn start_limited(
        policy: &str,
        settings: Settings,
        limits: ConnectionLimits,
        slots: SlotLimits,
    ) -> Rig {
        let (publisher, reader) = store::cell(Snapshot::unloaded(settings.clone()));
        if !policy.is_empty() {
            let file = PolicyFile {
                name: "p.yaml".into(),
                bytes: policy.as_bytes().into(),
            };
            let loaded = source::load(
                &Source {
                    name: "rig".into(),
                    files: vec![file],
                    ..Source::default()
                },
                &settings,
            );
            publisher.publish(compile::compile(&[loaded], &settings).unwrap().snapshot);
        }
        let log = Arc::new(TestDecisionLog {
            entries: Mutex::default(),
            traces: Mutex::default(),
            rules: Mutex::default(),
            withheld: Mutex::default(),
            full: Mutex::default(),
            lossy: Mutex::default(),
            gone: Mutex::default(),
            gone_without_record: Mutex::default(),
            roomy: Mutex::default(),
            refusals: Mutex::default(),
            panics: Mutex::default(),
            panicked: AtomicUsize::default(),
            reserved: Arc::default(),
            in_flight: Arc::default(),
            gate: Semaphore::new(1000),
            waiting: Semaphore::new(0),
        });
        let (health, health_service) = health::service().await;
        let shutdown = CancellationToken::new();
        let options = Options {
            help: Some("https://help.example".into()),
            metadata: Fields::ALL,
        };
        let checks = Checks::new(reader, log.clone(), options, Vec::new());
        let services = Services::new(checks, health_service, limits, shutdown.clone()).unwrap();
        let listener = "127.0.0.1:0"
            .parse::<Address>()
            .unwrap()
            .bind()
            .await
            .unwrap();
        let address: SocketAddr = listener.local().parse().unwrap();
        let port_refusals = Arc::<PortRefusals>::default();
        let port = Port::new(ConnectionSlots::new(slots), PATIENCE, port_refusals.clone());
        let (workers, threads) = Workers::new(NonZeroUsize::MIN);
        let serving = tokio::spawn(async move {
            let threads = threads
                .into_iter()
                .map(|thread| tokio::spawn(thread.run()))
                .collect::<Vec<_>>();
            services.serve(port, listener, workers).await?;
            for thread in threads {
                thread.await.unwrap()?;
            }
            Ok(())
        });
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint
            .connect_timeout(Duration::from_secs(5))
            .connect()
            .await
            .unwrap();
        Rig {
            port_refusals,
            log,
            health,
            shutdown,
            serving: Mutex::new(Some(serving)),
            address,
            channel,
        }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) async fn check(&self, check: CheckRequest) -> CheckResponse {
        AuthorizationClient::new(self.channel())
            .check(check)
            .await
            .unwrap()
            .into_inner()
    }

    /// Sends bytes that may not be a CheckRequest.
    pub(crate) async fn raw(&self, bytes: Vec<u8>) -> Result<(), Status> {
        let mut grpc = tonic::client::Grpc::new(self.channel());
        grpc.ready()
            .await
            .map_err(|why| Status::unavailable(why.to_string()))?;
        let path = "/envoy.service.auth.v3.Authorization/Check"
            .parse()
            .unwrap();
        grpc.unary(tonic::Request::new(bytes), path, Bytes)
            .await
            .map(|_: tonic::Response<Vec<u8>>| ())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn peer(principal: &str, ip: &str, port: u32) -> Option<Peer> {
    let socket = SocketAddress {
        address: ip.into(),
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    let address = Some(EnvoyAddress {
        address: Some(AddressKind::SocketAddress(socket)),
    });
    Some(Peer {
        address,
        principal: principal.into(),
        ..Peer::default()
    })
}

/// Returns a check for an HTTP request.
pub(crate) fn http(principal: &str, host: &str, method: &str, path: &str) -> CheckRequest {
    let http = HttpRequest {
        host: host.into(),
        method: method.into(),
        path: path.into(),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: peer(principal, "10.1.2.3", 40000),
            destination: peer("", "10.9.9.9", 8443),
            request: Some(Request {
                time: None,
                http: Some(http),
            }),
            ..AttributeContext::default()
        }),
    }
}

/// Returns a check for a TCP connection.
pub(crate) fn tcp(principal: &str, sni: &str) -> CheckRequest {
    let destination = peer("", "10.9.9.9", 8443).map(|peer| Peer {
        service: sni.into(),
        ..peer
    });
    let source = peer(principal, "10.1.2.3", 40000);
    CheckRequest {
        attributes: Some(AttributeContext {
            source,
            destination,
            ..AttributeContext::default()
        }),
    }
}
