//! The record: one [`Entry`] for each event, from which the audit line, the log line, the counters and every later
//! rendering are made. One fact is typed once, here; a rendering only chooses and escapes.
//!
//! Nothing secret enters an entry: no headers beyond the request id and the trace context, no cookies, no body and no
//! query string. Text that a client controls is capped, and what was capped is named in `truncated`.

use super::decision::Decision;
use super::identity::{IdentityState, Principal};
use super::path::without_query;
use super::pattern::Port;
use super::policy::problem::Problem;
use super::reason::Effect;
use super::request::{Attributes, Request, last_value};
use super::rule_info::RuleInfo;
use super::rules::RuleCounts;
use super::settings::Enforcement;
use super::snapshot::{Revision, Snapshot};
use super::time::UnixNanos;

/// Something that happened and is on record.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A check was decided.
    Decision(Box<DecisionEntry>),
    /// A policy set was published, or refused.
    PolicyChange(Box<PolicyChangeEntry>),
    /// An operator asked what a check would get; nothing crossed.
    Question(Box<QuestionEntry>),
    /// A grant in force came to its end.
    GrantEnd(Box<GrantEndEntry>),
}

/// One decided check: the normalised inputs, the three answers, and who to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionEntry {
    /// When the check was decided: the `now` of the decision.
    pub time: UnixNanos,
    /// How long the decision took, in microseconds.
    pub duration_micros: u32,
    /// A UUID of version 7, also told to the caller.
    pub decision_id: String,
    /// The revision of the set that decided.
    pub revision: String,
    /// Whether verdicts are enforced.
    pub enforcement: Enforcement,
    /// What Envoy was told.
    pub effect: Effect,
    /// What the enforced rules said.
    pub verdict: AnswerEntry,
    /// What they would say with everything on trial enforced.
    pub would: AnswerEntry,
    /// The first AUDIT rule that marks the request, if one does.
    pub audit_rule: String,
    /// The identity's state.
    pub identity: IdentityState,
    /// Why an invalid identity is invalid.
    pub identity_detail: Option<&'static str>,
    /// The principal as sent.
    pub principal: String,
    /// The trust domain of a well-formed principal.
    pub trust_domain: String,
    /// The namespace of a well-formed principal.
    pub namespace: String,
    /// The service account of a well-formed principal.
    pub service_account: String,
    /// The connection's peer.
    pub source_address: String,
    /// `http` or `tcp`.
    pub protocol: &'static str,
    /// The canonical host, where it is known.
    pub host: String,
    /// The authority or SNI as sent.
    pub raw_host: String,
    /// The port that goes with the host, where it is known.
    pub port: Option<u16>,
    /// The gateway's listener port.
    pub listener_port: Option<u16>,
    /// The SNI of the session, where it is told.
    pub sni: String,
    /// The method, as sent.
    pub method: String,
    /// The path, as sent, without its query.
    pub path: String,
    /// The gateway's own identity.
    pub gateway: String,
    /// `x-request-id`
    pub request_id: String,
    /// `traceparent`
    pub traceparent: String,
    /// Envoy's stream id.
    pub stream_id: String,
    /// The names of the fields that were cut.
    pub truncated: Vec<&'static str>,
}

/// One of the answers of a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerEntry {
    /// Allow or deny.
    pub effect: Effect,
    /// Why.
    pub reason: &'static str,
    /// The rule that spoke.
    pub rule: String,
    /// The gates that stayed closed (a denial) or opened (an allow).
    pub gate: &'static str,
    /// For a denial at one gate: the other one, if it was open.
    pub open_gate: &'static str,
    /// Whether a valid identity, and nothing else, was missing.
    pub by_identity: bool,
    /// Where the rule stands: `file:line`.
    pub origin: String,
    /// Who to ask.
    pub owner: String,
    /// The rule's ticket.
    pub ticket: String,
    /// Why the rule exists.
    pub rule_reason: String,
    /// When the rule's grant ends or ended.
    pub expires: Option<UnixNanos>,
    /// The exception that would have opened a deny, had it not expired.
    pub expired: String,
}

impl AnswerEntry {
    fn of(answer: &super::decision::Answer) -> AnswerEntry {
        let info = answer.rule.info();
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let denied = answer.effect() == Effect::Deny;
        AnswerEntry {
            effect: answer.effect(),
            reason: answer.reason.as_str(),
            rule: answer.rule.to_string(),
            gate: answer.gate(),
            open_gate: if denied { answer.gates.in_state(super::decision::Gate::Open) } else { "" },
            by_identity: answer.by_identity,
            origin: info.map(RuleInfo::origin).unwrap_or_default(),
            owner: text(info.and_then(RuleInfo::owner)),
            ticket: text(info.and_then(RuleInfo::ticket)),
            rule_reason: text(info.and_then(RuleInfo::reason)),
            expires: info.and_then(RuleInfo::expires),
            expired: answer.expired.as_ref().map(|info| info.id.to_string()).unwrap_or_default(),
        }
    }
}

/// What the edge knows of a check and the engine does not.
#[derive(Clone, Debug)]
pub struct Occasion {
    /// The wall clock when the check was decided, read once.
    pub time: UnixNanos,
    /// How long it took, in microseconds.
    pub duration_micros: u32,
    /// The decision's id.
    pub decision_id: String,
}

impl DecisionEntry {
    /// Tells a decision: the inputs as normalised, the answers, and the occasion.
    pub fn of(
        attributes: &Attributes<'_>,
        request: &Request<'_>,
        decision: &Decision,
        snapshot: &Snapshot,
        occasion: Occasion,
    ) -> DecisionEntry {
        let mut truncated = Vec::new();
        let mut cap = |name, text: &str, limit| capped(name, text, limit, &mut truncated);
        let http = attributes.http.as_ref();
        let raw_host = http.map_or(attributes.service, |http| http.host);
        let workload = match request.principal {
            Principal::Workload(id) => Some(id),
            Principal::Absent | Principal::Invalid(_) => None,
        };
        let of_workload = |part: Option<&str>| part.unwrap_or_default().to_owned();
        let header = |name| http.and_then(|http| last_value(http.headers, name)).unwrap_or_default();
        DecisionEntry {
            time: occasion.time,
            duration_micros: occasion.duration_micros,
            decision_id: occasion.decision_id,
            revision: snapshot.revision().to_string(),
            enforcement: snapshot.settings().enforcement,
            effect: decision.outcome.effect(),
            verdict: AnswerEntry::of(&decision.verdict),
            would: AnswerEntry::of(&decision.would),
            audit_rule: decision.audit.as_ref().map(|info| info.id.to_string()).unwrap_or_default(),
            identity: decision.identity,
            identity_detail: decision.identity_detail.map(super::identity::Invalid::as_str),
            principal: cap("principal", attributes.source_principal, 2048),
            trust_domain: of_workload(workload.map(|id| id.trust_domain)),
            namespace: of_workload(workload.map(|id| id.namespace)),
            service_account: of_workload(workload.map(|id| id.service_account)),
            source_address: attributes.source_address.map(|ip| ip.to_string()).unwrap_or_default(),
            protocol: if http.is_some() { "http" } else { "tcp" },
            host: request.host_text().unwrap_or_default(),
            raw_host: cap("rawHost", raw_host, 255),
            port: match request.destination.port {
                Port::Known(port) => Some(port),
                Port::Absent | Port::Unknown => None,
            },
            listener_port: attributes.listener_port,
            sni: cap("sni", attributes.tls_sni.unwrap_or_default(), 255),
            method: cap("method", http.map_or("", |http| http.method), 64),
            path: cap("path", http.map_or("", |http| without_query(http.path)), 1024),
            gateway: cap("gateway", attributes.destination_principal, 2048),
            request_id: cap("requestId", &header("x-request-id"), 128),
            traceparent: cap("traceparent", &header("traceparent"), 128),
            stream_id: cap("streamId", http.map_or("", |http| http.stream_id), 64),
            truncated,
        }
    }
}

/// At most `limit` bytes of a text, cut between characters; a cut is noted under the field's name.
fn capped(name: &'static str, text: &str, limit: usize, truncated: &mut Vec<&'static str>) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    truncated.push(name);
    text.get(..text.floor_char_boundary(limit)).unwrap_or_default().to_owned()
}

/// A question about a check that did not happen, and what it would have got. It is never counted as a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct QuestionEntry {
    /// When it was asked.
    pub time: UnixNanos,
    /// The address of whoever asked.
    pub asked_by: String,
    /// The moment that was asked about.
    pub now: UnixNanos,
    /// What a decision would have on record; it has neither an id nor a duration.
    pub answer: DecisionEntry,
}

/// The end of a grant: from then on it opens nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantEndEntry {
    /// When it was seen.
    pub time: UnixNanos,
    /// The allow entry or exception.
    pub rule: String,
    /// Where it stands: `file:line`.
    pub origin: String,
    /// Who to ask.
    pub owner: String,
    /// Its ticket.
    pub ticket: String,
    /// Why it existed.
    pub rule_reason: String,
    /// The moment of its end.
    pub expires: UnixNanos,
    /// The revision in force.
    pub revision: String,
}

impl GrantEndEntry {
    /// Tells the end of a grant.
    pub fn of(info: &RuleInfo, expires: UnixNanos, time: UnixNanos, revision: &Revision) -> GrantEndEntry {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        GrantEndEntry {
            time,
            rule: info.id.to_string(),
            origin: info.origin(),
            owner: text(info.owner()),
            ticket: text(info.ticket()),
            rule_reason: text(info.reason()),
            expires,
            revision: revision.to_string(),
        }
    }
}

/// What became of a change of the policy files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeOutcome {
    /// A new set is in force and nothing was refused.
    Published,
    /// A new set is in force, and some source was refused and keeps its last good content.
    PublishedInPart,
    /// Nothing changed in what is in force: every changed source was refused.
    Refused,
    /// Nothing changed in what is in force, and every source is good again.
    Recovered,
}

impl ChangeOutcome {
    /// Every outcome, in the order in which documents list them.
    pub const ALL: [ChangeOutcome; 4] =
        [ChangeOutcome::Published, ChangeOutcome::PublishedInPart, ChangeOutcome::Refused, ChangeOutcome::Recovered];

    /// The name in records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeOutcome::Published => "published",
            ChangeOutcome::PublishedInPart => "published_in_part",
            ChangeOutcome::Refused => "refused",
            ChangeOutcome::Recovered => "recovered",
        }
    }
}

/// A change of the policy files, applied or refused.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyChangeEntry {
    /// When it was decided.
    pub time: UnixNanos,
    /// What became of it.
    pub outcome: ChangeOutcome,
    /// The revision in force afterwards.
    pub revision: String,
    /// The revision in force before.
    pub previous_revision: String,
    /// The sources that were refused, by name.
    pub refused_sources: Vec<String>,
    /// What is wrong with them, and the warnings of what is in force.
    pub problems: Vec<Problem>,
    /// The rules in force afterwards.
    pub counts: RuleCounts,
}
