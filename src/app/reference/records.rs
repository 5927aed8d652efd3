//! The page of the records, from the table of their fields.

use super::markdown::{anchor, cell, code, table};
use super::template::Slot;
use customs_record::fields::{self, FieldSpec, Kind};

/// A record of each kind, below a heading with its word.
const EXAMPLES: &str = include_str!("pages/record-examples.md.in");

pub(super) fn slots() -> Vec<Slot> {
    let every = [fields::HEAD, &[fields::CHAIN]].concat();
    let kinds: Vec<_> = fields::KINDS.iter().map(kind_row).collect();
    let sections: Vec<String> = fields::KINDS.iter().map(section).collect();
    let messages = fields::MESSAGES.iter().map(|message| {
        let (heading, meaning) = (message.heading, message.meaning);
        format!("### {heading}\n\n{meaning}\n\n{}", rows(message.fields))
    });
    vec![
        ("kinds", table(["kind", "meaning"], &kinds)),
        ("every", rows(&every)),
        ("sections", sections.join("\n")),
        ("messages", messages.collect::<Vec<_>>().join("\n")),
        ("attributes", table(["attribute", "field"], &attributes())),
    ]
}

/// Returns the attributes of OpenTelemetry, each with the field that it has the value of.
fn attributes() -> Vec<[String; 2]> {
    let of_every_record =
        ["stream", "sequence", "kind"].map(|name| (name, format!("customs.{name}")));
    let of_decisions = fields::OTLP_ATTRIBUTES
        .iter()
        .map(|(field, name)| (*field, (*name).to_owned()));
    let all = of_every_record.into_iter().chain(of_decisions);
    all.map(|(field, name)| [code(&name), code(field)])
        .collect()
}

/// Returns the first sentence about a kind.
fn kind_row(kind: &Kind) -> [String; 2] {
    let first = kind.meaning.split(". ").next().unwrap_or_default();
    let first = format!("{}.", first.trim_end_matches('.'));
    let link = format!("[{}](#{})", code(kind.name), anchor(kind.name));
    [link, cell(&first)]
}

fn section(kind: &Kind) -> String {
    let Kind {
        name,
        meaning,
        fields,
    } = kind;
    let heading = format!("### {name}\n\n");
    let example = EXAMPLES.split_once(&heading).map(|(_, rest)| rest);
    let example = example.and_then(|rest| rest.split("\n\n###").next());
    let example = example.unwrap_or_default().trim_end();
    format!("### `{name}`\n\n{meaning}\n\n{example}\n\n{}", rows(fields))
}

fn rows(fields: &[FieldSpec]) -> String {
    let row = |field: &FieldSpec| {
        let kind = [field.proto.label, field.proto.name];
        let kind: Vec<&str> = kind.into_iter().filter(|word| !word.is_empty()).collect();
        [
            code(field.name()),
            code(&kind.join(" ")),
            cell(field.meaning()),
            code(field.example),
        ]
    };
    let rows: Vec<_> = fields.iter().map(row).collect();
    table(["field", "type", "meaning", "example"], &rows)
}
