//! The record: one [`Entry`] for each event, from which the audit line, the log line, the counters and every later
//! rendering are made. One fact is typed once, here; a rendering only chooses and escapes.
//!
//! What is decided is told here, other events of a server in [`event`], and what the trail tells of itself in [`trail`].
//!
//! Nothing secret enters an entry: no cookies, no authorization, no body and no query string. Of headers it holds the request
//! id, the trace context, what a policy asks for, and what of the rare inputs a decision may rest on. Text that a client controls is capped, and what was capped is named in `truncated`.

pub mod event;
pub mod headers;
pub mod rare;
pub mod trail;

use std::net::IpAddr;
use std::sync::Arc;

pub use event::{ChangeOutcome, GrantEndEntry, PolicyChangeEntry, QuestionEntry, StartEntry, StopEntry, WithheldEntry};
pub use headers::HeaderEntry;
pub use rare::RareInputs;
pub use trail::{CheckpointEntry, GapEntry, LagEntry, Loss, StreamEntry};

use compact_str::{CompactString, ToCompactString};

use super::decision::{Answer, Decision, Gate};
use super::identity::{IdentityState, Principal};
use super::path::without_query;
use super::pattern::Port;
use super::reason::Effect;
use super::request::{Attributes, Request, last_value};
use super::rule_info::RuleInfo;
use super::settings::Enforcement;
use super::snapshot::Snapshot;
use super::time::UnixNanos;

/// Something that happened and is on record. Clones share it.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A check was decided.
    Decision(Arc<DecisionEntry>),
    /// A policy set was published, or refused.
    PolicyChange(Arc<PolicyChangeEntry>),
    /// An operator asked what a check would get; nothing crossed.
    Question(Arc<QuestionEntry>),
    /// A grant in force came to its end.
    GrantEnd(Arc<GrantEndEntry>),
    /// The process starts.
    Start(Arc<StartEntry>),
    /// The process stops, in order.
    Stop(Arc<StopEntry>),
    /// The answer of a decision that is on record was withheld after all.
    Withheld(Arc<WithheldEntry>),
    /// A stream of records begins, or goes on in another file.
    Stream(Arc<StreamEntry>),
    /// Records were lost.
    Gap(Arc<GapEntry>),
    /// A subscriber missed records.
    Lag(Arc<LagEntry>),
    /// How long a stream was, and where its chain stood.
    Checkpoint(Arc<CheckpointEntry>),
}

impl Entry {
    /// The word for it in records.
    pub fn kind(&self) -> &'static str {
        match self {
            Entry::Decision(_) => "decision",
            Entry::PolicyChange(_) => "policyChange",
            Entry::Question(_) => "question",
            Entry::GrantEnd(_) => "grantEnd",
            Entry::Start(_) => "start",
            Entry::Stop(_) => "stop",
            Entry::Withheld(_) => "withheld",
            Entry::Stream(_) => "stream",
            Entry::Gap(_) => "gap",
            Entry::Lag(_) => "lag",
            Entry::Checkpoint(_) => "checkpoint",
        }
    }

    /// When it happened.
    pub fn time(&self) -> UnixNanos {
        match self {
            Entry::Decision(entry) => entry.time,
            Entry::PolicyChange(entry) => entry.time,
            Entry::Question(entry) => entry.time,
            Entry::GrantEnd(entry) => entry.time,
            Entry::Start(entry) => entry.time,
            Entry::Stop(entry) => entry.time,
            Entry::Withheld(entry) => entry.time,
            Entry::Stream(entry) => entry.time,
            Entry::Gap(entry) => entry.time,
            Entry::Lag(entry) => entry.time,
            Entry::Checkpoint(entry) => entry.time,
        }
    }
}

/// A text of a decision. A short one, as most are, stands in the entry itself and needs no memory of its own.
pub type Text = CompactString;

/// One decided check: the normalised inputs, the three answers, and who to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionEntry {
    /// When the check was decided: the `now` of the decision.
    pub time: UnixNanos,
    /// How long the decision took, in microseconds.
    pub duration_micros: u32,
    /// A UUID of version 7, also told to the caller.
    pub decision_id: Text,
    /// The number of the decision in its process, from 1.
    pub decision_number: u64,
    /// The revision of the set that decided.
    pub revision: Arc<str>,
    /// Whether verdicts are enforced.
    pub enforcement: Enforcement,
    /// What Envoy was told.
    pub effect: Effect,
    /// What the enforced rules said.
    pub verdict: AnswerEntry,
    /// What they would say with everything on trial enforced.
    pub would: AnswerEntry,
    /// The first AUDIT rule that marks the request, if one does.
    pub audit_rule: Text,
    /// The identity's state.
    pub identity: IdentityState,
    /// Why an invalid identity is invalid.
    pub identity_detail: Option<&'static str>,
    /// The principal as sent.
    pub principal: Text,
    /// The trust domain of a well-formed principal.
    pub trust_domain: Text,
    /// The namespace of a well-formed principal.
    pub namespace: Text,
    /// The service account of a well-formed principal.
    pub service_account: Text,
    /// The connection's peer.
    pub source_address: Text,
    /// The client behind the declared trusted proxies; empty where none are declared.
    pub remote_address: Text,
    /// The gateway's listener address.
    pub destination_address: Text,
    /// `http` or `tcp`.
    pub protocol: &'static str,
    /// The canonical host, where it is known.
    pub host: Text,
    /// The authority or SNI as sent.
    pub raw_host: Text,
    /// The port that goes with the host, where it is known.
    pub port: Option<u16>,
    /// The gateway's listener port.
    pub listener_port: Option<u16>,
    /// The SNI of the session, where it is told.
    pub sni: Text,
    /// The method, as sent.
    pub method: Text,
    /// The path, as sent, without its query.
    pub path: Text,
    /// The headers that conditions of the policies in force ask for.
    pub headers: Vec<HeaderEntry>,
    /// The gateway's own identity.
    pub gateway: Text,
    /// `x-request-id`
    pub request_id: Text,
    /// `traceparent`
    pub traceparent: Text,
    /// Envoy's stream id.
    pub stream_id: Text,
    /// The names of the fields that were cut.
    pub truncated: Vec<&'static str>,
    /// The names of the fields that were hashed or left out.
    pub redacted: Vec<&'static str>,
    /// What is told only where it is out of the ordinary.
    pub rare: RareInputs,
}

/// One of the answers of a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerEntry {
    /// Allow or deny.
    pub effect: Effect,
    /// Why.
    pub reason: &'static str,
    /// The rule that spoke.
    pub rule: Text,
    /// The gates that stayed closed (a denial) or opened (an allow).
    pub gate: &'static str,
    /// For a denial at one gate: the other one, if it was open.
    pub open_gate: &'static str,
    /// Whether a valid identity, and nothing else, was missing.
    pub by_identity: bool,
    /// Where the rule stands: `file:line`.
    pub origin: Text,
    /// Who to ask.
    pub owner: Text,
    /// The rule's ticket.
    pub ticket: Text,
    /// Why the rule exists.
    pub rule_reason: Text,
    /// When the rule's grant ends or ended.
    pub expires: Option<UnixNanos>,
    /// The exception that would have opened a deny, had it not expired.
    pub expired: Text,
    /// The exception that opened a deny which otherwise held.
    pub exception: Text,
    /// When that exception ends.
    pub exception_expires: Option<UnixNanos>,
}

impl AnswerEntry {
    fn of(answer: &Answer) -> AnswerEntry {
        let info = answer.rule.info();
        let text = |value: Option<&str>| Text::new(value.unwrap_or_default());
        let denied = answer.effect() == Effect::Deny;
        AnswerEntry {
            effect: answer.effect(),
            reason: answer.reason.as_str(),
            rule: answer.rule.to_compact_string(),
            gate: answer.gate(),
            open_gate: if denied { answer.gates.in_state(Gate::Open) } else { "" },
            by_identity: answer.by_identity,
            origin: info.map(|info| info.origin().into()).unwrap_or_default(),
            owner: text(info.and_then(RuleInfo::owner)),
            ticket: text(info.and_then(RuleInfo::ticket)),
            rule_reason: text(info.and_then(RuleInfo::reason)),
            expires: info.and_then(RuleInfo::expires),
            expired: answer.expired.as_ref().map(|info| info.id.to_compact_string()).unwrap_or_default(),
            exception: answer.exception.as_ref().map(|info| info.id.to_compact_string()).unwrap_or_default(),
            exception_expires: answer.exception.as_ref().and_then(|info| info.expires()),
        }
    }
}

/// What the edge knows of a check and the engine does not.
#[derive(Clone, Debug)]
pub struct Occasion<'a> {
    /// The wall clock when the check was decided, read once.
    pub time: UnixNanos,
    /// How long it took, in microseconds.
    pub duration_micros: u32,
    /// The decision's id.
    pub decision_id: Text,
    /// The decision's number in its process, from 1.
    pub decision_number: u64,
    /// The headers whose values are told, in lower case.
    pub told_headers: &'a [String],
}

impl DecisionEntry {
    /// Tells a decision: the inputs as normalised, the answers, and the occasion.
    pub fn of(
        attributes: &Attributes<'_>,
        request: &Request<'_>,
        decision: &Decision,
        snapshot: &Snapshot,
        occasion: Occasion<'_>,
    ) -> DecisionEntry {
        let mut truncated = Vec::new();
        let mut cap = |name, text: &str, limit| capped(name, text, limit, &mut truncated);
        let http = attributes.http.as_ref();
        let raw_host = http.map_or(attributes.service, |http| http.host);
        let workload = match request.principal {
            Principal::Workload(id) => Some(id),
            Principal::Absent | Principal::Invalid(_) => None,
        };
        let of_workload = |part: Option<&str>| Text::new(part.unwrap_or_default());
        let address = |ip: Option<IpAddr>| ip.map(|ip| ip.to_compact_string()).unwrap_or_default();
        let header = |name| http.and_then(|http| last_value(http.headers, name)).unwrap_or_default();
        DecisionEntry {
            time: occasion.time,
            duration_micros: occasion.duration_micros,
            decision_id: occasion.decision_id,
            decision_number: occasion.decision_number,
            revision: snapshot.revision().shared(),
            enforcement: snapshot.settings().enforcement,
            effect: decision.outcome.effect(),
            verdict: AnswerEntry::of(&decision.verdict),
            would: AnswerEntry::of(&decision.would),
            audit_rule: decision.audit.as_ref().map(|info| info.id.to_compact_string()).unwrap_or_default(),
            identity: decision.identity,
            identity_detail: decision.identity_detail.map(super::identity::Invalid::as_str),
            principal: cap("principal", attributes.source_principal, 2048),
            trust_domain: of_workload(workload.map(|id| id.trust_domain)),
            namespace: of_workload(workload.map(|id| id.namespace)),
            service_account: of_workload(workload.map(|id| id.service_account)),
            source_address: address(request.source_address),
            remote_address: address(request.remote_address),
            destination_address: address(request.destination_address),
            protocol: if http.is_some() { "http" } else { "tcp" },
            host: request.host_text().unwrap_or_default().into(),
            raw_host: cap("rawHost", raw_host, 255),
            port: match request.destination.port {
                Port::Known(port) => Some(port),
                Port::Absent | Port::Unknown => None,
            },
            listener_port: attributes.listener_port,
            sni: cap("sni", attributes.tls_sni.unwrap_or_default(), 255),
            method: cap("method", http.map_or("", |http| http.method), 64),
            path: cap("path", http.map_or("", |http| without_query(http.path)), 1024),
            headers: http
                .map(|http| headers::told(snapshot.header_uses(), http.headers, occasion.told_headers))
                .unwrap_or_default(),
            gateway: cap("gateway", attributes.destination_principal, 2048),
            request_id: cap("requestId", &header("x-request-id"), 128),
            traceparent: cap("traceparent", &header("traceparent"), 128),
            stream_id: cap("streamId", http.map_or("", |http| http.stream_id), 64),
            rare: RareInputs::of(attributes, decision.identity_detail, snapshot.settings(), &mut truncated),
            truncated,
            redacted: Vec::new(),
        }
    }

    /// Tells that the answer was withheld, as `decision` now says; the inputs stay.
    pub fn withhold(&mut self, decision: &Decision) {
        self.effect = decision.outcome.effect();
        self.verdict = AnswerEntry::of(&decision.verdict);
    }

    /// Whether effect, verdict and would are not all the same.
    pub fn differs(&self) -> bool {
        self.verdict.effect != self.would.effect || self.effect != self.verdict.effect
    }

    /// Whether some answer rests on a grant or an exception that ends.
    pub fn rests_on_an_end(&self) -> bool {
        [&self.verdict, &self.would].iter().any(|a| a.expires.is_some() || a.exception_expires.is_some())
    }
}

/// At most `limit` bytes of a text, cut between characters; a cut is noted under the field's name.
fn capped(name: &'static str, text: &str, limit: usize, truncated: &mut Vec<&'static str>) -> Text {
    if text.len() <= limit {
        return Text::new(text);
    }
    truncated.push(name);
    Text::new(text.get(..text.floor_char_boundary(limit)).unwrap_or_default())
}
