//! What a stretch of records says about itself: how many there are, of which time and of which
//! streams, and which are missing.
//!
//! It verifies nothing; [`verify`](crate::verify) does. The rules: surveys of stretches that follow
//! each other can be joined, and then say what a survey of the whole would have said; what is kept
//! is bounded.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Loss;
use crate::scan::ScannedRecord;

/// How many ranges of missing records are kept for a stream.
const MISSING: usize = 100;

/// A time: the seconds since 1970, and the nanoseconds after that.
pub type Moment = (i64, i32);

/// Returns a time as a moment.
pub fn moment(time: Timestamp) -> Moment {
    (time.seconds, time.nanos)
}

/// What a stretch of records says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The number of records.
    pub records: u64,
    /// The earliest and the latest time of a record.
    pub span: Option<(Moment, Moment)>,
    /// The streams, by their ids.
    pub streams: BTreeMap<String, StreamRun>,
    /// The records that say what was lost: when they were written, and how many records they count.
    pub gaps: Vec<(Option<Moment>, u64)>,
}

/// The records of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRun {
    /// The number of the first record.
    pub first: u64,
    /// The number of the last one.
    pub last: u64,
    /// The numbers that were passed over, from and to; the first of them.
    pub missing: Vec<(u64, u64)>,
    /// How many more ranges were passed over.
    pub more: u64,
}

impl Survey {
    /// Takes the next record.
    pub fn take(&mut self, record: &ScannedRecord<'_>) {
        let head = &record.fields.head;
        let time = head.time.map(moment);
        self.records += 1;
        time.into_iter().for_each(|time| self.extend(time, time));
        if head.sequence > 0 {
            match self.streams.get_mut(&*head.stream) {
                Some(run) => run.join(head.sequence, head.sequence),
                None => {
                    let run = StreamRun {
                        first: head.sequence,
                        last: head.sequence,
                        ..StreamRun::default()
                    };
                    self.streams.insert(head.stream.to_string(), run);
                }
            }
        }
        if head.kind == "gap" {
            let lost = record.whole().and_then(|gap| gap.lost).unwrap_or_default();
            self.gaps.push((time, Loss::from(lost).total()));
        }
    }

    /// Adds the survey of the records that come next.
    pub fn join(&mut self, next: Survey) {
        self.records += next.records;
        if let Some((first, last)) = next.span {
            self.extend(first, last);
        }
        for (stream, next) in next.streams {
            match self.streams.get_mut(&stream) {
                Some(run) => {
                    let known = run.last;
                    run.join(next.first, next.last);
                    for (from, to) in next.missing.into_iter().filter(|(_, to)| *to > known) {
                        run.miss((from.max(known.saturating_add(1)), to));
                    }
                    run.more += next.more;
                }
                None => {
                    self.streams.insert(stream, next);
                }
            }
        }
        self.gaps.extend(next.gaps);
    }

    fn extend(&mut self, first: Moment, last: Moment) {
        let (from, to) = self.span.unwrap_or((first, last));
        self.span = Some((from.min(first), to.max(last)));
    }

    /// Returns about how many bytes it takes.
    pub fn weight(&self) -> usize {
        self.streams.len() * 128 + self.gaps.len() * 32
    }
}

impl StreamRun {
    /// Adds records that come next.
    fn join(&mut self, first: u64, last: u64) {
        let next = self.last.saturating_add(1);
        if first > next {
            self.miss((next, first - 1));
        }
        // A number that was there already is a copy, which is not missing.
        self.last = self.last.max(last);
    }

    fn miss(&mut self, range: (u64, u64)) {
        match self.missing.len() < MISSING {
            true => self.missing.push(range),
            false => self.more += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_reader::{RawRecord, RecordPlace};
    use crate::stream::Format;

    fn survey(records: &[(&str, u64)]) -> Survey {
        let mut survey = Survey::default();
        for (stream, sequence) in records {
            let line = format!(
                "{{\"time\":\"2026-11-23T12:00:{:02}.000000000Z\",\"kind\":\"gap\",\
                 \"stream\":\"{stream}\",\"sequence\":\"{sequence}\",\"lost\":{{\"allows\":\"2\"}}}}",
                sequence % 60
            );
            let raw = RawRecord {
                bytes: line.as_bytes(),
                format: Format::Json,
                place: RecordPlace {
                    number: 1,
                    offset: 0,
                },
            };
            raw.scan(|record| survey.take(record)).unwrap();
        }
        survey
    }

    #[test]
    fn numbers_that_are_passed_over_are_missing_wherever_the_records_are_cut() {
        let records = [
            ("a", 5),
            ("b", 1),
            ("a", 6),
            ("a", 9),
            ("b", 2),
            ("a", 9),
            ("b", 7),
            ("a", 10),
        ];
        let whole = survey(&records);
        assert_eq!(whole.streams["a"].missing, [(7, 8)]);
        assert_eq!(whole.streams["b"].missing, [(3, 6)]);
        assert_eq!((whole.records, whole.gaps.len()), (8, 8));
        for at in 0..=records.len() {
            let (one, two) = records.split_at(at);
            let mut joined = survey(one);
            joined.join(survey(two));
            assert_eq!(joined, whole, "{at}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let records: Vec<(&str, u64)> = (1..500).map(|number| ("a", number * 2)).collect();
        let run = &survey(&records).streams["a"];
        assert_eq!((run.missing.len(), run.more), (MISSING, 498 - 100));
    }
}
