//! Markdown as plain text for a terminal. It knows only what the explanations of codes use:
//! paragraphs, lists, tables, blocks of code and links.

use std::iter::Peekable;
use std::str::Lines;

use crate::app::terminal;

/// The folder of the page that the text is part of. Links are relative to it.
const FOLDER: &str = "docs/reference/";

/// Returns the text, wrapped to a width in columns. Blocks of code and tables keep their lines.
pub(super) fn plain(markdown: &str, width: usize) -> String {
    let mut out = String::new();
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            for code in lines.by_ref().take_while(|line| !line.starts_with("```")) {
                let indent = if code.is_empty() { "" } else { "    " };
                out.push_str(&format!("{indent}{code}\n"));
            }
        } else if line.is_empty() || line.starts_with('|') {
            out.push_str(&format!("{line}\n"));
        } else {
            let text = joined(line, &mut lines);
            let hang = if line.starts_with("- ") { 2 } else { 0 };
            for line in terminal::wrap("", &without_links(&text), width, hang) {
                out.push_str(&format!("{line}\n"));
            }
        }
    }
    out
}

/// Joins a line with the lines of the same paragraph or list entry.
fn joined(line: &str, lines: &mut Peekable<Lines<'_>>) -> String {
    let mut text = line.to_owned();
    let continues = |line: &&str| !line.is_empty() && !starts_block(line);
    while let Some(more) = lines.next_if(continues) {
        text.push(' ');
        text.push_str(more.trim_start());
    }
    text
}

/// Returns whether a line does not continue the paragraph before it.
fn starts_block(line: &str) -> bool {
    ["|", "```", "- "]
        .iter()
        .any(|start| line.starts_with(start))
}

/// Replaces each link by its text, followed by the page if it is another one.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, label, target, behind)) = next_link(rest) {
        out.push_str(before);
        out.push_str(label);
        if !target.starts_with('#') {
            out.push_str(&format!(" ({})", path(target)));
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Splits a text at its first link: what is before it, its label, its target, and what is behind.
fn next_link(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (head, tail) = text.split_once("](")?;
    let (target, behind) = tail.split_once(')')?;
    let (before, label) = head.rsplit_once('[')?;
    Some((before, label, target, behind))
}

/// Returns the path of a link below the root of the repository.
fn path(target: &str) -> String {
    match target.strip_prefix("../") {
        Some(page) => format!("docs/{page}"),
        None => format!("{FOLDER}{target}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_and_blocks_keep_their_lines() {
        let markdown = "One two three four.\n\n- a list entry that\n  is long\n- b\n\n```yaml\na:   b\n\nc: a line that is long\n```\n\n| a | b |\n| c | d and more |\nend\n";
        let expected = "One two three\nfour.\n\n- a list entry\n  that is long\n- b\n\n    a:   b\n\n    c: a line that is long\n\n| a | b |\n| c | d and more |\nend\n";
        assert_eq!(plain(markdown, 14), expected);
    }

    #[test]
    fn a_link_is_its_text_and_its_page() {
        for (markdown, expected) in [
            ("see [`not-ours`](#not-ours).", "see `not-ours`."),
            (
                "[a b](../how-to/x.md) and [R2](decision-rules.md#r2)",
                "a b (docs/how-to/x.md) and R2 (docs/reference/decision-rules.md#r2)",
            ),
            ("`[{a: []}]` (none)", "`[{a: []}]` (none)"),
            (
                "`[{a: [b]}]`, [c](d.md)",
                "`[{a: [b]}]`, c (docs/reference/d.md)",
            ),
        ] {
            assert_eq!(without_links(markdown), expected, "{markdown}");
        }
    }
}
