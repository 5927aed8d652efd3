//! What the fields of a mapping must have in common: as JSON Schema, and as a sentence.

use std::fmt;

use serde_json::{Value, json};

/// What the fields of a mapping must have in common.
#[derive(Clone, Copy, Debug)]
pub enum Constraint {
    /// At least one of these is written.
    AnyOf(&'static [&'static str]),
    /// Exactly one of these is written.
    OneOf(&'static [&'static str]),
    /// At most one of these is written.
    AtMostOne(&'static [&'static str]),
    /// If the first is written, the others are not.
    Excludes(&'static str, &'static [&'static str]),
    /// At least one of these is written, or this field is `true`.
    AnyOfOrTrue(&'static [&'static str], &'static str),
    /// If the first is written, the second has this value.
    Needs(&'static str, &'static str, &'static str),
    /// If this field is written, it is `true`.
    True(&'static str),
}

/// Describes a constraint.
pub(super) fn constrain(constraint: &Constraint) -> Value {
    let required = |name: &&str| json!({"required": [name]});
    let each = |names: &[&str]| names.iter().map(required).collect::<Vec<_>>();
    match constraint {
        Constraint::AnyOf(names) => json!({"anyOf": each(names)}),
        Constraint::OneOf(names) => json!({"oneOf": each(names)}),
        Constraint::AtMostOne(names) => {
            let pairs = names.iter().enumerate().flat_map(|(at, one)| {
                let others = names.iter().skip(at + 1);
                others.map(move |other| json!({"required": [one, other]}))
            });
            json!({"not": {"anyOf": pairs.collect::<Vec<_>>()}})
        }
        Constraint::Excludes(name, others) => {
            json!({"if": {"required": [name]}, "then": {"not": {"anyOf": each(others)}}})
        }
        Constraint::AnyOfOrTrue(names, flag) => {
            let mut any_of = each(names);
            any_of.push(json!({"required": [flag], "properties": {(*flag): {"const": true}}}));
            json!({"anyOf": any_of})
        }
        Constraint::Needs(name, other, value) => json!({
            "if": {"required": [name]},
            "then": {"required": [other], "properties": {(*other): {"const": value}}},
        }),
        Constraint::True(name) => json!({"properties": {(*name): {"const": true}}}),
    }
}

/// A sentence, as Markdown.
impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constraint::AnyOf(names) => {
                write!(f, "At least one of {} is required.", listed(names))
            }
            Constraint::OneOf(names) => {
                write!(f, "Exactly one of {} is required.", listed(names))
            }
            Constraint::AtMostOne(names) => {
                write!(f, "At most one of {} is allowed.", listed(names))
            }
            Constraint::Excludes(name, others) => {
                write!(f, "`{name}` excludes {}.", listed(others))
            }
            Constraint::AnyOfOrTrue(names, flag) => {
                write!(f, "At least one of {}", quoted(names).join(", "))?;
                write!(f, " and `{flag}: true` is required.")
            }
            Constraint::Needs(name, other, value) => {
                write!(f, "`{name}` needs `{other}: {value}`.")
            }
            Constraint::True(name) => write!(f, "`{name}` is `true` if it is written."),
        }
    }
}

fn quoted(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("`{name}`")).collect()
}

/// Joins names: `` `a`, `b` and `c` ``.
fn listed(names: &[&str]) -> String {
    match quoted(names).as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    }
}
