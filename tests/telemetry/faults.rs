//! Collectors that are gone, that say nothing, or that refuse everything: every check is answered,
//! what is lost is counted, and the server ends in time.

use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::receiver::Receiver;
use crate::{check, plan};
use customs_test_support::ports;
use customs_test_support::server::{Plan, Server};

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// How many checks each test sends.
const CHECKS: u64 = 50;

/// Takes connections and never says anything.
fn silent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((mut connection, _)) = listener.accept() {
            kept.push(connection.try_clone());
            std::thread::spawn(move || {
                let mut bytes = [0; 1024];
                while connection.read(&mut bytes).is_ok_and(|count| count > 0) {}
            });
        }
    });
    port
}

/// Closes every connection.
fn refusing() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || while listener.accept().is_ok() {});
    port
}

/// Gives up a batch soon, so that a test need not wait for it.
fn impatient(port: u16) -> Plan {
    plan(port).environment("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
}

fn dropped(server: &Server) -> Option<u64> {
    let text = server.get("/metrics")?.1;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("customs_spans_dropped_total "))?;
    value.parse().ok()
}

#[test]
fn no_check_waits_for_a_collector_that_takes_nothing() {
    for (what, port) in [
        ("gone", ports::free().unwrap()),
        ("silent", silent()),
        ("refusing", refusing()),
    ] {
        let mut server = impatient(port).start();
        for _ in 0..CHECKS {
            check(&server, "ok.example", SAMPLED);
        }
        server.until("every span is dropped", || {
            dropped(&server).filter(|dropped| *dropped == CHECKS)
        });
        let ended = server.stop();
        // Once for each signal, however often it is tried.
        for signal in ["traces", "metrics", "logs"] {
            let of_signal = format!("\"signal\":\"{signal}\"");
            let lines = ended.stderr.lines().filter(|line| {
                line.contains("the collector takes no telemetry") && line.contains(&of_signal)
            });
            assert_eq!(lines.count(), 1, "{what}: {}", ended.stderr);
        }
        let audit = server.folder.text("out/audit.jsonl");
        let decisions = audit.matches("\"kind\":\"decision\"").count();
        assert_eq!(decisions as u64, CHECKS, "{what}: each is recorded");
    }
}

#[test]
fn spans_that_have_no_room_are_dropped_and_counted() {
    // The batch that is being tried takes none of the room.
    let mut server = plan(silent())
        .environment("OTEL_BSP_MAX_QUEUE_SIZE", "4")
        .environment("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
        .environment("OTEL_EXPORTER_OTLP_TIMEOUT", "60000")
        .environment("OTEL_METRICS_EXPORTER", "none")
        .environment("OTEL_LOGS_EXPORTER", "none")
        .start();
    for _ in 0..CHECKS {
        check(&server, "ok.example", SAMPLED);
    }
    let lost = server.until("spans are dropped", || {
        dropped(&server).filter(|lost| *lost > 0)
    });
    assert!(
        (CHECKS - 4 - 2..CHECKS).contains(&lost),
        "{lost} of {CHECKS}"
    );
    let begin = Instant::now();
    server.stop();
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "the end does not wait for the collector"
    );
}

#[test]
fn a_collector_that_comes_back_gets_what_comes_then() {
    let port = ports::free().unwrap();
    let mut server = impatient(port).start();
    check(&server, "ok.example", SAMPLED);
    server.until("the span is dropped", || {
        dropped(&server).filter(|lost| *lost == 1)
    });
    let receiver = Receiver::start_on(port);
    // Connections are tried again with each batch.
    receiver.until("a later span", |receiver| {
        check(&server, "ok.example", SAMPLED);
        receiver.spans().pop()
    });
    let ended = server.stop();
    assert!(
        ended.stderr.contains("the collector takes telemetry again"),
        "{}",
        ended.stderr
    );
}
