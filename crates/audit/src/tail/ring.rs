//! The last records of one stream, for subscribers.
//!
//! It filters nothing and sends nothing. The rules: the writer never waits for a reader; a record
//! leaves the ring only when newer ones need its room; the records in it have no gap, so a number
//! determines where a record is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prost::Message;
use tokio::sync::watch;

use customs_record::fields::TailHead;
use customs_record::record_reader::split_message;

/// The most records that a ring keeps.
pub const RING_RECORDS: usize = 65_536;

/// About the most bytes that they hold in memory.
pub const RING_BYTES: usize = 64 << 20;

/// The cost of a record besides its bytes.
const RECORD_OVERHEAD: usize = 256;

/// A record in the ring: its message as the stream rendered it, and the fields that subscribers
/// filter by.
#[derive(Debug)]
pub struct BufferedRecord {
    /// The bytes of a [`Record`](customs_record::proto::Record).
    pub message: Box<[u8]>,
    /// The fields of it that filters use.
    pub head: TailHead,
}

impl BufferedRecord {
    fn weight(&self) -> usize {
        RECORD_OVERHEAD + self.message.len() + self.head.text_bytes()
    }
}

/// What follows for a reader that wants the record with a number.
#[derive(Debug)]
pub enum Next {
    /// That record.
    Record(Arc<BufferedRecord>),
    /// It is gone, like all up to this number.
    Missed(u64),
    /// It has not arrived yet.
    Wait,
    /// It will never arrive.
    End,
}

/// The ring of one tail.
#[derive(Debug)]
pub struct Ring {
    kept: Mutex<Records>,
    /// Notifies readers of changes.
    changed: watch::Sender<()>,
    limits: (usize, usize),
}

#[derive(Debug)]
struct Records {
    records: VecDeque<Arc<BufferedRecord>>,
    bytes: usize,
    /// The number of the oldest record; of the next one, if there is none.
    first: u64,
    stream: String,
    is_closed: bool,
}

/// The extent of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The stream; empty before its first record.
    pub stream: String,
    /// The number of the oldest record in the ring.
    pub first: u64,
    /// The number of the next record to come.
    pub next: u64,
}

impl Default for Ring {
    fn default() -> Ring {
        Ring::with_limits(RING_RECORDS, RING_BYTES)
    }
}

impl Ring {
    /// Creates a ring that keeps at most this many records, and this many bytes, except for one
    /// record that is larger by itself.
    pub fn with_limits(records: usize, bytes: usize) -> Ring {
        let kept = Records {
            records: VecDeque::new(),
            bytes: 0,
            first: 1,
            stream: String::new(),
            is_closed: false,
        };
        Ring {
            kept: Mutex::new(kept),
            changed: watch::Sender::new(()),
            limits: (records, bytes),
        }
    }

    /// Adds records as a stream of format `protobuf` renders them, each after its length.
    pub fn push_delimited(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some((message, rest)) = split_message(bytes) else {
                tracing::error!(
                    "the audit log's tail got bytes that are not a record; subscribers miss what was in them"
                );
                break;
            };
            self.push(message);
            bytes = rest;
        }
        self.changed.send_replace(());
    }

    fn push(&self, message: &[u8]) {
        let Ok(head) = TailHead::decode(message) else {
            tracing::error!(
                "the audit log's tail got a record that cannot be read; subscribers miss it"
            );
            return;
        };
        let kept = Arc::new(BufferedRecord {
            message: message.into(),
            head,
        });
        let (most_records, most_bytes) = self.limits;
        let mut state = self.state();
        if kept.head.sequence != state.next() || kept.head.stream != state.stream {
            // The first record, or one after a record that could not be read.
            (state.bytes, state.first, state.stream) =
                (0, kept.head.sequence, kept.head.stream.clone());
            state.records.clear();
        }
        state.bytes += kept.weight();
        state.records.push_back(kept);
        while state.records.len() > most_records
            || (state.bytes > most_bytes && state.records.len() > 1)
        {
            let Some(oldest) = state.records.pop_front() else {
                break;
            };
            state.bytes -= oldest.weight();
            state.first += 1;
        }
    }

    /// Closes the ring: no more records come.
    pub fn close(&self) {
        self.state().is_closed = true;
        self.changed.send_replace(());
    }

    /// Returns its extent.
    pub fn extent(&self) -> Extent {
        let state = self.state();
        Extent {
            stream: state.stream.clone(),
            first: state.first,
            next: state.next(),
        }
    }

    /// Returns what follows for a reader that wants the record with this number.
    pub fn next(&self, wanted: u64) -> Next {
        let state = self.state();
        let Some(place) = wanted.checked_sub(state.first) else {
            return Next::Missed(state.first - 1);
        };
        let record = usize::try_from(place)
            .ok()
            .and_then(|place| state.records.get(place));
        match record {
            Some(record) => Next::Record(record.clone()),
            None if state.is_closed => Next::End,
            None => Next::Wait,
        }
    }

    /// Returns a receiver that is notified, once for any number of changes, that there may be new
    /// records.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, Records> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Records {
    fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use customs_record::proto::Record;

    /// Records of a stream, each after its length.
    pub(crate) fn delimited(records: impl IntoIterator<Item = Record>) -> Vec<u8> {
        records
            .into_iter()
            .flat_map(|record| record.encode_length_delimited_to_vec())
            .collect()
    }

    /// A record of stream `s` with this number.
    pub(crate) fn numbered(sequence: u64) -> Record {
        Record {
            kind: "decision".into(),
            stream: "s".into(),
            sequence,
            ..Record::default()
        }
    }

    fn ring(most: usize, count: u64) -> Ring {
        let ring = Ring::with_limits(most, RING_BYTES);
        ring.push_delimited(&delimited((1..=count).map(numbered)));
        ring
    }

    fn shown(next: Next) -> String {
        match next {
            Next::Record(record) => record.head.sequence.to_string(),
            Next::Missed(to) => format!("missed to {to}"),
            Next::Wait => "wait".into(),
            Next::End => "end".into(),
        }
    }

    #[test]
    fn a_ring_keeps_the_last_records() {
        let ring = ring(3, 5);
        assert_eq!(
            ring.extent(),
            Extent {
                stream: "s".into(),
                first: 3,
                next: 6
            }
        );
        for (wanted, expected) in [
            (1, "missed to 2"),
            (2, "missed to 2"),
            (3, "3"),
            (5, "5"),
            (6, "wait"),
            (9, "wait"),
        ] {
            assert_eq!(shown(ring.next(wanted)), expected, "{wanted}");
        }
        ring.close();
        assert_eq!(shown(ring.next(5)), "5");
        assert_eq!(shown(ring.next(6)), "end");
    }

    #[test]
    fn an_empty_ring_waits_for_its_first_record() {
        let ring = Ring::default();
        assert_eq!(
            ring.extent(),
            Extent {
                stream: String::new(),
                first: 1,
                next: 1
            }
        );
        assert_eq!(shown(ring.next(1)), "wait");
        ring.close();
        assert_eq!(shown(ring.next(1)), "end");
    }

    #[test]
    fn bytes_bound_it_too_and_one_record_always_fits() {
        let ring = Ring::with_limits(100, 3 * (RECORD_OVERHEAD + 64));
        ring.push_delimited(&delimited((1..=50).map(numbered)));
        let extent = ring.extent();
        assert_eq!(extent.next, 51);
        assert!((2..=5).contains(&(51 - extent.first)), "{extent:?}");
        let large = Record {
            raw_host: "x".repeat(5000),
            ..numbered(51)
        };
        ring.push_delimited(&delimited([large]));
        assert_eq!(
            ring.extent(),
            Extent {
                stream: "s".into(),
                first: 51,
                next: 52
            }
        );
    }

    #[test]
    fn bytes_that_are_not_a_record_are_left_out_and_what_follows_is_kept() {
        let ring = ring(10, 2);
        ring.push_delimited(&[5, 1, 2]);
        ring.push_delimited(&[2, 0xff, 0xff]);
        assert_eq!(ring.extent().next, 3);
        ring.push_delimited(&delimited([numbered(4)]));
        assert_eq!(
            ring.extent(),
            Extent {
                stream: "s".into(),
                first: 4,
                next: 5
            }
        );
        assert_eq!(shown(ring.next(3)), "missed to 3");
    }

    #[test]
    fn what_is_chosen_by_has_the_numbers_of_the_proto() {
        let record = Record {
            effect: "deny".into(),
            reason: "no_rule".into(),
            namespace: "shop".into(),
            host: "x.example".into(),
            ..numbered(7)
        };
        let TailHead {
            kind,
            stream,
            sequence,
            effect,
            reason,
            namespace,
            host,
        } = TailHead::decode(record.encode_to_vec().as_slice()).unwrap();
        let texts = [kind, stream, effect, reason, namespace, host];
        assert_eq!(
            texts,
            ["decision", "s", "deny", "no_rule", "shop", "x.example"]
        );
        assert_eq!(sequence, 7);
    }
}
