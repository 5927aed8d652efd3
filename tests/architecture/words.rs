//! Tests that comments and messages avoid the words that the docs avoid.

use std::fs;

use customs_test_support::words::avoided;

use super::{files_below, root};

/// The kinds of files that have sentences.
const KINDS: [&str; 7] = ["rs", "py", "yaml", "toml", "proto", "tpl", "md"];

/// What quotes the words: the list of them, and recordings of what istiod made of a text.
const QUOTES: [&str; 3] = ["words.rs", "aliases.yaml", "before-and-after.md"];

#[test]
fn sentences_avoid_words_that_readers_stumble_over() {
    let mut all = vec![root().join("Makefile"), root().join("Cargo.toml")];
    for folder in [
        "src", "crates", "benches", "tests", "deploy", "policies", "proto",
    ] {
        files_below(&root().join(folder), &KINDS, &mut all);
    }
    all.retain(|path| !QUOTES.iter().any(|name| path.ends_with(name)));
    let mut found = Vec::new();
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            if let Some((phrase, instead)) = avoided(line) {
                let place = path.strip_prefix(root()).unwrap().display();
                found.push(format!(
                    "{place}:{}: {phrase:?}: write {instead}: {}",
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    assert!(
        found.is_empty(),
        "{} lines:\n{}",
        found.len(),
        found.join("\n")
    );
}
