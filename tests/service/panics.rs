//! customs itself fails on a check: that check is denied, and no other notices. The decision log of
//! the test panics on purpose; to the service this is a bug in any of its parts.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use customs_engine::enforcement::Enforcement;
use customs_engine::reason::Reason;
use customs_engine::settings::Settings;
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::rig::{Rig, http, tcp};
use crate::{OTHER, SEED, SLEEP, code, denied, metadata};

const BOUND: Duration = Duration::from_secs(10);

/// Returns the reason in the header of a denial; `None` for an allow.
fn reason(response: &CheckResponse) -> Option<String> {
    match &response.http_response {
        Some(HttpResponse::DeniedResponse(denied)) => {
            let header = |option: &envoy_types::pb::envoy::config::core::v3::HeaderValueOption| {
                let header = option.header.clone()?;
                (header.key == "x-customs-reason").then_some(header.value)
            };
            Some(denied.headers.iter().find_map(header).expect("a reason"))
        }
        Some(HttpResponse::OkResponse(_)) => None,
        other => panic!("Envoy may take this for an allow: {other:?}"),
    }
}

/// Waits until no check is in flight and no reservation is held.
async fn settled(rig: &Rig) {
    let settled = async {
        while rig.log.in_flight.load(Relaxed) + rig.log.reserved.load(Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(BOUND, settled)
        .await
        .expect("nothing is held by a check that failed");
}

#[tokio::test]
async fn a_panic_denies_one_check_and_no_other_on_the_connection() {
    for function in ["next_number", "count_rules", "reserve", "commit", "record"] {
        let rig = Rig::start(SEED, Settings::default()).await;
        rig.log.gate.forget_permits(1000);
        rig.log.panics.lock().unwrap().push(function);
        // All of them are on one connection and one thread, and most wait while one fails.
        let mut checks = JoinSet::new();
        for number in 0..40 {
            let mut client = AuthorizationClient::new(rig.channel());
            let (caller, host) = match number % 2 {
                0 => (SLEEP, "www.aliyun.com"),
                _ => (OTHER, "ok.example"),
            };
            checks.spawn(async move {
                let response = client.check(http(caller, host, "GET", "/")).await;
                (host, response.expect("a verdict is gRPC OK").into_inner())
            });
        }
        let _ = timeout(BOUND, rig.log.waiting.acquire_many(39))
            .await
            .unwrap();
        rig.log.gate.add_permits(1000);
        let mut failed = 0;
        while let Some(answered) = timeout(BOUND, checks.join_next()).await.unwrap() {
            let (host, response) = answered.unwrap();
            match reason(&response).as_deref() {
                Some("internal_error") => {
                    failed += 1;
                    assert_eq!(code(&response), 7, "{function}");
                }
                Some(other) => assert_eq!((host, other), ("www.aliyun.com", "denied_by_rule")),
                None => assert_eq!((host, code(&response)), ("ok.example", 0)),
            }
        }
        assert_eq!(failed, 1, "{function}");
        assert_eq!(rig.log.panicked.load(Relaxed), 1, "{function}");
        settled(&rig).await;
        let entries = rig.log.entries();
        let of_failed = |entry: &&customs_record::DecisionRecord| {
            entry.facts().verdict.reason == Reason::InternalError
        };
        let recorded = entries.iter().filter(of_failed).count();
        // A reservation that was given away accounts for its decision by itself.
        let by_itself = ["commit", "record"].contains(&function);
        assert_eq!(recorded, usize::from(!by_itself), "{function}");
        assert_eq!(entries.len(), 40 - usize::from(by_itself), "{function}");
    }
}

#[tokio::test]
async fn the_denial_and_its_record_say_what_happened_and_no_more() {
    for enforcement in [Enforcement::Enforce, Enforcement::Report] {
        let settings = Settings {
            enforcement,
            ..Settings::default()
        };
        let rig = Rig::start(SEED, settings).await;
        for check in [
            http(SLEEP, "ok.example", "GET", "/"),
            tcp(SLEEP, "ok.example"),
        ] {
            rig.log.panics.lock().unwrap().push("next_number");
            let response = rig.check(check).await;
            assert_eq!(code(&response), 7, "also under {enforcement:?}");
            let (status, headers, body) = denied(&response);
            assert_eq!(status, 403);
            assert!(headers.contains(&("x-customs-reason".into(), "internal_error".into())));
            assert_eq!(body["title"], "No decision could be given");
            assert_eq!(body["reason"], "internal_error");
            assert_eq!(body["host"], "ok.example");
            assert_eq!(body["caller"], serde_json::Value::Null);
            assert_eq!(metadata(&response, "rule"), "builtin#internal_error");
            assert_eq!(metadata(&response, "effect"), "deny");
            let entry = rig.log.entries().pop().expect("it is recorded");
            let entry = entry.to_entry();
            assert_eq!(entry.principal, SLEEP, "the record has the inputs");
            assert_eq!(entry.host, "ok.example");
            assert_eq!(entry.decision_id, metadata(&response, "decision_id"));
        }
    }
}

#[tokio::test]
async fn a_check_that_fails_again_while_it_is_denied_is_denied_all_the_same() {
    let rig = Rig::start(SEED, Settings::default()).await;
    for panics in [
        &["next_number"; 2][..],
        &["next_number"; 3],
        &["reserve", "withhold"],
        &["next_number", "reserve", "withhold"],
        &["next_number", "commit"],
    ] {
        rig.log.panics.lock().unwrap().extend(panics);
        let response = rig.check(http(OTHER, "ok.example", "GET", "/")).await;
        assert_eq!(code(&response), 7, "{panics:?}");
        assert_eq!(
            reason(&response).as_deref(),
            Some("internal_error"),
            "{panics:?}"
        );
        assert!(rig.log.panics.lock().unwrap().is_empty(), "{panics:?}");
        settled(&rig).await;
        let response = rig.check(http(OTHER, "ok.example", "GET", "/")).await;
        assert_eq!(code(&response), 0, "the next check after {panics:?}");
    }
}

#[tokio::test]
async fn a_check_that_is_withheld_may_fail_as_well() {
    let rig = Rig::start(SEED, Settings::default()).await;
    rig.log.set_full(true);
    rig.log.panics.lock().unwrap().push("withhold");
    let response = rig.check(http(OTHER, "ok.example", "GET", "/")).await;
    assert_eq!(reason(&response).as_deref(), Some("audit_unavailable"));
    rig.log.set_full(false);
    rig.log.set_lossy(true);
    rig.log.panics.lock().unwrap().push("record");
    let response = rig.check(http(OTHER, "ok.example", "GET", "/")).await;
    assert_eq!(reason(&response).as_deref(), Some("internal_error"));
    settled(&rig).await;
}
