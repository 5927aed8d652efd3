//! Tests that docs/AUDIT.md and the proto describe the fields of records as the tables in
//! `crates/record/src/fields` do. The tables of the document are generated; the proto is written by
//! hand, because it is the contract.

use std::collections::BTreeSet;
use std::fs;

use customs_record::fields::{self, FieldSpec};

use super::{read, root, section};

const AUDIT: &str = "docs/AUDIT.md";
const PROTO: &str = "proto/customs/audit/v1/audit.proto";
const TABLE: &str = "| field | meaning | example |\n| --- | --- | --- |\n";

/// The messages within records: their names in the document and in the proto, and their fields.
const MESSAGES: [(&str, &str, &[FieldSpec]); 6] = [
    ("Each of the `headers`", "Header", fields::HEADER),
    ("Each of the `problems`", "Problem", fields::PROBLEM),
    ("Each of the `sources`", "PolicySource", fields::SOURCE),
    (
        "Each of the `files` of a source",
        "PolicyFile",
        fields::FILE,
    ),
    ("Each of the `refusals`", "Refusal", fields::REFUSAL),
    ("What `lost` counts", "Loss", fields::LOSS),
];

/// Returns the headings of the tables in the document, and the fields below each.
fn sections() -> Vec<(String, Vec<FieldSpec>)> {
    let every = (
        "### Every record".to_owned(),
        [fields::HEAD, &[fields::CHAIN]].concat(),
    );
    let kinds = fields::KINDS
        .iter()
        .map(|kind| (format!("### `{}`", kind.name), kind.fields.to_vec()));
    let messages = MESSAGES
        .iter()
        .map(|(name, _, own)| (format!("### {name}"), own.to_vec()));
    std::iter::once(every)
        .chain(kinds)
        .chain(messages)
        .collect()
}

/// Returns a value as Markdown code.
fn code(text: &str) -> String {
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}

fn row(field: &FieldSpec) -> String {
    format!(
        "| `{}` | {} | {} |\n",
        field.name(),
        field.meaning(),
        code(field.example)
    )
}

/// Returns the table in a section, with the heading of its columns.
fn table_of(section: &str) -> &str {
    let start = section
        .find(TABLE)
        .unwrap_or_else(|| panic!("no table in {section}"));
    let table = &section[start..];
    &table[..table.find("\n\n").map_or(table.len(), |end| end + 1)]
}

#[test]
fn audit_fields_are_documented() {
    let page = read(AUDIT);
    let reference = section(&page, "## Fields of each kind");
    let headings: BTreeSet<&str> = reference
        .lines()
        .filter(|line| line.starts_with("### "))
        .collect();
    let known = sections();
    assert_eq!(
        headings,
        known.iter().map(|(heading, _)| heading.as_str()).collect()
    );
    let mut fresh = page.clone();
    for (heading, own) in &known {
        let below = section(reference, heading);
        let drawn: String = own.iter().map(row).collect();
        let redrawn = below.replace(table_of(below), &format!("{TABLE}{drawn}"));
        fresh = fresh.replace(
            &format!("\n{heading}\n{below}"),
            &format!("\n{heading}\n{redrawn}"),
        );
    }
    if std::env::var_os("CUSTOMS_DRAW_FIELDS").is_some() {
        return fs::write(root().join(AUDIT), fresh).unwrap();
    }
    let stale: Vec<_> = fresh
        .lines()
        .zip(page.lines())
        .filter(|(fresh, old)| fresh != old)
        .collect();
    assert!(
        fresh == page,
        "draw the tables of {AUDIT} again: CUSTOMS_DRAW_FIELDS=1 cargo test --test architecture; {:?}",
        stale.first()
    );
}

#[test]
fn attributes_for_opentelemetry_are_documented() {
    let page = read(AUDIT);
    let row = page
        .lines()
        .find(|line| line.starts_with("| attributes | "))
        .unwrap();
    let documented: Vec<&str> = row
        .split('`')
        .filter(|text| text.starts_with("customs."))
        .collect();
    let of_every_record = ["customs.stream", "customs.sequence", "customs.kind"];
    let known = of_every_record
        .into_iter()
        .chain(fields::OTLP_ATTRIBUTES.iter().map(|(_, name)| *name));
    assert_eq!(documented, known.collect::<Vec<_>>());
}

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
    let messages = MESSAGES.iter().map(|(_, name, own)| (*name, *own));
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
