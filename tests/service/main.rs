//! The service in this process, over a real connection: the answers to Envoy, health and
//! reflection, and a shutdown. The real Envoy and the real binary have tests of their own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod connections;
mod http2_client;
mod limits;
mod memory;
mod overloaded;
mod panics;
mod refused;
mod rig;
mod shutdown;
mod traced;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::reason::Reason;
use customs_engine::settings::Settings;
use customs_test_support::case_rows;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use prost::Message;
use rig::{Rig, http, tcp};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const SEED: &str = "apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: egress, namespace: demo-frontend}
spec:
  owner: team-frontend
  deny:
  - {name: no-aliyun, hosts: [www.aliyun.com], reason: partner gateway, ticket: SEC-1}
";

const SLEEP: &str = "spiffe://cluster.local/ns/demo-frontend/sa/sleep";
const OTHER: &str = "spiffe://cluster.local/ns/other/sa/sleep";

fn code(response: &CheckResponse) -> i32 {
    response
        .status
        .as_ref()
        .expect("a status is always set")
        .code
}

fn metadata(response: &CheckResponse, name: &str) -> String {
    match &response.dynamic_metadata.as_ref().unwrap().fields[name].kind {
        Some(Kind::StringValue(text)) => text.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

fn denied(response: &CheckResponse) -> (i32, Vec<(String, String)>, serde_json::Value) {
    let Some(HttpResponse::DeniedResponse(denied)) = &response.http_response else {
        panic!("{response:?}")
    };
    let header = |h: &envoy_types::pb::envoy::config::core::v3::HeaderValueOption| {
        let header = h.header.as_ref().unwrap();
        (header.key.clone(), header.value.clone())
    };
    let body = serde_json::from_str(&denied.body).unwrap();
    (
        denied.status.as_ref().unwrap().code,
        denied.headers.iter().map(header).collect(),
        body,
    )
}

#[tokio::test]
async fn a_denial_says_why_and_whom_to_ask() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let response = rig
        .check(http(SLEEP, "WWW.Aliyun.com.:443", "GET", "/x?secret=1"))
        .await;
    assert_eq!(code(&response), 7);
    let (status, headers, body) = denied(&response);
    assert_eq!(status, 403);
    let id = metadata(&response, "decision_id");
    assert!(headers.contains(&("x-customs-reason".into(), "denied_by_rule".into())));
    assert!(headers.contains(&("x-customs-decision-id".into(), id.clone())));
    assert!(headers.contains(&("content-type".into(), "application/problem+json".into())));
    for (name, value) in [
        ("reason", "denied_by_rule"),
        ("rule", "ep:demo-frontend/egress#no-aliyun"),
        ("owner", "team-frontend"),
        ("caller", "demo-frontend/sleep"),
        ("host", "www.aliyun.com"),
        ("port", "443"),
        ("ticket", "SEC-1"),
        ("detail", "partner gateway"),
        ("decisionId", &id),
    ] {
        assert_eq!(body[name], value, "{body}");
    }
    assert!(!body.to_string().contains("secret"));
}

#[tokio::test]
async fn the_rules_that_a_check_names_are_counted_once() {
    let rig = Rig::start(SEED, Settings::default()).await;
    rig.check(http(SLEEP, "www.aliyun.com", "GET", "/")).await;
    rig.check(http(OTHER, "ok.example", "GET", "/")).await;
    let counted = rig.log.rules.lock().unwrap().clone();
    assert_eq!(counted, ["ep:demo-frontend/egress#no-aliyun"]);
}

#[tokio::test]
async fn metadata_is_text_under_the_documented_names() {
    let rig = Rig::start(SEED, Settings::default()).await;
    for (principal, effect) in [(SLEEP, "deny"), (OTHER, "allow")] {
        let response = rig
            .check(http(principal, "www.aliyun.com", "GET", "/"))
            .await;
        let names: BTreeSet<_> = response
            .dynamic_metadata
            .as_ref()
            .unwrap()
            .fields
            .keys()
            .cloned()
            .collect();
        let documented = [
            "decision_id",
            "effect",
            "verdict",
            "dry_run",
            "reason",
            "rule",
            "dry_run_reason",
            "dry_run_rule",
            "gate",
            "identity",
            "namespace",
            "service_account",
            "host",
            "owner",
            "revision",
        ];
        assert_eq!(names, documented.map(str::to_owned).into());
        for name in &names {
            metadata(&response, name);
        }
        assert_eq!(metadata(&response, "effect"), effect);
        assert_eq!(
            metadata(&response, "namespace"),
            principal.split('/').nth(4).unwrap()
        );
    }
}

#[tokio::test]
async fn an_allow_changes_nothing_of_the_request() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let response = rig.check(http(OTHER, "www.aliyun.com", "GET", "/")).await;
    assert_eq!(code(&response), 0);
    let Some(HttpResponse::OkResponse(ok)) = response.http_response else {
        panic!("not ok")
    };
    assert!(
        ok.headers.is_empty()
            && ok.headers_to_remove.is_empty()
            && ok.response_headers_to_add.is_empty()
    );
}

#[tokio::test]
async fn a_caller_without_identity_learns_little() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let response = rig.check(http("", "www.aliyun.com", "GET", "/")).await;
    let (_, _, body) = denied(&response);
    let keys: BTreeSet<&str> = body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        ["type", "title", "status", "reason", "decisionId", "host"].into()
    );
}

#[tokio::test]
async fn tcp_is_judged_by_its_sni() {
    let rig = Rig::start(SEED, Settings::default()).await;
    for (principal, sni, expected) in [
        (SLEEP, "www.aliyun.com", 7),
        (SLEEP, "ok.example", 0),
        (SLEEP, "", 7),
        ("", "", 7),
    ] {
        assert_eq!(
            code(&rig.check(tcp(principal, sni)).await),
            expected,
            "{principal} {sni}"
        );
    }
}

#[tokio::test]
async fn an_empty_check_is_a_denial() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let response = rig.check(CheckRequest::default()).await;
    assert_eq!(
        (code(&response), metadata(&response, "reason").as_str()),
        (7, "empty_request")
    );
}

#[tokio::test]
async fn without_policies_everything_is_denied_as_unavailable() {
    let rig = Rig::start("", Settings::default()).await;
    let response = rig.check(http(OTHER, "ok.example", "GET", "/")).await;
    assert_eq!((code(&response), denied(&response).0), (7, 503));
    assert_eq!(metadata(&response, "reason"), "no_policy");
}

#[tokio::test]
async fn a_server_that_reports_allows_and_says_what_it_would_do() {
    let settings = Settings {
        enforcement: Enforcement::Report,
        ..Settings::default()
    };
    for policy in [SEED, ""] {
        let rig = Rig::start(policy, settings.clone()).await;
        let response = rig.check(http(SLEEP, "www.aliyun.com", "GET", "/")).await;
        assert_eq!(code(&response), 0);
        assert_eq!(
            (
                metadata(&response, "effect"),
                metadata(&response, "verdict")
            ),
            ("allow".into(), "deny".into())
        );
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_recorded_is_withheld() {
    for enforcement in [Enforcement::Enforce, Enforcement::Report] {
        let rig = Rig::start(
            SEED,
            Settings {
                enforcement,
                ..Settings::default()
            },
        )
        .await;
        rig.log.set_full(true);
        let response = rig.check(http(OTHER, "ok.example", "GET", "/")).await;
        assert_eq!((code(&response), denied(&response).0), (7, 503));
        assert_eq!(metadata(&response, "reason"), "audit_unavailable");
        assert_eq!(rig.log.withheld(), 1);
        assert!(rig.log.entries().is_empty());
    }
}

#[tokio::test]
async fn an_answer_whose_record_is_not_safe_in_time_is_withheld() {
    let rig = Rig::start(SEED, Settings::default()).await;
    rig.log.set_lossy(true);
    let response = rig.check(http(OTHER, "ok.example", "GET", "/")).await;
    assert_eq!((code(&response), denied(&response).0), (7, 503));
    assert_eq!(metadata(&response, "reason"), "audit_unavailable");
    assert_eq!(
        rig.log.entries()[0].facts().effect,
        Effect::Allow,
        "its record says what was decided"
    );
}

/// Sends a check in frames of HTTP/2 that are written as they are. `reset` cancels it in the same
/// write.
async fn ask_raw(rig: &Rig, timeout: Option<&str>, reset: bool) {
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes()[1..]);
        bytes.extend_from_slice(&[kind, flags, 0, 0, 0, stream]);
        bytes.extend_from_slice(payload);
    };
    // POST and http from the static table, then literals that enter no table.
    let mut head = vec![0x83, 0x86];
    let path = "/envoy.service.auth.v3.Authorization/Check";
    let names = [
        (":path", path),
        (":authority", "customs"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    for (name, value) in names
        .into_iter()
        .chain(timeout.map(|timeout| ("grpc-timeout", timeout)))
    {
        head.push(0);
        for text in [name, value] {
            head.push(u8::try_from(text.len()).unwrap());
            head.extend_from_slice(text.as_bytes());
        }
    }
    let message = http(OTHER, "ok.example", "GET", "/").encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    frame(4, 0, 0, &[]);
    frame(1, 4, 1, &head);
    frame(0, 1, 1, &[&[0], &length[..], &message].concat());
    if reset {
        frame(3, 0, 1, &[0, 0, 0, 8]);
    }
    stream.write_all(&bytes).await.unwrap();
    let start = Instant::now();
    while rig.log.entries().is_empty() && start.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_check_whose_caller_had_given_up_is_on_record_as_such() {
    for (timeout, reset, expected) in [
        (None, false, false),
        (Some("9S"), false, false),
        (None, true, true),
        (Some("9S"), true, true),
        (Some("1n"), false, true),
        (Some("0m"), true, true),
    ] {
        let rig = Rig::start(SEED, Settings::default()).await;
        ask_raw(&rig, timeout, reset).await;
        let entries = rig.log.entries();
        assert_eq!(entries.len(), 1, "{timeout:?} {reset}");
        let facts = entries[0].facts();
        // The record keeps what was decided; another record says that no caller received it.
        assert_eq!(
            (facts.effect, facts.caller_gone),
            (Effect::Allow, expected),
            "{timeout:?} {reset}"
        );
    }
}

#[tokio::test]
async fn a_check_that_is_given_up_while_it_waits_for_room_is_on_record_as_such() {
    let rig = Rig::start(SEED, Settings::default()).await;
    rig.log.gate.forget_permits(1000);
    ask_raw(&rig, Some("30m"), false).await;
    assert_eq!(rig.log.withheld(), 1);
    assert!(rig.log.entries()[0].facts().caller_gone);
}

#[tokio::test]
async fn an_answer_that_waited_for_the_disk_and_cannot_be_sent_is_recorded() {
    let rig = Rig::start(SEED, Settings::default()).await;
    rig.log.set_lossy(true);
    ask_raw(&rig, None, true).await;
    assert!(
        !rig.log.entries()[0].facts().caller_gone,
        "the record was written before"
    );
    assert_eq!(*rig.log.gone.lock().unwrap(), [1]);
}

#[tokio::test]
async fn a_gone_caller_is_not_recorded_for_a_decision_that_only_a_gap_counts() {
    for (roomy, expected) in [(false, (0, 1)), (true, (1, 0))] {
        let rig = Rig::start(SEED, Settings::default()).await;
        rig.log.set_full(true);
        *rig.log.roomy.lock().unwrap() = roomy;
        ask_raw(&rig, None, true).await;
        let gone = (
            rig.log.gone.lock().unwrap().len(),
            *rig.log.gone_without_record.lock().unwrap(),
        );
        assert_eq!((rig.log.withheld(), gone), (1, expected), "{roomy}");
    }
}

#[tokio::test]
async fn every_check_is_one_entry_that_agrees_with_its_answer() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let mut answers = Vec::new();
    for row in case_rows::rows("attacks.jsonl")
        .iter()
        .chain(&case_rows::rows("egress.jsonl"))
    {
        answers.push(rig.check(row.check()).await);
    }
    let entries = rig.log.entries();
    assert_eq!(entries.len(), answers.len());
    for (entry, response) in entries.iter().zip(&answers) {
        let entry = entry.to_entry();
        assert_eq!(entry.decision_id, metadata(response, "decision_id"));
        assert_eq!(entry.effect == Effect::Allow, code(response) == 0);
        assert_eq!(entry.verdict.reason.as_str(), metadata(response, "reason"));
        assert_eq!(entry.effect.as_str(), metadata(response, "effect"));
    }
    let reasons: BTreeSet<_> = entries.iter().map(|e| e.facts().verdict.reason).collect();
    for reason in [
        Reason::MalformedHost,
        Reason::EmptyRequest,
        Reason::DefaultAllow,
    ] {
        assert!(reasons.contains(&reason), "{reason:?}");
    }
}

#[tokio::test]
async fn what_envoy_recorded_is_understood() {
    let rig = Rig::start(SEED, Settings::default()).await;
    let dir = format!("{}/tests/captures", env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for file in std::fs::read_dir(dir).unwrap().map(|f| f.unwrap().path()) {
        if file.extension().is_some_and(|e| e == "json") {
            let json = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            let response = rig.check(case_rows::check_from_json(&json)).await;
            let waypoint = file.display().to_string().contains("waypoint");
            let identity = metadata(&response, "identity");
            // A waypoint's header names a URI that no principal confirms: that is not an identity,
            // and the answer says so.
            assert_eq!(
                identity == "invalid_identity",
                waypoint,
                "{}: {identity}",
                file.display()
            );
            assert!(
                !metadata(&response, "host").is_empty(),
                "{}",
                file.display()
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 8);
}

#[tokio::test]
async fn garbage_is_an_error_and_the_server_continues() {
    let rig = Rig::start(SEED, Settings::default()).await;
    for garbage in [
        &b"\xff\xff\xff"[..],
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0b",
        &[0x0a; 5000],
    ] {
        let status = rig
            .raw(garbage.to_vec())
            .await
            .expect_err("garbage is not a check");
        assert_ne!(status.code(), tonic::Code::Ok);
    }
    assert_eq!(
        code(&rig.check(http(OTHER, "ok.example", "GET", "/")).await),
        0
    );
    assert_eq!(
        rig.log.entries().len(),
        1,
        "what is not a check is not a decision"
    );
}
