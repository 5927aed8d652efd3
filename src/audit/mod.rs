//! The edge where someone reads the record: an [`Entry`](crate::engine::record::Entry) becomes one line, in every sink.
//!
//! It judges nothing, and it does not decide what belongs into a record; that is the engine's. The rule: **nothing is
//! answered that is not going to be on record**. A check reserves room before its answer is given, and where there is
//! none the caller withholds the answer. What was accepted is written, in order and numbered without a gap, or its loss
//! is told.
//!
//! 1. [`writer`] carries entries from the checks to one thread, numbers them and writes them to every sink;
//! 2. [`mod@line`] renders an entry;
//! 3. [`sinks`] are the places to which the lines go.

pub mod line;
pub mod sinks;
pub mod writer;

pub use sinks::{BadSink, Sink, SinkConfig};
pub use writer::{Reading, Recorder, Slot, Unfinished, WriterHandle, start};

#[cfg(test)]
pub(crate) mod examples {
    //! Entries for tests.

    use super::line::MAX_PROBLEMS;
    use crate::engine::identity::IdentityState;
    use crate::engine::policy::problem::{Code, Place, Problem};
    use crate::engine::reason::Effect;
    use crate::engine::record::{AnswerEntry, ChangeOutcome, DecisionEntry, PolicyChangeEntry};
    use crate::engine::rules::RuleCounts;
    use crate::engine::settings::Enforcement;
    use crate::engine::time::UnixNanos;

    fn answer(effect: Effect, reason: &'static str, rule: &str) -> AnswerEntry {
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
        }
    }

    /// A denial in which every field has a value.
    pub(crate) fn full_decision() -> DecisionEntry {
        let text = str::to_owned;
        DecisionEntry {
            time: UnixNanos(1_795_435_200_123_456_789),
            duration_micros: 18,
            decision_id: text("019ab2c4-7f10-7c1e-9a55-0d6c5f1b2a34"),
            revision: text("0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
            enforcement: Enforcement::Enforce,
            effect: Effect::Deny,
            verdict: answer(Effect::Deny, "not_in_allow_list", "ep:shop/own"),
            would: answer(Effect::Allow, "allowed_by_rule", "ep:shop/trial#a"),
            identity: IdentityState::InvalidIdentity,
            identity_detail: Some("xfcc_mismatch"),
            principal: text("spiffe://cluster.local/ns/shop/sa/cart"),
            trust_domain: text("cluster.local"),
            namespace: text("shop"),
            service_account: text("cart"),
            source_address: text("10.1.2.3"),
            protocol: "http",
            host: text("www.aliyun.com"),
            raw_host: text("WWW.aliyun.com:80"),
            port: Some(80),
            listener_port: Some(8443),
            sni: text("outbound_.443_._.egress.istio-system.svc.cluster.local"),
            method: text("GET"),
            path: text("/"),
            gateway: text("spiffe://cluster.local/ns/istio-system/sa/egress"),
            request_id: text("4f3c"),
            traceparent: text("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            stream_id: text("17"),
            truncated: vec!["path"],
            audit_rule: text("ap:istio-system/watch#0"),
        }
    }

    /// A refused change with more problems than a line lists.
    pub(crate) fn full_change() -> PolicyChangeEntry {
        let place = Place { file: "a.yaml".into(), line: 3, column: 9 };
        let first = Problem::error(Code::BadHost, place, "`http://x` is a URL").hint("write `x`");
        let other = Problem::warning(Code::EmptyPolicy, Place::whole("b.yaml"), "it does nothing");
        PolicyChangeEntry {
            time: UnixNanos(0),
            outcome: ChangeOutcome::Refused,
            revision: "r1".into(),
            previous_revision: "r0".into(),
            refused_sources: vec!["policies".into()],
            problems: std::iter::once(first).chain(std::iter::repeat_n(other, MAX_PROBLEMS)).collect(),
            counts: RuleCounts { istio_deny: 1, istio_allow: 2, egress_deny: 3, egress_allow: 4, policies: 5 },
        }
    }
}
