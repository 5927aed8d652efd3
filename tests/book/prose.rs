//! The rules for sentences that a program can check: length of pages and lines, and words to avoid.
//!
//! docs/contributing/writing.md has the rules with their reasons.

use customs_test_support::words;

use super::page::{Page, Piece};

/// The longest page that is not generated, in lines.
const LONGEST_PAGE: usize = 300;

/// The longest line of prose, in characters.
const LONGEST_LINE: usize = 100;

/// The page that quotes sentences as they should not be.
const QUOTES: &str = "docs/contributing/before-and-after.md";

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
            if let Some((found, instead)) = words::avoided(line) {
                complaints.push(format!("{place}: {found:?}: write {instead}: {line}"));
            }
        }
    }
    complaints
}
