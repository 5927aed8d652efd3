//! Policies and documents that pages show without a file: each loads, or says that it does not.

use std::process::Command;

use super::page::{Block, Page};

const KINDS: [&str; 4] = [
    "EgressPolicy",
    "DestinationSet",
    "AuthorizationPolicy",
    "PolicyGuard",
];

fn is_policy(block: &Block) -> bool {
    KINDS.iter().any(|kind| {
        block
            .text
            .lines()
            .any(|line| line == format!("kind: {kind}"))
    })
}

/// Returns the output of `customs lint` for a policy alone, and whether it has no errors.
fn lint(text: &str) -> (String, bool) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    std::fs::write(folder.path().join("policies/a.yaml"), text).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_customs"))
        .args(["lint", "policies"])
        .current_dir(folder.path())
        .env_clear()
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&done.stdout).into_owned();
    (output, done.status.success())
}

/// What is wrong with the documents of a page.
pub(crate) fn complaints(page: &Page) -> Vec<String> {
    let mut complaints = Vec::new();
    for block in page.blocks() {
        let place = format!("{}:{}", page.name, block.line);
        match block.language.as_str() {
            "yaml" if is_policy(block) && block.file.is_none() && !page.is_generated() => {
                let (output, is_valid) = lint(&block.text);
                if is_valid == block.has("invalid") {
                    complaints.push(format!("{place}: {output}"));
                }
            }
            "json" if !block.has("fragment") => {
                let documents = serde_json::Deserializer::from_str(&block.text);
                for document in documents.into_iter::<serde_json::Value>() {
                    complaints.extend(document.err().map(|why| format!("{place}: {why}")));
                }
            }
            "" => complaints.push(format!("{place}: the block has no language")),
            "sh" if block.file.is_none() && !page.name.starts_with("docs/runbooks/") => {
                complaints.push(format!("{place}: commands belong in a block `console`"));
            }
            _ => {}
        }
    }
    complaints
}
