//! What the span of a check says, and what it never says.

use customs_engine::effect::Effect;
use customs_engine::identity::IdentityState;
use customs_record::{DecisionEntry, examples};

use super::*;

const IDS: SpanIds = SpanIds {
    trace_id: [1; 16],
    span_id: [2; 8],
    parent: Some([3; 8]),
};

const TIME: UnixNanos = UnixNanos(1_795_435_200_000_000_000);

fn entry(reason: Reason) -> DecisionEntry {
    let mut entry = examples::full_decision();
    entry.verdict.reason = reason;
    entry.verdict.effect = reason.effect();
    entry.effect = reason.effect();
    entry.caller_gone = false;
    entry.path = "/a/secret/path".into();
    entry
}

fn span_of(entry: &DecisionEntry, is_answered: bool, redaction: SpanRedaction) -> SpanData {
    let mut span = CheckSpan::new(IDS, TIME, Instant::now());
    span.pass("decided");
    span.pass("answered");
    let record = DecisionRecord::from(entry);
    let scope = InstrumentationScope::builder("customs").build();
    span.finish(&record, is_answered, redaction, scope)
}

fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let mut attributes = span.attributes.iter();
    let found = attributes.find(|attribute| attribute.key.as_str() == name)?;
    Some(found.value.to_string())
}

#[test]
fn a_span_has_its_parent_its_stages_and_its_times() {
    let span = span_of(&entry(Reason::DeniedByRule), true, SpanRedaction::default());
    assert_eq!(span.span_context.trace_id().to_bytes(), [1; 16]);
    assert_eq!(span.span_context.span_id().to_bytes(), [2; 8]);
    assert_eq!(span.parent_span_id.to_bytes(), [3; 8]);
    assert!(span.parent_span_is_remote && span.span_context.is_sampled());
    assert_eq!(
        (span.name.as_ref(), span.span_kind),
        (NAME, SpanKind::Server)
    );
    let stages: Vec<_> = span
        .events
        .iter()
        .map(|event| event.name.as_ref())
        .collect();
    assert_eq!(stages, ["received", "decided", "answered"]);
    assert!(span.events.iter().is_sorted_by_key(|event| event.timestamp));
    let last = span.events.last().unwrap().timestamp;
    assert!(span.start_time <= last && last <= span.end_time);
    let since = span
        .start_time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    assert_eq!(since.as_nanos() as i128, TIME.0);
}

#[test]
fn only_a_failure_of_customs_is_an_error() {
    for reason in Reason::ALL {
        let span = span_of(&entry(reason), true, SpanRedaction::default());
        let is_failure = ["internal_error", "audit_unavailable"].contains(&reason.as_str());
        let expected = match is_failure {
            true => Status::error(reason.as_str()),
            false => Status::Unset,
        };
        assert_eq!(span.status, expected, "{reason:?}");
        assert_eq!(attribute(&span, "error.type").is_some(), is_failure);
        assert_eq!(attribute(&span, "customs.reason").unwrap(), reason.as_str());
    }
}

#[test]
fn a_span_says_what_the_table_lists_and_nothing_of_headers_paths_and_addresses() {
    let entry = entry(Reason::DeniedByRule);
    let span = span_of(&entry, true, SpanRedaction::default());
    for attribute in &span.attributes {
        assert!(
            ATTRIBUTES
                .iter()
                .any(|spec| spec.name == attribute.key.as_str()),
            "{attribute:?}"
        );
    }
    let text = format!("{span:?}");
    for (what, value) in [
        ("path", &entry.path),
        ("principal", &entry.principal),
        ("source", &entry.source_address),
        ("remote", &entry.remote_address),
        ("raw host", &entry.raw_host),
        ("request id", &entry.request_id),
    ] {
        assert!(!value.is_empty(), "{what}");
        assert!(!text.contains(value.as_str()), "{what}: {text}");
    }
    for (name, expected) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", NAME),
        ("rpc.response.status_code", "OK"),
        ("customs.effect", Effect::Deny.as_str()),
        ("customs.rule", &entry.verdict.rule),
        ("customs.identity", entry.identity.as_str()),
        ("customs.namespace", &entry.namespace),
        ("customs.service_account", &entry.service_account),
        ("customs.host", &entry.host),
        ("customs.policy_revision", &entry.revision),
        ("customs.decision_id", &entry.decision_id),
    ] {
        assert_eq!(attribute(&span, name).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn what_is_redacted_or_unknown_is_left_out() {
    let redaction = SpanRedaction { principal: true };
    let span = span_of(&entry(Reason::DefaultAllow), true, redaction);
    assert_eq!(attribute(&span, "customs.service_account"), None);
    assert!(attribute(&span, "customs.namespace").is_some());
    let unknown = DecisionEntry {
        host: String::new(),
        namespace: String::new(),
        service_account: String::new(),
        identity: IdentityState::Unauthenticated,
        ..entry(Reason::DefaultAllow)
    };
    let span = span_of(&unknown, true, SpanRedaction::default());
    for name in [
        "customs.host",
        "customs.namespace",
        "customs.service_account",
    ] {
        assert_eq!(attribute(&span, name), None, "{name}");
    }
}

#[test]
fn a_caller_that_is_gone_has_no_status() {
    let gone = DecisionEntry {
        caller_gone: true,
        ..entry(Reason::DefaultAllow)
    };
    for (entry, is_answered) in [(&gone, true), (&entry(Reason::DefaultAllow), false)] {
        let span = span_of(entry, is_answered, SpanRedaction::default());
        assert_eq!(
            attribute(&span, "customs.caller_gone").as_deref(),
            Some("true")
        );
        assert_eq!(attribute(&span, "rpc.response.status_code"), None);
    }
}
