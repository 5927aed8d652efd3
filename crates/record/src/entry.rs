//! The record: one [`Entry`] for each event, from which the audit line, the log line, the counters and every later
//! rendering are made. One fact is typed once, here; a rendering only chooses and escapes.
//!
//! What is decided is told here, other events of a server in [`event`], what was refused before
//! it was a check in [`refusals`], and what the trail tells of itself in [`trail`].
//!
//! Nothing secret enters an entry: no cookies, no authorization, no body and no query string. Of headers it holds the request
//! id, the trace context, what a policy asks for, and what of the optional fields a decision may rest on. Text that a client controls is capped, and what was capped is named in `truncated`.

pub mod decision_record;
pub mod event;
pub mod headers;
pub mod optional_fields;
pub mod refusals;
pub mod trail;

use std::sync::Arc;

pub use decision_record::DecisionRecord;
pub use event::{
    CallerGoneEntry, GrantExpiredEntry, QuestionEntry, StartEntry, StopEntry, WithheldEntry,
};
pub use headers::HeaderEntry;
pub use optional_fields::OptionalFields;
pub use refusals::{PeerAddress, RefusalCause, RefusalCount, RefusalsEntry};
pub use trail::{CheckpointEntry, GapEntry, LagEntry, Loss, StreamEntry};

use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::identity::IdentityState;
use customs_engine::reason::Reason;
use customs_engine::time::UnixNanos;
use customs_policy::policy_change::PolicyChange;

/// Something that happened and is on record. Clones share it.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A check was decided.
    Decision(Arc<DecisionRecord>),
    /// A policy set was published, or refused.
    PolicyChange(Arc<PolicyChange>),
    /// An operator asked what a check would get; nothing crossed.
    Question(Arc<QuestionEntry>),
    /// A grant in force came to its end.
    GrantExpired(Arc<GrantExpiredEntry>),
    /// The process starts.
    Start(Arc<StartEntry>),
    /// The process stops, in order.
    Stop(Arc<StopEntry>),
    /// The answer of a decision that is on record was withheld after all.
    Withheld(Arc<WithheldEntry>),
    /// The caller of a decision that is on record had given up before it was answered.
    CallerGone(Arc<CallerGoneEntry>),
    /// Something came to the address of checks and was refused before it was a check.
    Refusals(Arc<RefusalsEntry>),
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
            Entry::GrantExpired(_) => "grantEnd",
            Entry::Start(_) => "start",
            Entry::Stop(_) => "stop",
            Entry::Withheld(_) => "withheld",
            Entry::CallerGone(_) => "callerGone",
            Entry::Refusals(_) => "refusals",
            Entry::Stream(_) => "stream",
            Entry::Gap(_) => "gap",
            Entry::Lag(_) => "lag",
            Entry::Checkpoint(_) => "checkpoint",
        }
    }

    /// When it happened.
    pub fn time(&self) -> UnixNanos {
        match self {
            Entry::Decision(entry) => entry.time(),
            Entry::PolicyChange(entry) => entry.time,
            Entry::Question(entry) => entry.time,
            Entry::GrantExpired(entry) => entry.time,
            Entry::Start(entry) => entry.time,
            Entry::Stop(entry) => entry.time,
            Entry::Withheld(entry) => entry.time,
            Entry::CallerGone(entry) => entry.time,
            Entry::Refusals(entry) => entry.time,
            Entry::Stream(entry) => entry.time,
            Entry::Gap(entry) => entry.time,
            Entry::Lag(entry) => entry.time,
            Entry::Checkpoint(entry) => entry.time,
        }
    }
}

/// One decided check: the normalised inputs, the three answers, and who to ask. `T` is what a text is: a `String` where
/// it stands by itself, a part of a [`DecisionRecord`] where it travels.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionEntry<T = String> {
    /// When the check was decided: the `now` of the decision.
    pub time: UnixNanos,
    /// How long the decision took, in microseconds.
    pub duration_micros: u32,
    /// A UUID of version 7, also told to the caller.
    pub decision_id: T,
    /// The number of the decision in its process, from 1.
    pub decision_number: u64,
    /// The revision of the set that decided.
    pub revision: T,
    /// Whether verdicts are enforced.
    pub enforcement: Enforcement,
    /// What Envoy was told, or would have been told if the caller had waited.
    pub effect: Effect,
    /// What the enforced rules said.
    pub verdict: AnswerEntry<T>,
    /// What they would say with everything on trial enforced.
    pub dry_run: AnswerEntry<T>,
    /// The first AUDIT rule that marks the request, if one does.
    pub audit_rule: T,
    /// The identity's state.
    pub identity: IdentityState,
    /// Why an invalid identity is invalid.
    pub identity_detail: Option<&'static str>,
    /// The principal as sent.
    pub principal: T,
    /// The trust domain of a well-formed principal.
    pub trust_domain: T,
    /// The namespace of a well-formed principal.
    pub namespace: T,
    /// The service account of a well-formed principal.
    pub service_account: T,
    /// The connection's peer.
    pub source_address: T,
    /// The client behind the declared trusted proxies; empty where none are declared.
    pub remote_address: T,
    /// The gateway's listener address.
    pub destination_address: T,
    /// `http` or `tcp`.
    pub protocol: &'static str,
    /// The canonical host, where it is known.
    pub host: T,
    /// The authority or SNI as sent.
    pub raw_host: T,
    /// The port that goes with the host, where it is known.
    pub port: Option<u16>,
    /// The gateway's listener port.
    pub listener_port: Option<u16>,
    /// The SNI of the session, where it is told.
    pub sni: T,
    /// The method, as sent.
    pub method: T,
    /// The path, as sent, without its query.
    pub path: T,
    /// The gateway's own identity.
    pub gateway: T,
    /// `x-request-id`
    pub request_id: T,
    /// `traceparent`
    pub traceparent: T,
    /// Envoy's stream id.
    pub stream_id: T,
    /// Whether the caller had given up before the decision was recorded, so that nobody got its answer.
    pub caller_gone: bool,
    /// What is told only where it is out of the ordinary.
    pub optional: Option<Arc<OptionalFields>>,
}

/// One of the answers of a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerEntry<T = String> {
    /// Allow or deny.
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
    /// The rule that spoke.
    pub rule: T,
    /// The gates that stayed closed (a denial) or opened (an allow).
    pub gate: &'static str,
    /// For a denial at one gate: the other one, if it was open.
    pub open_gate: &'static str,
    /// Whether a valid identity, and nothing else, was missing.
    pub by_identity: bool,
    /// Where the rule stands: `file:line`.
    pub origin: T,
    /// Who to ask.
    pub owner: T,
    /// The rule's ticket.
    pub ticket: T,
    /// Why the rule exists.
    pub rule_reason: T,
    /// When the rule's grant ends or ended.
    pub expires: Option<UnixNanos>,
    /// The exception that would have opened a deny, had it not expired.
    pub expired: T,
    /// The exception that opened a deny which otherwise held.
    pub exception: T,
    /// When that exception ends.
    pub exception_expires: Option<UnixNanos>,
}

/// What the edge knows of a check and the engine does not.
#[derive(Clone, Debug)]
pub struct Occasion<'a> {
    /// The wall clock when the check was decided, read once.
    pub time: UnixNanos,
    /// How long it took, in microseconds.
    pub duration_micros: u32,
    /// The decision's id.
    pub decision_id: &'a str,
    /// The decision's number in its process, from 1.
    pub decision_number: u64,
    /// The headers whose values are told, in lower case.
    pub told_headers: &'a [String],
}

impl<T> DecisionEntry<T> {
    /// Whether effect, verdict and would are not all the same.
    pub fn differs(&self) -> bool {
        self.verdict.effect != self.dry_run.effect || self.effect != self.verdict.effect
    }

    /// Whether some answer rests on a grant or an exception that ends.
    pub fn rests_on_an_end(&self) -> bool {
        [&self.verdict, &self.dry_run]
            .iter()
            .any(|a| a.expires.is_some() || a.exception_expires.is_some())
    }

    /// What is out of the ordinary; nothing, for most.
    pub fn optional(&self) -> &OptionalFields {
        self.optional.as_deref().unwrap_or(OptionalFields::NONE)
    }

    /// What is out of the ordinary, to be changed.
    pub fn optional_mut(&mut self) -> &mut OptionalFields {
        Arc::make_mut(self.optional.get_or_insert_default())
    }
}

/// At most `limit` bytes of a text, cut between characters; a cut is noted under the field's name.
fn capped<'t>(
    name: &'static str,
    text: &'t str,
    limit: usize,
    truncated: &mut Vec<&'static str>,
) -> &'t str {
    if text.len() <= limit {
        return text;
    }
    truncated.push(name);
    text.get(..text.floor_char_boundary(limit))
        .unwrap_or_default()
}
