//! The texts that were read, by the file names of places: returns the line of a place, and the
//! token that begins there. A problem only has its start; the text determines how far to underline.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use customs_policy::problem::Place;

/// The longest line that is shown, in bytes. A longer line is unreadable, and finding the column of
/// each problem in it would take time quadratic in its length.
const LONGEST_LINE: usize = 4096;

/// Texts by file name.
#[derive(Debug, Default)]
pub(super) struct SourceMap(BTreeMap<String, Text>);

#[derive(Debug)]
struct Text {
    bytes: Arc<[u8]>,
    /// The offset of every N-th line, in bytes; computed on first use.
    marks: OnceCell<Vec<usize>>,
}

/// The number of lines between two offsets.
const MARKED: usize = 128;

/// One line, with the marked part as a byte range.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Marked<'t> {
    /// The line, without its end.
    pub line: &'t str,
    /// The marked part; empty at the end of the line.
    pub span: Range<usize>,
}

impl Marked<'_> {
    /// Returns the column after the part, in characters from 1.
    pub(super) fn end_column(&self) -> usize {
        1 + self
            .line
            .get(..self.span.end)
            .map_or(0, |before| before.chars().count())
    }
}

impl SourceMap {
    /// Returns the texts with their file names.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(file, text)| (file.as_str(), &*text.bytes))
    }

    /// Adds a text.
    pub(super) fn add(&mut self, file: String, bytes: impl Into<Arc<[u8]>>) {
        self.0.insert(
            file,
            Text {
                bytes: bytes.into(),
                marks: OnceCell::new(),
            },
        );
    }

    /// Adds the texts of another map.
    pub(super) fn take_in(&mut self, mut other: SourceMap) {
        self.0.append(&mut other.0);
    }

    /// Returns the number of texts.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the line of a place, with the token that begins there; `None` for a whole file, a
    /// file that was not read, and a line that is too long to be shown.
    pub(super) fn mark(&self, place: &Place) -> Option<Marked<'_>> {
        let line = self.0.get(place.file.as_ref())?.line(place.line)?;
        let column = usize::try_from(place.column).ok()?.checked_sub(1)?;
        let start = line
            .char_indices()
            .nth(column)
            .map_or(line.len(), |(at, _)| at);
        let length = line.get(start..).map_or(0, |rest| {
            token(rest, opens_flow(line.get(..start).unwrap_or_default()))
        });
        Some(Marked {
            line,
            span: start..start + length,
        })
    }
}

impl Text {
    fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let start = *self
            .marks
            .get_or_init(|| self.marks())
            .get(index / MARKED)?;
        let line = self
            .bytes
            .get(start..)?
            .split(|byte| *byte == b'\n')
            .nth(index % MARKED)?;
        let line = std::str::from_utf8(line)
            .ok()
            .filter(|line| line.len() < LONGEST_LINE)?;
        // The parser counts from after a byte order mark.
        let line = if index == 0 {
            line.trim_start_matches('\u{feff}')
        } else {
            line
        };
        Some(line.trim_end_matches('\r'))
    }

    fn marks(&self) -> Vec<usize> {
        let ends = self
            .bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(at, _)| at + 1);
        std::iter::once(0).chain(ends).step_by(MARKED).collect()
    }
}

/// Returns the length of the YAML token at the start of a line, in bytes.
fn token(rest: &str, in_flow: bool) -> usize {
    match rest.chars().next() {
        None => 0,
        Some('"') => quoted(rest, '"'),
        Some('\'') => quoted(rest, '\''),
        Some('[' | '{') => collection(rest),
        Some(_) if rest.starts_with("- ") => 1,
        Some(_) => plain(rest, in_flow),
    }
}

/// Returns the length up to the closing quote, or to the end of the line.
fn quoted(rest: &str, quote: char) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        let doubled = quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'');
        if (c == '\\' && quote == '"') || (c == quote && doubled) {
            chars.next();
        } else if c == quote {
            return at + 1;
        }
    }
    rest.trim_end().len()
}

/// Returns the length up to the bracket that closes the first one, or to the end of the line.
fn collection(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(c) = rest.get(at..).and_then(|rest| rest.chars().next()) {
        at += match c {
            '"' | '\'' => rest.get(at..).map_or(1, |rest| quoted(rest, c)),
            _ => c.len_utf8(),
        };
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    rest.trim_end().len()
}

/// Returns the length up to the end of a plain scalar: the colon after a key, a comment, and in a
/// flow collection a separator or closing bracket.
fn plain(rest: &str, in_flow: bool) -> usize {
    let ends = |(at, c): (usize, char)| {
        let behind = rest.get(at + c.len_utf8()..).unwrap_or_default();
        let blank = behind.is_empty() || behind.starts_with([' ', '\t']);
        match c {
            ':' => blank || (in_flow && behind.starts_with([',', ']', '}'])),
            '#' => rest
                .get(..at)
                .is_some_and(|before| before.ends_with([' ', '\t'])),
            ',' | ']' | '}' | '[' | '{' => in_flow,
            _ => false,
        }
    };
    let end = rest
        .char_indices()
        .skip(1)
        .find(|(at, c)| ends((*at, *c)))
        .map_or(rest.len(), |(at, _)| at);
    rest.get(..end).map_or(0, |token| token.trim_end().len())
}

/// Returns whether a flow collection is open after this part of a line.
fn opens_flow(before: &str) -> bool {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(c) = before.get(at..).and_then(|rest| rest.chars().next()) {
        let starts_token = before
            .get(..at)
            .is_none_or(|b| b.is_empty() || b.ends_with([' ', '[', '{', ',']));
        at += match c {
            '"' | '\'' if starts_token => before.get(at..).map_or(1, |rest| quoted(rest, c)),
            _ => c.len_utf8(),
        };
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the token that begins at the place of a `>` in a text.
    fn at(marked: &str) -> String {
        let before = marked.split('>').next().unwrap();
        let mut source_map = SourceMap::default();
        source_map.add("f".into(), marked.replacen('>', "", 1).as_bytes());
        let line = u32::try_from(before.matches('\n').count() + 1).unwrap();
        let column =
            u32::try_from(before.rsplit('\n').next().unwrap().chars().count() + 1).unwrap();
        let found = source_map
            .mark(&Place {
                file: "f".into(),
                line,
                column,
            })
            .unwrap();
        found.line[found.span].to_owned()
    }

    #[test]
    fn the_token_of_a_place_is_underlined() {
        for (text, token) in [
            ("kind: >Egress # a comment", "Egress"),
            ("a: >b#c", "b#c"),
            (">kind: Egress", "kind"),
            ("hosts: [a, >b.example, c]", "b.example"),
            ("hosts: [a, >b.example]", "b.example"),
            ("{name: >a}", "a"),
            ("{>name: a}", "name"),
            ("reason: >one, two] and three  ", "one, two] and three"),
            ("- {reason: 'it''s [', host: >x}", "x"),
            ("a: >\"x, \\\" y\" # z", "\"x, \\\" y\""),
            ("a: >'it''s', b", "'it''s'"),
            ("allow: >[]", "[]"),
            ("- >{a: ']}', b: [c]} # d", "{a: ']}', b: [c]}"),
            ("- >{a: b,\n  c: d}", "{a: b,"),
            ("x:\n>- a", "-"),
            (
                "to: >http://a.example:80/x?y=1",
                "http://a.example:80/x?y=1",
            ),
            ("bücher: [ä, >ö]", "ö"),
            ("a: >\"open", "\"open"),
            ("a:>", ""),
            ("x: y\r\na: >b\r\n", "b"),
        ] {
            assert_eq!(at(text), token, "{text}");
        }
    }

    #[test]
    fn a_place_outside_the_text_marks_nothing() {
        let mut source_map = SourceMap::default();
        source_map.add("f".into(), b"a: b\n".as_slice());
        let place = |file: &str, line, column| Place {
            file: file.into(),
            line,
            column,
        };
        for nowhere in [
            place("g", 1, 1),
            place("f", 0, 0),
            place("f", 9, 1),
            place("f", 1, 0),
        ] {
            assert_eq!(source_map.mark(&nowhere), None, "{nowhere}");
        }
        assert_eq!(source_map.mark(&place("f", 1, 99)).unwrap().span, 4..4);
    }

    #[test]
    fn a_line_too_long_to_be_shown_marks_nothing() {
        let mut source_map = SourceMap::default();
        let line = |length| "a".repeat(length);
        source_map.add(
            "f".into(),
            format!("{}\n{}\nb", line(LONGEST_LINE - 1), line(LONGEST_LINE)).as_bytes(),
        );
        let shown = |line| {
            source_map
                .mark(&Place {
                    file: "f".into(),
                    line,
                    column: 1,
                })
                .is_some()
        };
        assert_eq!([shown(1), shown(2), shown(3)], [true, false, true]);
    }

    #[test]
    fn the_end_is_counted_in_characters() {
        let mut source_map = SourceMap::default();
        source_map.add("f".into(), "\u{feff}ä: öö\n".as_bytes());
        let marked = source_map
            .mark(&Place {
                file: "f".into(),
                line: 1,
                column: 4,
            })
            .unwrap();
        assert_eq!((marked.line, marked.end_column()), ("ä: öö", 6));
    }
}
