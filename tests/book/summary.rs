//! The list of pages, docs/SUMMARY.md: it has every page once, and no page that does not exist.

use std::collections::BTreeSet;

use regex::Regex;

use super::page::Page;
use super::repository;

/// What is wrong with the list.
pub(crate) fn complaints(pages: &[Page]) -> Vec<String> {
    let summary = std::fs::read_to_string(repository().join("docs/SUMMARY.md")).unwrap();
    let link = Regex::new(r"\]\(([^)]+)\)").unwrap();
    let mut listed = BTreeSet::new();
    let mut complaints = Vec::new();
    for found in link.captures_iter(&summary) {
        if !listed.insert(format!("docs/{}", &found[1])) {
            complaints.push(format!("docs/SUMMARY.md lists {} twice", &found[1]));
        }
    }
    let expected = pages.iter().map(|page| page.name.as_str());
    let expected: BTreeSet<&str> = expected
        .filter(|name| name.starts_with("docs/") && *name != "docs/SUMMARY.md")
        .collect();
    for name in &expected {
        if !listed.contains(*name) {
            complaints.push(format!("docs/SUMMARY.md does not list {name}"));
        }
    }
    for name in &listed {
        if !expected.contains(name.as_str()) {
            complaints.push(format!(
                "docs/SUMMARY.md lists {name}, which does not exist"
            ));
        }
    }
    complaints
}
