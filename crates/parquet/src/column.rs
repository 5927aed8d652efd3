//! The values of one column, with the levels that say which of them are NULL and which belong to
//! the same list.
//!
//! A definition level says how many of the optional and repeated groups around a value are there; a
//! repetition level, which of the repeated ones continues. The rule: a row has at least one pair of
//! levels, and rows that were left out so far are NULL.

use bytes::Bytes;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::writer::SerializedColumnWriter;

use crate::message::WireValue;
use crate::schema::{Leaf, ValueType};

/// The values of a column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    values: Values,
    definitions: Vec<i16>,
    /// Empty if no list is around the values.
    repetitions: Vec<i16>,
    max_definition: i16,
    is_repeated: bool,
    /// The rows that have levels.
    rows: usize,
}

#[derive(Clone, Debug)]
enum Values {
    /// Texts, one after the other, and where each ends.
    Texts(Vec<u8>, Vec<usize>),
    Flags(Vec<bool>),
    Numbers32(Vec<i32>),
    Numbers64(Vec<i64>),
    Times(Vec<i64>),
}

/// The levels at which something is put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// How many groups around it are there.
    pub(crate) definition: i16,
    /// Which repeated group continues.
    pub(crate) repetition: i16,
}

impl Column {
    pub(crate) fn new(leaf: &Leaf) -> Column {
        Column {
            values: match leaf.value {
                ValueType::Text => Values::Texts(Vec::new(), Vec::new()),
                ValueType::Flag => Values::Flags(Vec::new()),
                ValueType::Number32 => Values::Numbers32(Vec::new()),
                ValueType::Number64 => Values::Numbers64(Vec::new()),
                ValueType::Time => Values::Times(Vec::new()),
            },
            definitions: Vec::new(),
            repetitions: Vec::new(),
            max_definition: leaf.max_definition,
            is_repeated: leaf.max_repetition > 0,
            rows: 0,
        }
    }

    /// Begins a row: the rows before it that have no levels are NULL.
    pub(crate) fn begin_row(&mut self, row: usize) {
        self.pad(row);
        self.rows = row + 1;
    }

    /// Makes the rows that have no levels NULL, up to this one.
    fn pad(&mut self, row: usize) {
        let missing = row.saturating_sub(self.rows);
        self.definitions.resize(self.definitions.len() + missing, 0);
        if self.is_repeated {
            self.repetitions.resize(self.definitions.len(), 0);
        }
        self.rows += missing;
    }

    /// Puts a value; returns false if the column cannot hold it, and NULL is put instead.
    pub(crate) fn put(&mut self, value: WireValue<'_>, at: At) -> bool {
        match &mut self.values {
            Values::Texts(bytes, ends) => {
                bytes.extend_from_slice(value.bytes());
                ends.push(bytes.len());
            }
            Values::Flags(flags) => flags.push(value.number() != 0),
            // The format keeps numbers without a sign in the bits of those with one.
            Values::Numbers32(numbers) => {
                let number = u32::try_from(value.number()).unwrap_or(u32::MAX);
                numbers.push(number.cast_signed());
            }
            Values::Numbers64(numbers) => numbers.push(value.number().cast_signed()),
            Values::Times(times) => match value.nanoseconds() {
                Some(time) => times.push(time),
                None => {
                    self.put_null(at);
                    return false;
                }
            },
        }
        self.level(At {
            definition: self.max_definition,
            ..at
        });
        true
    }

    /// Puts what represents something that is not there.
    pub(crate) fn put_null(&mut self, at: At) {
        self.level(at);
    }

    fn level(&mut self, at: At) {
        self.definitions.push(at.definition);
        if self.is_repeated {
            self.repetitions.push(at.repetition);
        }
    }

    /// Appends the rows of another column, of which `rows` are there.
    pub(crate) fn absorb(&mut self, own_rows: usize, mut other: Column, rows: usize) {
        self.pad(own_rows);
        other.pad(rows);
        self.definitions.append(&mut other.definitions);
        self.repetitions.append(&mut other.repetitions);
        self.rows += rows;
        match (&mut self.values, other.values) {
            (Values::Texts(bytes, ends), Values::Texts(more, more_ends)) => {
                let base = bytes.len();
                bytes.extend_from_slice(&more);
                ends.extend(more_ends.iter().map(|end| base + end));
            }
            (Values::Flags(own), Values::Flags(mut more)) => own.append(&mut more),
            (Values::Numbers32(own), Values::Numbers32(mut more)) => own.append(&mut more),
            (Values::Numbers64(own), Values::Numbers64(mut more))
            | (Values::Times(own), Values::Times(mut more)) => own.append(&mut more),
            // Both are the same column of the same schema.
            _ => {}
        }
    }

    /// Writes its rows as a column of a row group.
    pub(crate) fn write(mut self, rows: usize, out: &mut SerializedColumnWriter<'_>) -> Result<()> {
        self.pad(rows);
        let definitions = Some(self.definitions.as_slice());
        let repetitions = self.is_repeated.then_some(self.repetitions.as_slice());
        match self.values {
            Values::Texts(bytes, ends) => {
                let bytes = Bytes::from(bytes);
                let mut from = 0;
                let text = |end: usize| {
                    let text = bytes.slice(from..end);
                    from = end;
                    ByteArray::from(text)
                };
                let texts: Vec<ByteArray> = ends.into_iter().map(text).collect();
                out.typed::<ByteArrayType>()
                    .write_batch(&texts, definitions, repetitions)
            }
            Values::Flags(flags) => {
                out.typed::<BoolType>()
                    .write_batch(&flags, definitions, repetitions)
            }
            Values::Numbers32(numbers) => {
                out.typed::<Int32Type>()
                    .write_batch(&numbers, definitions, repetitions)
            }
            Values::Numbers64(numbers) | Values::Times(numbers) => out
                .typed::<Int64Type>()
                .write_batch(&numbers, definitions, repetitions),
        }
        .map(|_| ())
    }
}
