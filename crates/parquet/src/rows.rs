//! Records, column by column.
//!
//! It writes nothing. The rule: a record becomes one row with everything that is in it, whatever
//! its kind; only fields that this version does not know are left out, as every reader of this
//! version leaves them out.

use std::sync::Arc;

use prost::Message;

use crate::column::{At, Column};
use crate::message::{WireFields, WireValue};
use crate::schema::{Field, RecordSchema, Shape};
use customs_record::proto::Record;

/// Records, column by column.
#[derive(Clone, Debug)]
pub struct RecordRows {
    schema: Arc<RecordSchema>,
    columns: Vec<Column>,
    rows: usize,
    unheld_times: u64,
    weight: usize,
    scratch: Vec<u8>,
}

impl RecordRows {
    /// Creates one without records.
    pub fn new(schema: Arc<RecordSchema>) -> RecordRows {
        RecordRows {
            columns: schema.leaves.iter().map(Column::new).collect(),
            schema,
            rows: 0,
            unheld_times: 0,
            weight: 0,
            scratch: Vec::new(),
        }
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Returns about how many bytes they take.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Returns how many times are NULL because no column of nanoseconds can hold them: those before
    /// 1677 and after 2262.
    pub fn unheld_times(&self) -> u64 {
        self.unheld_times
    }

    /// Appends a record.
    pub fn append(&mut self, record: &Record) {
        let mut message = std::mem::take(&mut self.scratch);
        message.clear();
        // Fails only if the buffer has no room, and a vector grows.
        let _ = record.encode(&mut message);
        let schema = self.schema.clone();
        self.begin_row(&schema, &record.kind, &message);
        self.weight += message.len() + 2 * schema.leaves.len();
        self.scratch = message;
        self.rows += 1;
    }

    /// Appends the records of another.
    pub fn absorb(&mut self, other: RecordRows) {
        let RecordRows {
            columns,
            rows,
            unheld_times,
            weight,
            ..
        } = other;
        for (own, other) in self.columns.iter_mut().zip(columns) {
            own.absorb(self.rows, other, rows);
        }
        self.rows += rows;
        self.unheld_times += unheld_times;
        self.weight += weight;
    }

    /// Takes the records out, and leaves none.
    pub fn take(&mut self) -> RecordRows {
        let empty = RecordRows::new(self.schema.clone());
        std::mem::replace(self, empty)
    }

    /// Returns the columns, in the order of the file.
    pub(crate) fn into_columns(self) -> impl Iterator<Item = Column> {
        self.columns.into_iter()
    }

    /// Puts the fields of a record into the next row; those that are left out become NULL by
    /// themselves.
    fn begin_row(&mut self, schema: &RecordSchema, kind: &str, message: &[u8]) {
        let none = Vec::new();
        let zeros = schema.zeros.get(kind).unwrap_or(&none);
        let mut zeros = zeros.iter().copied().peekable();
        let mut values = Values::of(message);
        let top = At {
            definition: 0,
            repetition: 0,
        };
        for (place, field) in schema.fields.iter().enumerate() {
            let is_zero = zeros.next_if_eq(&place).is_some();
            let found = values.of_field(field.number);
            if found.is_empty() && !is_zero {
                continue;
            }
            for column in self
                .columns
                .get_mut(field.leaves.clone())
                .unwrap_or_default()
            {
                column.begin_row(self.rows);
            }
            self.put(schema, field, found, top, 1);
        }
    }

    /// Puts what a message has of a field, perhaps nothing. `repeated` is the repetition level of
    /// the next list in it.
    fn put(
        &mut self,
        schema: &RecordSchema,
        field: &Field,
        found: &[(u32, WireValue<'_>)],
        at: At,
        repeated: i16,
    ) {
        // Of a value that is there twice, protobuf takes the last one.
        match (&field.shape, found.last()) {
            (Shape::Value(leaf), found) => {
                let has_zero = schema.leaves.get(*leaf).is_some_and(|leaf| leaf.has_zero);
                match found {
                    Some((_, value)) => self.put_value(*leaf, *value, at),
                    None if has_zero => self.put_value(*leaf, WireValue::Number(0), at),
                    None => self.put_nulls(field, at),
                }
            }
            (_, None) => self.put_nulls(field, at),
            (Shape::Message(fields), Some((_, value))) => {
                let inside = At {
                    definition: at.definition + 1,
                    ..at
                };
                self.put_message(schema, fields, value.bytes(), inside, repeated);
            }
            (Shape::Values(leaf), _) => {
                for (nth, (_, value)) in found.iter().enumerate() {
                    self.put_value(*leaf, *value, item(at, nth, repeated));
                }
            }
            (Shape::Messages(fields), _) => {
                for (nth, (_, value)) in found.iter().enumerate() {
                    let inside = item(at, nth, repeated);
                    self.put_message(schema, fields, value.bytes(), inside, repeated + 1);
                }
            }
        }
    }

    fn put_message(
        &mut self,
        schema: &RecordSchema,
        fields: &[Field],
        message: &[u8],
        at: At,
        repeated: i16,
    ) {
        let mut values = Values::of(message);
        for field in fields {
            let found = values.of_field(field.number);
            self.put(schema, field, found, at, repeated);
        }
    }

    fn put_value(&mut self, leaf: usize, value: WireValue<'_>, at: At) {
        if let Some(column) = self.columns.get_mut(leaf)
            && !column.put(value, at)
        {
            self.unheld_times += 1;
        }
    }

    fn put_nulls(&mut self, field: &Field, at: At) {
        for column in self
            .columns
            .get_mut(field.leaves.clone())
            .unwrap_or_default()
        {
            column.put_null(at);
        }
    }
}

/// Returns the levels of an item of a list.
fn item(at: At, nth: usize, repeated: i16) -> At {
    At {
        definition: at.definition + 2,
        repetition: if nth == 0 { at.repetition } else { repeated },
    }
}

/// The values of a message, in the order of the numbers of their fields.
struct Values<'m> {
    all: Vec<(u32, WireValue<'m>)>,
    from: usize,
}

impl<'m> Values<'m> {
    fn of(message: &'m [u8]) -> Values<'m> {
        let all = WireFields(message).collect();
        Values { all, from: 0 }
    }

    /// Returns those of a field. Fields are asked for in the order of their numbers, in which
    /// messages of this process are written.
    fn of_field(&mut self, number: u32) -> &[(u32, WireValue<'m>)] {
        let rest = self.all.get(self.from..).unwrap_or_default();
        let before = rest.iter().take_while(|(other, _)| *other < number).count();
        let rest = rest.get(before..).unwrap_or_default();
        let count = rest
            .iter()
            .take_while(|(other, _)| *other == number)
            .count();
        self.from += before + count;
        rest.get(..count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
