//! The generated pages of docs/reference are those that the code makes, and what they show holds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use customs::app::reference::{MARK, pages};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference")
}

#[test]
fn the_generated_pages_are_fresh() {
    let stale: Vec<_> = pages()
        .unwrap()
        .into_iter()
        .filter(|page| {
            fs::read_to_string(folder().join(page.file)).ok().as_ref() != Some(&page.text)
        })
        .map(|page| page.file)
        .collect();
    assert!(
        stale.is_empty(),
        "run `make reference`: {stale:?} are stale"
    );
}

#[test]
fn every_page_with_the_mark_is_generated() {
    let known: Vec<_> = pages().unwrap().iter().map(|page| page.file).collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_marked = fs::read_to_string(&path).unwrap().starts_with(MARK);
        assert_eq!(is_marked, known.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn tables_have_the_cells_of_their_heads_and_no_word_is_left_open() {
    for page in pages().unwrap() {
        assert!(!page.text.contains("{{"), "{}", page.file);
        let (mut columns, mut is_code) = (None, false);
        for line in page.text.lines() {
            is_code ^= line.starts_with("```");
            if is_code || !line.starts_with('|') {
                columns = None;
                continue;
            }
            let cells = line.replace("\\|", "").matches('|').count();
            assert_eq!(
                *columns.get_or_insert(cells),
                cells,
                "{}: {line}",
                page.file
            );
        }
    }
}

/// Returns the blocks of YAML of a page.
fn examples(page: &str) -> Vec<String> {
    let blocks = page.split("\n```yaml\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split_once("\n```"));
    blocks.map(|(block, _)| format!("{block}\n")).collect()
}

#[test]
fn the_examples_of_policies_lint_clean() {
    let mut linted = 0;
    for page in pages().unwrap() {
        for example in examples(&page.text) {
            let folder = tempfile::tempdir().unwrap();
            let name = match example.contains("\nkind: PolicyTest\n") {
                true => "a.cases.yaml",
                false => "a.yaml",
            };
            fs::write(folder.path().join(name), &example).unwrap();
            // A folder without a policy has none to lint.
            let policy = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n\
                          metadata: {name: other, namespace: other}\nspec: {deny: [{name: a, hosts: [a.example]}]}\n";
            fs::write(folder.path().join("other.yaml"), policy).unwrap();
            let done = Command::new(env!("CARGO_BIN_EXE_customs"))
                .args(["lint", "."])
                .current_dir(folder.path())
                .output()
                .unwrap();
            let output = String::from_utf8_lossy(&done.stdout);
            assert!(done.status.success(), "{}: {output}", page.file);
            linted += 1;
        }
    }
    assert!(linted >= 6, "only {linted}");
}
