//! Tests that names in the documents exist in the code, and the reverse: problem codes, reasons,
//! fields of the audit log, metrics and rules.

use std::collections::BTreeSet;
use std::fs;

use super::{read, root, rust_files, section, set};
use customs_doctor::finding;
use customs_engine::reason::Reason;
use customs_policy::language::LanguageVersion;
use customs_policy::problem::Code;

/// Returns the names between backticks in the first column of a document's tables, or in its
/// headings.
fn documented(text: &str, opening: &str) -> BTreeSet<String> {
    let name = |line: &str| Some(line.strip_prefix(opening)?.split('`').next()?.to_owned());
    text.lines().filter_map(name).collect()
}

#[test]
fn problem_codes_and_reasons_are_documented() {
    let policy = read("docs/POLICY.md");
    let codes = set(Code::ALL.iter().map(|c| c.as_str()));
    assert_eq!(
        documented(section(&policy, "## Problem codes"), "### `"),
        codes
    );
    for code in Code::ALL
        .iter()
        .filter(|code| code.since() > LanguageVersion::FIRST)
    {
        let remark = format!("Since {}.", code.since());
        let section = section(&policy, &format!("### `{}`", code.as_str()));
        assert!(section.contains(&remark), "{}: {remark}", code.as_str());
    }
    let reasons = set(Reason::ALL.iter().map(|r| r.as_str()));
    assert_eq!(documented(section(&policy, "## Reasons"), "| `"), reasons);
}

#[test]
fn findings_of_the_doctor_are_documented() {
    let page = read("docs/DOCTOR.md");
    let findings = section(&page, "## Findings");
    let codes = finding::Code::ALL;
    assert_eq!(
        documented(findings, "### `"),
        set(codes.iter().map(|code| code.as_str()))
    );
    for code in codes {
        let (_, rest) = findings
            .split_once(&format!("### `{}`\n\n", code.as_str()))
            .unwrap();
        let rest = rest.split("\n### ").next().unwrap();
        let severity = code.severity().as_str();
        let begin = rest.split(". ").next().unwrap();
        assert_eq!(begin.to_lowercase(), severity, "{}", code.as_str());
        assert!(
            rest.contains("\n\nRemedy: "),
            "{}: no remedy",
            code.as_str()
        );
    }
}

/// Returns the rules that a text cites: words of an `R` and one or two digits.
fn cited_rules(text: &str) -> BTreeSet<String> {
    let is_rule = |word: &&str| {
        word.strip_prefix('R')
            .is_some_and(|n| (1..=2).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(is_rule).map(str::to_owned).collect()
}

#[test]
fn rules_are_written_down_and_cited() {
    let page = read("docs/RULES.md");
    let written = set(page
        .lines()
        .filter_map(|line| Some(line.strip_prefix("## ")?.split_once(": ")?.0)));
    assert!(!written.is_empty(), "docs/RULES.md has no rule");
    for rule in &written {
        let anchor = format!("<a id=\"{}\"></a>\n\n## {rule}: ", rule.to_lowercase());
        assert_eq!(
            page.matches(&anchor).count(),
            1,
            "docs/RULES.md: {rule} has no anchor in front of its heading"
        );
    }
    assert_eq!(
        cited_rules(&page),
        written,
        "docs/RULES.md cites a rule that it does not have"
    );
    let mut code = Vec::new();
    let dirs =
        ["src", "crates", "tests", "benches", "fuzz/fuzz_targets"].map(|dir| root().join(dir));
    dirs.iter()
        .filter(|dir| dir.is_dir())
        .for_each(|dir| rust_files(dir, &mut code));
    let in_code: BTreeSet<String> = code
        .iter()
        .flat_map(|path| cited_rules(&read(path)))
        .collect();
    assert_eq!(
        in_code, written,
        "the rules that code cites, and those of docs/RULES.md"
    );
    let pages = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for page in pages.filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let is_known = cited_rules(&read(&page)).is_subset(&written);
        assert!(
            is_known,
            "{} cites a rule that docs/RULES.md does not have",
            page.display()
        );
    }
}
