//! That the fast decoder says what the schema says: on records of every kind, on those of a later
//! version, and on bytes that are no record.

use customs_record::decode::{self, Decoded, record_by_schema};
use customs_record::stream::Format;
use proptest::prelude::*;
use serde_json::Value;

use crate::draw::entry;
use crate::{examples, line, message};

/// Compares both decoders; returns whether the bytes are a record that is read without copies.
fn agrees(format: Format, bytes: &[u8]) -> bool {
    let expected = record_by_schema(format, bytes);
    let found = decode::record(format, bytes);
    match (&found, &expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected),
        (Err(found), Err(expected)) => assert_eq!(found.to_string(), expected.to_string()),
        _ => panic!(
            "{:?}: {found:?}, {expected:?}",
            bytes.escape_ascii().to_string()
        ),
    }
    matches!(decode::decode(format, bytes), Ok(Decoded::Fields(_)))
}

#[test]
fn one_record_of_each_kind_is_read_alike() {
    let mut borrowed = 0;
    for entry in examples::of_every_kind() {
        let line = line(&entry);
        let as_line = agrees(Format::Json, line.trim_end().as_bytes());
        assert_eq!(
            agrees(Format::Protobuf, &message(&entry)),
            as_line,
            "{line}"
        );
        borrowed += usize::from(as_line);
    }
    assert!(
        borrowed >= 3,
        "decisions are read without copies: {borrowed}"
    );
    for line in include_str!("golden.jsonl").lines() {
        agrees(Format::Json, line.as_bytes());
    }
}

#[test]
fn odd_values_are_read_or_refused_alike() {
    let decision = |field: &str| format!("{{\"kind\":\"decision\",{field},\"chain\":\"00\"}}");
    let mut borrowed = Vec::new();
    for field in [
        "\"effect\":null",
        "\"effect\":7",
        "\"effect\":\"a\\u0041\\ud83d\\ude00\"",
        "\"effect\":\"\\ud800\"",
        "\"effect\":\"a\",\"effect\":\"b\"",
        "\"effect\":\"a\",\"effect\":null",
        "\"dry_run\":\"deny\"",
        "\"dryRun\":\"deny\",\"dry_run\":\"allow\"",
        "\"\\u0065ffect\":\"deny\"",
        "\"sequence\":7",
        "\"sequence\":7.0",
        "\"sequence\":7.5",
        "\"sequence\":-7",
        "\"sequence\":\"+7\"",
        "\"sequence\":\" 7\"",
        "\"sequence\":\"18446744073709551616\"",
        "\"port\":0",
        "\"port\":\"443\"",
        "\"port\":4294967296",
        "\"port\":null",
        "\"sniAbsent\":true",
        "\"sniAbsent\":\"true\"",
        "\"sniAbsent\":1",
        "\"time\":\"2026-11-23T12:00:00.123456789Z\"",
        "\"time\":\"2026-11-23T12:00:00Z\"",
        "\"time\":\"2026-11-23T12:00:00.1Z\"",
        "\"time\":\"2026-11-23T12:00:00.123456789+01:00\"",
        "\"time\":\"2016-12-31T23:59:60.000000000Z\"",
        "\"time\":\"0000-01-01T00:00:00.000000000Z\"",
        "\"time\":\"0001-01-01T00:00:00.000000000Z\"",
        "\"time\":\"1969-12-31T23:59:59.000000001Z\"",
        "\"time\":\"9999-12-31T23:59:59.999999999Z\"",
        "\"time\":\"2026-02-29T00:00:00.000000000Z\"",
        "\"time\":1795435200",
        "\"truncated\":[]",
        "\"truncated\":[\"path\",\"host\"]",
        "\"truncated\":[null]",
        "\"truncated\":\"path\"",
        "\"truncated\":[\"a\"],\"truncated\":[\"b\"]",
        "\"headers\":[{\"name\":\"a\",\"present\":true,\"matched\":[\"x\"],\"value\":\"v\"}]",
        "\"headers\":[{\"later\":1}]",
        "\"headers\":[{\"value_unknown\":true}]",
        "\"headers\":[null]",
        "\"headers\":{}",
        "\"authorityHeader\":\"\"",
        "\"authorityHeader\":null",
        "\"later\":{\"a\":[1,2,{\"b\":null}]}",
        "\"later\":\"\\ud800\"",
        "\"kind\":\"\"",
        "\"policies\":3",
        "\"policies\":\"x\"",
        "\"lost\":{\"allows\":\"3\"}",
        "\"answer\":{\"host\":\"a\",\"port\":\"x\"}",
        "\"final\":true",
    ] {
        if agrees(Format::Json, decision(field).as_bytes()) {
            borrowed.push(field);
        }
    }
    assert!(borrowed.len() > 20, "{borrowed:?}");
    for other in [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{} {}",
        "{\"kind\":\"x\"} ",
        "{\"kind\":\"x\"}x",
    ] {
        agrees(Format::Json, other.as_bytes());
    }
}

/// What a value of a line may become.
fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u32>().prop_map(|number| Value::from(number.to_string())),
        any::<String>().prop_map(Value::from),
        Just(serde_json::json!([])),
        Just(serde_json::json!(["a", "b"])),
        Just(serde_json::json!([{"name": "x"}])),
        Just(serde_json::json!({"name": "x"})),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn drawn_records_are_read_alike(entry in entry()) {
        agrees(Format::Json, line(&entry).trim_end().as_bytes());
        agrees(Format::Protobuf, &message(&entry));
    }

    #[test]
    fn records_with_other_values_are_read_or_refused_alike(
        entry in entry(),
        at in any::<prop::sample::Index>(),
        value in values(),
    ) {
        let mut fields: serde_json::Map<String, Value> =
            serde_json::from_str(&line(&entry)).unwrap();
        let name = fields.keys().nth(at.index(fields.len())).unwrap().clone();
        fields.insert(name, value);
        agrees(Format::Json, serde_json::to_string(&fields).unwrap().as_bytes());
    }

    #[test]
    fn damaged_records_are_read_or_refused_alike(
        entry in entry(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        is_cut in any::<bool>(),
    ) {
        let line = line(&entry).trim_end().as_bytes().to_vec();
        for (format, mut bytes) in [(Format::Json, line), (Format::Protobuf, message(&entry))] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if is_cut {
                bytes.truncate(at);
            }
            agrees(format, &bytes);
        }
    }

    #[test]
    fn joined_messages_are_read_alike(one in entry(), other in entry()) {
        // Protobuf merges two messages that follow each other.
        agrees(Format::Protobuf, &[message(&one), message(&other)].concat());
    }
}
