//! Names, order and types of the lines, checked against the descriptors; and both formats against
//! each other.

use std::sync::LazyLock;

use customs_record::Entry;
use customs_record::{fields, json, proto};
use proptest::prelude::*;
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::Value;

use crate::{assert_is_one_line, draw, examples, line, message};

static SCHEMA: LazyLock<MessageDescriptor> = LazyLock::new(crate::schema);

/// The fields of a message by their JSON names, in the order of their numbers.
fn by_number(message: &MessageDescriptor) -> Vec<String> {
    let mut fields: Vec<FieldDescriptor> = message.fields().collect();
    fields.sort_by_key(FieldDescriptor::number);
    fields
        .iter()
        .map(|field| field.json_name().to_owned())
        .collect()
}

fn message_of(field: &str) -> MessageDescriptor {
    let field = SCHEMA.get_field_by_json_name(field).unwrap();
    let Kind::Message(message) = field.kind() else {
        panic!("{field:?} is no message")
    };
    message
}

/// A line as any protobuf library reads it.
pub(crate) fn parsed(line: &str) -> DynamicMessage {
    let mut reader = serde_json::Deserializer::from_str(line);
    let message = DynamicMessage::deserialize(SCHEMA.clone(), &mut reader)
        .unwrap_or_else(|why| panic!("{why}: {line}"));
    reader.end().unwrap();
    message
}

fn decoded(bytes: &[u8]) -> DynamicMessage {
    DynamicMessage::decode(SCHEMA.clone(), bytes).unwrap()
}

/// Checks that the names in an object, and in all objects inside it, have the order of their
/// numbers.
pub(crate) fn assert_in_order(object: &Value, schema: &MessageDescriptor) {
    let numbers: Vec<u32> = object
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| {
            let field = schema
                .get_field_by_json_name(name)
                .unwrap_or_else(|| panic!("no field {name}"));
            if let Kind::Message(inner) = field.kind() {
                let objects = value
                    .as_array()
                    .map_or(std::slice::from_ref(value), Vec::as_slice);
                objects
                    .iter()
                    .filter(|value| value.is_object())
                    .for_each(|value| assert_in_order(value, &inner));
            }
            field.number()
        })
        .collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
}

fn assert_is_lawful(entry: &Entry) {
    let line = line(entry);
    assert_is_one_line(&line);
    assert_in_order(&serde_json::from_str(&line).unwrap(), &SCHEMA);
    let bytes = message(entry);
    assert_eq!(parsed(&line), decoded(&bytes), "{line}");
    // The bytes written by hand equal those of the type: one message in the order of its numbers.
    assert_eq!(
        proto::Record::decode(bytes.as_slice())
            .unwrap()
            .encode_to_vec(),
        bytes
    );
}

#[test]
fn every_kind_reads_as_its_message() {
    examples::of_every_kind().iter().for_each(assert_is_lawful);
}

#[test]
fn the_list_of_fields_is_that_of_the_proto() {
    let all = by_number(&SCHEMA);
    for kind in fields::KINDS.iter().map(|kind| kind.name) {
        let listed = fields::of(kind);
        let ordered: Vec<&str> = all
            .iter()
            .map(String::as_str)
            .filter(|name| listed.contains(name))
            .collect();
        assert_eq!(listed, ordered, "{kind}");
    }
    let listed: Vec<_> = fields::KINDS
        .iter()
        .flat_map(|kind| fields::of(kind.name))
        .collect();
    let of_no_kind: Vec<_> = all
        .iter()
        .filter(|name| !listed.contains(&name.as_str()))
        .collect();
    assert_eq!(of_no_kind, Vec::<&String>::new());
    for (field, listed) in [
        ("headers", fields::HEADER),
        ("problems", fields::PROBLEM),
        ("sources", fields::SOURCE),
        ("refusals", fields::REFUSAL),
        ("lost", fields::LOSS),
    ] {
        assert_eq!(
            by_number(&message_of(field)),
            fields::names(listed),
            "{field}"
        );
    }
    let Kind::Message(file) = message_of("sources")
        .get_field_by_json_name("files")
        .unwrap()
        .kind()
    else {
        panic!()
    };
    assert_eq!(by_number(&file), fields::names(fields::FILE));
}

#[test]
fn a_full_entry_has_every_field_of_its_kind() {
    for entry in examples::of_every_kind() {
        let value: serde_json::Map<String, Value> = serde_json::from_str(&line(&entry)).unwrap();
        assert_eq!(
            value.keys().collect::<Vec<_>>(),
            fields::of(entry.kind()),
            "{}",
            entry.kind()
        );
    }
}

#[test]
fn the_schema_names_every_kind() {
    let text = std::fs::read_to_string(format!(
        "{}/proto/customs/audit/v1/audit.proto",
        env!("CARGO_MANIFEST_DIR")
    ));
    let text = text.unwrap().replace("\n  // ", " ");
    let (_, named) = text.split_once("The kinds: ").unwrap();
    let named = named.split('.').next().unwrap();
    let kinds: Vec<_> = fields::KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(named.split(", ").collect::<Vec<_>>(), kinds);
}

#[test]
fn a_line_without_its_chain_is_the_line_up_to_it() {
    for entry in examples::of_every_kind() {
        let mut covered = Vec::new();
        json::open(&entry, crate::STREAM, crate::SEQUENCE, &mut covered);
        let rest = format!(",\"chain\":\"{}\"}}\n", crate::CHAIN);
        assert_eq!(String::from_utf8(covered).unwrap() + &rest, line(&entry));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn whatever_is_in_an_entry_both_renderings_say_the_same(entry in draw::entry()) {
        assert_is_lawful(&entry);
    }
}
