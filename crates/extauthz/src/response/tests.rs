//! What is written is what prost reads: every part in its place.

use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::google::protobuf::value::Kind;

use super::*;

mod hostile;
use customs_engine::request::Attributes;
use customs_engine::rules::Rules;
use customs_engine::settings::{DefaultEffect, Settings};
use customs_engine::snapshot::{Revision, Snapshot};
use customs_engine::time::UnixNanos;
use customs_record::Occasion;

/// Returns a decision about a caller without an identity, by a set without rules.
fn decided(default_effect: DefaultEffect, host: &str) -> (Decision, DecisionRecord) {
    let settings = Settings {
        default_effect,
        ..Settings::default()
    };
    let snapshot = Snapshot::new(Revision::none(), settings, Rules::default());
    let http = customs_engine::request::HttpAttributes {
        host,
        ..Default::default()
    };
    let attributes = Attributes {
        http: Some(http),
        ..Attributes::default()
    };
    let request = attributes.normalise(snapshot.settings());
    let decision = snapshot.decide(&request, UnixNanos(0));
    let occasion = Occasion {
        time: UnixNanos(0),
        duration_micros: 1,
        decision_id: "an-id",
        decision_number: 1,
        recorded_headers: &[],
        peer_identity: "",
        trace_context: None,
    };
    let entry = DecisionRecord::of(&attributes, &request, &decision, &snapshot, occasion);
    (decision, entry)
}

fn metadata_of(response: &CheckResponse, name: &str) -> String {
    match &response.dynamic_metadata.as_ref().unwrap().fields[name].kind {
        Some(Kind::StringValue(text)) => text.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn an_allow_says_so_and_changes_nothing() {
    let (decision, entry) = decided(DefaultEffect::Allow, "a.example");
    let response = read(&build(
        &decision,
        &entry,
        &Options {
            help: Some("https://help.example".into()),
            metadata: metadata::Fields::ALL,
        },
    ))
    .unwrap();
    let status = response.status.as_ref().unwrap();
    assert_eq!(
        (status.code, status.message.as_str(), status.details.len()),
        (0, "", 0)
    );
    assert_eq!(
        response.http_response,
        Some(HttpResponse::OkResponse(Default::default()))
    );
    for (name, value) in [
        ("effect", "allow"),
        ("reason", "default_allow"),
        ("host", "a.example"),
        ("decision_id", "an-id"),
        ("owner", ""),
    ] {
        assert_eq!(metadata_of(&response, name), value, "{name}");
    }
    assert_eq!(response.dynamic_metadata.unwrap().fields.len(), 15);
}

#[test]
fn a_denial_says_why_in_every_place() {
    let (decision, entry) = decided(DefaultEffect::Deny, "a.example");
    let response = read(&build(&decision, &entry, &Options::default())).unwrap();
    let status = response.status.as_ref().unwrap();
    assert_eq!((status.code, status.message.as_str()), (7, "default_deny"));
    let Some(HttpResponse::DeniedResponse(denied)) = &response.http_response else {
        panic!("{response:?}")
    };
    assert_eq!(denied.status.as_ref().unwrap().code, 403);
    let headers: Vec<_> = denied
        .headers
        .iter()
        .filter_map(|option| option.header.as_ref())
        .collect();
    let received: Vec<_> = headers
        .iter()
        .map(|header| (header.key.as_str(), header.value.as_str()))
        .collect();
    let expected = [
        ("content-type", "application/problem+json"),
        ("x-customs-reason", "default_deny"),
        ("x-customs-decision-id", "an-id"),
    ];
    assert_eq!(received, expected);
    assert!(
        denied.body.contains("\"host\":\"a.example\""),
        "{}",
        denied.body
    );
    assert_eq!(metadata_of(&response, "verdict"), "deny");
    let fields = &response.dynamic_metadata.as_ref().unwrap().fields;
    assert_eq!(fields.len(), metadata::DEFAULT.len());
}

#[test]
fn a_withheld_answer_is_a_denial_that_may_be_tried_again() {
    let (mut decision, mut entry) = decided(DefaultEffect::Allow, "a.example");
    decision.withhold();
    entry.withhold(&decision);
    let response = read(&build(&decision, &entry, &Options::default())).unwrap();
    let Some(HttpResponse::DeniedResponse(denied)) = &response.http_response else {
        panic!("{response:?}")
    };
    assert_eq!(denied.status.as_ref().unwrap().code, 503);
    assert_eq!(response.status.unwrap().message, "audit_unavailable");
}

#[test]
fn metadata_is_what_the_operator_chose() {
    let (decision, entry) = decided(DefaultEffect::Deny, "a.example");
    let with = |names: &[&str]| {
        let metadata =
            metadata::Fields::of(&names.iter().map(|name| (*name).into()).collect::<Vec<_>>())
                .unwrap();
        read(&build(
            &decision,
            &entry,
            &Options {
                help: None,
                metadata,
            },
        ))
        .unwrap()
    };
    let mut received: Vec<_> = with(&["rule", "decision_id"])
        .dynamic_metadata
        .unwrap()
        .fields
        .into_keys()
        .collect();
    received.sort();
    assert_eq!(received, ["decision_id", "rule"]);
    let none = with(&["none"]);
    assert_eq!(
        (none.dynamic_metadata, none.status.unwrap().code),
        (None, 7)
    );
}

#[test]
fn texts_of_every_length_are_written() {
    for length in [
        0, 1, 60, 100, 116, 117, 118, 119, 120, 127, 128, 129, 16_380, 16_384, 70_000,
    ] {
        let (decision, entry) = decided(DefaultEffect::Deny, "a.example");
        let mut entry = entry.unpacked();
        entry.verdict.owner = "o".repeat(length);
        entry.revision = "r".repeat(length);
        let options = Options {
            help: None,
            metadata: metadata::Fields::ALL,
        };
        let response = read(&build(&decision, &(&entry).into(), &options)).unwrap();
        let expected = length.min(MAX_TEXT);
        assert_eq!(metadata_of(&response, "owner").len(), expected);
        assert_eq!(metadata_of(&response, "revision").len(), expected);
    }
}
