//! Checks that are traced: whose trace they are a part of, which stages they pass, and that nothing
//! about a trace changes an answer.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use customs_engine::reason::Reason;
use customs_engine::settings::Settings;
use customs_extauthz::CheckStage;
use customs_record::TraceContext;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tonic::Request;

use crate::rig::{EndedTrace, Rig, http};
use crate::{OTHER, SEED, SLEEP, code};

const CALL: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const REQUEST: &str = "00-11111111111111111111111111111111-2222222222222222-01";
const UNSAMPLED: &str = "00-33333333333333333333333333333333-4444444444444444-00";

fn check(host: &str, traceparent: Option<&str>) -> CheckRequest {
    let mut check = http(SLEEP, host, "GET", "/");
    let request = check.attributes.as_mut().unwrap().request.as_mut().unwrap();
    let headers = &mut request.http.as_mut().unwrap().headers;
    headers.extend(traceparent.map(|value| ("traceparent".to_owned(), value.to_owned())));
    check
}

/// Sends a check with these headers of the call, and returns the status of its verdict.
async fn ask(rig: &Rig, check: CheckRequest, of_call: &[&'static str]) -> i32 {
    let mut request = Request::new(check);
    for value in of_call {
        let value = value.parse().unwrap();
        request.metadata_mut().append("traceparent", value);
    }
    let mut client = AuthorizationClient::new(rig.channel());
    code(&client.check(request).await.unwrap().into_inner())
}

/// Waits until so many traces have ended.
async fn ended(rig: &Rig, count: usize) -> Vec<EndedTrace> {
    for _ in 0..2_000 {
        let traces = rig.log.traces.lock().unwrap().clone();
        if traces.len() >= count {
            return traces;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("there are {:?}", rig.log.traces.lock().unwrap());
}

#[tokio::test]
async fn a_check_is_a_part_of_the_trace_of_its_call_or_else_of_its_request() {
    for (of_call, of_request, expected) in [
        (&[CALL][..], None, Some(CALL)),
        (&[CALL][..], Some(REQUEST), Some(CALL)),
        (&[][..], Some(REQUEST), Some(REQUEST)),
        (&["x"][..], Some(REQUEST), Some(REQUEST)),
        (&[CALL, CALL][..], Some(REQUEST), Some(REQUEST)),
        (&[CALL, CALL][..], None, None),
        (&[UNSAMPLED][..], Some(REQUEST), None),
        (&[][..], Some("00-0-0-01"), None),
        (&[][..], None, None),
    ] {
        let rig = Rig::start(SEED, Settings::default()).await;
        assert_eq!(ask(&rig, check("ok.example", of_request), of_call).await, 0);
        // One more, so that there is something to wait for.
        ask(&rig, check("ok.example", None), &[CALL]).await;
        let count = 1 + usize::from(expected.is_some());
        let traces = ended(&rig, count).await;
        assert_eq!(traces.len(), count, "{of_call:?} {of_request:?}");
        let parent = expected.map(|_| traces[0].parent);
        let expected = expected.map(|text| TraceContext::parse(text.as_bytes()).unwrap());
        assert_eq!(parent, expected, "{of_call:?} {of_request:?}");
    }
}

#[tokio::test]
async fn the_record_names_the_trace_of_the_request_or_else_of_the_call() {
    let rig = Rig::start(SEED, Settings::default()).await;
    for (of_call, of_request, expected) in [
        (&[CALL][..], Some(REQUEST), REQUEST),
        (&[CALL][..], None, CALL),
        (&[UNSAMPLED][..], None, UNSAMPLED),
        (&[][..], Some("what a client wrote"), "what a client wrote"),
        (&[][..], None, ""),
    ] {
        ask(&rig, check("ok.example", of_request), of_call).await;
        let last = rig.log.entries().pop().unwrap();
        assert_eq!(last.text(last.facts().traceparent), expected);
    }
}

#[tokio::test]
async fn a_check_passes_its_stages_in_order() {
    let rig = Rig::start(SEED, Settings::default()).await;
    for (host, status, reason) in [
        ("ok.example", 0, Reason::DefaultAllow),
        ("www.aliyun.com", 7, Reason::DeniedByRule),
    ] {
        rig.log.traces.lock().unwrap().clear();
        assert_eq!(ask(&rig, check(host, None), &[CALL]).await, status);
        let trace = ended(&rig, 1).await.remove(0);
        assert_eq!(trace.stages, CheckStage::ALL, "{host}");
        assert_eq!((trace.reason, trace.is_answered), (reason, true));
        assert_eq!(trace.traceparent, CALL);
    }
}

#[tokio::test]
async fn a_check_that_is_withheld_or_fails_says_so_in_its_trace() {
    let rig = Rig::start(SEED, Settings::default()).await;
    rig.log.set_full(true);
    ask(&rig, check("ok.example", None), &[CALL]).await;
    rig.log.set_full(false);
    rig.log.panics.lock().unwrap().push("count_rules");
    ask(&rig, check("ok.example", None), &[CALL]).await;
    let traces = ended(&rig, 2).await;
    let reasons: Vec<_> = traces.iter().map(|trace| trace.reason).collect();
    assert_eq!(reasons, [Reason::AuditUnavailable, Reason::InternalError]);
}

#[tokio::test]
async fn a_caller_that_gives_up_while_its_check_waits_ends_its_trace() {
    let rig = Rig::start(SEED, Settings::default()).await;
    rig.log.gate.forget_permits(1000);
    let mut client = AuthorizationClient::new(rig.channel());
    let mut request = Request::new(check("ok.example", None));
    request
        .metadata_mut()
        .append("traceparent", CALL.parse().unwrap());
    let asked = tokio::spawn(async move { client.check(request).await });
    let _ = rig.log.waiting.acquire().await.unwrap();
    asked.abort();
    let trace = ended(&rig, 1).await.remove(0);
    assert!(!trace.is_answered);
    assert!(!trace.stages.contains(&CheckStage::Answered), "{trace:?}");
}

#[tokio::test]
async fn a_trace_that_fails_changes_no_verdict_that_was_given() {
    let rig = Rig::start(SEED, Settings::default()).await;
    rig.log.panics.lock().unwrap().push("end_trace");
    assert_eq!(ask(&rig, check("ok.example", None), &[CALL]).await, 0);
    assert_eq!(rig.log.entries().len(), 1);
    assert_eq!(rig.log.panicked.load(Relaxed), 0, "no check failed");
    // At the beginning there is no verdict yet, so the check is denied, as for any failure.
    rig.log.panics.lock().unwrap().push("begin_trace");
    assert_eq!(ask(&rig, check("ok.example", None), &[CALL]).await, 7);
    assert_eq!(
        ask(&rig, http(OTHER, "ok.example", "GET", "/"), &[]).await,
        0
    );
}
