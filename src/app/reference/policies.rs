//! The pages of the kinds of documents, from the declarations that the readers use.

use super::markdown::{anchor, cell, code, codes, table};
use super::template::Slot;
use crate::app::commands::cases::PolicyTest;
use customs_policy::language::LanguageVersion;
use customs_policy::reader::Mapping;
use customs_policy::spec::forms::TextForm;
use customs_policy::spec::{
    AUTHORIZATION_POLICY, DESTINATION_SET, EGRESS_POLICY, FieldSpec, MappingSpec, POLICY_GUARD,
    Shape,
};

pub(super) fn egress_policy() -> Vec<Slot> {
    slots(EGRESS_POLICY.document)
}

pub(super) fn authorization_policy() -> Vec<Slot> {
    slots(AUTHORIZATION_POLICY.document)
}

pub(super) fn destination_set() -> Vec<Slot> {
    slots(DESTINATION_SET.document)
}

pub(super) fn policy_guard() -> Vec<Slot> {
    slots(POLICY_GUARD.document)
}

pub(super) fn policy_test() -> Vec<Slot> {
    slots(PolicyTest::SPEC)
}

/// Returns the tables of a kind, and the forms of the texts in them.
fn slots(document: &'static MappingSpec) -> Vec<Slot> {
    let (mut mappings, mut forms) = (Vec::new(), Vec::new());
    collect(document, &mut mappings, &mut forms);
    let fields: Vec<String> = mappings.iter().map(|mapping| section(mapping)).collect();
    let values = forms.iter().map(|form| {
        [
            format!("<a id=\"{}\"></a>{}", anchor(form.name), form.name),
            cell(form.about),
            codes(form.examples.iter().copied()),
        ]
    });
    let values = table(
        ["form", "what it is", "examples"],
        &values.collect::<Vec<_>>(),
    );
    vec![("fields", fields.join("\n")), ("values", values)]
}

/// Collects the mappings in a mapping at any depth, and itself, in the order of the fields.
fn collect(
    mapping: &'static MappingSpec,
    mappings: &mut Vec<&'static MappingSpec>,
    forms: &mut Vec<&'static TextForm>,
) {
    if mappings.iter().any(|known| known.name == mapping.name) {
        return;
    }
    mappings.push(mapping);
    let mut inner = Vec::new();
    for field in mapping.fields() {
        let mut shape = field.shape;
        while let Shape::List { of, .. } | Shape::Map(of) = shape {
            shape = *of;
        }
        match shape {
            Shape::Mapping(within) => inner.push(within),
            Shape::Form(form) if !forms.iter().any(|known| known.name == form.name) => {
                forms.push(form);
            }
            _ => {}
        }
    }
    for within in inner {
        collect(within, mappings, forms);
    }
}

/// Returns the heading of a mapping, what it is, and its fields.
fn section(mapping: &MappingSpec) -> String {
    let rows: Vec<[String; 5]> = mapping.fields().into_iter().map(row).collect();
    let fields = table(["field", "type", "default", "meaning", "since"], &rows);
    let mut about = format!("### {}\n\n{}\n", mapping.name, mapping.about());
    let constraints = mapping.constraints.iter().map(|one| format!("- {one}\n"));
    let constraints: String = constraints
        .chain(
            mapping
                .filled
                .then(|| "- At least one field is required.\n".to_owned()),
        )
        .collect();
    if !constraints.is_empty() {
        about.push_str(&format!("\n{constraints}"));
    }
    let mut text = format!("{about}\n{fields}");
    if !mapping.read_over.is_empty() {
        let ignored = codes(mapping.read_over.iter().copied());
        text.push_str(&format!("\ncustoms ignores {ignored}.\n"));
    }
    text
}

fn row(field: &'static FieldSpec) -> [String; 5] {
    let default = match (field.required, field.default) {
        (true, _) => "required",
        (false, "") => "none",
        (false, default) => default,
    };
    let since = field.availability.since.max(LanguageVersion::FIRST);
    [
        code(field.name),
        kind(field.shape),
        cell(default),
        cell(&field.about()),
        since.to_string(),
    ]
}

/// Describes the values of a field.
fn kind(shape: Shape) -> String {
    match shape {
        Shape::Any => "anything".into(),
        Shape::Boolean => "`true` or `false`".into(),
        Shape::Port => "a number from 0 to 65535".into(),
        Shape::Text => "text".into(),
        Shape::AnyText => "text, which may be empty".into(),
        Shape::Form(form) => format!("[{}](#{})", form.name, anchor(form.name)),
        Shape::OneOf(words) => {
            let word = |word: &customs_policy::spec::Word| {
                let remarks = word.availability.remarks().to_lowercase();
                match remarks.trim_end_matches('.') {
                    "" => code(word.text),
                    remarks => format!("{} ({remarks})", code(word.text)),
                }
            };
            words.iter().map(word).collect::<Vec<_>>().join(", ")
        }
        Shape::List {
            of,
            may_be_empty,
            at_most,
        } => {
            let limit = at_most.map(|limit| format!(", at most {limit}"));
            let empty = may_be_empty.then_some(", may be empty");
            format!(
                "list of {}{}{}",
                kind(*of),
                limit.unwrap_or_default(),
                empty.unwrap_or_default()
            )
        }
        Shape::Map(of) => format!("mapping of names to {}", kind(*of)),
        Shape::Mapping(mapping) => format!("[{}](#{})", mapping.name, anchor(mapping.name)),
        Shape::Refused => "an error".into(),
    }
}
