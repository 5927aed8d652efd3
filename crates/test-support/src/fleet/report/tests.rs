//! The kept runs are those of today's model, and every row has its figures.

use super::{Cell, FleetRuns, LOADS, SCENARIOS, Way, in_words, name_of, run};
use crate::bench_report::statistics::Estimate;

/// Few enough for a debug build.
const CHECKS: usize = 4_000;

/// A short run of a cell is near the kept one, so another model is noticed.
#[test]
fn the_kept_runs_are_those_of_the_model() {
    let path = crate::repository().join("docs/benchmarks/fleet.json");
    let kept: FleetRuns = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(kept.loads(), LOADS);
    let scenario = SCENARIOS[0];
    for load in LOADS.into_iter().take(5) {
        let cell = kept.cell(&name_of(scenario), load).unwrap();
        assert_eq!(cell.p99.len() as u64, kept.seeds);
        let written = cell.p99().unwrap().median;
        let found = run(scenario, load, 100_000, 0).p99 as f64;
        let error = (found - written).abs() / written;
        assert!(
            error < 0.1,
            "{load} %: {found} µs now, {written} written: make simulate-fleet"
        );
    }
}

#[test]
fn every_scenario_and_way_has_a_row() {
    let tables = FleetRuns::simulate(CHECKS, 2).tables();
    for scenario in SCENARIOS {
        let row = format!("| {} |", name_of(scenario));
        assert!(tables.contains(&row), "{row}");
    }
    for way in Way::ALL {
        assert!(tables.contains(&format!("| {} |", way.name())), "{way:?}");
    }
}

#[test]
fn a_seed_makes_a_run_the_same_on_any_thread() {
    let [one, other] = [2, 2].map(|seeds| FleetRuns::simulate(CHECKS, seeds));
    assert_eq!(one.tables(), other.tables());
    let cell = &one.cells[0];
    assert_eq!(
        cell.p99,
        [0, 1].map(|seed| run(SCENARIOS[0], LOADS[0], CHECKS, seed).p99)
    );
}

#[test]
fn refused_checks_are_named_beside_the_wait() {
    let waits = run(SCENARIOS[2], 90, CHECKS * 100, 0);
    assert!(waits.refused > 0.0);
    let cell = Cell {
        scenario: String::new(),
        load: 90,
        p99: vec![waits.p99],
        refused: vec![waits.refused],
    };
    assert!(in_words(&cell).contains("% refused"));
    assert_eq!(cell.p99(), Some(Estimate::exact(waits.p99 as f64)));
}
