//! The pages of the JSON documents that commands print, and of the versions.

use super::markdown::{anchor, cell, code, codes, table};
use super::template::Slot;
use crate::app::commands::cases::PolicyTest;
use crate::app::json_outputs::{self, JsonOutput};
use customs_policy::language::LanguageVersion;
use customs_policy::reader::Mapping;
use customs_policy::spec::{KINDS, MappingSpec, Shape};

/// What customs runs with, and how that is known. Rust's version is in the manifest.
const RUNS_WITH: [(&str, &str, &str); 6] = [
    ("Envoy", "1.40", "`make test` and `make demo` run it"),
    (
        "Istio",
        "1.31",
        "`make mesh` runs its istiod, which configures the Envoys",
    ),
    (
        "Kubernetes",
        "1.36",
        "`make mesh` runs its API server, with istiod's validation",
    ),
    (
        "Kubernetes, manifests",
        "1.29 to 1.37",
        "`make manifests` checks them against the schemas of the oldest and the newest",
    ),
    (
        "Rust, to build it",
        concat!(env!("CARGO_PKG_RUST_VERSION"), " or newer"),
        "`rust-version` in `Cargo.toml`; the workflow `msrv` builds with exactly that",
    ),
    (
        "Linux",
        "x86-64 and arm64",
        "the released binaries are static, so they need no libc of the system",
    ),
];

pub(super) fn slots() -> Vec<Slot> {
    let rows: Vec<_> = json_outputs::all()
        .map(|output| {
            let link = format!("[{}](#{})", code(output.command), anchor(&heading(output)));
            [link, output.version.to_string(), cell(output.about)]
        })
        .collect();
    let sections: Vec<_> = json_outputs::all().map(section).collect();
    vec![
        ("outputs", table(["command", "version", "document"], &rows)),
        ("sections", sections.join("\n")),
    ]
}

/// Returns the heading of a document. It has no flag, because GitHub and mdBook make different anchors
/// of two dashes.
fn heading(output: &JsonOutput) -> String {
    output.command.replace(" --", ", ")
}

fn section(output: &JsonOutput) -> String {
    let version = format!("the version of this format: {}", output.version);
    let first = [("version", version.as_str())];
    let fields = first.iter().chain(output.fields);
    let rows = fields.map(|(path, meaning)| [code(path), cell(meaning)]);
    let fields = table(["field", "meaning"], &rows.collect::<Vec<_>>());
    format!("## {}\n\n{}\n\n{fields}", heading(output), output.about)
}

pub(super) fn versions() -> Vec<Slot> {
    let rows = RUNS_WITH.map(|(with, versions, known)| [with, versions, known].map(str::to_owned));
    let languages: Vec<String> = LanguageVersion::ALL
        .iter()
        .map(ToString::to_string)
        .collect();
    let languages = codes(languages.iter().map(String::as_str));
    let version = env!("CARGO_PKG_VERSION");
    vec![
        (
            "version",
            format!("This page is that of customs {version}."),
        ),
        (
            "runs-with",
            table(["with", "versions", "how it is known"], &rows),
        ),
        (
            "languages",
            format!("This version of customs knows the languages of {languages}."),
        ),
        ("deprecated", deprecated()),
    ]
}

/// Lists what is deprecated in the policy language.
fn deprecated() -> String {
    let (mut seen, mut rows) = (Vec::new(), Vec::new());
    let documents = KINDS.iter().map(|kind| kind.document);
    for document in documents.chain([PolicyTest::SPEC]) {
        collect(document, &mut seen, &mut rows);
    }
    match rows.is_empty() {
        true => "Nothing is deprecated today.".to_owned(),
        false => table(["deprecated", "since", "instead"], &rows),
    }
}

fn collect(
    mapping: &'static MappingSpec,
    seen: &mut Vec<&'static str>,
    rows: &mut Vec<[String; 3]>,
) {
    if seen.contains(&mapping.name) {
        return;
    }
    seen.push(mapping.name);
    for field in mapping.fields() {
        if let Some(end) = field.availability.deprecated {
            let what = format!("{} in {}", code(field.name), mapping.called);
            rows.push([what, end.since.to_string(), cell(end.instead)]);
        }
        let mut shape = field.shape;
        while let Shape::List { of, .. } | Shape::Map(of) = shape {
            shape = *of;
        }
        match shape {
            Shape::Mapping(within) => collect(within, seen, rows),
            Shape::OneOf(words) => rows.extend(words.iter().filter_map(|word| {
                let end = word.availability.deprecated?;
                let what = format!("{} as {}", code(word.text), code(field.name));
                Some([what, end.since.to_string(), cell(end.instead)])
            })),
            _ => {}
        }
    }
}
