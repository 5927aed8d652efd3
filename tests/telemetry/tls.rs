//! A collector behind mutual TLS that asks for a token.

use customs_test_support::collector_gate::{Gate, TOKEN};

use crate::receiver::{Receiver, attribute};
use crate::{check, plan};

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn all_telemetry_arrives_over_mutual_tls_with_a_token_and_compressed() {
    let receiver = Receiver::start();
    let gate = Gate::before(receiver.port);
    let mut server = plan(receiver.port)
        .environment(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            &format!("https://127.0.0.1:{}", gate.port),
        )
        .environment("OTEL_EXPORTER_OTLP_CERTIFICATE", &gate.path("ca.pem"))
        .environment(
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
            &gate.path("client.pem"),
        )
        .environment("OTEL_EXPORTER_OTLP_CLIENT_KEY", &gate.path("client.key"))
        .environment(
            "OTEL_EXPORTER_OTLP_HEADERS",
            &format!("authorization={}", TOKEN.replace(' ', "%20")),
        )
        .environment("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .start();
    check(&server, "ok.example", SAMPLED);
    let span = receiver.spans_of_customs(1).remove(0);
    assert_eq!(attribute(&span.attributes, "customs.host"), "ok.example");
    receiver.until("metrics", |receiver| receiver.metrics().pop());
    receiver.until("lines", |receiver| receiver.lines().pop());
    let ended = server.stop();
    assert!(!ended.stderr.contains("t0ken"), "{}", ended.stderr);
}

#[test]
fn a_gate_that_refuses_is_named_in_the_log_and_costs_no_check() {
    let receiver = Receiver::start();
    let gate = Gate::before(receiver.port);
    let url = format!("https://127.0.0.1:{}", gate.port);
    let to_gate = || {
        plan(receiver.port)
            .environment("OTEL_EXPORTER_OTLP_ENDPOINT", &url)
            .environment("OTEL_EXPORTER_OTLP_TIMEOUT", "500")
            .environment("OTEL_EXPORTER_OTLP_CERTIFICATE", &gate.path("ca.pem"))
    };
    let presenting = || {
        to_gate()
            .environment(
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
                &gate.path("client.pem"),
            )
            .environment("OTEL_EXPORTER_OTLP_CLIENT_KEY", &gate.path("client.key"))
    };
    for (plan, expected) in [
        (to_gate(), "CertificateRequired"),
        (presenting(), "Unauthenticated"),
        (
            presenting().environment(
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20s3cret",
            ),
            "Unauthenticated",
        ),
    ] {
        let mut server = plan.start();
        check(&server, "ok.example", SAMPLED);
        server.until(expected, || {
            Some(server.folder.text("out/stderr")).filter(|log| log.contains(expected))
        });
        let ended = server.stop();
        assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
    }
    assert!(receiver.spans().is_empty());
}
