//! The columns: one for each field of a record, with a type that says what the field's type in the
//! proto says.
//!
//! It holds no values. The rules:
//!
//! - A column has the name of its field in JSON. Fields are found by their numbers.
//! - A text or a time that a record leaves out is NULL. A number or a flag that it leaves out is 0
//!   or false if its kind of record has the field, and NULL otherwise, as the JSON mapping of
//!   protobuf says.
//! - A field never gets another type. New fields become new columns, and [`VERSION`] stays; it
//!   changes only if a column does.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{Type, TypePtr};

use customs_record::fields::{
    CHAIN, DECISION, FieldSpec, HEAD, KINDS, Presence, ProtoType, message_fields,
};

/// The version of the schema, in the metadata of each file.
pub const VERSION: u32 = 1;

/// The type of time in the proto.
const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// The name of the message that is a record.
const RECORD: &str = "Record";

/// The columns of a file.
#[derive(Clone, Debug)]
pub struct RecordSchema {
    /// The fields of a record, in the order of their numbers.
    pub(crate) fields: Vec<Field>,
    /// The columns that hold values, in the order of the file.
    pub(crate) leaves: Vec<Leaf>,
    /// For each kind of record: the places in `fields` of those that are 0 or false if they are
    /// left out.
    pub(crate) zeros: BTreeMap<&'static str, Vec<usize>>,
    parquet: TypePtr,
}

/// A field of a message.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Its number in the proto.
    pub(crate) number: u32,
    /// What it holds.
    pub(crate) shape: Shape,
    /// The columns of it and of everything in it.
    pub(crate) leaves: Range<usize>,
}

/// What a field holds.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A value, in the column at this place.
    Value(usize),
    /// A message.
    Message(Vec<Field>),
    /// Any number of values, in the column at this place.
    Values(usize),
    /// Any number of messages.
    Messages(Vec<Field>),
}

/// A column that holds values.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// The type of its values.
    pub(crate) value: ValueType,
    /// Whether a value that is left out is 0 or false rather than NULL.
    pub(crate) has_zero: bool,
    /// How many optional and repeated groups are around a value, itself included.
    pub(crate) max_definition: i16,
    /// How many repeated groups are around it.
    pub(crate) max_repetition: i16,
}

/// The type of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    Text,
    Flag,
    Number32,
    Number64,
    Time,
}

/// Why there is no schema. Neither happens: a test makes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A field has a type that no column represents.
    #[error("the field `{field}` has the type `{type_name}`, which has no column")]
    UnknownType {
        /// The field.
        field: &'static str,
        /// Its type in the proto.
        type_name: &'static str,
    },
    /// The types are not those of a Parquet file.
    #[error(transparent)]
    Parquet(#[from] ParquetError),
}

impl RecordSchema {
    /// Makes the schema from the tables of fields.
    ///
    /// # Errors
    /// If a field has a type that no column represents.
    pub fn new() -> Result<RecordSchema, SchemaError> {
        let mut building = Building::default();
        let specs = record_fields();
        let (fields, types) = building.fields(specs.values().copied(), (0, 0))?;
        let Building { leaves } = building;
        let place = |number: u32| fields.iter().position(|field| field.number == number);
        let zeros = KINDS.iter().map(|kind| {
            let numbers = HEAD.iter().chain(kind.fields).map(FieldSpec::number);
            let has_zero = |field: &Field| match field.shape {
                Shape::Value(leaf) => leaves.get(leaf).is_some_and(|leaf| leaf.has_zero),
                _ => false,
            };
            let places = numbers.filter_map(place);
            let places = places.filter(|place| fields.get(*place).is_some_and(has_zero));
            (kind.name, places.collect())
        });
        let zeros = zeros.collect();
        let parquet = Type::group_type_builder("record")
            .with_fields(types)
            .build()?;
        Ok(RecordSchema {
            fields,
            leaves,
            zeros,
            parquet: Arc::new(parquet),
        })
    }

    /// Returns the schema as Parquet has it.
    pub fn parquet(&self) -> TypePtr {
        self.parquet.clone()
    }
}

/// Returns the fields of all kinds of records, by their numbers.
fn record_fields() -> BTreeMap<u32, FieldSpec> {
    let kinds = KINDS.iter().flat_map(|kind| kind.fields);
    let all = HEAD.iter().chain(kinds).chain([&CHAIN]);
    all.map(|spec| (spec.number(), *spec)).collect()
}

/// Returns the fields of a message by its name in the proto.
fn of_message(name: &str) -> Option<Vec<FieldSpec>> {
    if name == RECORD {
        // The answer of a question, the one record inside of a record.
        let answered = DECISION
            .iter()
            .filter(|field| field.presence != Presence::Check);
        return Some(answered.copied().collect());
    }
    message_fields(name).map(<[FieldSpec]>::to_vec)
}

#[derive(Default)]
struct Building {
    leaves: Vec<Leaf>,
}

/// How many optional and repeated groups are around a field.
type Levels = (i16, i16);

impl Building {
    fn fields(
        &mut self,
        specs: impl IntoIterator<Item = FieldSpec>,
        levels: Levels,
    ) -> Result<(Vec<Field>, Vec<TypePtr>), SchemaError> {
        let (mut fields, mut types) = (Vec::new(), Vec::new());
        for spec in specs {
            let (field, column) = self.field(&spec, levels)?;
            fields.push(field);
            types.push(Arc::new(column));
        }
        Ok((fields, types))
    }

    fn field(&mut self, spec: &FieldSpec, levels: Levels) -> Result<(Field, Type), SchemaError> {
        let from = self.leaves.len();
        let (definition, repetition) = levels;
        let (
            name,
            ProtoType {
                label,
                name: type_name,
            },
        ) = (spec.name(), spec.proto);
        let value = value_type(type_name);
        let (shape, column) = match (value, label == "repeated") {
            (Some(value), false) => {
                // Protobuf tells a value that is left out from a zero only if it is `optional`.
                let has_zero = label.is_empty() && value.has_zero();
                let leaf = self.leaf(value, has_zero, (definition + 1, repetition));
                (
                    Shape::Value(leaf),
                    value.column(name, Repetition::OPTIONAL)?,
                )
            }
            (Some(value), true) => {
                let leaf = self.leaf(value, false, (definition + 2, repetition + 1));
                let item = value.column("element", Repetition::REQUIRED)?;
                (Shape::Values(leaf), list(name, item)?)
            }
            (None, is_list) => {
                let specs = of_message(type_name).ok_or(SchemaError::UnknownType {
                    field: name,
                    type_name,
                })?;
                if is_list {
                    let (fields, types) = self.fields(specs, (definition + 2, repetition + 1))?;
                    let item = group("element", Repetition::REQUIRED, types)?;
                    (Shape::Messages(fields), list(name, item)?)
                } else {
                    let (fields, types) = self.fields(specs, (definition + 1, repetition))?;
                    (
                        Shape::Message(fields),
                        group(name, Repetition::OPTIONAL, types)?,
                    )
                }
            }
        };
        let field = Field {
            number: spec.number(),
            shape,
            leaves: from..self.leaves.len(),
        };
        Ok((field, column))
    }

    fn leaf(&mut self, value: ValueType, has_zero: bool, levels: Levels) -> usize {
        let (max_definition, max_repetition) = levels;
        self.leaves.push(Leaf {
            value,
            has_zero,
            max_definition,
            max_repetition,
        });
        self.leaves.len() - 1
    }
}

/// Returns the type of values for a type of the proto; `None` for a message.
fn value_type(name: &str) -> Option<ValueType> {
    match name {
        "string" => Some(ValueType::Text),
        "bool" => Some(ValueType::Flag),
        "uint32" => Some(ValueType::Number32),
        "uint64" => Some(ValueType::Number64),
        TIMESTAMP => Some(ValueType::Time),
        _ => None,
    }
}

impl ValueType {
    fn has_zero(self) -> bool {
        matches!(
            self,
            ValueType::Flag | ValueType::Number32 | ValueType::Number64
        )
    }

    fn column(self, name: &str, repetition: Repetition) -> Result<Type, ParquetError> {
        let (physical, logical) = match self {
            ValueType::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            ValueType::Flag => (Physical::BOOLEAN, None),
            ValueType::Number32 => (Physical::INT32, Some(LogicalType::integer(32, false))),
            ValueType::Number64 => (Physical::INT64, Some(LogicalType::integer(64, false))),
            ValueType::Time => (
                Physical::INT64,
                Some(LogicalType::timestamp(true, TimeUnit::NANOS)),
            ),
        };
        Type::primitive_type_builder(name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .build()
    }
}

fn group(name: &str, repetition: Repetition, fields: Vec<TypePtr>) -> Result<Type, ParquetError> {
    Type::group_type_builder(name)
        .with_repetition(repetition)
        .with_fields(fields)
        .build()
}

/// Returns a list of items as the format wants it: a group of one repeated group.
fn list(name: &str, item: Type) -> Result<Type, ParquetError> {
    let items = group("list", Repetition::REPEATED, vec![Arc::new(item)])?;
    Type::group_type_builder(name)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(items)])
        .build()
}

#[cfg(test)]
mod tests;
