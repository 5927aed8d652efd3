//! What the audit log says about itself: where a stream begins, which records were lost, and how
//! long a stream was at a moment.

use super::Loss;
use crate::proto;
use customs_engine::time::UnixNanos;

/// A stream begins or continues in another file: what it holds, and which stream it follows.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEntry {
    /// When it happened.
    pub time: UnixNanos,
    /// The sink, as the settings name it.
    pub sink: String,
    /// Which records the sink takes.
    pub filter: String,
    /// `json` or `protobuf`
    pub format: &'static str,
    /// How its chain is made.
    pub hash: &'static str,
    /// The stream before, and where it ended; `None` for the very first.
    pub previous: Option<Position>,
    /// The number of bytes of an unfinished record that were cut off.
    pub torn_bytes: u64,
    /// What another process did with the file before: `moved` or `deleted`; empty if customs itself
    /// closed it.
    pub previous_file: &'static str,
}

/// A position in a stream: behind one of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The stream's id.
    pub stream: String,
    /// The record's number.
    pub sequence: u64,
    /// The record's chain, 64 hexadecimal digits.
    pub chain: String,
}

impl Loss {
    /// Returns the number of decisions among the lost records; at most `u64::MAX`, because a record
    /// that was read may hold any numbers.
    pub fn decisions(&self) -> u64 {
        [self.allows, self.denials, self.differing, self.withheld]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// Returns the number of all lost records; at most `u64::MAX`.
    pub fn total(&self) -> u64 {
        self.decisions().saturating_add(self.events)
    }
}

impl From<proto::Loss> for Loss {
    fn from(read: proto::Loss) -> Loss {
        let proto::Loss {
            allows,
            denials,
            differing,
            withheld,
            events,
        } = read;
        Loss {
            allows,
            denials,
            differing,
            withheld,
            events,
        }
    }
}

/// The length of a stream at a moment, and its chain.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointEntry {
    /// When it was made.
    pub time: UnixNanos,
    /// The position behind the last record that it covers; the sequence is the number of records.
    pub sealed: Position,
    /// Whether nothing follows in that stream but this record itself.
    pub last: bool,
    /// The key's id. Empty, like the signature, if no key is configured.
    pub key: String,
    /// The signature: 128 hexadecimal digits.
    pub signature: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_of_any_numbers_has_a_sum() {
        let read = proto::Loss {
            allows: u64::MAX,
            denials: 1,
            differing: 0,
            withheld: 0,
            events: u64::MAX,
        };
        let lost = Loss::from(read);
        assert_eq!((lost.decisions(), lost.total()), (u64::MAX, u64::MAX));
    }
}
