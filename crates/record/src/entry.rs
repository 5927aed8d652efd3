//! One [`Entry`] for each event. The records of the audit log, the log lines, the counters and
//! every later rendering are made from it. A fact is held once, here; a rendering only chooses and
//! escapes.
//!
//! The fields of an entry are the rows of its table in [`fields`](crate::fields). The modules here
//! make entries: [`decision_record`] makes decisions, with [`headers`] and [`optional_fields`];
//! [`grant_expired`] makes the ends of grants; [`refusals`] counts what was refused before it was a
//! check; [`audit_log`] has what the audit log says about itself.
//!
//! Nothing secret enters an entry: no cookies, no authorization header, no body and no query
//! string. Of the headers it holds the request id, the trace context, those that a policy asks for,
//! and those of the optional fields that a decision may rest on. Text that a client controls is
//! capped, and `truncated` names what was capped.

pub mod audit_log;
pub mod decision_record;
pub mod grant_expired;
pub mod headers;
pub mod optional_fields;
pub mod refusals;

use std::sync::Arc;

pub use crate::fields::decision::{AnswerEntry, DecisionEntry, OptionalFields};
pub use crate::fields::events::{
    CallerGoneEntry, GapEntry, GrantExpiredEntry, HeaderEntry, LagEntry, Loss, QuestionEntry,
    RefusalCount, RefusalsEntry, StartEntry, StopEntry, WithheldEntry,
};
pub use audit_log::{CheckpointEntry, StreamEntry};
pub use decision_record::DecisionRecord;
pub use refusals::{PeerAddress, RefusalCause};

use crate::fields::events::{CheckpointFields, PolicyChangeFields, StreamFields};
use crate::fields::{DECISION_KIND, Message};
use crate::trace_context::TraceContext;
use customs_engine::time::UnixNanos;
use customs_policy::policy_change::PolicyChange;

/// An event that is recorded. Clones share it.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A check was decided.
    Decision(Arc<DecisionRecord>),
    /// A policy set was published, or refused.
    PolicyChange(Arc<PolicyChange>),
    /// An operator asked how a check would be decided; no check happened.
    Question(Arc<QuestionEntry>),
    /// A grant in force expired.
    GrantExpired(Arc<GrantExpiredEntry>),
    /// The process started.
    Start(Arc<StartEntry>),
    /// The process stopped in order.
    Stop(Arc<StopEntry>),
    /// The answer of a recorded decision was withheld afterwards.
    Withheld(Arc<WithheldEntry>),
    /// The caller of a recorded decision gave up before it was answered.
    CallerGone(Arc<CallerGoneEntry>),
    /// Connections or calls at the address of checks were refused before they were checks.
    Refusals(Arc<RefusalsEntry>),
    /// A stream of records begins, or continues in another file.
    Stream(Arc<StreamEntry>),
    /// Records were lost.
    Gap(Arc<GapEntry>),
    /// A subscriber missed records.
    Lag(Arc<LagEntry>),
    /// The length of a stream at a moment, and its chain.
    Checkpoint(Arc<CheckpointEntry>),
}

impl Entry {
    /// Returns the kind as records spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Entry::Decision(_) => DECISION_KIND,
            Entry::PolicyChange(_) => PolicyChangeFields::NAME,
            Entry::Question(_) => QuestionEntry::NAME,
            Entry::GrantExpired(_) => GrantExpiredEntry::NAME,
            Entry::Start(_) => StartEntry::NAME,
            Entry::Stop(_) => StopEntry::NAME,
            Entry::Withheld(_) => WithheldEntry::NAME,
            Entry::CallerGone(_) => CallerGoneEntry::NAME,
            Entry::Refusals(_) => RefusalsEntry::NAME,
            Entry::Stream(_) => StreamFields::NAME,
            Entry::Gap(_) => GapEntry::NAME,
            Entry::Lag(_) => LagEntry::NAME,
            Entry::Checkpoint(_) => CheckpointFields::NAME,
        }
    }

    /// Returns when it happened.
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

/// What the edge knows about a check and the engine does not.
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
    /// The headers whose values are recorded, in lower case.
    pub recorded_headers: &'a [String],
    /// Who sent the check, as its connection proves; empty if it proves nothing.
    pub peer_identity: &'a str,
    /// The trace of the check, for a request that names none.
    pub trace_context: Option<TraceContext>,
}

impl<T> DecisionEntry<T> {
    /// Returns whether effect, verdict and dry run differ.
    pub fn differs(&self) -> bool {
        self.verdict.effect != self.dry_run.effect || self.effect != self.verdict.effect
    }

    /// Returns whether an answer rests on a grant or an exception that expires.
    pub fn rests_on_an_end(&self) -> bool {
        [&self.verdict, &self.dry_run]
            .iter()
            .any(|a| a.expires.is_some() || a.exception_expires.is_some())
    }

    /// Returns the optional fields; most decisions have none.
    pub fn optional(&self) -> &OptionalFields {
        self.optional.as_deref().unwrap_or(OptionalFields::NONE)
    }

    /// Returns the optional fields for changing them.
    pub fn optional_mut(&mut self) -> &mut OptionalFields {
        Arc::make_mut(self.optional.get_or_insert_default())
    }
}

/// Cuts a text to at most `limit` bytes, between characters, and adds the field's name to
/// `truncated` if it was cut.
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
