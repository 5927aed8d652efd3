//! The edit of a line that carries out a [`Fix`]: which bytes of which line become what.
//!
//! The rule: an edit changes the value at the place of a problem and nothing else, so comments and
//! formatting stay. A value that is not written plainly (an alias, an anchor, an escape, several
//! lines) is not edited.

use std::ops::Range;

use super::super::source_map::{Marked, SourceMap};
use customs_policy::problem::{Fix, FixChange, Place, Problem};
use customs_policy::reader::YAML_WORDS;

/// What becomes of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// The place of the problem that it fixes.
    pub place: Place,
    /// The code of the problem.
    pub code: &'static str,
    /// What it does, in one sentence.
    pub what: String,
    /// What becomes of the line.
    pub change: LineChange,
}

/// What becomes of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LineChange {
    /// These bytes become this text.
    Replace(Range<usize>, String),
    /// The line goes.
    Remove,
}

/// Returns the edit that fixes a problem, if the problem has a fix and the text allows it.
pub(crate) fn edit(problem: &Problem, source_map: &SourceMap) -> Option<Edit> {
    let fix = problem.fix.as_ref()?;
    let marked = source_map.mark(&problem.place)?;
    let token = marked.line.get(marked.span.clone())?;
    let quote = quote(token, &fix.written)?;
    if is_anchored(marked.line.get(..marked.span.start)?) {
        return None;
    }
    let (change, what) = match &fix.change {
        FixChange::Text(meant) => {
            let text = in_quotes(meant, quote)?;
            let what = format!("`{}` is now `{meant}`", fix.written);
            (LineChange::Replace(marked.span.clone(), text), what)
        }
        FixChange::Quotes => {
            // A word that is in quotes already needs none.
            let text = quote
                .is_none()
                .then(|| in_quotes(&fix.written, Some('"')))??;
            let what = format!("`{}` is now in quotes", fix.written);
            (LineChange::Replace(marked.span.clone(), text), what)
        }
        FixChange::Removal => (removal(&marked)?, removed(fix)),
    };
    Some(Edit {
        place: problem.place.clone(),
        code: problem.code.as_str(),
        what,
        change,
    })
}

fn removed(fix: &Fix) -> String {
    format!("the second `{}` is removed", fix.written)
}

/// Returns the quotes of a token that holds this value as it is; `None` if it holds the value in
/// another way.
fn quote(token: &str, value: &str) -> Option<Option<char>> {
    if token == value {
        return Some(None);
    }
    let quoted = |quote: char| token.strip_prefix(quote)?.strip_suffix(quote);
    let same = ['"', '\'']
        .into_iter()
        .find(|q| quoted(*q) == Some(value))?;
    (!value.contains(['"', '\'', '\\'])).then_some(Some(same))
}

/// Returns whether a line ends with an anchor or a tag. The value behind it may be used elsewhere, or
/// be read in another way.
fn is_anchored(before: &str) -> bool {
    let word = before.trim_end().rsplit([' ', '\t', '[', '{', ',']).next();
    word.is_some_and(|word| word.starts_with(['&', '!']))
}

/// Returns a value as it is written in these quotes, or without them where it needs none.
fn in_quotes(value: &str, quote: Option<char>) -> Option<String> {
    let is_simple = value.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_simple || value.contains(['"', '\'', '\\']) {
        return None;
    }
    match quote {
        None if is_plain(value) => Some(value.to_owned()),
        quote => {
            let quote = quote.unwrap_or('"');
            Some(format!("{quote}{value}{quote}"))
        }
    }
}

/// Returns whether every YAML reader takes a value without quotes for this text.
fn is_plain(value: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    value.starts_with(|c: char| c.is_ascii_alphabetic())
        && value.chars().all(is_letter)
        && !YAML_WORDS.contains(&value.to_ascii_lowercase().as_str())
}

/// Returns what removes an entry of a list: with the comma before it, or with its line.
fn removal(marked: &Marked<'_>) -> Option<LineChange> {
    let before = marked.line.get(..marked.span.start)?;
    let behind = marked.line.get(marked.span.end..)?;
    if let Some(rest) = before.trim_end().strip_suffix(',') {
        return Some(LineChange::Replace(
            rest.len()..marked.span.end,
            String::new(),
        ));
    }
    (before.trim() == "-" && behind.trim().is_empty()).then_some(LineChange::Remove)
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_policy::problem::Code;

    /// Returns the first line of a text after the fix of the token at its `>`.
    fn fixed(marked: &str, fix: Fix) -> Option<String> {
        let column = marked.find('>').unwrap();
        let text = marked.replacen('>', "", 1);
        let mut source_map = SourceMap::default();
        source_map.add("f".into(), text.as_bytes());
        let place = Place {
            file: "f".into(),
            line: 1,
            column: u32::try_from(column + 1).unwrap(),
        };
        let problem = Problem::error(Code::BadHost, place, "text").fix(fix);
        match edit(&problem, &source_map)?.change {
            LineChange::Remove => Some(String::new()),
            LineChange::Replace(span, with) => Some(format!(
                "{}{with}{}",
                &text[..span.start],
                &text[span.end..]
            )),
        }
    }

    #[test]
    fn a_value_keeps_its_quotes_and_what_is_around_it() {
        for (text, from, to, expected) in [
            (
                "- >A.example # why",
                "A.example",
                "a.example",
                Some("- a.example # why"),
            ),
            (
                "[>\"A.example\", b]",
                "A.example",
                "a.example",
                Some("[\"a.example\", b]"),
            ),
            (
                "[>'A.example']",
                "A.example",
                "a.example",
                Some("['a.example']"),
            ),
            ("{>hots: [a]}", "hots", "hosts", Some("{hosts: [a]}")),
            ("- >a.b:443", "a.b:443", "*.b", Some("- \"*.b\"")),
            ("- >NO", "NO", "no", Some("- \"no\"")),
            (
                "- >1.EXAMPLE",
                "1.EXAMPLE",
                "1.example",
                Some("- \"1.example\""),
            ),
            ("- &x >A.example", "A.example", "a.example", None),
            ("[!!str >A.example]", "A.example", "a.example", None),
            ("- >*alias", "A.example", "a.example", None),
            ("- >&x A.example", "A.example", "a.example", None),
            ("- >\"A\\u002eexample\"", "A.example", "a.example", None),
            (
                "- >b\u{fc}cher",
                "b\u{fc}cher",
                "xn--bcher-kva",
                Some("- xn--bcher-kva"),
            ),
            ("- >x", "x", "a b", None),
            ("- >x", "x", "a\"b", None),
        ] {
            let found = fixed(text, Fix::text(from, to));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn quotes_are_added_once() {
        for (text, value, expected) in [
            ("ports: [>8443]", "8443", Some("ports: [\"8443\"]")),
            ("[>no, b]", "no", Some("[\"no\", b]")),
            ("[>\"no\"]", "no", None),
            ("[>0x20]", "32", None),
        ] {
            let found = fixed(text, Fix::quotes(value));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn an_entry_is_removed_with_its_comma_or_its_line() {
        for (text, value, expected) in [
            ("[a, b, >a]", "a", Some("[a, b]")),
            ("[a,>\"a\", c] # why", "a", Some("[a, c] # why")),
            ("  - >a  ", "a", Some("")),
            ("  - >a # why", "a", None),
            ("  >a,", "a", None),
        ] {
            let found = fixed(text, Fix::removal(value));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
