//! The schema is that of the tables of fields, and does not change by accident.

use std::collections::BTreeSet;
use std::path::Path;

use parquet::schema::printer::print_schema;

use super::*;
use customs_record::fields;

fn printed() -> String {
    let mut out = Vec::new();
    print_schema(&mut out, &RecordSchema::new().unwrap().parquet());
    String::from_utf8(out).unwrap()
}

#[test]
fn every_field_of_every_kind_is_a_column_and_nothing_else_is() {
    let schema = RecordSchema::new().unwrap().parquet();
    let columns: BTreeSet<&str> = schema
        .get_fields()
        .iter()
        .map(|column| column.name())
        .collect();
    let known: BTreeSet<&str> = KINDS
        .iter()
        .flat_map(|kind| fields::of(kind.name))
        .collect();
    assert_eq!(columns, known);
    assert_eq!(schema.get_fields().len(), known.len());
    let answer = schema
        .get_fields()
        .iter()
        .find(|column| column.name() == "answer")
        .unwrap();
    let answered: Vec<&str> = answer
        .get_fields()
        .iter()
        .map(|column| column.name())
        .collect();
    assert_eq!(answered, fields::of_answer());
}

#[test]
fn a_name_means_the_same_type_in_every_kind() {
    let mut seen = BTreeMap::new();
    for field in KINDS.iter().flat_map(|kind| kind.fields) {
        let known = seen
            .entry(field.number())
            .or_insert((field.name(), field.proto));
        assert_eq!(*known, (field.name(), field.proto));
    }
}

#[test]
fn zeros_are_those_of_fields_that_a_kind_has() {
    let schema = RecordSchema::new().unwrap();
    let names = |kind: &str| -> Vec<&str> {
        let parquet = schema.parquet.get_fields();
        schema.zeros[kind]
            .iter()
            .map(|place| parquet[*place].name())
            .collect()
    };
    assert_eq!(
        names("decision"),
        [
            "sequence",
            "decisionNumber",
            "identityDecided",
            "sniAbsent",
            "addressUnreadable",
            "callerGone"
        ]
    );
    assert_eq!(names("checkpoint"), ["sequence", "records", "final"]);
    assert_eq!(
        names("stop"),
        ["sequence"],
        "`decisions` says a zero itself"
    );
    assert_eq!(schema.zeros.len(), KINDS.len());
}

/// Queries of users name these columns with these types. A field that is added makes a column; any
/// other change needs another [`VERSION`].
#[test]
fn the_schema_is_the_published_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.txt");
    let expected = format!("version {VERSION}\n{}", printed());
    if std::env::var_os("CUSTOMS_DRAW_FIELDS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        published, expected,
        "if a field was added: CUSTOMS_DRAW_FIELDS=1 cargo test -p customs-parquet"
    );
}
