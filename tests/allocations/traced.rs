//! What tracing allocates: nothing for a check that is not sampled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use customs::app::decision_log::AuditedDecisionLog;
use customs::ops::metrics::Metrics;
use customs_audit::recorder::Recorder;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_extauthz::response::Options;
use customs_extauthz::{CallTrace, Checks, Deadline, PeerIdentity};
use customs_policy::store;
use customs_record::TraceContext;
use customs_telemetry::check_span::SpanRedaction;
use customs_telemetry::{SpanRecorder, Telemetry, TelemetryConfig};

/// A check as Envoy sent it; the request that it is about has a trace that is sampled.
const CHECK: &[u8] = include_bytes!("../captures/check_request.bin");

fn context(is_sampled: bool) -> CallTrace {
    CallTrace(Some(TraceContext {
        trace_id: [7; 16],
        span_id: [9; 8],
        is_sampled,
    }))
}

fn telemetry(sampler: &str) -> Telemetry {
    let variables = [
        // Nothing listens there, and nothing is sent so soon.
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_TRACES_SAMPLER", sampler),
    ];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let variables: BTreeMap<String, String> = variables.map(own).into();
    let config = TelemetryConfig::read(&variables).unwrap().unwrap();
    Telemetry::start(&config, "0", SpanRedaction::default()).unwrap()
}

/// Returns how often a check allocates, from its bytes to the end of its record.
fn allocations(spans: Option<SpanRecorder>, call: CallTrace) -> u64 {
    let log = AuditedDecisionLog {
        recorder: Recorder::new(Vec::new(), Duration::ZERO),
        metrics: Arc::new(Metrics::new()),
        refusals: Arc::default(),
        spans,
    };
    let (_publisher, reader) = store::cell(Snapshot::unloaded(Settings::default()));
    let checks = Checks::new(reader, Arc::new(log), Options::default(), Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let peer = PeerIdentity::default();
    let ask = || {
        let answer = runtime.block_on(checks.answer(CHECK, Deadline::default(), &peer, call));
        let (_, pending) = answer.unwrap().expect("there is no deadline");
        checks.sent(pending);
    };
    // The first makes counters and what threads keep for themselves.
    ask();
    allocation_counter::measure(ask).count_total
}

#[test]
fn a_check_that_is_not_sampled_allocates_what_it_does_without_tracing() {
    for (sampler, call) in [
        ("always_off", CallTrace::default()),
        ("always_off", context(true)),
        ("parentbased_always_on", context(false)),
        ("parentbased_always_off", context(false)),
    ] {
        let without = allocations(None, call);
        let telemetry = telemetry(sampler);
        assert_eq!(
            allocations(telemetry.spans(), call),
            without,
            "{sampler} {call:?}"
        );
    }
}

#[test]
fn a_check_that_is_sampled_allocates_its_span() {
    let telemetry = telemetry("parentbased_always_on");
    let without = allocations(None, context(true));
    let sampled = allocations(telemetry.spans(), context(true));
    println!("{sampled} allocations of a sampled check, {without} of another one");
    assert!(sampled > without);
}
