//! Cuts the texts of a language by patterns: which sets of the patterns a text can match together,
//! and the shortest text of each set.
//!
//! The patterns and the language become one automaton over whole texts. Its states are finite, so
//! the search through them meets every set that some text matches, and no other. An automaton that
//! grows beyond a bound is an error, never a shorter answer.

use std::collections::{BTreeMap, VecDeque};

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};

/// The most bytes of an automaton.
const MAX_AUTOMATON: usize = 4 * 1024 * 1024;

/// The bytes that texts are made of where any of a class will do, the best first.
const PREFERRED: &[u8] = b"xazbcdefghijklmnopqrstuvwyXAZ0123456789-/_.~";

/// A text that represents all texts that match the same patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextAtom {
    /// The text.
    pub text: String,
    /// The numbers of the patterns that it matches, ascending.
    pub matched: Vec<usize>,
}

/// The automaton of some patterns is too large to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the patterns are too many to compare")]
pub(super) struct TooManyPatternsError;

/// A pattern, as the expression of an automaton.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Expression(String);

impl Expression {
    /// The texts that an expression of this module's own matches.
    pub(super) fn language(expression: &str) -> Expression {
        Expression(expression.to_owned())
    }

    /// This text alone.
    pub(super) fn exactly(text: &str) -> Expression {
        Expression(escaped(text))
    }

    /// Texts that begin with this one.
    pub(super) fn prefix(text: &str) -> Expression {
        Expression(escaped(text) + "(?s:.*)")
    }

    /// Texts that end with this one.
    pub(super) fn suffix(text: &str) -> Expression {
        Expression(format!("(?s:.*){}", escaped(text)))
    }

    /// Texts in which each star of the glob is any run of characters.
    pub(super) fn glob(text: &str) -> Expression {
        let parts: Vec<String> = text.split('*').map(escaped).collect();
        Expression(parts.join("(?s:.*)"))
    }

    /// The texts that match in any ASCII case.
    pub(super) fn in_any_case(self) -> Expression {
        let mut folded = String::with_capacity(self.0.len() * 4);
        let mut letters = self.0.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                // A group's flags and an escaped byte are no letters of a text.
                '(' if letters.peek() == Some(&'?') => {
                    folded.push(letter);
                    for flag in letters.by_ref() {
                        folded.push(flag);
                        if flag == ':' {
                            break;
                        }
                    }
                }
                '\\' => {
                    folded.push(letter);
                    folded.extend(letters.next());
                }
                letter if letter.is_ascii_alphabetic() => {
                    let (lower, upper) = (letter.to_ascii_lowercase(), letter.to_ascii_uppercase());
                    folded.extend(['[', lower, upper, ']']);
                }
                letter => folded.push(letter),
            }
        }
        Expression(folded)
    }

    /// The texts that match, followed by texts that match the other.
    pub(super) fn followed_by(self, next: Expression) -> Expression {
        self.then(&next.0)
    }

    /// The texts that match, followed by texts that match an expression of this module's own.
    pub(super) fn then(self, next: &str) -> Expression {
        Expression(format!("(?:{})(?:{next})", self.0))
    }
}

/// Returns a text as an expression that matches it alone.
fn escaped(text: &str) -> String {
    let special = |letter: char| !letter.is_ascii_alphanumeric() && letter.is_ascii_graphic();
    let mut escaped = String::with_capacity(text.len() * 2);
    for letter in text.chars() {
        match letter {
            '<' | '>' | '"' | '\'' | '`' | '!' | '%' | ',' | ':' | ';' | '=' | '@' | '_' | '/' => {
                escaped.push(letter);
            }
            letter if special(letter) => escaped.extend(['\\', letter]),
            letter if letter.is_ascii_control() => {
                escaped.push_str(&format!("\\x{:02x}", u32::from(letter)));
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Returns a text for every set of patterns that some text of the language matches, the shortest
/// first.
///
/// # Errors
/// The automaton would be too large.
pub(super) fn text_atoms(
    language: &Expression,
    patterns: &[Expression],
) -> Result<Vec<TextAtom>, TooManyPatternsError> {
    let all: Vec<&str> = std::iter::once(language)
        .chain(patterns)
        .map(|expression| expression.0.as_str())
        .collect();
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .accelerate(false)
        .dfa_size_limit(Some(MAX_AUTOMATON))
        .determinize_size_limit(Some(MAX_AUTOMATON));
    let automaton = dense::Builder::new()
        .configure(config)
        .build_many(&all)
        .map_err(|_| TooManyPatternsError)?;
    search(&automaton).ok_or(TooManyPatternsError)
}

/// Walks the states, those that are reached with the fewest bytes first.
fn search(automaton: &dense::DFA<Vec<u32>>) -> Option<Vec<TextAtom>> {
    let bytes = representatives(automaton);
    let begin = automaton
        .start_state(&start::Config::new().anchored(Anchored::Yes))
        .ok()?;
    let mut found: BTreeMap<Vec<usize>, TextAtom> = BTreeMap::new();
    let mut order: Vec<Vec<usize>> = Vec::new();
    // For each state, the state and the byte by which it was reached first.
    let mut reached: BTreeMap<StateID, Option<(StateID, u8)>> = BTreeMap::new();
    let mut queue = VecDeque::from([begin]);
    reached.insert(begin, None);
    while let Some(state) = queue.pop_front() {
        if let Some(matched) = matched(automaton, state)
            && !found.contains_key(&matched)
        {
            let text = String::from_utf8(path_to(&reached, state)).ok()?;
            order.push(matched.clone());
            found.insert(matched.clone(), TextAtom { text, matched });
        }
        for byte in &bytes {
            let next = automaton.next_state(state, *byte);
            if !automaton.is_dead_state(next) && !reached.contains_key(&next) {
                reached.insert(next, Some((state, *byte)));
                queue.push_back(next);
            }
        }
    }
    Some(
        order
            .iter()
            .filter_map(|matched| found.remove(matched))
            .collect(),
    )
}

/// One byte of each class that the automaton distinguishes.
fn representatives(automaton: &dense::DFA<Vec<u32>>) -> Vec<u8> {
    let classes = automaton.byte_classes();
    let mut seen = [false; 256];
    let preferred = PREFERRED.iter().copied();
    let all = preferred.chain(b' '..=b'~').chain(0..=u8::MAX);
    all.filter(|byte| {
        let seen = seen.get_mut(usize::from(classes.get(*byte)));
        seen.is_some_and(|seen| !std::mem::replace(seen, true))
    })
    .collect()
}

/// The patterns that a text which ends in this state matches; `None` if it is not of the language.
fn matched(automaton: &dense::DFA<Vec<u32>>, state: StateID) -> Option<Vec<usize>> {
    let end = automaton.next_eoi_state(state);
    if !automaton.is_match_state(end) {
        return None;
    }
    let mut numbers: Vec<usize> = (0..automaton.match_len(end))
        .map(|index| automaton.match_pattern(end, index).as_usize())
        .collect();
    numbers.sort_unstable();
    let (language, patterns) = numbers.split_first()?;
    (*language == 0).then(|| patterns.iter().map(|number| number - 1).collect())
}

fn path_to(reached: &BTreeMap<StateID, Option<(StateID, u8)>>, state: StateID) -> Vec<u8> {
    let (mut bytes, mut at) = (Vec::new(), state);
    while let Some(Some((before, byte))) = reached.get(&at) {
        bytes.push(*byte);
        at = *before;
    }
    bytes.reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(language: &str, patterns: &[Expression]) -> Vec<(String, Vec<usize>)> {
        text_atoms(&Expression::language(language), patterns)
            .unwrap()
            .into_iter()
            .map(|atom| (atom.text, atom.matched))
            .collect()
    }

    #[test]
    fn every_set_of_patterns_has_its_shortest_text() {
        let patterns = [
            Expression::exactly("GET"),
            Expression::prefix("GE"),
            Expression::suffix("T"),
        ];
        let mut all = found("[A-Za-z]+", &patterns);
        all.sort();
        let of = |text: &str, matched: &[usize]| (text.to_owned(), matched.to_vec());
        assert_eq!(
            all,
            [
                of("GE", &[1]),
                of("GET", &[0, 1, 2]),
                of("GExT", &[1, 2]),
                of("T", &[2]),
                of("x", &[]),
            ]
        );
    }

    #[test]
    fn a_text_that_the_language_does_not_have_is_not_found() {
        let patterns = [Expression::prefix("-a"), Expression::suffix("b-")];
        assert_eq!(
            found("[a-z]([a-z-]*[a-z])?", &patterns),
            [("x".into(), vec![])]
        );
    }

    #[test]
    fn special_letters_stand_for_themselves() {
        let texts = [
            "/a.b*c",
            "a+b",
            "(x)",
            "[x]{2}",
            "^$|?\\",
            "%20&!~",
            "<a>-#\"'`@=:;,",
            "\u{fc}",
            "a b",
            "a\tb",
        ];
        for text in texts {
            let atoms = found("(?s:.*)", &[Expression::exactly(text)]);
            assert!(
                atoms.contains(&(text.to_owned(), vec![0])),
                "{text}: {atoms:?}"
            );
            let atoms = found("(?s:.*)", &[Expression::exactly(text).in_any_case()]);
            assert!(
                atoms
                    .iter()
                    .any(|(found, matched)| *matched == [0] && found.eq_ignore_ascii_case(text)),
                "{text}: {atoms:?}"
            );
        }
    }

    #[test]
    fn a_glob_matches_what_policies_match_with_it() {
        for (glob, text, expected) in [
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*b*", "abc", true),
            ("aba*aba", "ababa", false),
        ] {
            assert_eq!(customs_engine::pattern::glob_matches(glob, text), expected);
            let patterns = [Expression::glob(glob), Expression::exactly(text)];
            let atoms = found("[a-z]+", &patterns);
            assert_eq!(
                atoms
                    .iter()
                    .any(|(found, matched)| found == text && *matched == [0, 1]),
                expected,
                "{glob} {text}: {atoms:?}"
            );
        }
    }

    #[test]
    fn case_is_folded_where_asked() {
        let patterns = [
            Expression::exactly("GET"),
            Expression::exactly("GET").in_any_case(),
            Expression::prefix("G").in_any_case(),
        ];
        let atoms = found("[A-Za-z]+", &patterns);
        let with = |wanted: &[usize]| atoms.iter().any(|(_, matched)| matched == wanted);
        assert!(
            with(&[0, 1, 2]) && with(&[1, 2]) && with(&[2]) && with(&[]),
            "{atoms:?}"
        );
    }

    #[test]
    fn what_grows_too_large_is_an_error() {
        let wide = Expression::language("(?s:.*)a[a-z]{40}");
        assert_eq!(text_atoms(&wide, &[]), Err(TooManyPatternsError));
    }
}
