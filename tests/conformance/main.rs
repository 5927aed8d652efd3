//! customs next to Istio: the answers of Envoy's RBAC filter, configured as istiod does, replayed
//! against the engine.
//!
//! `recorded.jsonl` is the project's own set: `policies/`, recorded by `recorder/`. A second file,
//! made from the Istio project's test data, is replayed if it is on the machine, and never copied
//! here. Ordinary rows must agree, except for the method's case. Every other difference is stricter
//! than Istio or one of the few that docs/reference/istio-differences.md calls wider, and is counted by kind.
//!
//! The EgressPolicy family, which cannot be compared with Istio, is in `egress.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod egress;
mod golden;
mod kinds;
mod recorder;
mod replay;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use replay::Tally;

/// The sets of the Istio file that istiod refuses as well: `serviceAccounts` next to `principals`
/// or `namespaces`.
const REFUSED: [&str; 3] = ["mix-043.yaml", "mix-062.yaml", "mix-079.yaml"];

/// Prints a line for the reader of a test run. Written past libtest's capture on purpose: the
/// counts are what the run is for.
fn print(line: &str) {
    // Nothing depends on the line; a closed output must not fail a test.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn counts(list: &[(&str, usize)]) -> BTreeMap<String, usize> {
    list.iter()
        .map(|(kind, count)| ((*kind).to_owned(), *count))
        .collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join("conformance")
}

#[test]
fn the_istio_file_agrees() {
    let Some(file) = rows::istio_file() else {
        print(
            "istio: the file is ABSENT and nothing of it was replayed; name its folder in CUSTOMS_ISTIO_CASES",
        );
        return;
    };
    let tally = Tally::of("istio", &rows::read(&file));
    tally.print();
    tally.assert_as_documented(&REFUSED);
    if tally.skipped.is_empty() {
        assert_eq!((tally.sets, tally.rows), (77, 10_920));
        assert!(
            tally.ordinary >= 6_600,
            "only {} rows are ordinary",
            tally.ordinary
        );
        assert_eq!(tally.method_case.len(), 14);
        assert_eq!(
            tally.wider,
            counts(&[("host-port or host-trailing-dot", 7), ("id-two-uris", 15)])
        );
    }
}

#[test]
fn the_own_file_agrees() {
    let tally = Tally::of("own", &rows::read(&folder().join("recorded.jsonl")));
    tally.print();
    tally.assert_as_documented(&[]);
    if tally.skipped.is_empty() {
        assert!(
            tally.ordinary >= 1_100,
            "only {} rows are ordinary",
            tally.ordinary
        );
        assert_eq!(tally.method_case.len(), 2);
        let wider = counts(&[
            ("header-twice", 2),
            ("host-any-port", 1),
            ("host-port or host-trailing-dot", 6),
            ("sni-case", 6),
            ("tcp-host", 8),
        ]);
        assert_eq!(tally.wider, wider);
    }
}

#[test]
fn the_recorder_translates_as_istiod_does() {
    let folder = rows::istio_folder().join("istio-golden");
    if folder.is_dir() {
        print(&format!(
            "istio: {} configurations of istiod's are the recorder's as well",
            golden::compare(&folder)
        ));
    } else {
        print(
            "istio: the configurations of istiod's are ABSENT; name the folder above them in CUSTOMS_ISTIO_CASES",
        );
    }
}

/// After a change of a policy, the set must be recorded again.
#[test]
fn the_own_file_is_of_the_policies_beside_it() {
    let mut recorded = BTreeSet::new();
    for set in rows::read(&folder().join("recorded.jsonl")) {
        let file = set.name.split('.').next().unwrap().to_owned();
        let text = std::fs::read_to_string(folder().join("policies").join(format!("{file}.yaml")))
            .unwrap();
        let action = set
            .name
            .split_once('.')
            .map_or("ALLOW".to_owned(), |(_, action)| action.to_uppercase());
        assert_eq!(
            set.yaml,
            text.replace("action: ALLOW", &format!("action: {action}")),
            "{}",
            set.name
        );
        recorded.insert(file);
    }
    let stem = |file: PathBuf| file.file_stem().unwrap().to_str().unwrap().to_owned();
    let files = |name: &str| -> BTreeSet<String> {
        std::fs::read_dir(folder().join(name))
            .unwrap()
            .map(|file| stem(file.unwrap().path()))
            .collect()
    };
    assert_eq!(recorded, files("policies"));
    assert_eq!(recorded, files("requests"));
}

#[test]
fn the_own_file_has_every_field_and_key() {
    let sets = rows::read(&folder().join("recorded.jsonl"));
    let fields = "principals namespaces serviceAccounts trustDomains ipBlocks remoteIpBlocks hosts methods paths ports";
    let keys = "source.ip source.namespace source.principal source.serviceAccount source.trustDomain remote.ip destination.ip \
        destination.port connection.sni request.headers[";
    for field in fields.split(' ') {
        let (first, rest) = field.split_at(1);
        for word in [
            format!("{field}: ["),
            format!("not{}{rest}: [", first.to_uppercase()),
        ] {
            for action in ["action: ALLOW", "action: DENY"] {
                let found = sets
                    .iter()
                    .any(|set| set.yaml.contains(&word) && set.yaml.contains(action));
                assert!(found, "{word} in {action}");
            }
        }
    }
    for key in keys.split_whitespace() {
        for list in [" values: ", " notValues: "] {
            for action in ["action: ALLOW", "action: DENY"] {
                let asks = |line: &str| {
                    line.contains(key) && line.contains("key: ") && line.contains(list)
                };
                let found = sets
                    .iter()
                    .any(|set| set.yaml.contains(action) && set.yaml.lines().any(asks));
                assert!(found, "{key} with {list} in {action}");
            }
        }
    }
}
