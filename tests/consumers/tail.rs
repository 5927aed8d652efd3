//! What subscribers get: a filter that holds, a subscription that continues where another ended,
//! and the last checkpoint.

use std::process::Command;

use customs_audit::tail::proto::audit_service_client::AuditServiceClient;
use customs_record::proto::TailRequest;
use serde_json::json;
use tonic::transport::Endpoint;

use crate::lines::{self, Line};
use crate::subscriber::{Subscriber, received};
use crate::{POLICY, check};
use customs_test_support::check_client;
use customs_test_support::server::{Plan, Server, listens};
use customs_test_support::{ports, tools};

/// A server with a tail and a file, and the tail's address.
fn server() -> (Server, String) {
    let address = format!("127.0.0.1:{}", ports::free().unwrap());
    let flags = format!("--audit tail:{address} --audit file:out/audit.jsonl");
    (
        Plan::with(&flags).file("policies/a.yaml", POLICY).start(),
        address,
    )
}

fn sequences(records: &[Line]) -> Vec<u64> {
    records.iter().map(Line::sequence).collect()
}

#[test]
fn a_subscriber_continues_without_loss_and_sees_the_last_checkpoint() {
    let (mut server, address) = server();
    check(&server, 10);
    let filter = json!({"kinds": ["decision", "checkpoint"]});
    let first = received(
        &address,
        &json!({"fromStart": true, "filter": filter}),
        Some(6),
    );
    assert_eq!(first.error, "");
    check(&server, 10);
    let behind = first.records.last().unwrap();
    let request = json!({"stream": behind.text("stream"), "afterSequence": behind.text("sequence"), "filter": filter});
    let mut second = Subscriber::start(&address, &request, None);
    second.has_received();
    check(&server, 10);
    // What is in the ring is sent before the stream ends.
    server.stop();
    let second = second.end();
    assert_eq!(second.error, "");
    let all: Vec<Line> = first
        .records
        .iter()
        .chain(&second.records)
        .cloned()
        .collect();
    assert!(
        sequences(&all).is_sorted_by(|a, b| a < b),
        "{:?}",
        sequences(&all)
    );
    let decisions = lines::of_kind(&all, "decision");
    let file = lines::all(&server.folder.text("out/audit.jsonl"));
    let of_file = lines::of_kind(&file, "decision");
    assert_eq!(decisions.len(), 30);
    for (received, written) in decisions.iter().zip(of_file) {
        for field in [
            "decisionId",
            "effect",
            "reason",
            "rule",
            "host",
            "namespace",
        ] {
            assert_eq!(received.fields[field], written.fields[field], "{field}");
        }
        // Python leaves out zeros at the end of a time, three at a time.
        let time = |line: &Line| line.text("time").trim_end_matches(['0', 'Z']).to_owned();
        assert_eq!(time(received), time(written));
    }
    let checkpoints = lines::of_kind(&all, "checkpoint");
    let sealed = checkpoints
        .iter()
        .find(|received| received.text("sealedStream") == file[0].text("stream"))
        .unwrap();
    assert_eq!(sealed.fields["final"], true);
    let covered = file
        .iter()
        .find(|line| line.text("sequence") == sealed.text("records"))
        .unwrap();
    assert_eq!(covered.text("chain"), sealed.text("head"));
}

#[test]
fn a_filter_holds_for_what_python_reads() {
    let (server, address) = server();
    check(&server, 20);
    let filter = json!({"kinds": ["decision"], "namespaces": ["demo-frontend"], "hosts": ["*.example"], "effect": "deny"});
    let received = received(
        &address,
        &json!({"fromStart": true, "filter": filter}),
        Some(10),
    );
    assert_eq!(received.error, "");
    assert!(
        received
            .records
            .iter()
            .all(|record| record.text("host") == "denied.example")
    );
    assert_eq!(received.records.len(), 10);
}

#[test]
fn a_request_that_cannot_be_served_is_answered_with_why() {
    let (server, address) = server();
    check(&server, 1);
    let refused = received(&address, &json!({"afterSequence": "5"}), None);
    assert!(
        refused.error.contains("INVALID_ARGUMENT: after_sequence"),
        "{}",
        refused.error
    );
}

#[test]
fn grpcurl_needs_no_proto() {
    let (server, address) = server();
    check(&server, 2);
    let grpcurl = tools::grpcurl().unwrap();
    let run = |words: &[&str]| {
        let done = Command::new(&grpcurl.path)
            .args(["-plaintext", "-max-time", "2"])
            .args(words)
            .output()
            .unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    let listed = run(&[&address, "list"]);
    for name in [
        "customs.audit.v1.AuditService",
        "grpc.reflection.v1.ServerReflection",
    ] {
        assert!(listed.lines().any(|line| line == name), "{listed}");
    }
    let received = run(&[
        "-d",
        r#"{"from_start": true}"#,
        &address,
        "customs.audit.v1.AuditService/Tail",
    ]);
    assert_eq!(received.matches("\"decision\"").count(), 2, "{received}");
}

#[test]
fn a_tail_on_a_unix_socket_and_a_silent_client_do_not_hold_up_the_end() {
    let port = ports::free().unwrap();
    let flags = format!("--audit tail:127.0.0.1:{port} --audit tail:unix:out/tail.sock");
    let mut server = Plan::with(&flags).file("policies/a.yaml", POLICY).start();
    check(&server, 3);
    let socket = server.folder.at("out/tail.sock");
    let request = json!({"fromStart": true, "filter": {"kinds": ["decision"]}});
    let received = received(&format!("unix:{}", socket.display()), &request, Some(3));
    assert_eq!((received.records.len(), &*received.error), (3, ""));
    assert!(listens(port));
    let _silent = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let begin = std::time::Instant::now();
    server.stop();
    assert!(begin.elapsed().as_millis() < 1500, "{:?}", begin.elapsed());
    assert!(!socket.exists());
}

#[test]
fn a_subscriber_that_reads_nothing_holds_up_neither_checks_nor_the_end() {
    let (mut server, address) = server();
    let request = TailRequest {
        from_start: true,
        ..TailRequest::default()
    };
    let subscription = check_client::wait(async {
        // The client accepts this many bytes without reading them.
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .initial_stream_window_size(16_384);
        AuditServiceClient::new(endpoint.connect().await.unwrap())
            .tail(request)
            .await
            .unwrap()
    });
    check(&server, 200);
    let begin = std::time::Instant::now();
    let ended = server.stop();
    assert!(begin.elapsed().as_millis() < 3500, "{:?}", begin.elapsed());
    assert!(
        ended.stderr.contains("they are disconnected"),
        "{}",
        ended.stderr
    );
    drop(subscription);
}

#[test]
fn an_address_that_is_taken_is_an_error_of_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let ended = Plan::with(&format!("--audit tail:{address}"))
        .file("policies/a.yaml", POLICY)
        .fails();
    assert_ne!(ended.code, Some(0));
    let expected = format!(
        "cannot listen on {address} (--audit tail:{address}): it is in use; choose another address"
    );
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
}
