//! The parts of an export: all records, or those of a day each; and the records that a thread has
//! gathered for them.
//!
//! It writes nothing. The rule: a record is in one part, which its time alone decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rows::RecordRows;
use crate::schema::RecordSchema;
use customs_engine::time::UnixNanos;
use customs_record::proto::Record;
use customs_record::timestamp;

pub(super) const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// The part of an export to which a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Partition {
    /// All records.
    Whole,
    /// Those of a day, counted from 1970-01-01.
    Day(i64),
    /// Those without a time.
    Timeless,
}

impl Partition {
    /// Returns the partition of a record.
    fn of(record: &Record, is_by_day: bool) -> Partition {
        match (is_by_day, record.time) {
            (false, _) => Partition::Whole,
            (true, Some(time)) => Partition::Day(time.seconds.div_euclid(SECONDS_OF_A_DAY)),
            (true, None) => Partition::Timeless,
        }
    }

    /// Returns its directory below that of the export, as Hive names it.
    pub(super) fn directory(self) -> Option<String> {
        match self {
            Partition::Whole => None,
            Partition::Day(day) => Some(format!("date={}", date(day))),
            Partition::Timeless => Some("date=__HIVE_DEFAULT_PARTITION__".to_owned()),
        }
    }
}

/// Returns the date of a day, counted from 1970-01-01.
fn date(day: i64) -> String {
    let nanos = i128::from(day) * i128::from(SECONDS_OF_A_DAY) * 1_000_000_000;
    let mut text = timestamp::text(UnixNanos(nanos));
    text.truncate("2026-11-24".len());
    text
}

/// Records for an export, gathered by one thread.
#[derive(Debug)]
pub struct GatheredRecords {
    schema: Arc<RecordSchema>,
    is_by_day: bool,
    pub(super) parts: BTreeMap<Partition, RecordRows>,
}

impl GatheredRecords {
    /// Adds a record.
    pub fn add(&mut self, record: &Record) {
        let partition = Partition::of(record, self.is_by_day);
        let schema = &self.schema;
        let rows = self.parts.entry(partition);
        rows.or_insert_with(|| RecordRows::new(schema.clone()))
            .append(record);
    }

    /// Returns about how many bytes they take.
    pub fn weight(&self) -> usize {
        self.parts.values().map(RecordRows::weight).sum()
    }
}

/// Makes [`GatheredRecords`]; threads share it.
#[derive(Clone, Debug)]
pub struct Gatherer {
    pub(super) schema: Arc<RecordSchema>,
    pub(super) is_by_day: bool,
}

impl Gatherer {
    /// Returns a place for records.
    pub fn begin(&self) -> GatheredRecords {
        GatheredRecords {
            schema: self.schema.clone(),
            is_by_day: self.is_by_day,
            parts: BTreeMap::new(),
        }
    }
}
