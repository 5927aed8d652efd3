//! The collector behind TLS that another project implements: the real Envoy, which asks for a
//! certificate and a token, in front of rotel.

use std::fs;

use customs_test_support::collector_gate::{Gate, TOKEN};
use customs_test_support::ports;
use customs_test_support::server::{Plan, Server};

use crate::collector::{Arrived, Rotel, Webhook};
use crate::lines::{self, Line};
use crate::{POLICY, check};

/// Returns customs with a sink that connects to the gate, with these options.
fn behind(gate: &Gate, options: &str) -> Plan {
    let sink = format!(
        "otlp:https://127.0.0.1:{}?{options}&on_full=drop",
        gate.port
    );
    let flags = format!("--audit {sink} --audit file:out/audit.jsonl");
    Plan::with(&flags).file("policies/a.yaml", POLICY)
}

/// Returns the options of mutual TLS.
fn mutual(gate: &Gate) -> String {
    format!(
        "ca={}&certificate={}&private_key={}",
        gate.path("ca.pem"),
        gate.path("client.pem"),
        gate.path("client.key")
    )
}

/// Returns the ids of the decisions, in their order.
fn decisions(lines: &[Line]) -> Vec<String> {
    let of_kind = lines::of_kind(lines, "decision").into_iter();
    of_kind
        .map(|line| line.text("decisionId").to_owned())
        .collect()
}

/// Waits until the collector has this many decisions and every record before the last one, since
/// it passes batches on side by side; returns the records.
fn arrived(webhook: &Webhook, count: usize) -> Vec<Line> {
    let arrived = webhook.until("the decisions", |arrived| {
        let is_decision = |one: &&Arrived| one.line().text("kind") == "decision";
        let last = arrived.last().map_or(0, |last| last.line().sequence());
        arrived.iter().filter(is_decision).count() == count && last == arrived.len() as u64
    });
    arrived.iter().map(Arrived::line).collect()
}

/// Waits until the sink fails; returns what customs logged.
fn failing(server: &Server, expected: &str) -> String {
    server.until(expected, || {
        Some(server.folder.text("out/stderr")).filter(|log| log.contains(expected))
    })
}

#[test]
fn a_collector_behind_mutual_tls_and_a_token_gets_exactly_the_records() {
    let (port, webhook) = (ports::free().unwrap(), Webhook::start());
    let _rotel = Rotel::start(port, webhook.port());
    let gate = Gate::before(port);
    let headers = gate.path("headers");
    fs::write(&headers, "authorization: Bearer another-s3cret\n").unwrap();
    let mut server = behind(&gate, &format!("{}&headers_file={headers}", mutual(&gate))).start();
    check(&server, 20);
    failing(&server, "Unauthenticated");
    assert_eq!(webhook.arrived().len(), 0);

    // The token is rotated; everything arrives, and from now on without a failure.
    fs::write(&headers, format!("# rotated\nauthorization: {TOKEN}\n")).unwrap();
    arrived(&webhook, 20);
    check(&server, 20);
    let bodies = arrived(&webhook, 40);
    lines::verify(&bodies);
    let seen = [
        server.folder.text("out/stderr"),
        server.folder.text("out/stdout"),
        server.get("/status").unwrap().1,
        server.get("/metrics").unwrap().1,
    ];
    server.stop();
    let file = server.folder.text("out/audit.jsonl");
    assert_eq!(decisions(&bodies), decisions(&lines::all(&file)));
    for text in seen
        .iter()
        .chain([&file, &server.folder.text("out/stderr")])
    {
        for secret in ["t0ken-of-the-collector", "another-s3cret"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn a_collector_that_cannot_prove_its_name_or_wants_a_certificate_is_named_in_the_log() {
    let (port, webhook) = (ports::free().unwrap(), Webhook::start());
    let _rotel = Rotel::start(port, webhook.port());
    let gate = Gate::before(port);
    let mut without = behind(&gate, &format!("ca={}", gate.path("ca.pem"))).start();
    check(&without, 2);
    failing(&without, "CertificateRequired");
    let mut stranger = behind(
        &gate,
        &format!("{}&server_name=collector.example", mutual(&gate)),
    )
    .start();
    check(&stranger, 2);
    failing(&stranger, "not valid for name");
    assert_eq!(webhook.arrived().len(), 0);
    for server in [&mut without, &mut stranger] {
        server.signal("TERM");
        assert_eq!(
            server.end().code,
            Some(1),
            "records were lost, and that is said"
        );
    }
}

#[test]
fn the_authorities_of_the_system_are_trusted_if_no_file_is_named() {
    let (port, webhook) = (ports::free().unwrap(), Webhook::start());
    let _rotel = Rotel::start(port, webhook.port());
    let gate = Gate::before(port);
    fs::write(gate.path("headers"), format!("authorization: {TOKEN}")).unwrap();
    let options = format!(
        "certificate={}&private_key={}&headers_file={}",
        gate.path("client.pem"),
        gate.path("client.key"),
        gate.path("headers")
    );
    // The directory without a certificate is named too, because both count if both are set.
    fs::create_dir(gate.path("empty")).unwrap();
    let trusting = |file: &str| {
        behind(&gate, &options)
            .environment("SSL_CERT_FILE", file)
            .environment("SSL_CERT_DIR", &gate.path("empty"))
    };
    let mut server = trusting(&gate.path("ca.pem")).start();
    check(&server, 4);
    lines::verify(&arrived(&webhook, 4));
    server.stop();
    let ended = trusting("/dev/null").fails();
    assert!(
        ended.stderr.contains("no certificates of authorities"),
        "{}",
        ended.stderr
    );
}

#[test]
fn files_that_cannot_be_used_end_the_start_with_the_reason() {
    let port = ports::free().unwrap();
    let plan = |options: &str| {
        let sink = format!("--audit otlp:https://127.0.0.1:{port}?{options}");
        Plan::with(&sink).file("policies/a.yaml", POLICY)
    };
    for (options, expected) in [
        ("ca=none.pem", "cannot read `none.pem`"),
        ("ca=policies/a.yaml", "`policies/a.yaml` has no certificate"),
        (
            "ca=none.pem&certificate=a",
            "needs the option `private_key`",
        ),
        (
            "ca=none.pem&header=te:s3cret",
            "`te` belongs to the protocol",
        ),
        ("ca=none.pem&header=s3cret", "expected `NAME:VALUE`"),
    ] {
        let ended = plan(options).fails();
        assert!(ended.code.is_some_and(|code| code != 0), "{options}");
        assert!(
            ended.stderr.contains(expected),
            "{options}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
    }
}
