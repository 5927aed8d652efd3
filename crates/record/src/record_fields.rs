//! The fields of a record that has only those of a decision, read from its bytes without copying
//! their texts.
//!
//! Most records of an audit log are decisions, and code that counts, searches or replays them needs
//! few of their fields. The rule: a record that is read here equals the one that
//! [`record_by_schema`](crate::decode::record_by_schema) decodes; anything unusual is left to that.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::decode;
use crate::fields::borrowed::{
    BorrowedFields, BorrowedText, BorrowedValue, NotBorrowed, Slot, read_message,
};
use crate::fields::{CHAIN, CHAIN_NUMBER, DecisionFields, HeadFields};
use crate::proto::Record;
use crate::stream::Format;

/// The fields of a record: those with which every record begins, those of a decision, and the
/// chain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordFields<'r> {
    /// The fields with which every record begins.
    pub head: HeadFields<'r>,
    /// The fields of a decision.
    pub decision: DecisionFields<'r>,
    /// The chain.
    pub chain: Cow<'r, str>,
}

impl<'r> RecordFields<'r> {
    /// Returns these fields of a record.
    pub fn of(record: &'r Record) -> RecordFields<'r> {
        RecordFields {
            head: BorrowedFields::of(record),
            decision: BorrowedFields::of(record),
            chain: Cow::Borrowed(&record.chain),
        }
    }

    /// Returns a record with these fields and no other.
    pub fn to_record(&self) -> Record {
        let mut record = Record {
            chain: self.chain.to_string(),
            ..Record::default()
        };
        self.head.put(&mut record);
        self.decision.put(&mut record);
        record
    }

    /// Reads a line without its line feed, or a message without its length; `None` if the bytes
    /// are anything but a record with these fields.
    pub(crate) fn read(format: Format, bytes: &'r [u8]) -> Option<RecordFields<'r>> {
        let mut fields = RecordFields::default();
        let is_read = match format {
            Format::Json => {
                let mut json = serde_json::Deserializer::from_str(std::str::from_utf8(bytes).ok()?);
                json.deserialize_map(Line(&mut fields))
                    .and_then(|()| json.end())
                    .is_ok()
            }
            Format::Protobuf => fields.read_message(bytes).is_ok(),
        };
        (is_read && !fields.head.kind.is_empty()).then_some(fields)
    }

    fn read_message(&mut self, bytes: &'r [u8]) -> Result<(), NotBorrowed> {
        read_message(bytes, |number, wire, bytes| {
            if number == CHAIN_NUMBER {
                self.chain.read_message(wire, bytes)?;
                return Ok(true);
            }
            Ok(self.decision.read_message_field(number, wire, bytes)?
                || self.head.read_message_field(number, wire, bytes)?)
        })
    }
}

/// A line that is read.
struct Line<'f, 'r>(&'f mut RecordFields<'r>);

impl<'r> Visitor<'r> for Line<'_, 'r> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'r>>(self, mut map: A) -> Result<(), A::Error> {
        let Line(fields) = self;
        while let Some(name) = map.next_key_seed(BorrowedText)? {
            if fields.head.read_json_field(&name, &mut map)?
                || fields.decision.read_json_field(&name, &mut map)?
            {
                continue;
            }
            if name == CHAIN.name() {
                map.next_value_seed(Slot(&mut fields.chain))?;
            } else if decode::is_known(&name) {
                return Err(A::Error::custom("another kind of record"));
            } else {
                // A newer server may write fields that are not known here.
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
