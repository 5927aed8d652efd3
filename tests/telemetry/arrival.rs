//! What arrives: spans, metrics and lines, and how they refer to one another.

use std::collections::BTreeSet;

use customs::ops::metrics::METRICS;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::receiver::{Receiver, attribute, hex, text};
use crate::{check, plan};
use customs_test_support::http;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

#[test]
fn a_sampled_check_arrives_as_a_span_and_others_do_not() {
    let receiver = Receiver::start();
    let mut server = plan(receiver.port)
        .environment("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=customs-0")
        .start();
    for (host, flags) in [
        ("ok.example", "00"),
        ("denied.example", "01"),
        ("ok.example", "00"),
    ] {
        check(&server, host, &format!("00-{TRACE}-{CALLER}-{flags}"));
    }
    let arrived = receiver.until("a span", |receiver| receiver.spans().pop());
    server.stop();
    let resource = |name| attribute(&arrived.resource, name);
    assert_eq!(resource("service.name"), "customs");
    assert_eq!(resource("service.version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(resource("k8s.pod.name"), "customs-0");
    assert_eq!(resource("service.instance.id").len(), 36);
    let span = &arrived.it;
    assert_eq!(
        (hex(&span.trace_id), hex(&span.parent_span_id)),
        (TRACE.into(), CALLER.into())
    );
    assert_eq!(span.name, "envoy.service.auth.v3.Authorization/Check");
    for (name, expected) in [
        ("customs.effect", "deny"),
        ("customs.reason", "denied_by_rule"),
        ("customs.rule", "ep:demo-frontend/egress#no-host"),
        ("customs.namespace", "demo-frontend"),
        ("customs.service_account", "sleep"),
        ("customs.host", "denied.example"),
    ] {
        assert_eq!(attribute(&span.attributes, name), expected, "{name}");
    }
    assert_eq!(
        span.status.as_ref().map_or(0, |status| status.code),
        0,
        "a denial is no error"
    );
    let stages: Vec<_> = span
        .events
        .iter()
        .map(|event| event.name.as_str())
        .collect();
    let expected = [
        "received",
        "attributes",
        "normalised",
        "decided",
        "recorded",
        "answered",
    ];
    assert_eq!(stages, expected);
    // The record of the same decision names the same trace.
    let record = server.folder.text("out/audit.jsonl");
    let id = attribute(&span.attributes, "customs.decision_id");
    let line = record.lines().find(|line| line.contains(&id)).unwrap();
    assert!(line.contains(&format!("00-{TRACE}-{CALLER}-01")), "{line}");
    assert_eq!(receiver.spans().len(), 1, "the others were not sampled");
}

#[test]
fn a_ratio_of_one_traces_what_no_caller_traces_and_redaction_holds() {
    let receiver = Receiver::start();
    let mut server = plan(receiver.port)
        .flags("--config settings.yaml")
        .file("settings.yaml", "audit_log: {redact: {principal: drop}}\n")
        .environment("OTEL_TRACES_SAMPLER", "traceidratio")
        .environment("OTEL_TRACES_SAMPLER_ARG", "1")
        .start();
    server.check("ok.example");
    let span = receiver.spans_of_customs(1).remove(0);
    server.stop();
    assert!(span.parent_span_id.is_empty());
    assert_eq!(
        attribute(&span.attributes, "customs.namespace"),
        "demo-frontend"
    );
    assert_eq!(attribute(&span.attributes, "customs.service_account"), "");
    let record = server.folder.text("out/audit.jsonl");
    let own = format!(
        "\"traceparent\":\"00-{}-{}-01\"",
        hex(&span.trace_id),
        hex(&span.span_id)
    );
    assert!(record.contains(&own), "{own}: {record}");
}

#[test]
fn every_metric_arrives_under_the_name_that_prometheus_sees() {
    let receiver = Receiver::start();
    let mut server = plan(receiver.port).start();
    check(
        &server,
        "denied.example",
        &format!("00-{TRACE}-{CALLER}-01"),
    );
    let names = |receiver: &Receiver| -> BTreeSet<String> {
        let metrics = receiver.metrics().into_iter();
        metrics.map(|metric| metric.it.name).collect()
    };
    let shown = server.get("/metrics").unwrap().1;
    let expected: BTreeSet<String> = shown
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(|series| {
            let parts = ["_bucket", "_sum", "_count"];
            let of_histogram = parts.iter().find_map(|part| series.strip_suffix(part));
            of_histogram.unwrap_or(series).to_owned()
        })
        .collect();
    let known: BTreeSet<String> = METRICS
        .iter()
        .map(|metric| metric.name.to_owned())
        .collect();
    assert!(
        expected.len() > 30 && expected.is_subset(&known),
        "{expected:?}"
    );
    receiver.until("every metric", |receiver| {
        (names(receiver) == expected).then_some(())
    });
    let exemplar = receiver.until("an exemplar", |receiver| {
        receiver
            .metrics()
            .into_iter()
            .rev()
            .find_map(|metric| match metric.it.data {
                Some(Data::Histogram(histogram)) => {
                    histogram.data_points[0].exemplars.first().cloned()
                }
                _ => None,
            })
    });
    let span = receiver.spans_of_customs(1).remove(0);
    server.stop();
    assert_eq!(
        (exemplar.trace_id, exemplar.span_id),
        (span.trace_id, span.span_id)
    );
}

#[test]
fn exemplars_are_shown_in_open_metrics_and_not_in_the_classic_format() {
    let receiver = Receiver::start();
    let mut server = plan(receiver.port).start();
    check(&server, "ok.example", &format!("00-{TRACE}-{CALLER}-01"));
    receiver.spans_of_customs(1);
    let classic = server.get("/metrics").unwrap().1;
    let accept = ("accept", "application/openmetrics-text");
    let open = http::get_with(server.admin, "localhost", "/metrics", &[accept])
        .unwrap()
        .body;
    server.stop();
    let named = format!(" # {{trace_id=\"{TRACE}\",span_id=\"");
    let lines: Vec<&str> = open.lines().filter(|line| line.contains(&named)).collect();
    assert_eq!(lines.len(), 1, "{open}");
    assert!(
        lines[0].starts_with("customs_check_duration_seconds_bucket{le="),
        "{lines:?}"
    );
    assert!(!classic.contains("trace_id"), "{classic}");
}

#[test]
fn the_log_arrives_and_the_audit_log_does_not() {
    let receiver = Receiver::start();
    let mut server = plan(receiver.port).start();
    server.check("denied.example");
    server.stop();
    let bodies = |receiver: &Receiver| -> Vec<String> {
        let lines = receiver.lines().into_iter();
        lines.map(|line| text(line.it.body.as_ref())).collect()
    };
    // The last lines are flushed at the end.
    receiver.until("the last line", |receiver| {
        bodies(receiver).contains(&"ended".to_owned()).then_some(())
    });
    let bodies = bodies(&receiver);
    assert!(
        bodies.contains(&"policies published".to_owned()),
        "{bodies:?}"
    );
    let stderr = server.folder.text("out/stderr");
    assert_eq!(bodies.len(), stderr.lines().count(), "{bodies:?} {stderr}");
    let line = receiver.lines().remove(0);
    assert_eq!(attribute(&line.resource, "service.name"), "customs");
    let all = format!("{:?}", receiver.lines());
    assert!(
        !all.contains("denied.example"),
        "a decision is in the audit log only"
    );
}
