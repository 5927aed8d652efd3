//! The texts of the codes have one form, and the pages of the reference are made of them.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn all() -> Vec<ExplainedCode> {
    let families = CodeFamily::ALL.into_iter();
    families.flat_map(CodeFamily::codes).collect()
}

#[test]
fn each_code_has_a_name_of_its_own() {
    let codes = all();
    let names: BTreeSet<_> = codes.iter().map(|code| code.name).collect();
    assert_eq!(names.len(), codes.len());
    assert!(codes.len() > 100, "only {}", codes.len());
}

#[test]
fn each_explanation_begins_with_one_sentence_in_one_line() {
    for code in all() {
        let name = code.name;
        let mut lines = code.text.lines();
        let summary = lines.next().unwrap_or_default();
        assert!(
            summary.ends_with('.') && summary.chars().count() <= 100,
            "{name}: {summary}"
        );
        assert_eq!(summary.matches(". ").count(), 0, "{name}: {summary}");
        assert_eq!(lines.next(), Some(""), "{name}");
        assert!(!summary.contains('|'), "{name}: {summary}");
    }
}

/// Returns the paragraphs that begin with this word and a colon.
fn labelled<'t>(text: &'t str, label: &str) -> Vec<&'t str> {
    let lines = text.lines();
    lines
        .filter_map(|line| line.strip_prefix(label)?.strip_prefix(':'))
        .collect()
}

#[test]
fn each_explanation_has_the_parts_of_its_family() {
    for code in all() {
        let parts: &[&str] = match code.family {
            CodeFamily::Problem => &["Severity", "Fix"],
            CodeFamily::Reason => &["Answer", "Rule", "What to do"],
            CodeFamily::Finding => &["Severity", "Fix"],
        };
        for part in parts {
            let found = labelled(&code.text, part);
            assert_eq!(found.len(), 1, "{}: {part}", code.name);
        }
        let examples = code.text.matches("\nExample").count();
        let is_shown = code.family != CodeFamily::Problem || examples == 1;
        assert!(is_shown, "{}: {examples} examples", code.name);
        assert!(
            code.text.ends_with('\n') && !code.text.ends_with("\n\n"),
            "{}",
            code.name
        );
    }
}

#[test]
fn no_file_of_an_explanation_is_left_over() {
    let folders = [
        "crates/policy/src/problem/explanations",
        "crates/engine/src/reason/explanations",
        "crates/doctor/src/finding/explanations",
    ];
    for (family, folder) in CodeFamily::ALL.into_iter().zip(folders) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = std::fs::read_dir(folder).unwrap();
        let files: BTreeSet<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let codes = family.codes();
        let named: BTreeSet<String> = codes
            .iter()
            .map(|code| format!("{}.md", code.name))
            .collect();
        assert_eq!(files, named);
    }
}

#[test]
fn a_later_code_names_its_version() {
    let text = with_remark("A.\n\nB.\n", Some("Since: 0.2.".into()));
    assert_eq!(text, "A.\n\nSince: 0.2.\n\nB.\n");
    assert_eq!(with_remark("A.\n\nB.\n", None), "A.\n\nB.\n");
}

#[test]
fn the_answer_of_a_reason_is_the_one_that_clients_get() {
    let answer = |name: &str| {
        let codes = CodeFamily::Reason.codes();
        let code = codes.iter().find(|code| code.name == name).unwrap();
        labelled(&code.text, "Answer")[0].to_owned()
    };
    for (reason, expected) in [
        ("no_policy", " deny, with status 503."),
        ("not_in_allow_list", " deny, with status 403."),
        ("default_allow", " allow."),
    ] {
        assert_eq!(answer(reason), expected, "{reason}");
    }
}
