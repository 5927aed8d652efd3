//! Typed reading of nodes: a field at a time, noting what is wrong and reading on.
//!
//! Nothing here knows a kind of document. What a reader returns is right; what was wrong is among the problems, with
//! its place. An empty list, mapping or text is always an error, because it would silently mean everything or nothing.

use super::document::{Key, Node, Value};
use super::nesting::belongs;
use super::problem::{Code, Place, Problem};

/// A text with its place.
#[derive(Clone, Copy, Debug)]
pub struct Text<'n> {
    /// The text, not empty.
    pub text: &'n str,
    /// Where it stands.
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

/// The fields of one mapping; each is taken once, and what is left at the end does not exist.
#[derive(Debug)]
pub struct Fields<'n, 'p> {
    name: &'static str,
    place: &'n Place,
    left: Vec<&'n (Key, Node)>,
    asked: Vec<&'static str>,
    problems: &'p mut Vec<Problem>,
}

impl<'n, 'p> Fields<'n, 'p> {
    /// Opens a mapping, which may be empty. `name` is what the mapping is, for messages.
    pub fn open(
        node: &'n Node,
        name: &'static str,
        problems: &'p mut Vec<Problem>,
    ) -> Option<Fields<'n, 'p>> {
        let Value::Map(pairs) = &node.value else {
            problems.push(wrong_type(node, name, "a mapping"));
            return None;
        };
        Some(Fields {
            name,
            place: &node.place,
            left: pairs.iter().collect(),
            asked: Vec::new(),
            problems,
        })
    }

    /// Opens a mapping that must have fields.
    pub fn open_filled(
        node: &'n Node,
        name: &'static str,
        problems: &'p mut Vec<Problem>,
    ) -> Option<Fields<'n, 'p>> {
        let fields = Fields::open(node, name, problems)?;
        if fields.left.is_empty() {
            fields.problems.push(empty(node, name));
            return None;
        }
        Some(fields)
    }

    /// Where the mapping stands.
    pub fn place(&self) -> &'n Place {
        self.place
    }

    /// Where problems go.
    pub fn problems(&mut self) -> &mut Vec<Problem> {
        self.problems
    }

    /// Takes a field, if it is there.
    pub fn take(&mut self, name: &'static str) -> Option<&'n Node> {
        self.asked.push(name);
        let at = self.left.iter().position(|(key, _)| key.name == name)?;
        Some(&self.left.swap_remove(at).1)
    }

    /// Takes a field that must be there.
    pub fn require(&mut self, name: &'static str) -> Option<&'n Node> {
        let node = self.take(name);
        if node.is_none() {
            // A misspelt field is one mistake, and is told where it stands.
            let near = self
                .left
                .iter()
                .position(|(key, _)| nearest(&key.name, &[name]).is_some());
            let problem = match near.map(|at| self.left.swap_remove(at)) {
                Some((key, _)) => self.unknown(key).hint(did_you_mean(name)),
                None => {
                    let what = format!("`{name}` is missing in {}", self.name);
                    Problem::error(Code::MissingField, self.place.clone(), what)
                        .hint(format!("add `{name}`"))
                }
            };
            self.problems.push(problem);
        }
        node
    }

    /// Whether a field that was not taken may be one of these, misspelt or in another form. Then nothing is said of what seems
    /// to be missing: the unknown field is the mistake, and advice for a missing one could widen what was meant.
    pub fn may_hold(&self, names: &[&str]) -> bool {
        self.left.iter().any(|(key, _)| {
            nearest(&key.name, names).is_some() || OTHER_WORDS.contains(&key.name.as_str())
        })
    }

    /// Takes fields that are known and mean nothing here.
    pub fn read_over(&mut self, names: &[&'static str]) {
        self.asked.extend(names);
        self.left
            .retain(|(key, _)| !names.contains(&key.name.as_str()));
    }

    /// Takes a text field.
    pub fn text(&mut self, name: &'static str) -> Option<Text<'n>> {
        self.take(name)
            .and_then(|node| text(node, name, self.problems))
    }

    /// Takes a boolean field.
    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        self.take(name).and_then(|node| match node.value {
            Value::Bool(value) => Some(value),
            _ => {
                self.problems
                    .push(wrong_type(node, name, "`true` or `false`, without quotes"));
                None
            }
        })
    }

    /// Takes a list of texts; absent is empty, present it has entries.
    pub fn texts(&mut self, name: &'static str) -> Vec<Text<'n>> {
        self.take(name)
            .map(|node| texts(node, name, self.problems))
            .unwrap_or_default()
    }

    /// Takes a list; absent is empty, present it has entries.
    pub fn list(&mut self, name: &'static str) -> &'n [Node] {
        self.take(name)
            .and_then(|node| list(node, name, self.problems))
            .unwrap_or_default()
    }

    /// Closes the mapping: every field that was not taken does not exist.
    pub fn close(self) {
        for (key, _) in &self.left {
            let problem = self.unknown(key).hint(self.meant(&key.name));
            self.problems.push(problem);
        }
    }

    fn unknown(&self, key: &Key) -> Problem {
        let what = format!("unknown field `{}` in {}", key.name, self.name);
        Problem::error(Code::UnknownField, key.place.clone(), what)
    }

    /// What was meant by a field that does not exist here: the same word in another form, a field of another mapping, a name
    /// that is near, and else any.
    fn meant(&self, name: &str) -> String {
        let same = self
            .asked
            .iter()
            .find(|known| squeezed(known) == squeezed(name))
            .map(|known| did_you_mean(known));
        same.or_else(|| belongs(self.name, name, &self.asked))
            .or_else(|| nearest(name, &self.asked).map(did_you_mean))
            .or_else(|| {
                HOSTS_IN_OTHER_WORDS
                    .contains(&name)
                    .then(|| self.asked.contains(&"hosts").then(|| did_you_mean("hosts")))?
            })
            .unwrap_or_else(|| format!("the fields are {}", quoted(&self.asked)))
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

/// Other words for where to, which are no near misses of any field.
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

/// Reads a text; numbers and booleans want quotes.
pub fn text<'n>(node: &'n Node, name: &str, problems: &mut Vec<Problem>) -> Option<Text<'n>> {
    match &node.value {
        Value::Text(text) if text.is_empty() => {
            problems.push(empty(node, name));
            None
        }
        Value::Text(text) => Some(Text {
            text,
            place: &node.place,
        }),
        Value::Number(value) => {
            problems.push(
                wrong_type(node, name, "text").hint(format!("write it in quotes: \"{value}\"")),
            );
            None
        }
        Value::Bool(value) => {
            problems.push(
                wrong_type(node, name, "text").hint(format!("write it in quotes: \"{value}\"")),
            );
            None
        }
        _ => {
            problems.push(wrong_type(node, name, "text"));
            None
        }
    }
}

/// Reads a list of texts that has entries.
pub fn texts<'n>(node: &'n Node, name: &str, problems: &mut Vec<Problem>) -> Vec<Text<'n>> {
    let items = list(node, name, problems).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| text(item, name, problems))
        .collect()
}

/// Reads a list that has entries.
pub fn list<'n>(node: &'n Node, name: &str, problems: &mut Vec<Problem>) -> Option<&'n [Node]> {
    match &node.value {
        Value::List(items) if items.is_empty() => {
            problems.push(empty(node, name));
            None
        }
        Value::List(items) => Some(items),
        _ => {
            problems.push(wrong_type(node, name, "a list"));
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
        // Without one of these a rule would be about more.
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

/// A host that is one of YAML's words for a boolean or for nothing: here it is text, and other readers of YAML take it for
/// something else.
pub fn yaml_word(text: Text<'_>) -> Option<Problem> {
    const WORDS: [&str; 11] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "~",
    ];
    let what = format!(
        "`{}` is read as a host of this name, and other readers of YAML take it for a word of theirs",
        text.text
    );
    let hint = "write the whole name of the host, such as `www.example.no`";
    WORDS
        .contains(&text.text)
        .then(|| text.warning(Code::YamlWord, what).hint(hint))
}

/// The known name that was meant by what was written: the same word in another form (case, `_` and `-`, plural), else the one
/// that differs least, if it is near.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = squeezed(written);
    if let Some(same) = known.iter().find(|name| squeezed(name) == word) {
        return Some(same);
    }
    let near = |name: &&&str| distance(written, name) <= 1 + name.len() / 4;
    known
        .iter()
        .filter(near)
        .min_by_key(|name| distance(written, name))
        .copied()
}

/// A name without case, dividers and the ending of a plural.
fn squeezed(name: &str) -> String {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    let word: String = letters.flat_map(char::to_lowercase).collect();
    match (word.strip_suffix("ies"), word.strip_suffix('s')) {
        (Some(stem), _) => format!("{stem}y"),
        (None, Some(stem)) => stem.to_owned(),
        (None, None) => word,
    }
}

/// Returns the number of single-character edits between two words, in any case.
pub fn distance(a: &str, b: &str) -> usize {
    strsim::levenshtein(&a.to_lowercase(), &b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested() {
        let known = ["hosts", "methods", "paths", "serviceAccounts"];
        for (written, meant) in [
            ("host", Some("hosts")),
            ("Hosts", Some("hosts")),
            ("serviceaccount", Some("serviceAccounts")),
            ("service_account", Some("serviceAccounts")),
            ("service-accounts ", Some("serviceAccounts")),
            ("hsots", Some("hosts")),
            ("zzz", None),
        ] {
            assert_eq!(nearest(written, &known), meant, "{written}");
        }
        assert_eq!(
            (
                distance("kitten", "sitting"),
                distance("", "abc"),
                distance("abc", "abc")
            ),
            (3, 3, 0)
        );
    }
}
