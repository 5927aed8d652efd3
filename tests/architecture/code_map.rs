//! Tests that the code that the pages about the architecture name exists: paths, functions and
//! types with the file that has them, and the tests of the invariants; and that
//! docs/explanation/reliability.md names tests and commands that exist. It does not check whether a
//! sentence is true.

use std::fs;

use super::{read, root, rust_files, section};

/// The pages that name code.
const CODE_MAP: [&str; 3] = [
    "docs/explanation/architecture.md",
    "docs/explanation/architecture-crates.md",
    "docs/explanation/architecture-journeys.md",
];

/// A text between backticks, and the text between it and the next one.
type Quoted<'t> = (&'t str, &'t str);

fn quoted(line: &str) -> Vec<Quoted<'_>> {
    let parts: Vec<&str> = line.split('`').skip(1).collect();
    parts
        .chunks(2)
        .map(|pair| (pair[0], pair.get(1).copied().unwrap_or_default()))
        .collect()
}

fn is_path(text: &str) -> bool {
    ["crates/", "src/", "tests/", "docs/", "proto/", "deploy/"]
        .iter()
        .any(|folder| text.starts_with(folder))
        && !text.contains(' ')
}

/// Returns whether the file has an item of this name.
fn has_item(path: &str, name: &str) -> bool {
    let text = read(path);
    let item = |kind: &&str| {
        text.match_indices(&format!("{kind} {name}"))
            .any(|(at, found)| {
                !text[at + found.len()..]
                    .starts_with(|next: char| next.is_alphanumeric() || next == '_')
            })
    };
    ["fn", "struct", "enum", "trait"].iter().any(item)
}

/// Returns the pairs of a file and an item that a line claims: "`path`: `item`, `item`" and "`item`
/// in `path`".
fn claims(line: &str) -> Vec<(&str, &str)> {
    let quoted = quoted(line);
    let mut found = Vec::new();
    let mut listing = None;
    for (at, (text, after)) in quoted.iter().enumerate() {
        let is_file = is_path(text) && text.ends_with(".rs");
        match listing {
            Some(path) if !is_file => found.push((path, *text)),
            _ => {}
        }
        let next = quoted.get(at + 1).map(|(text, _)| *text);
        if let Some(path) =
            next.filter(|next| *after == " in " && is_path(next) && next.ends_with(".rs"))
        {
            found.push((path, *text));
        }
        let continues = if is_file {
            *after == ": "
        } else {
            listing.is_some() && *after == ", "
        };
        listing = if is_file {
            continues.then_some(*text)
        } else {
            listing.filter(|_| continues)
        };
    }
    found
}

#[test]
fn the_code_map_names_what_exists() {
    let (mut paths, mut items) = (0, 0);
    // A sentence may be wrapped between an item and its file.
    let lines = CODE_MAP.iter().flat_map(|name| {
        let page = read(name);
        let lines: Vec<String> = page.split("\n\n").flat_map(paragraphs).collect();
        lines.into_iter().map(move |line| (name, line))
    });
    for (page, line) in lines {
        for (path, _) in quoted(&line).into_iter().filter(|(text, _)| is_path(text)) {
            assert!(
                root().join(path).exists(),
                "{page} names {path}, which does not exist: {line}"
            );
            paths += 1;
        }
        for (path, name) in claims(&line) {
            assert!(
                has_item(path, name),
                "{page} says that {name} is in {path}: {line}"
            );
            items += 1;
        }
    }
    assert!(
        paths > 100 && items > 60,
        "only {paths} paths and {items} items were found"
    );
}

/// Returns the rows of a table, or a paragraph as one line.
fn paragraphs(block: &str) -> Vec<String> {
    if block.contains("\n|") {
        block.lines().map(str::to_owned).collect()
    } else {
        vec![block.replace('\n', " ")]
    }
}

#[test]
fn the_tests_of_the_invariants_exist() {
    let page = read("docs/explanation/architecture.md");
    let mut files = Vec::new();
    for folder in ["tests", "crates", "src"] {
        rust_files(&root().join(folder), &mut files);
    }
    let code: String = files
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let named = section(&page, "## Invariants")
        .lines()
        .filter(|line| line.starts_with("| "))
        .flat_map(quoted);
    let tests: Vec<&str> = named
        .map(|(text, _)| text)
        .filter(|text| text.matches('_').count() >= 2)
        .collect();
    assert!(tests.len() > 15, "only {tests:?} were found");
    for name in tests {
        assert!(
            code.contains(&format!("fn {name}()")),
            "docs/explanation/architecture.md names the test {name}"
        );
    }
}

/// Returns the word of a command after another word, such as `soak` after `make`.
fn after<'c>(command: &'c str, word: &str) -> Option<&'c str> {
    let mut words = command.split(' ').skip_while(|one| *one != word);
    words.nth(1)
}

#[test]
fn the_reliability_page_names_tests_and_commands_that_exist() {
    let page = read("docs/explanation/reliability.md");
    let makefile = read("Makefile");
    let mut tests = Vec::new();
    for folder in ["tests", "crates/test-support/src"] {
        rust_files(&root().join(folder), &mut tests);
    }
    let code: String = tests.iter().map(read).collect();
    let (mut paths, mut commands) = (0, 0);
    for line in page.split("\n\n").flat_map(paragraphs) {
        for (text, _) in quoted(&line) {
            let place = format!("docs/explanation/reliability.md names {text}: {line}");
            if is_path(text) {
                assert!(root().join(text).exists(), "{place}");
                paths += 1;
            }
            if let Some(target) = after(text, "make") {
                assert!(makefile.contains(&format!("\n{target}:")), "{place}");
                commands += 1;
            }
            if let Some(test) = after(text, "--test") {
                let folder = root().join("tests").join(test);
                assert!(folder.join("main.rs").exists(), "{place}");
                commands += 1;
            }
            let variables = text.split(' ').filter_map(|word| word.split_once('='));
            for (name, _) in variables.filter(|(name, _)| name.starts_with("CUSTOMS_")) {
                assert!(code.contains(&format!("\"{name}\"")), "{place}");
            }
        }
    }
    assert!(
        paths > 25 && commands > 10,
        "only {paths} paths and {commands} commands were found"
    );
}

#[test]
fn each_of_the_32_targets_has_its_guarantee_and_its_short_form() {
    let page = read("docs/explanation/reliability.md");
    let mut targets: Vec<u32> = Vec::new();
    for block in page.split("\n**").skip(1) {
        let number = block
            .split_once(". ")
            .and_then(|(text, _)| text.parse().ok());
        let Some(number) = number else { continue };
        let rest = block.split("\n## ").next().unwrap_or_default();
        assert!(
            rest.contains("** Met:") || rest.contains("**\nMet:"),
            "{block}"
        );
        assert!(rest.contains("\n- Short form: "), "{block}");
        targets.push(number);
    }
    targets.sort_unstable();
    assert_eq!(targets, (1..=32).collect::<Vec<_>>());
}

#[test]
fn the_prose_of_the_pages_wraps() {
    for name in CODE_MAP
        .into_iter()
        .chain(["docs/explanation/reliability.md"])
    {
        let page = read(name);
        for line in page.lines().filter(|line| !line.starts_with('|')) {
            assert!(
                line.chars().count() <= 100,
                "{name} has a line of more than 100 columns: {line}"
            );
        }
    }
}
