//! YAML text into nodes, each with its line and column. The only home of the YAML crate.
//!
//! This stage knows nothing of policies: it says what is a text, a number, a list or a mapping, and where. Anchors and
//! aliases are followed within a budget, so that a small file cannot become a large one; merge keys, unknown tags and
//! duplicate keys are errors.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Budget, DuplicateKeyPolicy, MergeKeyPolicy, Options, Spanned};

use super::problem::{Code, Place, Problem};

/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 32 * 1024 * 1024;

/// Nodes that one file may have, aliases followed: about ten bytes a node in the largest file.
const MAX_NODES: usize = 3_000_000;

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub place: Place,
}

/// A YAML value.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`; other spellings are text.
    Bool(bool),
    /// A number, spelt as YAML understood it.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in order; keys are text.
    Map(Vec<(Key, Node)>),
}

/// A key with its place.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Where it stands.
    pub place: Place,
}

impl Value {
    /// What the value is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Parses a file into its documents; empty documents are left out.
///
/// # Errors
/// One problem: the parser stops at the first thing that is no YAML.
pub fn parse(file: &str, text: &str) -> Result<Vec<Node>, Problem> {
    if text.len() > MAX_FILE {
        let what = format!("the file has {} bytes; the limit is {MAX_FILE}", text.len());
        return Err(Problem::error(Code::TooLarge, Place::whole(file), what));
    }
    // One name for every place in the file.
    let name: Arc<str> = file.into();
    let documents: Vec<Spanned<Raw>> =
        serde_saphyr::from_multiple_with_options(text, options(text.len())).map_err(|error| problem(file, &error))?;
    Ok(documents.into_iter().map(|raw| place_node(&name, raw)).filter(|n| !matches!(n.value, Value::Null)).collect())
}

/// Parses a YAML text into a type of serde, for settings files.
///
/// # Errors
/// The first problem, with its place.
pub fn parse_typed<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Problem> {
    serde_saphyr::from_str_with_options(text, options(text.len())).map_err(|error| problem(file, &error))
}

/// The kind of an error, and what to do about it.
fn kind(error: &serde_saphyr::Error) -> (Code, Option<&'static str>) {
    use serde_saphyr::Error;
    match innermost(error) {
        Error::DuplicateMappingKey { .. } => (Code::DuplicateKey, Some("a key stands once in a mapping: join the two")),
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } | Error::AliasExpansionLimitExceeded { .. } => {
            (Code::TooLarge, Some("the file expands to more than it needs; write it without nested aliases"))
        }
        Error::SerdeUnknownField { .. } => (Code::UnknownField, None),
        Error::SerdeMissingField { .. } => (Code::MissingField, None),
        Error::SerdeUnknownVariant { .. } | Error::SerdeInvalidValue { .. } => (Code::BadValue, None),
        Error::SerdeInvalidType { .. } | Error::InvalidScalar { .. } | Error::Unexpected { .. } => {
            (Code::WrongType, None)
        }
        Error::MultipleDocuments { .. } => (Code::YamlSyntax, Some("the file holds one document: remove `---`")),
        _ => (Code::YamlSyntax, Some("check quotes, brackets and indentation at this place")),
    }
}

fn options(length: usize) -> Options {
    let mut budget = Budget::default();
    budget.max_nodes = MAX_NODES.min(length.saturating_mul(2).max(1_000));
    budget.max_events = MAX_NODES.saturating_mul(2);
    budget.max_documents = 100_000;
    budget.max_depth = 64;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.merge_keys = MergeKeyPolicy::Error;
    options.strict_booleans = true;
    options.reject_unsupported_tags = true;
    options.with_snippet = false;
    options
}

fn problem(file: &str, error: &serde_saphyr::Error) -> Problem {
    let place = error.location().map_or_else(|| Place::whole(file), |at| place(&file.into(), &at));
    let text = error.render();
    // The place is told once, by the problem.
    let text = text.split(" at line ").next().unwrap_or(&text).trim().to_owned();
    let (code, hint) = kind(error);
    let problem = Problem::error(code, place, text);
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// The error itself, without the places of the aliases that led to it.
fn innermost(error: &serde_saphyr::Error) -> &serde_saphyr::Error {
    match error {
        serde_saphyr::Error::AliasError { error, .. } | serde_saphyr::Error::WithSnippet { error, .. } => {
            innermost(error)
        }
        other => other,
    }
}

fn place(file: &Arc<str>, at: &serde_saphyr::Location) -> Place {
    let number = |n: u64| u32::try_from(n).unwrap_or(0);
    Place { file: file.clone(), line: number(at.line()), column: number(at.column()) }
}

fn place_node(file: &Arc<str>, raw: Spanned<Raw>) -> Node {
    let place = place(file, &raw.referenced);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Bool(b) => Value::Bool(b),
        Raw::Number(n) => Value::Number(n),
        Raw::Text(t) => Value::Text(t),
        Raw::List(items) => Value::List(items.into_iter().map(|item| place_node(file, item)).collect()),
        Raw::Map(pairs) => {
            Value::Map(pairs.into_iter().map(|(k, v)| (place_key(file, k), place_node(file, v))).collect())
        }
    };
    Node { value, place }
}

fn place_key(file: &Arc<str>, key: Spanned<String>) -> Key {
    Key { place: place(file, &key.referenced), name: key.value }
}

/// A value as serde sees it, before the file's name is known to its places.
enum Raw {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Raw::Map(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".into(),
            Value::Bool(b) => b.to_string(),
            Value::Number(n) => format!("#{n}"),
            Value::Text(t) => format!("'{t}'"),
            Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(",")),
            Value::Map(pairs) => {
                format!(
                    "{{{}}}",
                    pairs.iter().map(|(k, v)| format!("{}:{}", k.name, show(v))).collect::<Vec<_>>().join(",")
                )
            }
        }
    }

    #[test]
    fn quoted_scalars_are_text_and_plain_ones_are_typed() {
        let text = "a: [true, 'true', 80, \"80\", no, on, ~, 1.5, x]\nb: {c: d}\n";
        let documents = parse("f.yaml", text).unwrap();
        assert_eq!(show(&documents[0]), "{a:[true,'true',#80,'80','no','on',null,#1.5,'x'],b:{c:'d'}}");
    }

    #[test]
    fn every_node_has_its_place() {
        let documents = parse("f.yaml", "a:\n  - b\n---\nc:   d\n").unwrap();
        let Value::Map(second) = &documents[1].value else { panic!() };
        assert_eq!(second[0].0.place.to_string(), "f.yaml:4:1");
        assert_eq!(second[0].1.place.to_string(), "f.yaml:4:6");
        let Value::Map(first) = &documents[0].value else { panic!() };
        let Value::List(items) = &first[0].1.value else { panic!() };
        assert_eq!(items[0].place.to_string(), "f.yaml:2:5");
    }

    #[test]
    fn empty_documents_are_left_out() {
        for text in ["", "\n", "---\n", "# only a comment\n", "---\n---\n", "\u{feff}---\n# x\n"] {
            assert_eq!(parse("f.yaml", text).unwrap().len(), 0, "{text:?}");
        }
    }

    #[test]
    fn broken_text_is_one_problem_with_its_place() {
        for (text, code, line) in [
            ("a: [b\n", Code::YamlSyntax, 1),
            ("a: 1\na: 2\n", Code::DuplicateKey, 2),
            ("a: {b: 1,\n  b: 2}\n", Code::DuplicateKey, 2),
            ("a: !include x\n", Code::YamlSyntax, 1),
            ("a: &x {b: c}\nd:\n  <<: *x\n", Code::YamlSyntax, 3),
            ("a: *nope\n", Code::YamlSyntax, 1),
        ] {
            let problem = parse("f.yaml", text).map(|d| d.iter().map(show).collect::<Vec<_>>()).unwrap_err();
            assert_eq!((problem.code, problem.place.line), (code, line), "{text:?}: {problem}");
        }
    }

    #[test]
    fn alias_bombs_and_deep_nesting_are_refused_quickly() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for i in 1..9 {
            let prev = format!("*a{}", i - 1);
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![prev; 9].join(",")));
        }
        let problem = parse("f.yaml", &bomb).map(|d| d.len()).unwrap_err();
        assert_eq!(problem.code, Code::TooLarge, "{problem}");
        let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(parse("f.yaml", &deep).is_err());
    }
}
