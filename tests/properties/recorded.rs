//! Recorded requests: what another set answers to a record is what it answers to the request
//! itself, whatever was redacted. An answer that the record cannot give is refused, never guessed.

use std::collections::BTreeMap;

use customs_audit::redact::{RedactConfig, Redaction, Redactor};
use customs_engine::decision::Decision;
use customs_engine::request::{Attributes, CLIENT_CERTIFICATE, HttpAttributes};
use customs_engine::settings::{IdentitySource, Settings};
use customs_engine::snapshot::Snapshot;
use customs_record::proto::Record;
use customs_record::record_fields::RecordFields;
use customs_record::recorded_request::{RecordedInputs, RecordedPolicies, ReplayedDecision};
use customs_record::stream::Format;
use customs_record::{DecisionRecord, Entry, Occasion, decode, json};
use customs_test_support::draw::{Ask, Choices, NOW, ask, set, settings};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::{drawn, snapshot};

/// How much of a request is kept out of its record, and what differs between then and now.
#[derive(Clone, Debug)]
struct Circumstances {
    redact: RedactConfig,
    tells_values: bool,
    certificate: Option<&'static str>,
    was_in_certificate: bool,
    is_in_certificate: bool,
}

fn circumstances(choices: &mut Choices<'_>) -> Circumstances {
    let mut way = || [Redaction::Keep, Redaction::Hash, Redaction::Drop][choices.below(3)];
    let redact = RedactConfig {
        principal: way(),
        path: way(),
        address: way(),
        key: None,
    };
    let certificates = [
        None,
        None,
        None,
        Some("URI=spiffe://cluster.local/ns/web/sa/app"),
        Some("By=x;URI=spiffe://x.td/ns/web/sa/app"),
        Some("URI=spiffe://cluster.local/ns/web/sa/app;URI=b"),
        Some("URI=a,URI=spiffe://cluster.local/ns/shop/sa/job"),
        Some("URI=\"a"),
        Some("By=spiffe://x"),
        Some("URI="),
    ];
    Circumstances {
        redact,
        tells_values: choices.chance(50),
        certificate: certificates[choices.below(certificates.len())],
        was_in_certificate: choices.chance(15),
        is_in_certificate: choices.chance(15),
    }
}

/// Calls `with` with the attributes of a request that also carries a certificate.
fn with_certificate<T>(
    ask: &Ask,
    certificate: Option<&str>,
    with: impl FnOnce(&Attributes<'_>) -> T,
) -> T {
    ask.with(|attributes| {
        let mut headers: Vec<(String, String)> = Vec::new();
        if let Some(http) = attributes.http {
            let mut add =
                |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
            http.headers.visit_all(&mut |name, value| add(name, &value));
            certificate
                .into_iter()
                .for_each(|certificate| add(CLIENT_CERTIFICATE, certificate));
        }
        let http = attributes.http.map(|http| HttpAttributes {
            headers: &headers,
            ..http
        });
        with(&Attributes {
            http,
            ..attributes.clone()
        })
    })
}

/// The record of a request, read back from its line.
fn record(old: &Snapshot, attributes: &Attributes<'_>, circumstances: &Circumstances) -> Record {
    let request = attributes.normalise(old.settings());
    let decision = old.decide(&request, NOW);
    let headers: Vec<String> = old
        .header_uses()
        .iter()
        .map(|header| header.name.clone())
        .filter(|_| circumstances.tells_values)
        .collect();
    let occasion = Occasion {
        time: NOW,
        duration_micros: 1,
        decision_id: "id",
        decision_number: 1,
        recorded_headers: &headers,
        peer_identity: "",
        trace_context: None,
    };
    let decision = DecisionRecord::of(attributes, &request, &decision, old, occasion);
    let redactor = Redactor::new(circumstances.redact.clone()).unwrap();
    let entry = redactor.redact(Entry::Decision(decision.into()));
    let mut line = Vec::new();
    json::open(&entry, "s", 1, &mut line);
    json::close("00", &mut line);
    decode::record(Format::Json, line.trim_ascii_end()).unwrap()
}

fn effects(decision: &Decision) -> [&'static str; 3] {
    [
        decision.outcome.effect().as_str(),
        decision.verdict.effect().as_str(),
        decision.dry_run.effect().as_str(),
    ]
}

fn answers(decision: &Decision) -> Vec<String> {
    let of = |answer: &customs_engine::decision::Answer| {
        format!("{} by {}", answer.reason.as_str(), answer.rule)
    };
    let mut answers = vec![of(&decision.verdict), of(&decision.dry_run)];
    answers.extend(effects(decision).map(str::to_owned));
    answers.push(decision.identity.as_str().to_owned());
    answers
}

fn with_source(settings: &Settings, is_certificate: bool) -> Settings {
    Settings {
        identity_source: if is_certificate {
            IdentitySource::Xfcc
        } else {
            IdentitySource::Principal
        },
        ..settings.clone()
    }
}

#[test]
fn what_a_record_answers_is_what_its_request_answers() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut draw = || {
        (
            drawn(set).new_tree(&mut runner).unwrap().current(),
            drawn(set).new_tree(&mut runner).unwrap().current(),
            drawn(settings).new_tree(&mut runner).unwrap().current(),
            drawn(circumstances)
                .new_tree(&mut runner)
                .unwrap()
                .current(),
            drawn(|choices| choices.several(40, |choices, _| ask(choices)))
                .new_tree(&mut runner)
                .unwrap()
                .current(),
        )
    };
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let sets = std::env::var("PROPTEST_CASES").map_or(400, |cases| cases.parse().unwrap());
    for _ in 0..sets {
        let (old, new, settings, circumstances, asks) = draw();
        let then = with_source(&settings, circumstances.was_in_certificate);
        let now = with_source(&settings, circumstances.is_in_certificate);
        let (Some(old), Some(new)) = (snapshot(&old, &then), snapshot(&new, &now)) else {
            continue;
        };
        let policies = RecordedPolicies::new(new);
        for ask in asks {
            with_certificate(&ask, circumstances.certificate, |attributes| {
                let record = record(&old, attributes, &circumstances);
                let request = attributes.normalise(&now);
                let truth = policies.snapshot().decide(&request, NOW);
                let fields = RecordFields::of(&record);
                let inputs = RecordedInputs::of(&fields.decision);
                let said = policies.decide(&inputs, &record.revision, NOW);
                let explain = || format!("{record:?}\n{:?}", policies.snapshot().rules());
                let outcome = match said {
                    Ok(ReplayedDecision::Exact(decision)) => {
                        assert_eq!(answers(&decision), answers(&truth), "{}", explain());
                        "exact"
                    }
                    Ok(ReplayedDecision::EffectsOnly { strictest, .. }) => {
                        assert_eq!(effects(&strictest), effects(&truth), "{}", explain());
                        "effects"
                    }
                    Err(why) => why.missing[0].cause.as_str(),
                };
                *counts.entry(outcome).or_default() += 1;
            });
        }
    }
    let of = |outcome: &str| counts.get(outcome).copied().unwrap_or_default();
    let all: u32 = counts.values().sum();
    // Most are answered, and none of the ways out is dead.
    assert!(of("exact") * 2 > all, "{counts:?}");
    for outcome in ["effects", "redacted", "notRecorded", "otherSettings"] {
        assert!(of(outcome) > 0, "{outcome}: {counts:?}");
    }
}
