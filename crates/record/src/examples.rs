//! Entries for tests: one of each kind, with a value in every field.
//!
//! Other crates use them with the feature `examples`; nothing here is part of the product.

use std::sync::Arc;

use crate::encode::MAX_PROBLEMS;
use crate::entry::audit_log::Position;
use crate::{
    AnswerEntry, CallerGoneEntry, CheckpointEntry, DecisionEntry, Entry, GapEntry,
    GrantExpiredEntry, HeaderEntry, LagEntry, Loss, OptionalFields, QuestionEntry, RefusalCause,
    RefusalCount, RefusalsEntry, StartEntry, StopEntry, StreamEntry, WithheldEntry,
};
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::identity::IdentityState;
use customs_engine::reason::Reason;
use customs_engine::rules::RuleCounts;
use customs_engine::time::UnixNanos;
use customs_policy::policy_change::{ChangeOutcome, PolicyChange, PublishedFile, PublishedSource};
use customs_policy::problem::{Code, Place, Problem};

const TIME: UnixNanos = UnixNanos(1_795_435_200_123_456_789);

fn answer(effect: Effect, reason: Reason, rule: &str) -> AnswerEntry {
    AnswerEntry {
        effect,
        reason,
        rule: rule.into(),
        gate: "isolation",
        open_gate: "istio",
        by_identity: true,
        origin: format!("{rule}.yaml:7"),
        owner: "team-payments".into(),
        ticket: "NET-42".into(),
        rule_reason: "partners only".into(),
        expires: Some(UnixNanos(1_796_000_000_000_000_000)),
        expired: "ep:shop/own#d.except[0]".into(),
        exception: "ep:shop/own#e.except[1]".into(),
        exception_expires: Some(UnixNanos(1_797_000_000_000_000_000)),
    }
}

/// A denial with a value in every field.
pub fn full_decision() -> DecisionEntry {
    let text = str::to_owned;
    DecisionEntry {
        time: TIME,
        duration_micros: 18,
        decision_id: "019ab2c4-7f10-7c1e-9a55-0d6c5f1b2a34".into(),
        decision_number: 9_007_199_254_740_993,
        revision: "0f1e2d3c4b5a69788796a5b4c3d2e1f0".into(),
        enforcement: Enforcement::Enforce,
        effect: Effect::Deny,
        verdict: answer(Effect::Deny, Reason::NotInAllowList, "ep:shop/own"),
        dry_run: answer(Effect::Allow, Reason::AllowedByRule, "ep:shop/trial#a"),
        identity: IdentityState::InvalidIdentity,
        identity_detail: Some("xfcc_mismatch"),
        principal: "spiffe://cluster.local/ns/shop/sa/cart".into(),
        trust_domain: "cluster.local".into(),
        namespace: "shop".into(),
        service_account: "cart".into(),
        source_address: "10.1.2.3".into(),
        remote_address: "192.0.2.7".into(),
        destination_address: "10.1.2.4".into(),
        protocol: "http",
        host: "www.aliyun.com".into(),
        raw_host: "WWW.aliyun.com:80".into(),
        port: Some(80),
        listener_port: Some(8443),
        sni: "outbound_.443_._.egress.istio-system.svc.cluster.local".into(),
        method: "GET".into(),
        path: "/".into(),
        gateway: "spiffe://cluster.local/ns/istio-system/sa/egress".into(),
        request_id: "4f3c".into(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
        stream_id: "17".into(),
        audit_rule: "ap:istio-system/watch#0".into(),
        caller_gone: true,
        peer_identity: "spiffe://cluster.local/ns/istio-system/sa/egress".into(),
        optional: Some(Arc::new(OptionalFields {
            sni_absent: true,
            address_unreadable: true,
            authority_header: Some(text("other.example")),
            certificate_uris: vec![text("spiffe://cluster.local/ns/shop/sa/other")],
            headers: vec![HeaderEntry {
                name: text("x-team"),
                present: true,
                value_unknown: true,
                matched: vec![text("payments*"), text("ops")],
                value: text("payments-eu"),
            }],
            truncated: vec!["path"],
            redacted: vec!["sourceAddress"],
        })),
    }
}

/// A refused change with more problems than a record lists.
pub fn full_change() -> PolicyChange {
    let place = Place {
        file: "a.yaml".into(),
        line: 3,
        column: 9,
    };
    let first = Problem::error(Code::BadHost, place, "`http://x` is a URL").hint("write `x`");
    let other = Problem::warning(Code::EmptyPolicy, Place::whole("b.yaml"), "it does nothing");
    let file = |name: &str| PublishedFile {
        name: name.into(),
        digest: [0x0f; 32],
    };
    PolicyChange {
        time: UnixNanos(0),
        outcome: ChangeOutcome::Refused,
        revision: "r1".into(),
        previous_revision: "r0".into(),
        refused_sources: vec!["policies".into()],
        problems: std::iter::once(first)
            .chain(std::iter::repeat_n(other, MAX_PROBLEMS))
            .collect(),
        counts: RuleCounts {
            istio_deny: 1,
            istio_allow: 2,
            egress_deny: 3,
            egress_allow: 4,
            policies: 5,
        },
        sources: vec![
            PublishedSource {
                name: "policies".into(),
                namespace: String::new(),
                files: vec![file("a.yaml"), file("b.yaml")],
            },
            PublishedSource {
                name: "teams/shop".into(),
                namespace: "shop".into(),
                files: Vec::new(),
            },
        ],
    }
}

fn position(stream: &str, sequence: u64) -> Position {
    Position {
        stream: stream.into(),
        sequence,
        chain: "0123456789abcdef".repeat(4),
    }
}

/// Returns one entry of each kind with a value in every field, in the order in which documents list
/// the kinds.
pub fn of_every_kind() -> Vec<Entry> {
    let grant_expired = GrantExpiredEntry {
        time: TIME,
        rule: "ep:shop/own#a".into(),
        origin: "p/a.yaml:4".into(),
        owner: "team-payments".into(),
        ticket: "NET-42".into(),
        rule_reason: "a \"trial\"".into(),
        expires: UnixNanos(1_795_435_200_000_000_000),
        revision: "r1".into(),
    };
    let now = UnixNanos(1_796_000_000_000_000_000);
    let question = QuestionEntry {
        time: TIME,
        asked_by: "127.0.0.1:40312".into(),
        now,
        answer: full_decision().into(),
    };
    let start = StartEntry {
        time: TIME,
        version: "0.1.0",
        listen: vec!["127.0.0.1:9000".into(), "unix:/run/customs.sock".into()],
        enforcement: Enforcement::Report,
    };
    let stop = StopEntry {
        time: TIME,
        cause: "SIGTERM".into(),
        decisions: 41,
        revision: "r1".into(),
    };
    let withheld = WithheldEntry {
        time: TIME,
        decision_id: "019ab2c4-7f10-7c1e-9a55-0d6c5f1b2a34".into(),
        decision_number: 41,
        reason: "audit_unavailable",
    };
    let caller_gone = CallerGoneEntry {
        time: TIME,
        decision_id: "019ab2c4-7f10-7c1e-9a55-0d6c5f1b2a34".into(),
        decision_number: 41,
    };
    let refusals = RefusalsEntry {
        time: TIME,
        first: UnixNanos(1_795_435_140_000_000_000),
        last: UnixNanos(1_795_435_200_000_000_000),
        refusals: vec![
            RefusalCount {
                peer: "10.1.2.3".into(),
                cause: RefusalCause::MessageTooLarge,
                count: 3,
                example: "8388637 bytes".into(),
            },
            RefusalCount {
                peer: "other".into(),
                cause: RefusalCause::Http1,
                count: 1,
                example: "GET / HTTP/1.1".into(),
            },
        ],
        redacted: vec!["refusals"],
    };
    let stream = StreamEntry {
        time: TIME,
        sink: "file:/var/log/customs/audit.jsonl".into(),
        filter: "sample 1/100".into(),
        format: "json",
        hash: "sha256",
        previous: Some(position("5f0c8a52-9a55-4f3c-8a52-9a554f3c8a52", 17)),
        torn_bytes: 120,
        previous_file: "moved",
    };
    let lost = Loss {
        allows: 5,
        denials: 4,
        differing: 3,
        withheld: 2,
        events: 1,
    };
    let checkpoint = CheckpointEntry {
        time: TIME,
        sealed: position("5f0c8a52-9a55-4f3c-8a52-9a554f3c8a52", 10_000),
        last: true,
        key: "0123456789abcdef".into(),
        signature: "fedcba9876543210".repeat(8),
    };
    vec![
        Entry::Decision(full_decision().into()),
        Entry::PolicyChange(full_change().into()),
        Entry::Question(question.into()),
        Entry::GrantExpired(grant_expired.into()),
        Entry::Start(start.into()),
        Entry::Stop(stop.into()),
        Entry::Withheld(withheld.into()),
        Entry::CallerGone(caller_gone.into()),
        Entry::Refusals(refusals.into()),
        Entry::Stream(stream.into()),
        Entry::Gap(
            GapEntry {
                time: TIME,
                lost,
                first: UnixNanos(1),
                last: UnixNanos(2_000_000_000),
            }
            .into(),
        ),
        Entry::Lag(
            LagEntry {
                time: TIME,
                missed_from: 7,
                missed_to: 9,
            }
            .into(),
        ),
        Entry::Checkpoint(checkpoint.into()),
    ]
}
