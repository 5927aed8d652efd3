//! Tests each check by a table: a fault is found by its code and by no other, and its absence by
//! none. What only a real Envoy shows is in `tests/dumps.rs`.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::*;
use crate::customs_metrics::CustomsMetrics;
use crate::customs_status::CustomsStatus;
use crate::envoy_certificates::EnvoyCertificate;
use crate::envoy_config::EnvoyConfig;
use crate::envoy_stats::{AuthorizationCounts, EnvoyStats};
use crate::evidence::{
    ClockReading, PolicyError, PolicyEvidence, ProxyEvidence, RecordCounts, ReplicaEvidence,
    Trouble,
};
use crate::finding::Code;
use crate::istio_objects::IstioObjects;
use crate::replica::{Replica, ReplicaError};
use crate::rule_hits::RuleHits;

mod counters;
mod mesh;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn status(change: impl FnOnce(&mut CustomsStatus)) -> CustomsStatus {
    let mut status = CustomsStatus::read(
        br#"{"version": "1", "ready": true, "revision": "aa", "enforcement": "enforce",
            "requestValidation": "enforce", "default": "allow",
            "sources": [{"name": "policies", "state": "good"}],
            "audit": [{"sink": "stdout", "healthy": true}],
            "tls": [{"address": "listen", "notBefore": "2030-01-01T00:00:00Z", "notAfter": "2031-01-01T00:00:00Z",
                     "clientCaNotAfter": "2040-01-01T00:00:00Z", "problems": []}]}"#,
    )
    .unwrap();
    change(&mut status);
    status
}

fn replica(address: &str, change: impl FnOnce(&mut CustomsStatus)) -> ReplicaEvidence {
    ReplicaEvidence {
        replica: Replica {
            address: address.into(),
            status: Ok(status(change)),
        },
        metrics: None,
        metrics_before: None,
        rules: None,
        clock: None,
    }
}

fn evidence(replicas: Vec<ReplicaEvidence>) -> Evidence {
    Evidence {
        now: Some(at("2030-06-01T00:00:00Z")),
        provider: "customs".into(),
        replicas,
        ..Evidence::default()
    }
}

fn codes(evidence: &Evidence) -> Vec<Code> {
    let found: BTreeSet<Code> = examine(evidence)
        .findings
        .iter()
        .map(|finding| finding.code)
        .collect();
    found.into_iter().collect()
}

/// Changes the status of a replica.
type Change = fn(&mut CustomsStatus);

#[test]
fn what_a_replica_says_is_wrong_with_it_is_found() {
    let changes: &[(Change, &[Code])] = &[
        (|_| {}, &[]),
        (|s| s.ready = false, &[Code::ReplicaNotReady]),
        (
            |s| {
                s.ready = false;
                s.sources[0].state = "never_loaded".into();
            },
            &[Code::SourceRefused],
        ),
        (
            |s| s.sources[0].state = "refused".into(),
            &[Code::SourceRefused],
        ),
        (|s| s.audit[0].healthy = false, &[Code::AuditUnhealthy]),
        (|s| s.enforcement = "report".into(), &[Code::NotEnforced]),
        (
            |s| s.tls[0].not_after = "2030-05-01T00:00:00Z".parse().unwrap(),
            &[Code::CertificateExpired],
        ),
        (
            |s| s.tls[0].not_after = "2030-06-05T00:00:00Z".parse().unwrap(),
            &[Code::CertificateExpiresSoon],
        ),
        (
            |s| s.tls[0].client_ca_not_after = "2030-06-05T00:00:00Z".parse().ok(),
            &[Code::CertificateExpiresSoon],
        ),
        (
            |s| s.tls[0].problems = vec!["`key` is encrypted".into()],
            &[Code::CertificateRefused],
        ),
        (
            // Its own sentence about the time is judged by the time.
            |s| s.tls[0].problems = vec!["the certificate expires at 2099-01-01: renew it".into()],
            &[],
        ),
    ];
    for (number, (change, expected)) in changes.iter().enumerate() {
        let evidence = evidence(vec![replica("a:1", change)]);
        assert_eq!(codes(&evidence), *expected, "row {number}");
    }
}

#[test]
fn a_replica_that_is_not_heard_is_a_finding_and_not_the_end() {
    for (why, expected) in [
        (
            ReplicaError::Unreachable("cannot reach b:1".into()),
            Code::ReplicaUnreachable,
        ),
        (
            ReplicaError::NotCustoms("Envoy answers".into()),
            Code::NotCustoms,
        ),
    ] {
        let mut silent = replica("b:1", |_| {});
        silent.replica.status = Err(why);
        let evidence = evidence(vec![silent, replica("a:1", |s| s.audit[0].healthy = false)]);
        assert_eq!(codes(&evidence), [expected, Code::AuditUnhealthy]);
    }
}

#[test]
fn replicas_that_differ_are_found_by_what_they_differ_in() {
    let changes: &[(Change, &[Code])] = &[
        (|_| {}, &[]),
        (|s| s.revision = "bb".into(), &[Code::RevisionsDiffer]),
        (|s| s.default = "deny".into(), &[Code::ModesDiffer]),
        (
            |s| s.request_validation = "report".into(),
            &[Code::ModesDiffer],
        ),
        (
            |s| s.enforcement = "report".into(),
            &[Code::ModesDiffer, Code::NotEnforced],
        ),
        (|s| s.version = "2".into(), &[Code::VersionsDiffer]),
    ];
    for (number, (change, expected)) in changes.iter().enumerate() {
        let evidence = evidence(vec![replica("a:1", |_| {}), replica("b:1", change)]);
        assert_eq!(codes(&evidence), *expected, "row {number}");
    }
}

#[test]
fn a_clock_that_differs_is_named_and_this_machine_s_too() {
    for (ahead, expected) in [
        (vec![0, 1, -2], None),
        (vec![5, 0], None),
        (vec![60, 0, 1], Some("replica a0:1")),
        (vec![0, -60, 1], Some("replica a1:1")),
        (vec![60, 61, 60], Some("this machine")),
        (vec![60], Some("replica a0:1")),
    ] {
        let here = at("2030-06-01T00:00:00Z");
        let replicas = ahead.iter().enumerate().map(|(number, ahead)| {
            let mut replica = replica(&format!("a{number}:1"), |_| {});
            let theirs = here + jiff::SignedDuration::from_secs(*ahead);
            replica.clock = Some(ClockReading { theirs, here });
            replica
        });
        let diagnosis = examine(&evidence(replicas.collect()));
        let found: Vec<_> = diagnosis
            .findings
            .iter()
            .map(|f| (f.code, f.subject.as_str()))
            .collect();
        let expected: Vec<_> = expected
            .map(|subject| (Code::ClockSkew, subject))
            .into_iter()
            .collect();
        assert_eq!(found, expected, "{ahead:?}");
    }
}

#[test]
fn the_date_of_an_answer_is_read() {
    let here = at("2030-06-01T00:00:10Z");
    let reading = ClockReading::of_date("Sat, 01 Jun 2030 00:00:00 GMT", here).unwrap();
    assert_eq!(reading.ahead(), -10);
    assert_eq!(ClockReading::of_date("yesterday", here), None);
}

#[test]
fn certificates_of_an_envoy_are_judged_by_their_lifetime() {
    for (begin, end, expected) in [
        // A day: a fifth of it is five hours.
        ("2030-05-31T12:00:00Z", "2030-06-01T12:00:00Z", None),
        (
            "2030-05-31T04:00:00Z",
            "2030-06-01T04:00:00Z",
            Some(Code::CertificateExpiresSoon),
        ),
        (
            "2030-05-30T00:00:00Z",
            "2030-05-31T23:00:00Z",
            Some(Code::CertificateExpired),
        ),
        // Ten years: a week.
        ("2020-06-20T00:00:00Z", "2030-06-20T00:00:00Z", None),
        (
            "2020-06-05T00:00:00Z",
            "2030-06-05T00:00:00Z",
            Some(Code::CertificateExpiresSoon),
        ),
    ] {
        let mut evidence = evidence(Vec::new());
        evidence.proxies.push(ProxyEvidence {
            name: "gateway".into(),
            certificates: Some(vec![EnvoyCertificate {
                is_authority: false,
                name: "spiffe://a".into(),
                not_before: Some(at(begin)),
                not_after: at(end),
            }]),
            ..ProxyEvidence::default()
        });
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(codes(&evidence), expected, "{begin} to {end}");
    }
}

#[test]
fn what_could_not_be_read_is_a_finding() {
    let mut evidence = evidence(vec![replica("a:1", |_| {})]);
    evidence.troubles.push(Trouble {
        what: "gateway.json".into(),
        why: "it ends in the middle".into(),
    });
    assert_eq!(codes(&evidence), [Code::UnreadableEvidence]);
}

#[test]
fn policies_that_are_given_are_compared_with_those_in_force() {
    for (revision, expected) in [
        (Ok("aa".to_owned()), None),
        (Ok("bb".to_owned()), Some(Code::RevisionsDiffer)),
        (
            Err(PolicyError("a.yaml:1:1: bad".into())),
            Some(Code::SourceRefused),
        ),
    ] {
        let mut evidence = evidence(vec![replica("a:1", |_| {})]);
        evidence.policies = Some(PolicyEvidence {
            place: "policies".into(),
            revision,
        });
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(codes(&evidence), expected);
    }
}

#[test]
fn a_rule_is_unused_only_if_no_replica_hit_it() {
    let rules = |hits: [u64; 2]| {
        let text = format!(
            r#"{{"revision": "aa", "rules": [{{"rule": "ep:a/b#c", "kind": "rule", "hits": {}}}, {{"rule": "ep:a/b#d", "hits": {}}},
                {{"rule": "ep:a/b", "kind": "isolation", "hits": 0}}]}}"#,
            hits[0], hits[1]
        );
        RuleHits::read(text.as_bytes()).unwrap()
    };
    for (one, other, expected) in [
        ([1, 1], [0, 0], None),
        ([1, 0], [0, 1], None),
        (
            [1, 0],
            [2, 0],
            Some("1 of 2 rules were never hit: ep:a/b#d"),
        ),
        (
            [0, 0],
            [0, 0],
            Some("2 of 2 rules were never hit: ep:a/b#c, ep:a/b#d"),
        ),
    ] {
        let mut evidence = evidence(vec![replica("a:1", |_| {}), replica("b:1", |_| {})]);
        evidence.replicas[0].rules = Some(rules(one));
        evidence.replicas[1].rules = Some(rules(other));
        let diagnosis = examine(&evidence);
        let seen = diagnosis
            .findings
            .first()
            .map(|found| found.evidence[0].as_str());
        assert_eq!(seen, expected);
        // It is good to know, and no reason to fail.
        assert!(diagnosis.is_healthy());
    }
}

#[test]
fn what_was_not_given_is_listed_with_what_to_give() {
    let diagnosis = examine(&Evidence::default());
    assert!(diagnosis.is_healthy());
    let needs: Vec<_> = diagnosis
        .not_checked
        .iter()
        .map(|not| not.needs.as_str())
        .collect();
    for flag in [
        "--admin",
        "--envoy",
        "--mesh-config",
        "--objects",
        "--policies",
        "--audit",
    ] {
        assert!(
            needs.iter().any(|needs| needs.contains(flag)),
            "{flag}: {needs:?}"
        );
    }
    assert_eq!(diagnosis.checked, []);
}
