//! What an editor shows with the schemas of `customs schema`, by the real YAML language server: most
//! mistakes of a policy author, and nothing about any shipped policy.
//!
//! The server and its Node are installed by `deploy/local/install-tools`; without them the tests fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(missing_docs)]

mod language_server;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use customs_test_support::{repository, tools};
use language_server::{Diagnostic, LanguageServer};
use serde_json::json;

/// A folder with the schemas, and a server that uses them: for `settings*.yaml` that of the settings,
/// and for all other files that of policies.
fn editor() -> (tempfile::TempDir, LanguageServer) {
    // Patterns of files do not match in a folder whose name begins with a dot.
    let folder = tempfile::Builder::new()
        .prefix("editor-")
        .tempdir()
        .unwrap();
    let schema = |kind: &str, name: &str| {
        let path = folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
        command.arg("schema");
        if !kind.is_empty() {
            command.arg(kind);
        }
        let printed = command.output().unwrap();
        assert!(printed.status.success());
        fs::write(&path, printed.stdout).unwrap();
        format!("file://{}", path.display())
    };
    let documents = schema("", "documents.json");
    let settings = schema("settings", "settings.json");
    let schemas = json!({documents: ["policies/**/*.yaml"], settings: ["settings*.yaml"]});
    let node = tools::node().unwrap();
    let server = tools::yaml_language_server().unwrap();
    tools::announce(&server);
    (
        folder,
        LanguageServer::start(&node.path, &server.path, schemas),
    )
}

/// The lines of `tests/commands/ten-mistakes.yaml` with a mistake, in order.
const MISTAKES: [(u64, &str); 10] = [
    (8, "a namespace that is not the policy's own"),
    (9, "a misspelt field"),
    (10, "a mode in lower case"),
    (12, "a name with a space"),
    (13, "a URL as a host"),
    (14, "a method in lower case"),
    (15, "a star in the middle of a path"),
    (17, "a host in upper case"),
    (18, "an empty reason"),
    (19, "a missing name"),
];

#[test]
fn nine_of_ten_mistakes_are_found() {
    let (folder, mut server) = editor();
    let text = fs::read_to_string(repository().join("tests/commands/ten-mistakes.yaml")).unwrap();
    let found = server.diagnose(&folder.path().join("policies/ten.yaml"), &text);
    let lines: BTreeSet<u64> = found.iter().map(|one| one.line).collect();
    let missed: Vec<_> = MISTAKES
        .iter()
        .filter(|(line, _)| !lines.contains(line))
        .collect();
    // Which namespace is the policy's own is in another field, and which one is the root namespace in
    // the settings.
    assert_eq!(missed, [&MISTAKES[0]], "{found:#?}");
    assert_eq!(lines.len(), 9, "{found:#?}");
}

/// Collects the YAML files below a folder.
fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            found.push(path);
        }
    }
}

#[test]
fn nothing_is_said_about_a_shipped_policy() {
    let (folder, mut server) = editor();
    let mut files = Vec::new();
    yaml_files(&repository().join("policies"), &mut files);
    assert!(files.len() > 25, "only {}", files.len());
    for file in files {
        let name = file.strip_prefix(repository()).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        // The schema that the first line names is compared elsewhere.
        let text = text.replace("# yaml-language-server:", "#");
        let found = server.diagnose(&folder.path().join(name), &text);
        assert_eq!(found, [], "{}", name.display());
        let path = folder.path().join("policies/misspelt").join(name);
        let misspelt = text.replacen("\nkind: ", "\nkindd: ", 1);
        assert_ne!(server.diagnose(&path, &misspelt), [], "{}", path.display());
    }
}

/// Returns the policies in the blocks of YAML of a page. A block that is marked as invalid is left
/// out, and so is one that is not a whole document.
fn policies(page: &str) -> Vec<String> {
    let blocks = page.split("\n```yaml\n").skip(1);
    blocks
        .filter_map(|rest| rest.split_once("\n```"))
        .map(|(block, _)| format!("{block}\n"))
        .filter(|block| block.starts_with("apiVersion: ") || block.starts_with("# "))
        .filter(|block| block.contains("\nkind: "))
        .collect()
}

#[test]
fn nothing_is_said_about_a_policy_of_the_reference() {
    let (folder, mut server) = editor();
    let reference = repository().join("docs/reference");
    let mut documents = 0;
    for page in [
        "egress-policy",
        "authorization-policy",
        "destination-set",
        "policy-guard",
        "policy-test",
    ] {
        let text = fs::read_to_string(reference.join(format!("{page}.md"))).unwrap();
        for (number, policy) in policies(&text).iter().enumerate() {
            let path = folder.path().join(format!("policies/{page}-{number}.yaml"));
            assert_eq!(server.diagnose(&path, policy), [], "{page}: {policy}");
            documents += 1;
        }
    }
    assert!(documents >= 5, "only {documents}");
}

#[test]
fn a_settings_file_is_checked_too() {
    let (folder, mut server) = editor();
    let printed = Command::new(env!("CARGO_BIN_EXE_customs"))
        .arg("settings")
        .output()
        .unwrap();
    let defaults = String::from_utf8(printed.stdout).unwrap();
    let path = |name: &str| folder.path().join(name);
    assert_eq!(server.diagnose(&path("settings.yaml"), &defaults), []);
    let wrong = "default: perhaps\nlisten: [nowhere]\nmax_message_size: big\nlissten: []\n\
                 gateway: {listeners: [{port: 99999, host: a.example}]}\nmetadata: [colour]\n";
    let found = server.diagnose(&path("settings-wrong.yaml"), wrong);
    let lines: BTreeSet<u64> = found.iter().map(|Diagnostic { line, .. }| *line).collect();
    assert_eq!(lines, (1..=6).collect(), "{found:#?}");
}
