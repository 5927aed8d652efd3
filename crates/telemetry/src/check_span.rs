//! The span of one check: what is kept while it runs, and what is made of it at the end.
//!
//! It decides neither what is traced nor where spans go. The rules: everything that a span says is
//! in the table [`ATTRIBUTES`], which a test holds to the documents; no header, no path and no
//! address is among it; and a denial is an answer, so only a failure of customs itself is an error.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

use customs_engine::reason::Reason;
use customs_engine::time::UnixNanos;
use customs_record::{DecisionRecord, TraceContext};
use opentelemetry::trace::{
    Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::sampler::SpanIds;

/// The name of the span: the method, as the conventions for RPC ask for.
pub const NAME: &str = "envoy.service.auth.v3.Authorization/Check";

/// An attribute of a span.
#[derive(Clone, Copy, Debug)]
pub struct AttributeSpec {
    /// Its name.
    pub name: &'static str,
    /// What it says, as Markdown.
    pub meaning: &'static str,
}

const fn attribute(name: &'static str, meaning: &'static str) -> AttributeSpec {
    AttributeSpec { name, meaning }
}

/// The attributes of a span.
pub const ATTRIBUTES: [AttributeSpec; 18] = [
    attribute("rpc.system.name", "`grpc`"),
    attribute("rpc.method", "the method, as in the name"),
    attribute(
        "rpc.response.status_code",
        "`OK`, since a verdict is always gRPC OK; left out if the caller was gone",
    ),
    attribute(
        "error.type",
        "`internal_error` or `audit_unavailable`, if customs failed",
    ),
    attribute(
        "customs.effect",
        "the answer that Envoy got: `allow` or `deny`",
    ),
    attribute("customs.verdict", "what the enforced rules say"),
    attribute(
        "customs.dry_run",
        "what they would say if everything in dry run were enforced too",
    ),
    attribute("customs.reason", "why ([the reasons](reasons.md))"),
    attribute("customs.rule", "the rule of the verdict"),
    attribute(
        "customs.dry_run_rule",
        "the rule of the dry run, if it is another",
    ),
    attribute("customs.identity", "the state of the caller's identity"),
    attribute("customs.namespace", "the caller's namespace"),
    attribute(
        "customs.service_account",
        "its service account; left out if the settings redact principals",
    ),
    attribute("customs.host", "the destination"),
    attribute("customs.protocol", "`http` or `tcp`"),
    attribute("customs.policy_revision", "the policy set that decided"),
    attribute(
        "customs.decision_id",
        "the id of the decision, as in the audit log and in Envoy's metadata",
    ),
    attribute(
        "customs.caller_gone",
        "`true` if the caller gave up and did not get the answer",
    ),
];

/// The most stages that a check passes.
const STAGES: usize = 8;

/// A check that is traced.
#[derive(Debug)]
pub struct CheckSpan {
    ids: SpanIds,
    time: UnixNanos,
    started: Instant,
    stages: Vec<(&'static str, Duration)>,
}

/// What the settings keep out of the audit log, and so out of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanRedaction {
    /// Whether the service account is left out.
    pub principal: bool,
}

impl CheckSpan {
    pub(crate) fn new(ids: SpanIds, time: UnixNanos, started: Instant) -> CheckSpan {
        let mut stages = Vec::with_capacity(STAGES);
        stages.push(("received", Duration::ZERO));
        CheckSpan {
            ids,
            time,
            started,
            stages,
        }
    }

    /// Notes that the check has passed a stage now.
    pub fn pass(&mut self, stage: &'static str) {
        self.stages.push((stage, self.started.elapsed()));
    }

    /// Returns its place in the trace.
    pub fn context(&self) -> TraceContext {
        TraceContext {
            trace_id: self.ids.trace_id,
            span_id: self.ids.span_id,
            is_sampled: true,
        }
    }

    /// Returns the span, as the SDK has it.
    pub(crate) fn finish(
        self,
        record: &DecisionRecord,
        is_answered: bool,
        redaction: SpanRedaction,
        scope: InstrumentationScope,
    ) -> SpanData {
        let begin = system_time(self.time);
        let took = self.started.elapsed();
        let mut events = SpanEvents::default();
        events.events = self
            .stages
            .iter()
            .map(|(stage, after)| Event::new(*stage, begin + *after, Vec::new(), 0))
            .collect();
        let failure = failure(record);
        SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(self.ids.trace_id),
                SpanId::from_bytes(self.ids.span_id),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: self.ids.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
            parent_span_is_remote: self.ids.parent.is_some(),
            span_kind: SpanKind::Server,
            name: Cow::Borrowed(NAME),
            start_time: begin,
            end_time: begin + took,
            attributes: attributes(record, is_answered, redaction),
            dropped_attributes_count: 0,
            events,
            links: SpanLinks::default(),
            status: failure.map_or(Status::Unset, |reason| Status::error(reason.as_str())),
            instrumentation_scope: scope,
        }
    }
}

/// Returns the reason of a denial that is a failure of customs itself.
fn failure(record: &DecisionRecord) -> Option<Reason> {
    let reason = record.facts().verdict.reason;
    matches!(reason, Reason::InternalError | Reason::AuditUnavailable).then_some(reason)
}

fn attributes(
    record: &DecisionRecord,
    is_answered: bool,
    redaction: SpanRedaction,
) -> Vec<KeyValue> {
    let facts = record.facts();
    let text = |span| record.text(span).to_owned();
    let verdict_rule = text(facts.verdict.rule);
    let dry_run_rule = text(facts.dry_run.rule);
    let is_other_rule = dry_run_rule != verdict_rule;
    let is_gone = facts.caller_gone || !is_answered;
    let service_account = match redaction.principal {
        true => String::new(),
        false => text(facts.service_account),
    };
    let fixed = |text: &'static str| Some(Value::from(text));
    let owned = |text: String| (!text.is_empty()).then(|| Value::from(text));
    // In the order of the table.
    let values: [Option<Value>; ATTRIBUTES.len()] = [
        fixed("grpc"),
        fixed(NAME),
        // A verdict is always gRPC OK; a caller that is gone has no status.
        if is_gone { None } else { fixed("OK") },
        failure(record).and_then(|reason| fixed(reason.as_str())),
        fixed(facts.effect.as_str()),
        fixed(facts.verdict.effect.as_str()),
        fixed(facts.dry_run.effect.as_str()),
        fixed(facts.verdict.reason.as_str()),
        owned(verdict_rule),
        is_other_rule.then(|| Value::from(dry_run_rule)),
        fixed(facts.identity.as_str()),
        owned(text(facts.namespace)),
        owned(service_account),
        owned(text(facts.host)),
        fixed(facts.protocol),
        owned(text(facts.revision)),
        owned(text(facts.decision_id)),
        is_gone.then(|| Value::from(true)),
    ];
    let named = ATTRIBUTES.into_iter().zip(values);
    named
        .filter_map(|(spec, value)| Some(KeyValue::new(Key::from_static_str(spec.name), value?)))
        .collect()
}

/// Returns a time of the wall clock; a time before 1970 is 1970.
fn system_time(time: UnixNanos) -> SystemTime {
    let nanos = u64::try_from(time.0).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests;
