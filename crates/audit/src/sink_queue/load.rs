//! What a record asks of a queue: its class, and the bytes that it holds.
//!
//! The rule: the class says whether a record may take the last quarter of a queue, and where it is counted if it is lost.

use super::Message;
use customs_engine::effect::Effect;
use customs_engine::time::UnixNanos;
use customs_record::{CallerGoneEntry, DecisionRecord, Loss, WithheldEntry};

/// The weight of what is no decision: a policy change with many problems at most.
pub(super) const EVENT_WEIGHT: u64 = 4096;

/// What a record is to a queue that is nearly full.
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
    /// What is no decision.
    Event,
    /// What is told of a decision that is on record already. There may be one for each allow, so it leaves the last quarter
    /// to the others. It counts as an event.
    FollowUp,
}

impl Class {
    /// The class of a decision whose answer is given.
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

    /// Where it is counted.
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

/// What a record asks of a queue.
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
    /// What a decision asks for as one of this class.
    pub fn of_decision(decision: &DecisionRecord, class: Class) -> Load {
        Load {
            class,
            bytes: decision.weight() as u64,
            time: decision.time(),
        }
    }

    /// What an event asks for.
    pub fn of_event(time: UnixNanos) -> Load {
        Load {
            class: Class::Event,
            bytes: EVENT_WEIGHT,
            time,
        }
    }

    /// What an event asks for that says something more of a decision, with the text that it holds.
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
