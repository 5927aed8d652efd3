//! Tests that the proto describes the fields of records as the tables in `crates/record/src/fields`
//! do. The proto is written by hand, because it is the contract.

use std::collections::BTreeSet;

use customs_record::fields::{self, FieldSpec};

use super::read;

const PROTO: &str = "proto/customs/audit/v1/audit.proto";

/// A field of the proto: its comment as one line, and its declaration.
type Declared = (String, String);

/// Returns the fields of a message of the proto, in their order.
fn declared(proto: &str, message: &str) -> Vec<Declared> {
    let (_, rest) = proto
        .split_once(&format!("\nmessage {message} {{\n"))
        .unwrap();
    let (mut found, mut comment) = (Vec::new(), Vec::new());
    for line in rest.split("\n}").next().unwrap().lines().map(str::trim) {
        match line.strip_prefix("//") {
            Some(text) => comment.push(text.trim()),
            None if line.is_empty() => comment.clear(),
            None => {
                found.push((comment.join(" "), line.to_owned()));
                comment.clear();
            }
        }
    }
    found
}

fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut snake, c| {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        snake
    })
}

/// Returns a Markdown text without its links.
fn without_links(text: &str) -> String {
    let mut parts = text.split('[');
    let plain = parts.next().unwrap_or_default().to_owned();
    parts.fold(plain, |plain, part| match part.split_once("](") {
        Some((shown, rest)) => plain + shown + rest.split_once(')').unwrap().1,
        None => plain + "[" + part,
    })
}

fn expected(field: &FieldSpec) -> Declared {
    let (label, name) = (field.proto.label, snake_case(field.name()));
    let label = if label.is_empty() {
        String::new()
    } else {
        format!("{label} ")
    };
    let declaration = format!("{label}{} {name} = {};", field.proto.name, field.number());
    (without_links(field.meaning()), declaration)
}

#[test]
fn the_proto_declares_the_fields_of_the_tables() {
    let proto = read(PROTO);
    let of_kinds = fields::KINDS.iter().map(|kind| kind.fields);
    let records = [fields::HEAD, &[fields::CHAIN]].into_iter().chain(of_kinds);
    let messages = fields::MESSAGES
        .iter()
        .map(|message| (message.name, message.fields));
    let all = records.map(|own| ("Record", own)).chain(messages);
    let (mut seen, mut missing) = (BTreeSet::new(), String::new());
    for (message, own) in all {
        let there = declared(&proto, message);
        for field in own {
            let (comment, declaration) = expected(field);
            let found = there.iter().find(|(_, there)| *there == declaration);
            // A field of several kinds is described for the first of them.
            let is_first = seen.insert((message, field.number()));
            if !found.is_some_and(|(there, _)| !is_first || there.starts_with(&comment)) {
                missing += &format!("message {message}:\n  // {comment}\n  {declaration}\n");
            }
        }
    }
    assert!(missing.is_empty(), "{PROTO} lacks\n{missing}");
}
