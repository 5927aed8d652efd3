//! The record: one [`Entry`] for each event, from which the audit line, the log line, the counters and every later
//! rendering are made. One fact is typed once, here; a rendering only chooses and escapes.
//!
//! The fields of an entry are the rows of its table in [`fields`](crate::fields). Here is how
//! entries are made: decisions in [`decision_record`], with [`headers`] and [`optional_fields`];
//! ends of grants in [`grant_expired`]; what was refused before it was a check in [`refusals`];
//! what the audit log says of itself in [`audit_log`].
//!
//! Nothing secret enters an entry: no cookies, no authorization, no body and no query string. Of headers it holds the request
//! id, the trace context, what a policy asks for, and what of the optional fields a decision may rest on. Text that a client controls is capped, and what was capped is named in `truncated`.

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
    /// The headers whose values are recorded, in lower case.
    pub recorded_headers: &'a [String],
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
