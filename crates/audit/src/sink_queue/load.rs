//! What a record needs of a queue: its class, and the bytes that it holds.
//!
//! The rule: the class says whether a record may take the last quarter of a queue, and where it is
//! counted if it is lost.

use super::Message;
use customs_engine::effect::Effect;
use customs_engine::time::UnixNanos;
use customs_record::{CallerGoneEntry, DecisionRecord, Loss, WithheldEntry};

/// The weight of a record that is not a decision: at most a policy change with many problems.
pub(super) const EVENT_WEIGHT: u64 = 4096;

/// How a queue that is nearly full treats a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A decision whose three answers are allow.
    Allow,
    /// A decision whose three answers are deny.
    Denial,
    /// A decision whose three answers differ.
    Differing,
    /// A decision whose answer was withheld. It leaves the last quarter to the others.
    Withheld,
    /// A record that is not a decision.
    Event,
    /// A record about a decision that is already recorded. There may be one for each allow, so it
    /// leaves the last quarter to the others. It counts as an event.
    FollowUp,
}

impl Class {
    /// Returns the class of a decision whose answer is given.
    pub fn of(decision: &DecisionRecord) -> Class {
        let decision = decision.facts();
        match decision.effect {
            _ if decision.differs() => Class::Differing,
            Effect::Deny => Class::Denial,
            Effect::Allow => Class::Allow,
        }
    }

    pub(super) fn is_reserved_for(self) -> bool {
        matches!(self, Class::Denial | Class::Differing | Class::Event)
    }

    /// Returns the count of lost records of this class.
    pub(super) fn of_loss(self, loss: &mut Loss) -> &mut u64 {
        match self {
            Class::Allow => &mut loss.allows,
            Class::Denial => &mut loss.denials,
            Class::Differing => &mut loss.differing,
            Class::Withheld => &mut loss.withheld,
            Class::Event | Class::FollowUp => &mut loss.events,
        }
    }
}

/// What a record needs of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its class.
    pub class: Class,
    /// Its weight.
    pub bytes: u64,
    /// When it happened.
    pub time: UnixNanos,
}

impl Load {
    /// Returns what a decision needs as one of this class.
    pub fn of_decision(decision: &DecisionRecord, class: Class) -> Load {
        Load {
            class,
            bytes: decision.weight() as u64,
            time: decision.time(),
        }
    }

    /// Returns what an event needs.
    pub fn of_event(time: UnixNanos) -> Load {
        Load {
            class: Class::Event,
            bytes: EVENT_WEIGHT,
            time,
        }
    }

    /// Returns what an event about a decision needs, with the text that it holds.
    pub fn of_follow_up(time: UnixNanos, text: &str) -> Load {
        let held =
            size_of::<Message>() + size_of::<WithheldEntry>().max(size_of::<CallerGoneEntry>());
        Load {
            class: Class::FollowUp,
            bytes: (held + text.len()) as u64,
            time,
        }
    }
}
