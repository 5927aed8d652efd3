//! Istio's patterns for texts: principals, methods, paths, header values, and the globs of
//! namespaces.
//!
//! The rule: they match as Istio's do, case for case unless the caller asks otherwise. What a text
//! means is not known here.

use std::fmt;

use crate::work_count;

/// Istio's text patterns: exact, `prefix*`, `*suffix`, and `*` for any text that is not empty. A
/// leading star is recognised first; a star elsewhere is a plain character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPattern {
    /// The text itself.
    Exact(String),
    /// `text*`
    Prefix(String),
    /// `*text`
    Suffix(String),
    /// `*`
    Any,
}

impl TextPattern {
    /// Parses a pattern. Every text is a pattern.
    pub fn parse(text: &str) -> TextPattern {
        if text == "*" {
            return TextPattern::Any;
        }
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(suffix), _) => TextPattern::Suffix(suffix.to_owned()),
            (None, Some(prefix)) => TextPattern::Prefix(prefix.to_owned()),
            (None, None) => TextPattern::Exact(text.to_owned()),
        }
    }

    /// Returns how many commas the pattern has.
    pub(crate) fn commas(&self) -> usize {
        match self {
            TextPattern::Exact(text) | TextPattern::Prefix(text) | TextPattern::Suffix(text) => {
                text.bytes().filter(|byte| *byte == b',').count()
            }
            TextPattern::Any => 0,
        }
    }

    /// Returns whether `text` matches, case for case.
    pub fn matches(&self, text: &str) -> bool {
        work_count::steps(1);
        match self {
            TextPattern::Exact(want) => want == text,
            TextPattern::Prefix(prefix) => text.starts_with(prefix.as_str()),
            TextPattern::Suffix(suffix) => text.ends_with(suffix.as_str()),
            TextPattern::Any => !text.is_empty(),
        }
    }

    /// Returns whether `text` matches in any ASCII case.
    pub fn matches_ignore_case(&self, text: &str) -> bool {
        work_count::steps(1);
        let head = |n: usize| text.as_bytes().get(..n);
        let tail = |n: usize| {
            text.len()
                .checked_sub(n)
                .and_then(|from| text.as_bytes().get(from..))
        };
        match self {
            TextPattern::Exact(want) => want.eq_ignore_ascii_case(text),
            TextPattern::Prefix(p) => {
                head(p.len()).is_some_and(|h| h.eq_ignore_ascii_case(p.as_bytes()))
            }
            TextPattern::Suffix(s) => {
                tail(s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s.as_bytes()))
            }
            TextPattern::Any => !text.is_empty(),
        }
    }
}

impl fmt::Display for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextPattern::Exact(text) => f.write_str(text),
            TextPattern::Prefix(text) => write!(f, "{text}*"),
            TextPattern::Suffix(text) => write!(f, "*{text}"),
            TextPattern::Any => f.write_str("*"),
        }
    }
}

/// Returns whether `text` matches a pattern in which every `*` matches any run of characters, as
/// Istio reads namespaces.
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    let Some((first, mut patterns)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    while let Some((part, more)) = patterns.split_once('*') {
        let Some((_, tail)) = rest.split_once(part) else {
            return false;
        };
        (rest, patterns) = (tail, more);
    }
    rest.ends_with(patterns)
}
