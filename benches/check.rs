//! The cost of each step of a check in process, without a transport: reading its bytes (next to
//! decoding them), deciding against 100,000 rules, making the record, the response, the record's
//! line and its link, and all of it together.
//!
//! `cargo bench --bench check`; docs/explanation/benchmarks-serving.md has the figures of one machine. Compare figures
//! of one run only. The check was captured from a real Envoy, and a rule of the set allows it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use customs::app::decision_log::AuditedDecisionLog;
use customs::ops::metrics::Metrics;
use customs_audit::recorder::Recorder;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_extauthz::attributes::borrowed;
use customs_extauthz::response;
use customs_extauthz::{CallTrace, Checks, Deadline, PeerIdentity};
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile};
use customs_policy::store;
use customs_record::chain::Head;
use customs_record::json;
use customs_record::{DecisionRecord, Entry, Occasion, TraceContext};
use customs_telemetry::check_span::SpanRedaction;
use customs_telemetry::{Telemetry, TelemetryConfig};
use customs_test_support::bench_policies::{self as set, Shape};
use customs_test_support::decoded_check::DecodedCheck;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use prost::Message;

/// The allocator of the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NOW: UnixNanos = UnixNanos(1_795_392_000 * 1_000_000_000);
const RULES: usize = 100_000;

/// Captured from Envoy: 25 headers, both principals, a session.
const CHECK: &[u8] = include_bytes!("../tests/captures/check_request.bin");

/// The rule that allows it.
const GRANT: &str = "apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: partner, namespace: payments}
spec:
  subjects: [{serviceAccounts: [checkout-service]}]
  owner: team-payments
  allow:
  - {name: charges, hosts: [api.partner-example.com], paths: ['/v2/charges/*'], ticket: SEC-4711, reason: charges cards}
";

fn snapshot() -> Snapshot {
    let settings = Settings::default();
    let mut source = set::source(Shape::Teams, RULES);
    source.files.push(PolicyFile {
        name: "partner.yaml".into(),
        bytes: GRANT.as_bytes().into(),
    });
    compile::compile(&[source::load(&source, &settings)], &settings)
        .expect("the set is good")
        .snapshot
}

fn occasion() -> Occasion<'static> {
    let decision_id = "01a9f2c4-7b00-7c11-8a22-0123456789ab";
    Occasion {
        time: NOW,
        duration_micros: 1,
        decision_id,
        decision_number: 1,
        recorded_headers: &[],
        peer_identity: "",
        trace_context: None,
    }
}

fn steps(criterion: &mut Criterion) {
    let snapshot = snapshot();
    let mut group = criterion.benchmark_group("step");
    group
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500));
    group.bench_function("decode", |b| {
        b.iter(|| {
            let check = CheckRequest::decode(black_box(CHECK)).unwrap();
            DecodedCheck::of(&check).attributes().listener_port
        });
    });
    group.bench_function("read", |b| {
        b.iter(|| {
            borrowed::read(black_box(CHECK))
                .unwrap()
                .attributes()
                .listener_port
        });
    });
    let check = borrowed::read(CHECK).unwrap();
    let attributes = check.attributes();
    group.bench_function("decide", |b| {
        b.iter(|| {
            let request = black_box(&attributes).normalise(snapshot.settings());
            snapshot.decide(&request, NOW).verdict.by_identity
        });
    });
    let request = attributes.normalise(snapshot.settings());
    let decision = snapshot.decide(&request, NOW);
    assert_eq!(decision.verdict.reason.as_str(), "allowed_by_rule");
    group.bench_function("entry", |b| {
        b.iter(|| {
            DecisionRecord::of(
                black_box(&attributes),
                &request,
                &decision,
                &snapshot,
                occasion(),
            )
        });
    });
    let entry = DecisionRecord::of(&attributes, &request, &decision, &snapshot, occasion());
    let options = response::Options::default();
    group.bench_function("response", |b| {
        b.iter(|| response::build(black_box(&decision), &entry, &options))
    });
    let entry = Entry::Decision(Arc::new(entry));
    let mut line = Vec::new();
    let mut render = || {
        line.clear();
        json::open(
            black_box(&entry),
            "0d5c3b9e-6b1f-4c51-9a3c-0123456789ab",
            4711,
            &mut line,
        );
        line.len()
    };
    println!("a line of {} bytes", render());
    group.bench_function("line", |b| b.iter(&mut render));
    let (mut head, bytes) = (Head::START, vec![b'x'; render()]);
    group.bench_function("link", |b| b.iter(|| head = head.then(black_box(&bytes))));
    group.finish();
}

/// Starts telemetry that samples as this sampler says. Nothing listens where it sends.
fn telemetry(sampler: &str) -> Telemetry {
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_TRACES_SAMPLER", sampler),
    ];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let config = TelemetryConfig::read(&variables.map(own).into());
    let config = config.unwrap().unwrap();
    Telemetry::start(&config, "0", SpanRedaction::default()).unwrap()
}

/// The trace context of a call that Envoy does not sample, or does.
fn context(is_sampled: bool) -> CallTrace {
    CallTrace(Some(TraceContext {
        trace_id: [7; 16],
        span_id: [9; 8],
        is_sampled,
    }))
}

fn answers(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let telemetry = telemetry("parentbased_always_on");
    let mut group = criterion.benchmark_group("check");
    group
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500));
    for (name, spans, call) in [
        ("answer", None, context(false)),
        ("answer, not sampled", telemetry.spans(), context(false)),
        // Without the collector's part: most spans find no room.
        ("answer, sampled", telemetry.spans(), context(true)),
    ] {
        let log = AuditedDecisionLog {
            recorder: Recorder::new(Vec::new(), Duration::ZERO),
            metrics: Arc::new(Metrics::new()),
            refusals: Arc::default(),
            spans,
        };
        let (_publisher, reader) = store::cell(snapshot());
        let checks = Checks::new(
            reader,
            Arc::new(log),
            response::Options::default(),
            Vec::new(),
        );
        let peer = PeerIdentity::default();
        group.bench_function(name, |b| {
            b.iter(|| {
                let answer = checks.answer(black_box(CHECK), Deadline::default(), &peer, call);
                let answer = runtime.block_on(answer).unwrap();
                let (response, pending) = answer.expect("there is no deadline");
                checks.sent(pending);
                response
            });
        });
    }
    group.finish();
}

criterion_group!(benches, steps, answers);
criterion_main!(benches);
