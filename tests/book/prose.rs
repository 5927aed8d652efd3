//! The rules for sentences that a program can check: length of pages and lines, and words to avoid.
//!
//! docs/contributing/writing.md has the rules with their reasons.

use std::sync::LazyLock;

use regex::Regex;

use super::page::{Page, Piece};

/// The longest page that is not generated, in lines.
const LONGEST_PAGE: usize = 300;

/// The longest line of prose, in characters.
const LONGEST_LINE: usize = 100;

/// The page that quotes sentences as they should not be.
const QUOTES: &str = "docs/contributing/before-and-after.md";

/// Words to avoid, as regular expressions, and what to write instead.
static AVOIDED: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (r"\bis told\b", "say who gets to know what"),
        (r"\bstands?\b", "`is`, or the verb that is meant"),
        (r"\bwhoever\b", "`anyone who`"),
        (r"\bwho comes from\b", "the caller's namespace"),
        (r"\bspeaks?\b", "`uses`, `has` or `applies`"),
        (r"\bgoes on\b", "`continues`"),
        (r"\blets go\b", "`releases`"),
        (r"\banew\b", "`again`"),
        (r"\blies\b", "`is`"),
        (r"\bare read\b.*\bin the order\b", "say who reads"),
    ]
    .into_iter()
    .map(|(pattern, instead)| (Regex::new(&format!("(?i){pattern}")).unwrap(), instead))
    .collect()
});

/// Lines that cannot be wrapped: tables, links, HTML.
fn cannot_wrap(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('|') || line.starts_with('<') || line.starts_with('[') || line.contains("](")
}

/// What is wrong with the sentences of a page.
pub(crate) fn complaints(page: &Page) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = page.draw().lines().count();
    if lines > LONGEST_PAGE && !page.is_generated() {
        complaints.push(format!(
            "{}: {lines} lines; at most {LONGEST_PAGE}",
            page.name
        ));
    }
    let is_summary = page.name == "docs/SUMMARY.md";
    for piece in &page.pieces {
        let Piece::Prose { text, line: first } = piece else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", page.name, first + number);
            let length = line.chars().count();
            if length > LONGEST_LINE && !cannot_wrap(line) && !page.is_generated() && !is_summary {
                complaints.push(format!(
                    "{place}: {length} characters; at most {LONGEST_LINE}"
                ));
            }
            if page.name == QUOTES {
                continue;
            }
            let words = CODE.replace_all(line, "``");
            for (pattern, instead) in AVOIDED
                .iter()
                .filter(|(pattern, _)| pattern.is_match(&words))
            {
                let found = pattern.find(&words).unwrap().as_str();
                complaints.push(format!("{place}: {found:?}: write {instead}: {line}"));
            }
        }
    }
    complaints
}

/// Code in a line, which is quoted and not said.
static CODE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"`[^`]*`").unwrap());

#[test]
fn words_to_avoid_are_found_and_code_is_not_read() {
    let cases = [
        ("It stands there.", true),
        ("`stands` is a word.", false),
        ("Whoever asks", true),
        ("Standard", false),
    ];
    for (line, is_found) in cases {
        let words = CODE.replace_all(line, "``");
        let found = AVOIDED.iter().any(|(pattern, _)| pattern.is_match(&words));
        assert_eq!(found, is_found, "{line}");
    }
}
