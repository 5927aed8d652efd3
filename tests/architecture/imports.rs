//! Which module of this crate may import which: one table, which docs/ARCHITECTURE.md shows, held against every file.

use std::collections::BTreeSet;

use super::{Unit, read, section, set, units};

/// The modules of the crate, and which of them each may import. `app` may import all.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("record", &["engine"]),
    ("store", &["engine"]),
    ("net", &[]),
    ("envoy", &["net", "record", "store", "engine"]),
    ("files", &["record", "store", "engine"]),
    ("audit", &["record", "engine"]),
    ("ops", &["record", "engine"]),
];

/// The modules of this crate that a file imports, by `crate::x` or by `crate::{x, y}`.
fn imported(code: &str) -> BTreeSet<String> {
    let word = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut found = BTreeSet::new();
    for (_, rest) in code.match_indices("crate::").map(|(at, name)| code.split_at(at + name.len())) {
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let (mut depth, mut at_begin) = (0, true);
        for (at, c) in group.char_indices() {
            if at_begin && depth == 0 && !c.is_whitespace() {
                found.insert(word(&group[at..]));
                at_begin = false;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' => at_begin = true,
                _ => {}
            }
        }
    }
    found.remove("");
    found
}

#[test]
fn imports_are_found_in_every_form() {
    let code = "use crate::a::b;\nuse crate::{c::{d, e}, f};\ncrate::g::h();\nuse crate::{\n    i::j,\n    k,\n};";
    assert_eq!(imported(code), set(["a", "c", "f", "g", "i", "k"]));
}

#[test]
fn imports_point_one_way() {
    let units = units();
    let is_module = |unit: &&Unit| !["main.rs", "lib.rs"].contains(&unit.path.as_str());
    for unit in units.iter().filter(is_module) {
        let home = unit.path.split(['/', '.']).next().unwrap();
        if home == "app" {
            continue;
        }
        let allowed = MAY_IMPORT.iter().find(|(module, _)| *module == home);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{home} is in no row of MAY_IMPORT"));
        for other in imported(&unit.code) {
            let is_allowed = other == home || allowed.contains(&other.as_str());
            assert!(is_allowed, "{} imports crate::{other}; {home} may import {allowed:?}", unit.path);
        }
    }
    for (module, allowed) in MAY_IMPORT {
        for other in *allowed {
            let own = units.iter().filter(|unit| unit.path.split(['/', '.']).next() == Some(*module));
            let is_used = own.into_iter().any(|unit| imported(&unit.code).contains(*other));
            assert!(is_used, "{module} may import {other} and does not");
        }
    }
}

#[test]
fn imports_are_documented() {
    let page = read("docs/ARCHITECTURE.md");
    let rows = section(&page, "## Who may import whom").lines().filter(|line| line.starts_with("| `"));
    let row = |(module, allowed): &(&str, &[&str])| {
        let allowed: Vec<_> = allowed.iter().map(|name| format!("`{name}`")).collect();
        let allowed = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
        format!("| `{module}` | {allowed} |")
    };
    assert_eq!(rows.collect::<Vec<_>>(), MAY_IMPORT.iter().map(row).collect::<Vec<_>>());
}
