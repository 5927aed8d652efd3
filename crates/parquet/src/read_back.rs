//! For tests: reads a file of records back as lines of JSON have them.

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::{Map, Value, json};

use customs_engine::time::UnixNanos;
use customs_record::timestamp;

/// Returns the rows of a file without what is NULL.
pub(crate) fn rows(file: &[u8]) -> Vec<Map<String, Value>> {
    let reader = SerializedFileReader::new(Bytes::copy_from_slice(file)).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| object(&row.unwrap())).collect()
}

/// Returns the key-value metadata of a file.
pub(crate) fn metadata(file: &[u8]) -> Vec<(String, String)> {
    let reader = SerializedFileReader::new(Bytes::copy_from_slice(file)).unwrap();
    let metadata = reader
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .unwrap();
    let pair = |pair: &parquet::file::metadata::KeyValue| {
        (pair.key.clone(), pair.value.clone().unwrap_or_default())
    };
    metadata.iter().map(pair).collect()
}

/// Returns the number of row groups of a file.
pub(crate) fn row_groups(file: &[u8]) -> usize {
    let reader = SerializedFileReader::new(Bytes::copy_from_slice(file)).unwrap();
    reader.num_row_groups()
}

fn object(row: &Row) -> Map<String, Value> {
    let fields = row.get_column_iter();
    let present = fields.filter(|(_, field)| **field != Field::Null);
    present
        .map(|(name, field)| (name.clone(), value(field)))
        .collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Bool(flag) => json!(flag),
        Field::UInt(number) => json!(number),
        Field::ULong(number) => json!(number.to_string()),
        // The only signed numbers are times.
        Field::Long(nanos) => json!(timestamp::text(UnixNanos(i128::from(*nanos)))),
        Field::Str(text) => json!(text),
        Field::Group(row) => Value::Object(object(row)),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => panic!("no column has {other:?}"),
    }
}
