//! The reference tables of docs/POLICY.md are made from the declarations: each is between two marks
//! and is compared.

use std::fs;
use std::path::Path;

use super::super::{KINDS, document};
use customs_policy::spec::{FieldSpec, MappingSpec, Shape};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/POLICY.md");
const END: &str = "<!-- end -->\n";

/// Collects the declared mappings in a mapping at any depth, and itself.
fn collect(mapping: &'static MappingSpec, all: &mut Vec<&'static MappingSpec>) {
    if all.iter().any(|known| known.name == mapping.name) {
        return;
    }
    all.push(mapping);
    for field in mapping.fields() {
        let mut shape = field.shape;
        while let Shape::List { of, .. } | Shape::Map(of) = shape {
            shape = *of;
        }
        if let Shape::Mapping(inner) = shape {
            collect(inner, all);
        }
    }
}

/// Describes the value of a field.
fn value(shape: Shape) -> String {
    match shape {
        Shape::Any => "anything".into(),
        Shape::Boolean => "`true` or `false`".into(),
        Shape::Port => "a number from 0 to 65535".into(),
        Shape::Text | Shape::AnyText => "text".into(),
        Shape::OneOf(words) => words
            .iter()
            .map(|word| {
                let remarks = word.availability.remarks().to_lowercase();
                match remarks.trim_end_matches('.') {
                    "" => format!("`{}`", word.text),
                    remarks => format!("`{}` ({remarks})", word.text),
                }
            })
            .collect::<Vec<_>>()
            .join(", "),
        Shape::List { of, .. } => format!("list of {}", value(*of)),
        Shape::Map(of) => format!("mapping of names to {}", value(*of)),
        Shape::Mapping(mapping) => format!("*{}*", mapping.name),
        Shape::Refused => "refused".into(),
    }
}

fn table(mapping: &MappingSpec) -> String {
    let row = |field: &&FieldSpec| {
        let required = if field.required { ", required" } else { "" };
        let value = value(field.shape);
        format!(
            "| `{}` | {value}{required} | {} |\n",
            field.name,
            field.about()
        )
    };
    let rows: String = mapping.fields().iter().map(row).collect();
    format!(
        "*{}*: {}\n\n| Field | Value | Meaning |\n| --- | --- | --- |\n{rows}",
        mapping.name,
        mapping.about()
    )
}

#[test]
fn the_reference_tables_are_fresh() {
    let mut all = Vec::new();
    for kind in KINDS {
        collect(document(kind), &mut all);
    }
    // The fields that every document has are described in prose, and the name of a test has no
    // meaning.
    let kinds = KINDS.map(|kind| document(kind).name);
    all.retain(|mapping| {
        mapping.name != "TestMetadata"
            && (mapping.name == "PolicyTest" || !kinds.contains(&mapping.name))
    });
    assert!(all.len() > 15, "only {} mappings", all.len());
    let page = fs::read_to_string(Path::new(PAGE)).unwrap();
    let mut drawn = page.clone();
    for mapping in all {
        let begin = format!("<!-- fields: {} -->\n", mapping.name);
        let (before, rest) = drawn
            .split_once(&begin)
            .unwrap_or_else(|| panic!("no table of {}", mapping.name));
        let (_, after) = rest.split_once(END).unwrap();
        drawn = [before, &begin, &table(mapping), END, after].concat();
    }
    if std::env::var_os("CUSTOMS_DRAW_FIELDS").is_some() {
        return fs::write(PAGE, drawn).unwrap();
    }
    assert!(
        page == drawn,
        "draw the tables again: CUSTOMS_DRAW_FIELDS=1 cargo test --lib reference_tables"
    );
}
