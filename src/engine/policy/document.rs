//! YAML text into nodes, each with its line and column. The only home of the YAML crate.
//!
//! This stage knows nothing of policies: it says what is a text, a number, a list or a mapping, and where. A file is read
//! document by document, so that one which is no YAML does not hide the others, and no more than one is ever held.
//! Anchors and aliases are followed within a budget, so that a small file cannot become a large one; merge keys, unknown
//! tags and duplicate keys are errors.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Budget, DuplicateKeyPolicy, MergeKeyPolicy, Options, Spanned};

use super::problem::{Code, Place, Problem};

/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 16 * 1024 * 1024;

/// The documents that one file may have.
const MAX_DOCUMENTS: usize = 100_000;
/// The longest line, in bytes: an annotation of Kubernetes has at most a quarter of it.
const MAX_LINE: usize = 1024 * 1024;
/// The largest document, in bytes: thrice what the API server takes as one object, and a list of some thousand policies.
const MAX_DOCUMENT: usize = 4 * 1024 * 1024;
/// The nodes that one document may have, aliases followed.
const MAX_NODES: usize = 100_000;
/// What the parser may see of one document, comments included.
const MAX_EVENTS: usize = 250_000;
/// How deep values may nest. A policy needs a dozen levels; the parser recurses, and unoptimised it takes some 30 KiB of
/// the 2 MiB that a thread has for each.
const MAX_DEPTH: usize = 32;

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

/// Parses a file document by document; empty ones are left out. Of a document that is no YAML the first problem is told.
pub fn parse(file: &str, text: &str) -> impl Iterator<Item = Result<Node, Problem>> {
    // One name for every place in the file.
    let name: Arc<str> = file.into();
    let too_large = (text.len() > MAX_FILE).then(|| {
        let what = format!("the file has {} bytes; the limit is {MAX_FILE}", text.len());
        Err(Problem::error(Code::TooLarge, Place::whole(name.clone()), what))
    });
    let text = if too_large.is_some() { "" } else { text };
    let parsed = documents(text)
        .take(MAX_DOCUMENTS + 1)
        .enumerate()
        .flat_map(move |(number, (before, document))| File { name: name.clone(), before }.parse(number, document));
    too_large.into_iter().chain(parsed)
}

/// The documents of a file, each with the number of lines before it. A line that begins with `---` or `...` divides
/// documents wherever it stands, so the text can be divided before it is parsed; what stands before the first line of a
/// document (comments, directives) belongs to it.
fn documents(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let mut rest = text;
    let mut before = 0;
    std::iter::from_fn(move || {
        let (mut end, mut lines, mut begun) = (0, 0, false);
        for line in rest.split_inclusive('\n') {
            let mark = line.trim_end();
            let is =
                |wanted: &str| mark.strip_prefix(wanted).is_some_and(|m| m.is_empty() || m.starts_with([' ', '\t']));
            if begun && is("---") {
                break;
            }
            begun |= !(mark.is_empty() || mark.starts_with(['#', '%']));
            (end, lines) = (end + line.len(), lines + 1);
            if is("...") {
                break;
            }
        }
        let (document, behind) = rest.split_at_checked(end).filter(|_| end > 0)?;
        let from = before;
        (rest, before) = (behind, before + lines);
        Some((from, document))
    })
}

/// A file and the lines that stand before the document that is read.
struct File {
    name: Arc<str>,
    before: u32,
}

impl File {
    /// The document of that number; a line end that only YAML knows may divide it further.
    fn parse(&self, number: usize, document: &str) -> Vec<Result<Node, Problem>> {
        if let Err(problem) = self.within_limits(number, document) {
            return vec![Err(problem)];
        }
        match serde_saphyr::from_multiple_with_options::<Spanned<Raw>>(document, options(document.len())) {
            Ok(raw) => {
                let nodes = raw.into_iter().map(|raw| self.node(raw));
                nodes.filter(|node| !matches!(node.value, Value::Null)).map(Ok).collect()
            }
            Err(error) => vec![Err(self.problem(&error))],
        }
    }

    fn within_limits(&self, number: usize, document: &str) -> Result<(), Problem> {
        let at = |line| Place { file: self.name.clone(), line: self.before + line, column: 1 };
        if number >= MAX_DOCUMENTS {
            let what = format!("the file has more than {MAX_DOCUMENTS} documents");
            return Err(Problem::error(Code::TooLarge, at(1), what).hint("divide it"));
        }
        if document.len() > MAX_DOCUMENT {
            let what = format!("the document has {} bytes; the limit is {MAX_DOCUMENT}", document.len());
            return Err(Problem::error(Code::TooLarge, at(1), what).hint("divide it, with `---` between the parts"));
        }
        match (1..).zip(document.lines()).find(|(_, line)| line.len() > MAX_LINE) {
            Some((line, text)) => {
                let what = format!("the line has {} bytes; the limit is {MAX_LINE}", text.len());
                Err(Problem::error(Code::TooLarge, at(line), what).hint("write the document in several lines"))
            }
            None => Ok(()),
        }
    }

    fn problem(&self, error: &serde_saphyr::Error) -> Problem {
        let place = error.location().map_or_else(|| Place::whole(self.name.clone()), |at| self.place(&at));
        let text = match innermost(error) {
            serde_saphyr::Error::Budget { breach, .. } => breached(breach),
            serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` stands twice"),
            _ => {
                let text = error.render();
                // The place is told once, by the problem.
                text.split(" at line ").next().unwrap_or(&text).trim().to_owned()
            }
        };
        let (code, hint) = kind(error);
        let problem = Problem::error(code, place, text);
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }

    fn place(&self, at: &serde_saphyr::Location) -> Place {
        let number = |n: u64| u32::try_from(n).unwrap_or(0);
        Place { file: self.name.clone(), line: self.before + number(at.line()), column: number(at.column()) }
    }

    fn node(&self, raw: Spanned<Raw>) -> Node {
        let place = self.place(&raw.referenced);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(b) => Value::Bool(b),
            Raw::Number(n) => Value::Number(n),
            Raw::Text(t) => Value::Text(t),
            Raw::List(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(pairs) => Value::Map(pairs.into_iter().map(|(k, v)| (self.key(k), self.node(v))).collect()),
        };
        Node { value, place }
    }

    fn key(&self, key: Spanned<String>) -> Key {
        Key { place: self.place(&key.referenced), name: key.value }
    }
}

/// Parses a YAML text into a type of serde, for settings files.
///
/// # Errors
/// The first problem, with its place.
pub fn parse_typed<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Problem> {
    let file = File { name: file.into(), before: 0 };
    serde_saphyr::from_str_with_options(text, options(text.len())).map_err(|error| file.problem(&error))
}

/// The kind of an error, and what to do about it.
fn kind(error: &serde_saphyr::Error) -> (Code, Option<&'static str>) {
    use serde_saphyr::Error;
    match innermost(error) {
        Error::DuplicateMappingKey { .. } => (Code::DuplicateKey, Some("a key stands once in a mapping: join the two")),
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } | Error::AliasExpansionLimitExceeded { .. } => {
            (Code::TooLarge, Some("divide the document, and write it without nested aliases"))
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
    budget.max_events = MAX_EVENTS;
    budget.max_total_scalar_bytes = MAX_DOCUMENT;
    budget.max_depth = MAX_DEPTH;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.merge_keys = MergeKeyPolicy::Error;
    options.strict_booleans = true;
    options.reject_unsupported_tags = true;
    options.with_snippet = false;
    options
}

/// Which limit a document breaks.
fn breached(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Depth { .. } => format!("the document is nested deeper than {MAX_DEPTH}"),
        BudgetBreach::Nodes { .. } => format!("the document has more than {MAX_NODES} values, aliases followed"),
        BudgetBreach::ScalarBytes { .. } => {
            format!("the document holds more than {MAX_DOCUMENT} bytes of text, aliases followed")
        }
        BudgetBreach::Events { .. } => "the document has more values and comments than a policy can need".to_owned(),
        _ => "the document has more anchors and aliases than a policy can need".to_owned(),
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

    fn parsed(text: &str) -> Result<Vec<Node>, Problem> {
        parse("f.yaml", text).collect()
    }

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
        let documents = parsed(text).unwrap();
        assert_eq!(show(&documents[0]), "{a:[true,'true',#80,'80','no','on',null,#1.5,'x'],b:{c:'d'}}");
    }

    #[test]
    fn every_node_has_its_place() {
        let documents = parsed("a:\n  - b\n---\nc:   d\n").unwrap();
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
            assert_eq!(parsed(text).unwrap().len(), 0, "{text:?}");
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
            let problem = parsed(text).map(|d| d.iter().map(show).collect::<Vec<_>>()).unwrap_err();
            assert_eq!((problem.code, problem.place.line), (code, line), "{text:?}: {problem}");
        }
    }

    #[test]
    fn a_broken_document_hides_no_other() {
        let text = "# first\na: [b\n---\nc: d\n--- # third\ne: {f\n...\n# last\n%YAML 1.2\n---\ng: h\n";
        let told: Vec<String> = parse("f.yaml", text)
            .map(|document| match document {
                Ok(node) => format!("{} {}", node.place, show(&node)),
                Err(problem) => format!("{} {}", problem.place, problem.code.as_str()),
            })
            .collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].ends_with(" yaml-syntax") && told[2].ends_with(" yaml-syntax"), "{told:?}");
        assert_eq!((told[1].as_str(), told[3].as_str()), ("f.yaml:4:1 {c:'d'}", "f.yaml:11:1 {g:'h'}"));
    }

    #[test]
    fn a_text_is_divided_where_documents_begin() {
        for (text, expected) in [
            ("", &[][..]),
            ("a\n", &[(0, "a\n")]),
            ("---\na\n---\nb", &[(0, "---\na\n"), (2, "---\nb")]),
            ("# c\n\n--- a\n---\n", &[(0, "# c\n\n--- a\n"), (3, "---\n")]),
            ("%YAML 1.2\n---\na\n", &[(0, "%YAML 1.2\n---\na\n")]),
            ("a\n...\n%YAML 1.2\n---\nb\n", &[(0, "a\n...\n"), (2, "%YAML 1.2\n---\nb\n")]),
            ("a: |\n  ---\n----\n---x\n", &[(0, "a: |\n  ---\n----\n---x\n")]),
            ("---\r\na\r\n---\r\nb\r\n", &[(0, "---\r\na\r\n"), (2, "---\r\nb\r\n")]),
        ] {
            assert_eq!(documents(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_no_policy_needs_is_too_large() {
        let keys = |count: usize| (0..count).map(|n| format!("k{n}: x\n")).collect::<String>();
        for (text, line) in [
            ("x".repeat(MAX_FILE + 1), 0),
            (format!("a: b\n---\nc:\n  {}\n", "x".repeat(MAX_LINE + 1)), 4),
            (format!("---\na: b\n---\na: >\n{}", " xxxxxxx\n".repeat(MAX_DOCUMENT / 9 + 1)), 3),
            (format!("a: &a {}\nb: [*a, *a, *a, *a, *a]\n", "x".repeat(MAX_DOCUMENT / 5)), 2),
            (keys(MAX_NODES / 2 + 1), 50_000),
            ("---\n".repeat(MAX_DOCUMENTS + 1), 100_001),
            ("# x\n".repeat(MAX_EVENTS + 1), 250_000),
        ] {
            let problem = parse("f.yaml", &text).find_map(Result::err).unwrap();
            assert_eq!((problem.code, problem.place.line), (Code::TooLarge, line), "{problem}");
        }
        assert_eq!(parse("f.yaml", &keys(MAX_NODES / 2 - 1)).filter(Result::is_ok).count(), 1);
    }

    #[test]
    fn alias_bombs_and_deep_nesting_are_refused_quickly() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for i in 1..9 {
            let prev = format!("*a{}", i - 1);
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![prev; 9].join(",")));
        }
        let problem = parsed(&bomb).map(|d| d.len()).unwrap_err();
        assert_eq!(problem.code, Code::TooLarge, "{problem}");
        for depth in [MAX_DEPTH, 2 * MAX_DEPTH, 5_000] {
            let deep = |open: &str, close: &str| format!("a: {}{}", open.repeat(depth), close.repeat(depth));
            for text in [deep("[", "]"), deep("{a: ", "}"), "- ".repeat(depth + 1)] {
                assert!(parsed(&text).is_err(), "{depth}");
            }
        }
        assert!(parsed(&format!("{}x", "- ".repeat(MAX_DEPTH - 1))).is_ok());
    }
}
