//! Tests which crate may depend on which: every manifest is compared with one table, which
//! the pages about the architecture show together with a picture drawn from the manifests. Also
//! tests what the crates that must run in any host never depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{read, root, section, set};

/// The crates, each with its allowed dependencies. The package `customs` may depend on all.
const DEPENDS_ON: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("policy", &["engine"]),
    ("analysis", &["engine", "policy"]),
    ("record", &["engine", "policy"]),
    ("tls", &[]),
    ("net", &["tls"]),
    ("audit", &["engine", "record", "tls"]),
    ("extauthz", &["engine", "net", "policy", "record"]),
    ("sources", &["analysis", "engine", "policy", "record"]),
    ("telemetry", &["engine", "record", "tls"]),
    ("doctor", &["policy"]),
    ("parquet", &["engine", "record"]),
];

/// The packages that depend on a runtime, a server or the operating system.
const NOT_PURE: [&str; 10] = [
    "tokio", "tonic", "hyper", "axum", "mio", "notify", "rustix", "tracing", "tower", "prost",
];

/// The packages that depend on an async runtime or a server. The crates of the audit log may use
/// files and the operating system, but a host with its own runtime, or without one, must be able to
/// use them.
const RUNTIMES: [&str; 8] = [
    "tokio",
    "tokio-stream",
    "tokio-util",
    "tonic",
    "hyper",
    "axum",
    "mio",
    "tower",
];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        // A fresh machine has downloaded only the crates of its own platform.
        .args(["--filter-platform", "host-tuple"])
        // A feature of the program that a plain build leaves out.
        .args(["--features", "parquet"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the dependencies of each package, without those of its tests and its build.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |id: &Value| {
        let package = packages
            .iter()
            .find(|package| package["id"] == *id)
            .unwrap();
        package["name"].as_str().unwrap().to_owned()
    };
    let is_normal = |dep: &&Value| {
        dep["dep_kinds"]
            .as_array()
            .unwrap()
            .iter()
            .any(|kind| kind["kind"].is_null())
    };
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
    let node = |node: &Value| {
        let all = node["deps"].as_array().unwrap().iter().filter(is_normal);
        (
            name(&node["id"]),
            all.map(|dep| name(&dep["pkg"])).collect(),
        )
    };
    nodes.map(node).collect()
}

#[test]
fn crates_depend_on_one_another_in_one_direction() {
    let all = dependencies();
    let internal = |name: &String| name.strip_prefix("customs-").map(str::to_owned);
    let found: BTreeMap<String, BTreeSet<String>> = all
        .iter()
        .filter_map(|(name, deps)| {
            Some((internal(name)?, deps.iter().filter_map(internal).collect()))
        })
        .filter(|(name, _)| name != "test-support")
        .collect();
    let expected = DEPENDS_ON
        .iter()
        .map(|(name, deps)| ((*name).to_owned(), set(deps.iter().copied())))
        .collect();
    assert_eq!(found, expected);
    assert!(
        !all["customs"].contains("customs-test-support"),
        "the program depends on a crate for tests"
    );
}

#[test]
fn pure_crates_bring_no_runtime_and_no_server() {
    let all = dependencies();
    for name in ["engine", "policy", "analysis", "doctor"] {
        let (mut reached, mut next) = (BTreeSet::new(), vec![format!("customs-{name}")]);
        while let Some(package) = next.pop() {
            if reached.insert(package.clone()) {
                next.extend(all[&package].iter().cloned());
            }
        }
        for foreign in NOT_PURE {
            assert!(
                !reached.contains(foreign),
                "customs-{name} brings {foreign} along: {reached:?}"
            );
        }
    }
}

/// Returns the packages that a crate depends on, itself included, if it is built alone without
/// features.
fn alone(name: &str) -> BTreeSet<String> {
    let package = format!("customs-{name}");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", &package, "--no-default-features"])
        .args(["--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

#[test]
fn the_record_needs_no_runtime_and_no_server() {
    for (name, expected) in [("record", "prost"), ("audit", "customs-record")] {
        let reached = alone(name);
        assert!(reached.contains(expected), "{name}: {reached:?}");
        for foreign in RUNTIMES {
            assert!(
                !reached.contains(foreign),
                "customs-{name} brings {foreign} along: {reached:?}"
            );
        }
    }
}

#[test]
fn dependencies_are_documented() {
    let page = read("docs/explanation/architecture-crates.md");
    let rows = section(&page, "## Who may depend on whom")
        .lines()
        .filter(|line| line.starts_with("| `"));
    let row = |(name, deps): &(&str, &[&str])| {
        let deps: Vec<_> = deps.iter().map(|dep| format!("`{dep}`")).collect();
        let deps = if deps.is_empty() {
            "nothing".to_owned()
        } else {
            deps.join(", ")
        };
        format!("| `{name}` | {deps} |")
    };
    assert_eq!(
        rows.collect::<Vec<_>>(),
        DEPENDS_ON.iter().map(row).collect::<Vec<_>>()
    );
}

/// Returns the crates that each package of the workspace depends on, the program included, by the
/// names of their folders.
fn internal() -> BTreeMap<String, BTreeSet<String>> {
    let short = |name: &str| match name.strip_prefix("customs-") {
        Some("test-support") => None,
        Some(short) => Some(short.to_owned()),
        None => (name == "customs").then(|| name.to_owned()),
    };
    let own = |deps: &BTreeSet<String>| deps.iter().filter_map(|dep| short(dep)).collect();
    dependencies()
        .iter()
        .filter_map(|(name, deps)| Some((short(name)?, own(deps))))
        .collect()
}

/// Returns whether `from` reaches `to` through another crate.
fn is_implied(all: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> bool {
    let mut next: Vec<&String> = all[from].iter().filter(|dep| *dep != to).collect();
    while let Some(dep) = next.pop() {
        if dep == to {
            return true;
        }
        next.extend(&all[dep]);
    }
    false
}

/// Returns the picture of the crates in Mermaid, without arrows that a longer path implies.
fn picture() -> String {
    let all = internal();
    let mut lines = vec!["```mermaid".to_owned(), "graph TD".to_owned()];
    for (from, deps) in &all {
        let kept = deps.iter().filter(|to| !is_implied(&all, from, to));
        lines.extend(kept.map(|to| format!("  {from} --> {to}")));
    }
    lines.push("```".to_owned());
    lines.join("\n")
}

#[test]
fn the_picture_of_the_crates_is_fresh() {
    const PAGE: &str = "docs/explanation/architecture.md";
    const MARKS: [&str; 2] = ["<!-- crates: begin -->\n", "\n<!-- crates: end -->"];
    let page = read(PAGE);
    let (before, rest) = page.split_once(MARKS[0]).unwrap();
    let (shown, after) = rest.split_once(MARKS[1]).unwrap();
    let drawn = picture();
    if std::env::var_os("CUSTOMS_DRAW_CRATES").is_some() {
        let page = [before, MARKS[0], &drawn, MARKS[1], after].concat();
        return fs::write(root().join(PAGE), page).unwrap();
    }
    assert_eq!(
        shown, drawn,
        "draw it again: CUSTOMS_DRAW_CRATES=1 cargo test --test architecture"
    );
}
