//! The page says what a run of today's model says, and every row has its figures.

use std::fs;
use std::path::Path;

use super::{FLEET, LOADS, SCENARIOS, Way, cell, changes, make, run, ways_table};
use crate::bench_report::document::take_in;

/// Few enough for a debug build.
const CHECKS: usize = 20_000;

fn page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join("docs/SCALE.md")).unwrap()
}

#[test]
fn the_page_has_the_ways_of_today() {
    let ways = Way::ALL.map(|way| (way, changes(way)));
    let table = ways_table(&ways);
    assert!(
        page().contains(table.trim()),
        "draw docs/SCALE.md again: cargo run --example simulate-fleet"
    );
}

/// A short run of a cell is near the long one on the page, so another model is noticed.
#[test]
fn the_page_has_the_waits_of_today() {
    let page = page();
    let (name, ..) = SCENARIOS[0];
    let row = page
        .lines()
        .find(|line| line.starts_with(&format!("| {name} |")))
        .unwrap();
    let cells: Vec<f64> = row
        .split('|')
        .skip(2)
        .filter_map(|cell| cell.trim().parse().ok())
        .collect();
    for (load, written) in LOADS.iter().zip(cells).take(5) {
        let found = run(&SCENARIOS[0], *load, 100_000).p99 as f64;
        let error = (found - written).abs() / written;
        assert!(error < 0.1, "{load} %: {found} us now, {written} written");
    }
}

#[test]
fn every_scenario_and_way_has_a_row_and_a_curve() {
    let made = make(CHECKS);
    for (name, ..) in SCENARIOS {
        assert!(made.tables.contains(&format!("| {name} |")), "{name}");
        assert!(made.waits.contains(name), "{name}");
    }
    for way in Way::ALL {
        let name = way.name();
        assert!(made.tables.contains(&format!("| {name} |")), "{name}");
        assert!(made.distribution.contains(name), "{name}");
    }
}

#[test]
fn refused_checks_are_named_beside_the_wait() {
    let beyond = run(&SCENARIOS[2], 90, CHECKS * 20);
    assert!(beyond.refused > 0.0);
    assert!(cell(beyond).contains("% refused"), "{}", cell(beyond));
}

#[test]
fn only_the_part_between_the_marks_is_replaced() {
    let document = "before\n<!-- fleet: begin -->\nold\n<!-- fleet: end -->\nafter\n";
    let written = take_in(document, FLEET, "new\n").unwrap();
    assert_eq!(
        written,
        "before\n<!-- fleet: begin -->\n\nnew\n\n<!-- fleet: end -->\nafter\n"
    );
    assert_eq!(take_in("no marks", FLEET, "new"), None);
}
