//! Tests the rules of the repository that neither the compiler nor a manifest can enforce: names in
//! the documents exist in the code and the reverse, an allow is created in one place, crates depend
//! only on the crates that they may. docs/explanation/architecture.md gives the reasons. The tests read only
//! text, so they run in under a second.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

mod code_map;
mod crates;
mod documents;
mod record_fields;
mod words;

/// A source file of the product: its path below the root, and its text without tests, comments and
/// doc comments.
struct Unit {
    path: String,
    whole: String,
    code: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Finds the files below a folder whose names end in one of these.
fn files_below(dir: &Path, ends: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let has_end = |path: &Path| {
            let end = path.extension().unwrap_or_default();
            ends.iter().any(|known| end == *known)
        };
        if path.is_dir() {
            files_below(&path, ends, found);
        } else if has_end(&path) {
            found.push(path);
        }
    }
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    files_below(dir, &["rs"], found);
}

/// The folders with the product's own code, relative to the root.
fn source_folders() -> Vec<PathBuf> {
    let crates = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let crates = crates
        .filter(|path| !path.ends_with("test-support"))
        .map(|path| path.join("src"));
    crates.chain([root().join("src")]).collect()
}

fn units() -> Vec<Unit> {
    let mut files = Vec::new();
    source_folders()
        .iter()
        .for_each(|folder| rust_files(folder, &mut files));
    files.sort();
    let unit = |path: PathBuf| {
        let whole = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().display().to_string();
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        let production = if is_test {
            ""
        } else {
            whole.split("#[cfg(test)]\n").next().unwrap()
        };
        let code = production
            .lines()
            .map(|l| l.split("//").next().unwrap())
            .collect::<Vec<_>>()
            .join("\n");
        Unit { path, whole, code }
    };
    files.into_iter().map(unit).collect()
}

/// Returns whether `code` names the crate or path `name`, as a word followed by `::` or in a `use`.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            && (after.starts_with("::") || after.starts_with(';') || after.starts_with(" as "))
    })
}

/// The names that pure crates must not use: they do not read the clock, files or the network, and
/// they do not print. Their manifests enforce the rest.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::thread",
    "std::process",
    "SystemTime",
    "Instant",
    "std::sync::Mutex",
    "std::sync::RwLock",
];

/// The pure crates.
const PURE: [&str; 4] = [
    "crates/engine/",
    "crates/policy/",
    "crates/analysis/",
    "crates/doctor/",
];

#[test]
fn every_file_says_what_it_is() {
    for unit in units() {
        assert!(
            unit.whole.starts_with("//!"),
            "{} does not open with //!",
            unit.path
        );
    }
}

#[test]
fn tests_and_fuzzers_say_what_they_are() {
    let mut files = Vec::new();
    for dir in ["tests", "benches", "crates", "fuzz/fuzz_targets"] {
        rust_files(&root().join(dir), &mut files);
    }
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("//!"),
            "{} does not open with //!",
            path.display()
        );
        assert!(
            text.lines().count() <= 500,
            "{} has more than 500 lines",
            path.display()
        );
    }
}

#[test]
fn files_stay_short() {
    for unit in units() {
        let lines = unit.whole.lines().count();
        let limit = if unit.path == "src/main.rs" { 40 } else { 500 };
        assert!(
            lines <= limit,
            "{} has {lines} lines; the limit is {limit}",
            unit.path
        );
    }
}

/// A module's path follows from its name, so that a reader finds the tests of `foo.rs` in
/// `foo/tests.rs` or in `foo/tests/`.
#[test]
fn modules_are_where_their_names_say() {
    for unit in units() {
        assert!(
            !unit.whole.contains("#[path"),
            "{} sets the path of a module by an attribute",
            unit.path
        );
        assert!(
            !unit.path.ends_with("_tests.rs"),
            "{}: tests go into tests.rs or into the folder tests",
            unit.path
        );
    }
}

#[test]
fn pure_crates_touch_nothing() {
    let is_pure = |unit: &&Unit| PURE.iter().any(|home| unit.path.starts_with(home));
    let mut seen = 0;
    for unit in units().iter().filter(is_pure) {
        for name in IMPURE {
            assert!(!names(&unit.code, name), "{} names {name}", unit.path);
        }
        seen += 1;
    }
    assert!(seen > 50, "only {seen} files were checked");
}

/// Code that escapes or prints on its own would have to know what a terminal interprets.
#[test]
fn text_is_escaped_and_printed_in_one_place() {
    let printers = [
        "app/mod.rs",
        "app/cli/environment.rs",
        "app/commands/audit/output.rs",
        "ops/telemetry.rs",
    ];
    let printers = printers.map(|path| format!("src/{path}"));
    for unit in units()
        .iter()
        .filter(|unit| unit.path != "crates/policy/src/printable.rs")
    {
        for name in [
            "escape_debug",
            "escape_default",
            "escape_unicode",
            "normalize_untrusted_str",
        ] {
            assert!(
                !unit.code.contains(name),
                "{} escapes by itself: see crates/policy/src/printable.rs",
                unit.path
            );
        }
        for name in [
            "print!(",
            "println!(",
            "eprint!(",
            "eprintln!(",
            "io::stdout().write",
            "io::stderr().write",
            "writeln!(std::io::",
        ] {
            let prints = unit.code.contains(name) && !printers.contains(&unit.path);
            assert!(
                !prints,
                "{} prints by itself: see `print` and `print_error` in src/app/mod.rs",
                unit.path
            );
        }
    }
}

#[test]
fn an_allow_is_made_in_one_place() {
    let made: Vec<String> = units()
        .iter()
        .flat_map(|u| {
            u.code
                .lines()
                .map(|l| (u.path.clone(), l.to_owned()))
                .collect::<Vec<_>>()
        })
        .filter(|(_, line)| line.contains("Permit(())") && !line.contains("struct Permit"))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(made, ["crates/engine/src/decision.rs"]);
}

#[test]
fn responses_are_built_in_one_place_and_never_by_default() {
    for unit in units() {
        assert!(
            !unit.code.contains("CheckResponse::default"),
            "{} builds an allow by default",
            unit.path
        );
        let builds = unit
            .code
            .lines()
            .any(|l| l.contains("CheckResponse {") && !l.contains("->"));
        assert!(
            !builds || unit.path == "crates/extauthz/src/response.rs",
            "{} builds a CheckResponse",
            unit.path
        );
    }
}

/// Returns the types of a file that are errors, by a derive or by an `impl`.
fn error_types(code: &str) -> Vec<&str> {
    let words = |text| str::split(text, |c: char| !(c.is_alphanumeric() || c == '_'));
    let derived = code.split("thiserror::Error)]").skip(1);
    let derived = derived.filter_map(|rest| {
        words(rest)
            .skip_while(|w| !matches!(*w, "enum" | "struct"))
            .nth(1)
    });
    let by_hand = code
        .split("std::error::Error for ")
        .skip(1)
        .filter_map(|rest| words(rest).next());
    derived.chain(by_hand).collect()
}

#[test]
fn errors_are_types_that_are_called_errors() {
    let units = units();
    let errors: Vec<&str> = units
        .iter()
        .flat_map(|unit| error_types(&unit.code))
        .collect();
    assert!(errors.len() > 20, "only {errors:?} were found");
    assert!(
        errors.iter().all(|name| name.ends_with("Error")),
        "some are not called so: {errors:?}"
    );
    for (unit, line) in units
        .iter()
        .flat_map(|unit| unit.code.lines().map(move |line| (unit, line)))
    {
        let is_text = line.contains("fn ")
            && (line.contains(", String>") || line.contains(", &'static str>"));
        assert!(
            !is_text || !line.contains("-> Result<"),
            "{}: an error is a mere text: {line}",
            unit.path
        );
        let is_result = line.contains("Result<")
            && line
                .split(", Vec<String>>")
                .skip(1)
                .any(|rest| !rest.starts_with(','));
        let is_list = ["wrong", "problems", "errors"]
            .iter()
            .any(|name| line.contains(&format!("{name}: &mut Vec<String>")));
        assert!(
            !is_result && !is_list,
            "{}: errors are mere texts: {line}",
            unit.path
        );
    }
}

#[test]
fn every_task_is_joined() {
    for unit in units() {
        for line in unit.code.lines().map(str::trim) {
            let dropped = [
                "tokio::spawn(",
                "tokio::task::spawn(",
                "std::thread::spawn(",
                "thread::spawn(",
            ];
            let bare = dropped
                .iter()
                .any(|s| line.starts_with(s) || line.starts_with(&format!("let _ = {s}")));
            assert!(!bare, "{} drops the handle of a task: {line}", unit.path);
        }
    }
}

#[test]
fn panics_unwind_in_every_profile() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let release = manifest.split("[profile.release]").nth(1).unwrap();
    let release = release.split("\n[").next().unwrap();
    assert!(
        release.contains("panic = \"unwind\"") && !manifest.contains("panic = \"abort\""),
        "a panic of one check would end the process"
    );
}

#[test]
fn the_top_level_is_fixed() {
    let known: BTreeSet<&str> = [
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "Makefile",
        "README.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Dockerfile",
        // GitHub finds an action only here.
        "action.yml",
        "deny.toml",
        "rust-toolchain.toml",
        "benches",
        "crates",
        "deploy",
        "docs",
        "fuzz",
        "policies",
        "proto",
        "src",
        "target",
        "tests",
    ]
    .into();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || known.contains(name.as_str()),
            "{name} is not part of the top level"
        );
    }
}

/// Returns the part of a document below a heading, up to the next one of the same level.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let (_, rest) = text
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no section {heading}"));
    let level: String = heading.chars().take_while(|c| *c == '#').collect();
    rest.split(&format!("\n{level} ")).next().unwrap()
}

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let mut files = Vec::new();
    for dir in [
        "src",
        "crates",
        "tests",
        "benches",
        "deploy",
        "fuzz/fuzz_targets",
    ] {
        rust_files(&root().join(dir), &mut files);
    }
    files.extend(documents());
    let itself = Path::new("tests").join("architecture").join("main.rs");
    for path in files.iter().filter(|p| !p.ends_with(&itself)) {
        let text = fs::read_to_string(path).unwrap();
        for word in ["TODO", "FIXME", "/work/", "../shared"] {
            assert!(!text.contains(word), "{} says {word}", path.display());
        }
        for line in text.lines() {
            let is_marker = ["<<<<<<< ", "||||||| ", ">>>>>>> "]
                .iter()
                .any(|marker| line.starts_with(marker));
            assert!(!is_marker, "{} has half a merge: {line}", path.display());
        }
    }
}

/// Returns every page that people read: those of the book, in all of its folders, and those at the
/// root.
fn documents() -> Vec<PathBuf> {
    let mut found = pages();
    let entries = fs::read_dir(root()).unwrap();
    found.extend(
        entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "md")),
    );
    found
}

/// Returns every page of the book.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_below(&root().join("docs"), &["md"], &mut found);
    assert!(found.len() > 100, "only {} pages", found.len());
    found
}
