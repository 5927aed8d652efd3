//! The rules of the house, as tests: who may import what, where a foreign crate lives, and that names in the documents
//! exist in the code and the other way round. docs/ARCHITECTURE.md says why. Text only, so it runs in under a second.

#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use customs::engine::policy::problem::Code;
use customs::engine::reason::Reason;

#[path = "architecture/imports.rs"]
mod imports;

/// A source file: its path below `src/`, and its text without tests, comments and doc comments.
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

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn units() -> Vec<Unit> {
    let src = root().join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files.sort();
    let unit = |path: PathBuf| {
        let whole = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(&src).unwrap().display().to_string();
        let is_test = path.ends_with("_tests.rs") || path.ends_with("/tests.rs");
        let production = if is_test { "" } else { whole.split("#[cfg(test)]\n").next().unwrap() };
        let code = production.lines().map(|l| l.split("//").next().unwrap()).collect::<Vec<_>>().join("\n");
        Unit { path, whole, code }
    };
    files.into_iter().map(unit).collect()
}

/// Whether `code` names the crate or path `name`, as a word followed by `::` or in a `use`.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            && (after.starts_with("::") || after.starts_with(';') || after.starts_with(" as "))
    })
}

/// Where each foreign crate, and each part of std that touches the world, may be named: prefixes of paths below `src/`.
const HOMES: &[(&str, &[&str])] = &[
    (
        "tonic",
        &[
            "net/preface_guard.rs",
            "envoy/",
            "record/proto.rs",
            "audit/tail/",
            "audit/sinks/otlp.rs",
            "app/commands/audit/subscribe.rs",
        ],
    ),
    (
        "prost",
        &[
            "envoy/service.rs",
            "envoy/attributes/borrowed/",
            "envoy/response.rs",
            "record/protobuf.rs",
            "record/stream.rs",
            "record/verify/",
            "audit/sinks/file/recover.rs",
            "audit/tail/",
            "app/commands/audit/read.rs",
        ],
    ),
    ("prost_types", &["audit/sinks/file/recover.rs", "app/commands/audit/view.rs"]),
    (
        "data_encoding",
        &[
            "engine/policy/policy_change.rs",
            "engine/snapshot.rs",
            "record/chain.rs",
            "audit/redact.rs",
            "record/signing.rs",
            "audit/sinks/otlp.rs",
        ],
    ),
    ("ed25519_dalek", &["record/signing.rs"]),
    ("hmac", &["audit/redact.rs"]),
    ("strsim", &["engine/policy/reader.rs"]),
    ("flate2", &["audit/sinks/file/", "record/verify/files.rs", "app/commands/audit/read.rs"]),
    (
        "rustix",
        &[
            "net/listen.rs",
            "files/background.rs",
            "audit/sinks/file.rs",
            "audit/sinks/file/special.rs",
            "audit/sinks/stdout.rs",
            "record/plain_file.rs",
        ],
    ),
    (
        "sha2",
        &["engine/policy/source.rs", "engine/snapshot.rs", "record/chain.rs", "record/signing.rs", "audit/redact.rs"],
    ),
    ("tonic_health", &["envoy/server.rs", "ops/health.rs"]),
    ("tonic_reflection", &["envoy/server.rs", "audit/tail/server.rs"]),
    ("opentelemetry_proto", &["audit/sinks/otlp.rs"]),
    ("envoy_types", &["envoy/"]),
    ("http_body", &["envoy/server.rs", "envoy/unary.rs"]),
    ("prost_reflect", &["envoy/json.rs", "app/commands/audit/read.rs"]),
    ("notify", &["files/watch.rs"]),
    ("serde_saphyr", &["engine/policy/document.rs"]),
    ("idna", &["engine/pattern.rs"]),
    ("rustc_hash", &["engine/header_table.rs", "engine/header_table/", "engine/index.rs"]),
    ("arc_swap", &["store.rs"]),
    ("clap", &["app/cli.rs", "app/cli/", "app/settings.rs", "app/trail_settings.rs"]),
    ("clap_complete", &["app/cli.rs", "app/commands/completions.rs"]),
    ("clap_mangen", &["app/commands/completions.rs"]),
    ("annotate_snippets", &["app/commands/render.rs"]),
    (
        "schemars",
        &[
            "app/settings.rs",
            "app/settings_text.rs",
            "app/trail_settings.rs",
            "app/policy_paths.rs",
            "app/commands/schema.rs",
        ],
    ),
    ("axum", &["ops/admin.rs", "ops/questions.rs"]),
    ("hyper", &["app/client.rs", "envoy/connection.rs", "envoy/front.rs"]),
    ("hyper_util", &["app/client.rs", "envoy/connection.rs"]),
    ("http_body_util", &["app/client.rs", "envoy/front.rs", "envoy/unary.rs"]),
    ("prometheus_client", &["ops/metrics.rs"]),
    ("tracing_subscriber", &["ops/telemetry.rs"]),
    ("mimalloc", &["main.rs"]),
    (
        "std::fs",
        &[
            "files/",
            "audit/sinks/",
            "audit/checkpoint.rs",
            "record/signing.rs",
            "record/verify/",
            "app/settings.rs",
            "app/commands/sources.rs",
            "app/commands/audit/",
            "net/listen.rs",
            "record/plain_file.rs",
        ],
    ),
];

/// What the engine must not name: it takes no time, reads nothing and tells nobody.
const NOT_IN_ENGINE: &[&str] = &[
    "tokio",
    "std::env",
    "std::fs",
    "std::io",
    "std::thread",
    "std::process",
    "std::time",
    "SystemTime",
    "Instant",
    "tracing",
    "rand",
    "uuid",
    "std::sync::Mutex",
    "std::sync::RwLock",
];

#[test]
fn every_file_says_what_it_is() {
    for unit in units() {
        assert!(unit.whole.starts_with("//!"), "{} does not open with //!", unit.path);
    }
}

#[test]
fn tests_and_fuzzers_say_what_they_are() {
    let mut files = Vec::new();
    for dir in ["tests", "benches", "fuzz/src", "fuzz/fuzz_targets"] {
        rust_files(&root().join(dir), &mut files);
    }
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} does not open with //!", path.display());
        assert!(text.lines().count() <= 500, "{} has more than 500 lines", path.display());
    }
}

#[test]
fn files_stay_short() {
    for unit in units() {
        let lines = unit.whole.lines().count();
        let limit = if unit.path == "main.rs" { 40 } else { 500 };
        assert!(lines <= limit, "{} has {lines} lines; the limit is {limit}", unit.path);
    }
}

#[test]
fn foreign_crates_stay_at_home() {
    for unit in units() {
        for (name, homes) in HOMES {
            let at_home = homes.iter().any(|home| unit.path.starts_with(home));
            assert!(at_home || !names(&unit.code, name), "{} names {name}, which lives in {homes:?}", unit.path);
        }
    }
}

#[test]
fn every_home_is_lived_in() {
    let units = units();
    for (name, homes) in HOMES {
        for home in *homes {
            let lived_in = units.iter().any(|u| u.path.starts_with(home) && names(&u.code, name));
            assert!(lived_in, "{home} is a home of {name} and does not name it");
        }
    }
}

#[test]
fn homes_are_documented() {
    let page = read("docs/ARCHITECTURE.md");
    let rows = section(&page, "## Homes of foreign crates").lines().filter(|line| line.starts_with("| `"));
    let documented: Vec<String> = rows.map(str::to_owned).collect();
    let row = |(name, homes): &(&str, &[&str])| {
        let homes: Vec<_> = homes.iter().map(|home| format!("`{}`", home.trim_end_matches(".rs"))).collect();
        format!("| `{name}` | {} |", homes.join(", "))
    };
    assert_eq!(documented, HOMES.iter().map(row).collect::<Vec<_>>());
}

#[test]
fn the_engine_is_pure() {
    for unit in units().iter().filter(|u| u.path.starts_with("engine/")) {
        for name in NOT_IN_ENGINE {
            assert!(!names(&unit.code, name), "{} names {name}", unit.path);
        }
    }
}

/// Whoever escapes or prints by himself would have to know what a terminal obeys.
#[test]
fn text_is_escaped_and_printed_in_one_place() {
    let printers = ["app/mod.rs", "app/cli/environment.rs", "app/commands/audit/shown.rs", "ops/telemetry.rs"];
    for unit in units().iter().filter(|unit| unit.path != "engine/policy/printable.rs") {
        for name in ["escape_debug", "escape_default", "escape_unicode", "normalize_untrusted_str"] {
            assert!(!unit.code.contains(name), "{} escapes by itself: see src/engine/policy/printable.rs", unit.path);
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
            let prints = unit.code.contains(name) && !printers.contains(&unit.path.as_str());
            assert!(!prints, "{} prints by itself: see `tell` and `complain` in src/app/mod.rs", unit.path);
        }
    }
}

#[test]
fn an_allow_is_made_in_one_place() {
    let made: Vec<String> = units()
        .iter()
        .flat_map(|u| u.code.lines().map(|l| (u.path.clone(), l.to_owned())).collect::<Vec<_>>())
        .filter(|(_, line)| line.contains("Permit(())") && !line.contains("struct Permit"))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(made, ["engine/decision.rs"]);
}

#[test]
fn responses_are_built_in_one_place_and_never_by_default() {
    for unit in units() {
        assert!(!unit.code.contains("CheckResponse::default"), "{} builds an allow by default", unit.path);
        let builds = unit.code.lines().any(|l| l.contains("CheckResponse {") && !l.contains("->"));
        assert!(!builds || unit.path == "envoy/response.rs", "{} builds a CheckResponse", unit.path);
    }
}

/// The types of a file that are errors, by a derive or by an `impl`.
fn error_types(code: &str) -> Vec<&str> {
    let words = |text| str::split(text, |c: char| !(c.is_alphanumeric() || c == '_'));
    let derived = code.split("thiserror::Error)]").skip(1);
    let derived = derived.filter_map(|rest| words(rest).skip_while(|w| !matches!(*w, "enum" | "struct")).nth(1));
    let by_hand = code.split("std::error::Error for ").skip(1).filter_map(|rest| words(rest).next());
    derived.chain(by_hand).collect()
}

#[test]
fn errors_are_types_that_are_called_errors() {
    let units = units();
    let errors: Vec<&str> = units.iter().flat_map(|unit| error_types(&unit.code)).collect();
    assert!(errors.len() > 20, "only {errors:?} were found");
    assert!(errors.iter().all(|name| name.ends_with("Error")), "some are not called so: {errors:?}");
    for (unit, line) in units.iter().flat_map(|unit| unit.code.lines().map(move |line| (unit, line))) {
        let is_text = line.contains("fn ") && (line.contains(", String>") || line.contains(", &'static str>"));
        assert!(!is_text || !line.contains("-> Result<"), "{}: an error is a mere text: {line}", unit.path);
    }
}

#[test]
fn every_task_is_joined() {
    for unit in units() {
        for line in unit.code.lines().map(str::trim) {
            let dropped = ["tokio::spawn(", "tokio::task::spawn(", "std::thread::spawn(", "thread::spawn("];
            let bare = dropped.iter().any(|s| line.starts_with(s) || line.starts_with(&format!("let _ = {s}")));
            assert!(!bare, "{} drops the handle of a task: {line}", unit.path);
        }
    }
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
        "Dockerfile",
        "benches",
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
        assert!(name.starts_with('.') || known.contains(name.as_str()), "{name} is not part of the top level");
    }
}

/// The names in the first column of a document's tables, or in its headings, between backticks.
fn documented(text: &str, opening: &str) -> BTreeSet<String> {
    let name = |line: &str| Some(line.strip_prefix(opening)?.split('`').next()?.to_owned());
    text.lines().filter_map(name).collect()
}

/// The part of a document below a heading, up to the next one of the same level.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    let level: String = heading.chars().take_while(|c| *c == '#').collect();
    rest.split(&format!("\n{level} ")).next().unwrap()
}

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn problem_codes_and_reasons_are_documented() {
    let policy = read("docs/POLICY.md");
    let codes = set(Code::ALL.iter().map(|c| c.as_str()));
    assert_eq!(documented(section(&policy, "## Problem codes"), "### `"), codes);
    let reasons = set(Reason::ALL.iter().map(|r| r.as_str()));
    assert_eq!(documented(section(&policy, "## Reasons"), "| `"), reasons);
}

/// The names in the first column of a document's tables, in their order.
fn tabled(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
}

#[test]
fn audit_fields_are_documented() {
    use customs::record::fields;
    let audit = read("docs/AUDIT.md");
    let reference = section(&audit, "## Fields of each kind");
    let mut known = vec![("### Every record".to_owned(), [fields::HEAD, &[fields::CHAIN]].concat())];
    known.extend(fields::KINDS.iter().map(|(kind, own)| (format!("### `{kind}`"), own.to_vec())));
    for (list, own) in [
        ("Each of the `headers`", fields::HEADER),
        ("Each of the `problems`", fields::PROBLEM),
        ("Each of the `sources`", fields::SOURCE),
        ("Each of the `files` of a source", fields::FILE),
        ("Each of the `refusals`", fields::REFUSAL),
        ("What `lost` counts", fields::LOSS),
    ] {
        known.push((format!("### {list}"), own.to_vec()));
    }
    for (heading, own) in &known {
        assert_eq!(tabled(section(reference, heading)), *own, "{heading}");
    }
    let headings: BTreeSet<&str> = reference.lines().filter(|line| line.starts_with("### ")).collect();
    assert_eq!(headings, known.iter().map(|(heading, _)| heading.as_str()).collect());
}

#[test]
fn metrics_are_documented() {
    let metrics: BTreeSet<String> = documented(&read("docs/OPERATIONS.md"), "| `customs_");
    let known = customs::ops::metrics::NAMES.iter().map(|n| n.trim_start_matches("customs_"));
    assert_eq!(metrics, set(known));
}

/// The rules that a text cites: words of an `R` and one or two digits.
fn cited_rules(text: &str) -> BTreeSet<String> {
    let is_rule = |word: &&str| {
        word.strip_prefix('R').is_some_and(|n| (1..=2).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.filter(is_rule).map(str::to_owned).collect()
}

#[test]
fn rules_are_written_down_and_cited() {
    let page = read("docs/RULES.md");
    let written = set(page.lines().filter_map(|line| Some(line.strip_prefix("## ")?.split_once(": ")?.0)));
    assert!(!written.is_empty(), "docs/RULES.md has no rule");
    for rule in &written {
        let anchor = format!("<a id=\"{}\"></a>\n\n## {rule}: ", rule.to_lowercase());
        assert_eq!(page.matches(&anchor).count(), 1, "docs/RULES.md: {rule} has no anchor in front of its heading");
    }
    assert_eq!(cited_rules(&page), written, "docs/RULES.md cites a rule that it does not have");
    let mut code = Vec::new();
    let dirs = ["src", "crates", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"].map(|dir| root().join(dir));
    dirs.iter().filter(|dir| dir.is_dir()).for_each(|dir| rust_files(dir, &mut code));
    let in_code: BTreeSet<String> = code.iter().flat_map(|path| cited_rules(&read(path))).collect();
    assert_eq!(in_code, written, "the rules that code cites, and those of docs/RULES.md");
    let pages = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    for page in pages.filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let is_known = cited_rules(&read(&page)).is_subset(&written);
        assert!(is_known, "{} cites a rule that docs/RULES.md does not have", page.display());
    }
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let mut files = Vec::new();
    for dir in ["src", "tests", "benches", "proto", "deploy", "fuzz/src", "fuzz/fuzz_targets"] {
        rust_files(&root().join(dir), &mut files);
    }
    for document in [
        "README.md",
        "docs/POLICY.md",
        "docs/RULES.md",
        "docs/MIGRATION.md",
        "docs/AUDIT.md",
        "docs/OPERATIONS.md",
        "docs/ARCHITECTURE.md",
        "docs/BENCHMARKS.md",
        "docs/THREATS.md",
    ] {
        files.push(root().join(document));
    }
    let itself = format!("tests{}architecture.rs", std::path::MAIN_SEPARATOR);
    for path in files.iter().filter(|p| !p.ends_with(&itself)) {
        let text = fs::read_to_string(path).unwrap();
        for word in ["TODO", "FIXME", "/work/", "../shared"] {
            assert!(!text.contains(word), "{} says {word}", path.display());
        }
    }
}
