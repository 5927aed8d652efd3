//! Parses YAML text into nodes, each with its line and column. No other module uses the YAML crate.
//!
//! This stage does not know policies: it reports texts, numbers, lists and mappings, and their
//! places. A file is read document by document, so that one with invalid YAML does not hide the
//! others, and only a few are held at a time. Anchors and aliases are followed within a budget, so
//! that a small file cannot become a large one. Merge keys, unknown tags and duplicate keys are
//! errors.

mod raw;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Budget, DuplicateKeyPolicy, MergeKeyPolicy, Options, Spanned};

use super::problem::{Code, Place, Problem};
use super::suggestion::nearest;
use raw::Raw;

/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 16 * 1024 * 1024;

/// The most documents that one file may have.
const MAX_DOCUMENTS: usize = 100_000;
/// The longest line, in bytes. An annotation of Kubernetes has at most a quarter of it.
const MAX_LINE: usize = 1024 * 1024;
/// The largest document, in bytes: three times what the API server accepts as one object, or a list
/// of some thousand policies.
const MAX_DOCUMENT: usize = 4 * 1024 * 1024;
/// The most nodes that one document may have, aliases followed.
const MAX_NODES: usize = 100_000;
/// The most events of the parser for one document, comments included.
const MAX_EVENTS: usize = 250_000;
/// The deepest nesting of values. A policy needs a dozen levels. The parser recurses, and without
/// optimisation each level takes some 30 KiB of a thread's 2 MiB stack.
const MAX_DEPTH: usize = 32;

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Whether it is a text that is written in quotes or as a block.
    pub quoted: bool,
    /// Where it is.
    pub place: Place,
}

/// A YAML value.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`; other spellings are text.
    Bool(bool),
    /// A number, as YAML parsed it.
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
    /// Where it is.
    pub place: Place,
}

impl Value {
    /// Returns the type of the value, for messages.
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

/// Parses a file document by document and skips empty ones. For a document with invalid YAML, only
/// the first problem is reported.
pub fn parse(file: &str, text: &str) -> impl Iterator<Item = Result<Node, Problem>> {
    // Every place in the file shares one name.
    let name: Arc<str> = file.into();
    let too_large = (text.len() > MAX_FILE).then(|| {
        let what = format!("the file has {} bytes; the limit is {MAX_FILE}", text.len());
        Err(Problem::error(
            Code::TooLarge,
            Place::whole(name.clone()),
            what,
        ))
    });
    let mut rest = if too_large.is_some() { "" } else { text };
    let mut documents = documents(rest).take(MAX_DOCUMENTS + 1).enumerate();
    let parsed = std::iter::from_fn(move || {
        let (mut batch, mut length) = (Vec::new(), 0);
        while length < BATCH {
            let Some((number, (before, document))) = documents.next() else {
                break;
            };
            length += document.len();
            batch.push(Document {
                number,
                text: document,
                file: File {
                    name: name.clone(),
                    before,
                },
            });
        }
        let (whole, behind) = rest.split_at_checked(length)?;
        rest = behind;
        (!batch.is_empty()).then(|| parse_batch(whole, &batch))
    });
    too_large.into_iter().chain(parsed.flatten())
}

/// The size of a batch of documents, in bytes. Parsing small documents one by one would cost twice
/// as much.
const BATCH: usize = 16 * 1024;

/// A document of a file, before it is parsed.
struct Document<'t> {
    number: usize,
    text: &'t str,
    file: File,
}

/// Parses consecutive documents together, or each by itself if one is broken or large.
fn parse_batch(whole: &str, batch: &[Document<'_>]) -> Vec<Result<Node, Problem>> {
    let together = match batch {
        [first, .., last] if whole.len() < 2 * BATCH && last.number < MAX_DOCUMENTS => {
            first.file.nodes(whole).ok()
        }
        _ => None,
    };
    match together {
        Some(nodes) => nodes.into_iter().map(Ok).collect(),
        None => batch
            .iter()
            .flat_map(|document| document.file.parse(document.number, document.text))
            .collect(),
    }
}

/// Splits a file into documents, each with the number of lines before it. A line that begins with
/// `---` or `...` always separates documents, so the text can be split before it is parsed.
/// Comments and directives before the first line of a document belong to it.
fn documents(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let mut rest = text;
    let mut before = 0;
    std::iter::from_fn(move || {
        let (mut end, mut lines, mut begun) = (0, 0, false);
        for line in rest.split_inclusive('\n') {
            let mark = line.trim_end();
            let is = |wanted: &str| {
                mark.strip_prefix(wanted)
                    .is_some_and(|m| m.is_empty() || m.starts_with([' ', '\t']))
            };
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

/// A file, and the number of lines before the document that is read.
struct File {
    name: Arc<str>,
    before: u32,
}

impl File {
    /// Parses the document with this number. A line end that only YAML knows may split it further.
    fn parse(&self, number: usize, document: &str) -> Vec<Result<Node, Problem>> {
        if let Err(problem) = self.within_limits(number, document) {
            return vec![Err(problem)];
        }
        match self.nodes(document) {
            Ok(nodes) => nodes.into_iter().map(Ok).collect(),
            Err(problem) => vec![Err(problem)],
        }
    }

    /// Parses a text that begins after `before` lines, and skips empty documents.
    fn nodes(&self, text: &str) -> Result<Vec<Node>, Problem> {
        let raw: Vec<Spanned<Raw>> =
            serde_saphyr::from_multiple_with_options(text, options(text.len()))
                .map_err(|error| self.problem(&error))?;
        let nodes = raw.into_iter().map(|raw| self.node(raw));
        Ok(nodes
            .filter(|node| !matches!(node.value, Value::Null))
            .collect())
    }

    fn within_limits(&self, number: usize, document: &str) -> Result<(), Problem> {
        let at = |line| Place {
            file: self.name.clone(),
            line: self.before + line,
            column: 1,
        };
        if number >= MAX_DOCUMENTS {
            let what = format!("the file has more than {MAX_DOCUMENTS} documents");
            return Err(Problem::error(Code::TooLarge, at(1), what).hint("divide it"));
        }
        if document.len() > MAX_DOCUMENT {
            let what = format!(
                "the document has {} bytes; the limit is {MAX_DOCUMENT}",
                document.len()
            );
            return Err(Problem::error(Code::TooLarge, at(1), what)
                .hint("divide it, with `---` between the parts"));
        }
        match (1..)
            .zip(document.lines())
            .find(|(_, line)| line.len() > MAX_LINE)
        {
            Some((line, text)) => {
                let what = format!("the line has {} bytes; the limit is {MAX_LINE}", text.len());
                Err(Problem::error(Code::TooLarge, at(line), what)
                    .hint("write the document in several lines"))
            }
            None => Ok(()),
        }
    }

    fn problem(&self, error: &serde_saphyr::Error) -> Problem {
        let place = error
            .location()
            .map_or_else(|| Place::whole(self.name.clone()), |at| self.place(&at));
        let text = match innermost(error) {
            serde_saphyr::Error::Budget { breach, .. } => breached(breach),
            serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
                format!("duplicate key `{key}`")
            }
            _ => {
                let text = error.render();
                // The problem already has the place.
                text.split(" at line ")
                    .next()
                    .unwrap_or(&text)
                    .trim()
                    .to_owned()
            }
        };
        let (code, hint) = kind(error);
        let problem = Problem::error(code, place, text);
        match (meant(error), hint) {
            (Some(meant), _) => problem.hint(format!("did you mean `{meant}`?")),
            (None, Some(hint)) => problem.hint(hint),
            (None, None) => problem,
        }
    }

    fn place(&self, at: &serde_saphyr::Location) -> Place {
        let number = |n: u64| u32::try_from(n).unwrap_or(0);
        Place {
            file: self.name.clone(),
            line: self.before + number(at.line()),
            column: number(at.column()),
        }
    }

    fn node(&self, raw: Spanned<Raw>) -> Node {
        let place = self.place(&raw.referenced);
        let length = usize::try_from(raw.referenced.span().len()).unwrap_or_default();
        let quoted = matches!(&raw.value, Raw::Text(text) if text.chars().count() < length);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(b) => Value::Bool(b),
            Raw::Number(n) => Value::Number(n),
            Raw::Text(t) => Value::Text(t),
            Raw::List(items) => {
                Value::List(items.into_iter().map(|item| self.node(item)).collect())
            }
            Raw::Map(pairs) => Value::Map(
                pairs
                    .into_iter()
                    .map(|(k, v)| (self.key(k), self.node(v)))
                    .collect(),
            ),
        };
        Node {
            value,
            quoted,
            place,
        }
    }

    fn key(&self, key: Spanned<String>) -> Key {
        Key {
            place: self.place(&key.referenced),
            name: key.value,
        }
    }
}

/// Parses YAML text into a serde type, for settings files.
///
/// # Errors
/// Returns the first problem, with its place.
pub fn parse_typed<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Problem> {
    let file = File {
        name: file.into(),
        before: 0,
    };
    serde_saphyr::from_str_with_options(text, options(text.len()))
        .map_err(|error| file.problem(&error))
}

/// Returns the code of an error, and what to do about it.
fn kind(error: &serde_saphyr::Error) -> (Code, Option<&'static str>) {
    use serde_saphyr::Error;
    match innermost(error) {
        Error::DuplicateMappingKey { .. } => (
            Code::DuplicateKey,
            Some("a key may appear once in a mapping: join the two"),
        ),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => (
            Code::TooLarge,
            Some("divide the document, and write it without nested aliases"),
        ),
        Error::SerdeUnknownField { .. } => (Code::UnknownField, None),
        Error::SerdeMissingField { .. } => (Code::MissingField, None),
        Error::SerdeUnknownVariant { .. } | Error::SerdeInvalidValue { .. } => {
            (Code::BadValue, None)
        }
        Error::SerdeInvalidType { .. } | Error::InvalidScalar { .. } | Error::Unexpected { .. } => {
            (Code::WrongType, None)
        }
        Error::MultipleDocuments { .. } => (
            Code::YamlSyntax,
            Some("the file holds one document: remove `---`"),
        ),
        _ => (
            Code::YamlSyntax,
            Some("check quotes, brackets and indentation at this place"),
        ),
    }
}

/// Suggests the field or value that was meant by an unknown one.
fn meant(error: &serde_saphyr::Error) -> Option<&'static str> {
    use serde_saphyr::Error;
    match innermost(error) {
        Error::SerdeUnknownField {
            field, expected, ..
        } => nearest(field, expected),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => nearest(variant, expected),
        _ => None,
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

/// Describes the limit that a document exceeds.
fn breached(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Depth { .. } => format!("the document is nested deeper than {MAX_DEPTH}"),
        BudgetBreach::Nodes { .. } => {
            format!("the document has more than {MAX_NODES} values, aliases followed")
        }
        BudgetBreach::ScalarBytes { .. } => {
            format!("the document holds more than {MAX_DOCUMENT} bytes of text, aliases followed")
        }
        BudgetBreach::Events { .. } => {
            "the document has more values and comments than a policy can need".to_owned()
        }
        _ => "the document has more anchors and aliases than a policy can need".to_owned(),
    }
}

/// Returns the error itself, without the places of the aliases that led to it.
fn innermost(error: &serde_saphyr::Error) -> &serde_saphyr::Error {
    match error {
        serde_saphyr::Error::AliasError { error, .. }
        | serde_saphyr::Error::WithSnippet { error, .. } => innermost(error),
        other => other,
    }
}

#[cfg(test)]
mod tests;
