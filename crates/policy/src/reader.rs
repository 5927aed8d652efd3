//! Typed reading of nodes, one field at a time. A reader records each problem and continues.
//!
//! This module does not know the kinds of documents: [`spec`](super::spec) declares the fields.
//! Whatever a reader returns is valid; each problem is recorded with its place. An empty list,
//! mapping or text is an error unless its declaration allows it, because it would silently mean
//! everything or nothing.

mod values;

use super::document::{Key, Node, Value};
use super::nesting::belongs;
use super::problem::{Code, Fix, Place, Problem};
use super::spec::MappingSpec;
use super::suggestion::{is_near, nearest, squeezed};

pub use values::{FromField, FromNode, List, Mapping, Placed, Refused, Required, Written};

/// A text with its place.
#[derive(Clone, Copy, Debug)]
pub struct Text<'n> {
    /// The text, not empty.
    pub text: &'n str,
    /// Whether it is written in quotes or as a block.
    pub quoted: bool,
    /// Where it is.
    pub place: &'n Place,
}

impl Text<'_> {
    /// An error at this text.
    pub fn error(&self, code: Code, what: impl Into<String>) -> Problem {
        Problem::error(code, self.place.clone(), what)
    }

    /// A warning at this text.
    pub fn warning(&self, code: Code, what: impl Into<String>) -> Problem {
        Problem::warning(code, self.place.clone(), what)
    }
}

/// The fields of one mapping. Each is taken once, and the rest at the end is unknown.
#[derive(Debug)]
pub struct Fields<'n, 'p> {
    spec: &'static MappingSpec,
    place: &'n Place,
    pairs: &'n [(Key, Node)],
    left: Vec<&'n (Key, Node)>,
    problems: &'p mut Vec<Problem>,
}

impl<'n, 'p> Fields<'n, 'p> {
    /// Opens a mapping with a declaration.
    fn open(
        node: &'n Node,
        spec: &'static MappingSpec,
        problems: &'p mut Vec<Problem>,
    ) -> Option<Fields<'n, 'p>> {
        let Value::Map(pairs) = &node.value else {
            problems.push(wrong_type(node, spec.called, "a mapping"));
            return None;
        };
        if spec.filled && pairs.is_empty() {
            problems.push(empty(node, spec.called));
            return None;
        }
        Some(Fields {
            spec,
            place: &node.place,
            pairs,
            left: pairs.iter().collect(),
            problems,
        })
    }

    /// Takes a field, if it is present.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'n Node> {
        let at = self.left.iter().position(|(key, _)| key.name == name)?;
        Some(&self.left.swap_remove(at).1)
    }

    /// Takes a required field.
    fn require(&mut self, name: &str) -> Option<&'n Node> {
        let node = self.take(name);
        if node.is_none() {
            // A misspelt field is one mistake, and is reported at its place.
            let near = self
                .left
                .iter()
                .position(|(key, _)| nearest(&key.name, &[name]).is_some());
            let problem = match near.map(|at| self.left.swap_remove(at)) {
                Some((key, _)) => self
                    .unknown(key)
                    .hint(did_you_mean(name))
                    .fix(self.certain(&key.name)),
                None => values::missing(name, self.spec.called, self.place),
            };
            self.problems.push(problem);
        }
        node
    }

    /// Closes the mapping. Reports every field that was not taken as unknown, and returns these.
    fn close(mut self) -> Vec<&'n str> {
        let read_over = self.spec.read_over;
        self.left
            .retain(|(key, _)| !read_over.contains(&key.name.as_str()));
        for (key, _) in &self.left {
            let problem = self.unknown(key).hint(self.meant(&key.name));
            let problem = problem.fix(self.certain(&key.name));
            self.problems.push(problem);
        }
        self.left.iter().map(|(key, _)| key.name.as_str()).collect()
    }

    fn unknown(&self, key: &Key) -> Problem {
        let what = format!("unknown field `{}` in {}", key.name, self.spec.called);
        Problem::error(Code::UnknownField, key.place.clone(), what)
    }

    /// Returns the fix of an unknown field, if it can be one field only: the same word in another
    /// form, or else the only similar name, which is not written already.
    fn certain(&self, name: &str) -> Option<Fix> {
        let known = self.spec.names();
        let is_same = |known: &&&str| squeezed(known) == squeezed(name);
        let mut near: Vec<&&str> = known.iter().filter(is_same).collect();
        if near.is_empty() && belongs(self.spec, name).is_none() {
            near = known.iter().filter(|known| is_near(name, known)).collect();
        }
        let [meant] = near.as_slice() else {
            return None;
        };
        let is_written = self.pairs.iter().any(|(key, _)| key.name == **meant);
        (!is_written).then(|| Fix::text(name, **meant))
    }

    /// Suggests what was meant by an unknown field: the same word in another form, a field of
    /// another mapping, a similar name, or else any known field.
    fn meant(&self, name: &str) -> String {
        let known = self.spec.names();
        let same = known
            .iter()
            .find(|known| squeezed(known) == squeezed(name))
            .map(|known| did_you_mean(known));
        let hosts = || {
            let is_meant = HOSTS_IN_OTHER_WORDS.contains(&name) && known.contains(&"hosts");
            is_meant.then(|| did_you_mean("hosts"))
        };
        same.or_else(|| belongs(self.spec, name))
            .or_else(|| nearest(name, &known).map(did_you_mean))
            .or_else(hosts)
            .unwrap_or_else(|| format!("the fields are {}", quoted(&known)))
    }
}

/// Other words for the hosts of an entry.
const HOSTS_IN_OTHER_WORDS: [&str; 8] = [
    "domain",
    "domains",
    "hostname",
    "hostnames",
    "fqdn",
    "fqdns",
    "url",
    "urls",
];

/// Other words for destinations, which are not similar to any field.
const OTHER_WORDS: [&str; 12] = [
    "domain",
    "domains",
    "hostname",
    "hostnames",
    "fqdn",
    "fqdns",
    "url",
    "urls",
    "ports",
    "to",
    "operation",
    "targets",
];

fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

/// Reads a text. Numbers and booleans need quotes.
pub(crate) fn text<'n>(
    node: &'n Node,
    name: &str,
    problems: &mut Vec<Problem>,
) -> Option<Text<'n>> {
    match &node.value {
        Value::Text(text) if text.is_empty() => {
            problems.push(empty(node, name));
            None
        }
        Value::Text(text) => Some(Text {
            text,
            quoted: node.quoted,
            place: &node.place,
        }),
        Value::Number(value) => {
            problems.push(
                wrong_type(node, name, "text")
                    .hint(format!("write it in quotes: \"{value}\""))
                    .fix(Fix::quotes(value)),
            );
            None
        }
        Value::Bool(value) => {
            problems.push(
                wrong_type(node, name, "text")
                    .hint(format!("write it in quotes: \"{value}\""))
                    .fix(Fix::quotes(value.to_string())),
            );
            None
        }
        _ => {
            problems.push(wrong_type(node, name, "text"));
            None
        }
    }
}

fn wrong_type(node: &Node, name: &str, wanted: &str) -> Problem {
    if matches!(node.value, Value::Null) {
        return empty(node, name);
    }
    let what = format!("`{name}` is {}, and must be {wanted}", node.value.kind());
    Problem::error(Code::WrongType, node.place.clone(), what)
}

fn empty(node: &Node, name: &str) -> Problem {
    let hint = match name {
        "allow" => "leave `allow` out and write `isolate: true`",
        // Leaving one of these fields out does not add callers or destinations to a rule.
        "reason" | "ticket" | "owner" | "mode" | "deny" | "rules" | "except" | "expires" => {
            "leave the field out, or say what it holds"
        }
        _ => "say what it holds; without the field every value is meant",
    };
    Problem::error(
        Code::EmptyValue,
        node.place.clone(),
        format!("`{name}` is empty"),
    )
    .hint(hint)
}

fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The words that some YAML readers take for a boolean or null, in lower case.
pub const YAML_WORDS: [&str; 11] = [
    "y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "~",
];

/// Warns about a host without quotes that is a YAML word for a boolean or null. It is text here, but
/// other YAML readers parse it as that value.
pub(crate) fn yaml_word(text: Text<'_>) -> Option<Problem> {
    let what = format!(
        "`{}` is read as a host of this name, but other YAML readers take it for a boolean or null",
        text.text
    );
    let hint = "write the whole name of the host, such as `www.example.no`, or put it in quotes";
    (YAML_WORDS.contains(&text.text) && !text.quoted).then(|| {
        let problem = text.warning(Code::YamlWord, what).hint(hint);
        problem.fix(Fix::quotes(text.text))
    })
}
