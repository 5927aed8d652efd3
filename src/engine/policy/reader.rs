//! Typed reading of nodes: a field at a time, noting what is wrong and reading on.
//!
//! Nothing here knows a kind of document. What a reader returns is right; what was wrong is among the problems, with
//! its place. An empty list, mapping or text is always an error, because it would silently mean everything or nothing.

use super::document::{Key, Node, Value};
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
    pub fn open(node: &'n Node, name: &'static str, problems: &'p mut Vec<Problem>) -> Option<Fields<'n, 'p>> {
        let Value::Map(pairs) = &node.value else {
            problems.push(wrong_type(node, name, "a mapping"));
            return None;
        };
        Some(Fields { name, place: &node.place, left: pairs.iter().collect(), asked: Vec::new(), problems })
    }

    /// Opens a mapping that must have fields.
    pub fn open_filled(node: &'n Node, name: &'static str, problems: &'p mut Vec<Problem>) -> Option<Fields<'n, 'p>> {
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
            let what = format!("`{name}` is missing in {}", self.name);
            let problem = Problem::error(Code::MissingField, self.place.clone(), what);
            self.problems.push(problem.hint(format!("add `{name}`")));
        }
        node
    }

    /// Takes fields that are known and mean nothing here.
    pub fn read_over(&mut self, names: &[&'static str]) {
        self.asked.extend(names);
        self.left.retain(|(key, _)| !names.contains(&key.name.as_str()));
    }

    /// Takes a text field.
    pub fn text(&mut self, name: &'static str) -> Option<Text<'n>> {
        self.take(name).and_then(|node| text(node, name, self.problems))
    }

    /// Takes a boolean field.
    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        self.take(name).and_then(|node| match node.value {
            Value::Bool(value) => Some(value),
            _ => {
                self.problems.push(wrong_type(node, name, "`true` or `false`, without quotes"));
                None
            }
        })
    }

    /// Takes a list of texts; absent is empty, present it has entries.
    pub fn texts(&mut self, name: &'static str) -> Vec<Text<'n>> {
        self.take(name).map(|node| texts(node, name, self.problems)).unwrap_or_default()
    }

    /// Takes a list; absent is empty, present it has entries.
    pub fn list(&mut self, name: &'static str) -> &'n [Node] {
        self.take(name).and_then(|node| list(node, name, self.problems)).unwrap_or_default()
    }

    /// Closes the mapping: every field that was not taken does not exist.
    pub fn close(self) {
        for (key, _) in self.left {
            let what = format!("unknown field `{}` in {}", key.name, self.name);
            let problem = Problem::error(Code::UnknownField, key.place.clone(), what);
            self.problems.push(problem.hint(match nearest(&key.name, &self.asked) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("the fields are {}", quoted(&self.asked)),
            }));
        }
    }
}

/// Reads a text; numbers and booleans want quotes.
pub fn text<'n>(node: &'n Node, name: &str, problems: &mut Vec<Problem>) -> Option<Text<'n>> {
    match &node.value {
        Value::Text(text) if text.is_empty() => {
            problems.push(empty(node, name));
            None
        }
        Value::Text(text) => Some(Text { text, place: &node.place }),
        Value::Number(value) => {
            problems.push(wrong_type(node, name, "text").hint(format!("write it in quotes: \"{value}\"")));
            None
        }
        Value::Bool(value) => {
            problems.push(wrong_type(node, name, "text").hint(format!("write it in quotes: \"{value}\"")));
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
    items.iter().filter_map(|item| text(item, name, problems)).collect()
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
        "subjects" => "leave `subjects` out to mean every caller of the policy's namespace",
        _ => "leave the field out, or say what it holds",
    };
    Problem::error(Code::EmptyValue, node.place.clone(), format!("`{name}` is empty")).hint(hint)
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The known name that differs least from what was written, if it is near.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = |name: &&&str| distance(written, name) <= 1 + name.len() / 4;
    known.iter().filter(near).min_by_key(|name| distance(written, name)).copied()
}

/// The number of single-character edits between two words, in any case.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (cb, above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(ca != *cb)).min(above + 1).min(left + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
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
            ("zzz", None),
        ] {
            assert_eq!(nearest(written, &known), meant, "{written}");
        }
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "abc")), (3, 3, 0));
    }
}
