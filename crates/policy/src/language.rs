//! The versions of the policy language, and what a document uses that not every version has.
//!
//! A version of the language is called like the minor release of customs that brought it: `0.1` is
//! the language of every `0.1.x`. A declaration in [`spec`](super::spec) says since when a field or
//! a value exists, and whether it is deprecated. This module compares documents with these
//! declarations; it does not read them, so it finds the same in a document with other mistakes.

use std::fmt;
use std::str::FromStr;

use super::document::{self, Node, Value};
use super::metadata;
use super::problem::{Code, Fix, Place, Problem};
use super::spec::{KINDS, KindSpec, MappingSpec, Shape};

/// A version of the policy language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LanguageVersion {
    major: u16,
    minor: u16,
}

impl LanguageVersion {
    /// The first version. What declares no other exists since then.
    pub const FIRST: LanguageVersion = LanguageVersion::new(0, 1);

    /// Every version that this customs knows, oldest first. The last is its own.
    pub const ALL: &[LanguageVersion] = &[LanguageVersion::FIRST];

    /// Names a version.
    pub const fn new(major: u16, minor: u16) -> LanguageVersion {
        LanguageVersion { major, minor }
    }
}

impl fmt::Display for LanguageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text that names no version of the language.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown version `{given}`: this customs knows the policy languages of {known}")]
pub struct UnknownLanguageError {
    given: String,
    known: String,
}

impl FromStr for LanguageVersion {
    type Err = UnknownLanguageError;

    /// Reads `0.1`, or the version of a release: `0.1.3`. A patch release changes no language.
    fn from_str(text: &str) -> Result<LanguageVersion, UnknownLanguageError> {
        let mut parts = text.split('.').map(number);
        let read = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(major)), Some(Some(minor)), None | Some(Some(_)), None) => {
                Some(LanguageVersion::new(major, minor))
            }
            _ => None,
        };
        let known = |version: &LanguageVersion| LanguageVersion::ALL.contains(version);
        read.filter(known).ok_or_else(|| UnknownLanguageError {
            given: text.to_owned(),
            known: listed(LanguageVersion::ALL),
        })
    }
}

/// Reads a number without a sign and without leading zeros.
fn number(text: &str) -> Option<u16> {
    let is_plain =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_plain.then(|| text.parse().ok()).flatten()
}

fn listed(versions: &[LanguageVersion]) -> String {
    let names: Vec<_> = versions.iter().map(LanguageVersion::to_string).collect();
    names.join(", ")
}

/// The end of a field or value: since when it is deprecated, and what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// The version that deprecated it.
    pub since: LanguageVersion,
    /// What to do, as an imperative: "write `until`".
    pub instead: &'static str,
}

/// The versions that have a field or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Availability {
    /// The version that brought it.
    pub since: LanguageVersion,
    /// Its end, if it is deprecated.
    pub deprecated: Option<Deprecation>,
}

impl Availability {
    /// The availability of what every version has.
    pub const ALWAYS: Availability = Availability {
        since: LanguageVersion::FIRST,
        deprecated: None,
    };

    /// Declares the version that brought it.
    pub(crate) const fn from(self, major: u16, minor: u16) -> Availability {
        Availability {
            since: LanguageVersion::new(major, minor),
            deprecated: self.deprecated,
        }
    }

    /// Declares the version that deprecated it.
    pub(crate) const fn until(self, major: u16, minor: u16, instead: &'static str) -> Availability {
        Availability {
            since: self.since,
            deprecated: Some(Deprecation {
                since: LanguageVersion::new(major, minor),
                instead,
            }),
        }
    }

    /// Whether every version has it, and will have it.
    pub(crate) fn is_always(&self) -> bool {
        *self == Availability::ALWAYS
    }

    /// Describes it for the reference: empty for what every version has, else sentences.
    pub fn remarks(&self) -> String {
        let since = (self.since > LanguageVersion::FIRST).then(|| format!("Since {}.", self.since));
        let deprecated = self
            .deprecated
            .map(|end| format!("Deprecated since {}: {}.", end.since, end.instead));
        let remarks: Vec<_> = since.into_iter().chain(deprecated).collect();
        remarks.join(" ")
    }
}

/// Returns an error for each field and value of a file that the policy language of `target` does
/// not have. Documents that cannot be parsed are left to [`load`](super::source::load).
pub fn newer_than(target: LanguageVersion, file: &str, text: &str) -> Vec<Problem> {
    newer_in(&KINDS, target, file, text)
}

fn newer_in(kinds: &[KindSpec], target: LanguageVersion, file: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for document in document::parse(file, text).flatten() {
        let items = metadata::list_items(&document, &mut Vec::new());
        for object in items.unwrap_or(std::slice::from_ref(&document)) {
            let newer = |used: &Used<'_>| used.availability.since > target;
            uses(kinds, object, &mut |used| {
                problems.extend(newer(&used).then(|| used.newer_than(target)));
            });
        }
    }
    problems
}

/// Returns a warning for each deprecated field and value of an object.
pub(crate) fn deprecated_in(kind: &KindSpec, object: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    // A set may have a hundred thousand objects, and usually nothing is deprecated.
    if kind.document.deprecates() {
        uses(std::slice::from_ref(kind), object, &mut |used| {
            problems.extend(used.deprecated());
        });
    }
    problems
}

/// A field or value that a document uses and that not every version has.
struct Used<'n> {
    /// What it is, as a message names it.
    what: String,
    /// The field or the value itself.
    name: &'static str,
    place: &'n Place,
    availability: Availability,
}

impl Used<'_> {
    fn newer_than(&self, target: LanguageVersion) -> Problem {
        let (what, since) = (&self.what, self.availability.since);
        let text = format!("{what} exists since {since}, and the target is {target}");
        let hint = format!(
            "customs {target} would refuse the file: leave it out until every server runs {since}"
        );
        Problem::error(Code::NewerThanTarget, self.place.clone(), text).hint(hint)
    }

    fn deprecated(&self) -> Option<Problem> {
        let end = self.availability.deprecated?;
        let text = format!("{} is deprecated since {}", self.what, end.since);
        let problem = Problem::warning(Code::Deprecated, self.place.clone(), text);
        let problem = problem.hint(format!("{}; a later version refuses it", end.instead));
        let meant = end.instead.strip_prefix("write `");
        let meant = meant.and_then(|rest| rest.strip_suffix('`'));
        let meant = meant.filter(|meant| !meant.contains(['`', ' ']));
        Some(problem.fix(meant.map(|meant| Fix::text(self.name, meant))))
    }
}

/// Reports what an object uses, if it is of one of these kinds.
fn uses(kinds: &[KindSpec], object: &Node, report: &mut impl FnMut(Used<'_>)) {
    let Value::Map(pairs) = &object.value else {
        return;
    };
    let is = |kind: &&KindSpec| {
        let names_kind =
            |node: &Node| matches!(&node.value, Value::Text(text) if text == kind.name);
        pairs
            .iter()
            .any(|(key, node)| key.name == "kind" && names_kind(node))
    };
    if let Some(kind) = kinds.iter().find(is) {
        in_mapping(kind.document, object, report);
    }
}

fn in_mapping(spec: &MappingSpec, node: &Node, report: &mut impl FnMut(Used<'_>)) {
    let Value::Map(pairs) = &node.value else {
        return;
    };
    for (key, value) in pairs {
        let Some(field) = spec
            .fields()
            .into_iter()
            .find(|field| field.name == key.name)
        else {
            continue;
        };
        if !field.availability.is_always() {
            report(Used {
                what: format!("`{}` in {}", field.name, spec.called),
                name: field.name,
                place: &key.place,
                availability: field.availability,
            });
        }
        in_value(field.name, field.shape, value, report);
    }
}

fn in_value(name: &str, shape: Shape, node: &Node, report: &mut impl FnMut(Used<'_>)) {
    match (shape, &node.value) {
        (Shape::Mapping(spec), _) => in_mapping(spec, node, report),
        (Shape::List { of, .. }, Value::List(nodes)) => {
            nodes
                .iter()
                .for_each(|node| in_value(name, *of, node, report));
        }
        (Shape::Map(of), Value::Map(pairs)) => {
            pairs
                .iter()
                .for_each(|(_, node)| in_value(name, *of, node, report));
        }
        (Shape::OneOf(words), Value::Text(text)) => {
            let word = words.iter().find(|word| word.text == text);
            if let Some(word) = word.filter(|word| !word.availability.is_always()) {
                report(Used {
                    what: format!("`{}` as the value of `{name}`", word.text),
                    name: word.text,
                    place: &node.place,
                    availability: word.availability,
                });
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
