//! The words that the project's docs, comments and messages avoid, and what to write instead.
//!
//! docs/contributing/writing.md has the reasons. The list is here once: tests/book reads pages by it,
//! and tests/architecture reads code.

/// A phrase to avoid in lower case, and its replacement.
const AVOIDED: [(&str, &str); 12] = [
    ("is told", "say who gets to know what"),
    ("are told", "say who gets to know what"),
    ("stand", "`is`, or the verb that is meant"),
    ("stands", "`is`, or the verb that is meant"),
    ("whoever", "`anyone who`, or name the person"),
    ("who comes from", "the caller's namespace"),
    ("speak", "`uses`, `has` or `applies`"),
    ("speaks", "`uses`, `has` or `applies`"),
    ("goes on", "`continues`"),
    ("lets go", "`releases`"),
    ("anew", "`again`"),
    ("lies", "`is`"),
];

/// Returns the first phrase of a line that is to be avoided, and what to write instead. Code between
/// backticks is quoted, so it is not read.
pub fn avoided(line: &str) -> Option<(&'static str, &'static str)> {
    let prose: String = line
        .split('`')
        .step_by(2)
        .collect::<Vec<_>>()
        .join(" code ");
    let words: Vec<String> = prose
        .split(|c: char| !(c.is_alphabetic() || c == '-' || c == '\'' || c == '_'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    AVOIDED.into_iter().find(|(phrase, _)| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words
            .windows(phrase.len())
            .any(|window| window == phrase.as_slice())
    })
}

#[cfg(test)]
mod tests {
    use super::avoided;

    #[test]
    fn words_are_found_whole_and_outside_of_code() {
        let cases = [
            ("It stands there.", Some("stands")),
            ("Whoever asks", Some("whoever")),
            ("The client is told why", Some("is told")),
            ("`stands` is a word, and `lies` too", None),
            ("A stand-in, a standard, applies", None),
            ("it is\ttold", Some("is told")),
        ];
        for (line, expected) in cases {
            assert_eq!(avoided(line).map(|(phrase, _)| phrase), expected, "{line}");
        }
    }
}
