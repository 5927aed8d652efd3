//! The tables and pictures of docs/SCALE.md, made of simulated runs.
//!
//! The rule: a fact in a table comes from a run or from a constant here, which names its source.

use super::distribution::{Way, arrivals, share_at};
use super::queues::{Fault, Fleet, LoadBalancing, Waits, simulate};
use crate::bench_report::picture::Scale;
use crate::bench_report::picture::curves::{self, Axes, Curve};
use crate::bench_report::statistics::Estimate;

/// The name in the marks around the tables.
pub const FLEET: &str = "fleet";

/// Every run begins with this seed.
const SEED: u64 = 20_261_129;

/// CPU time of a check, in microseconds, that the page plans with. docs/BENCHMARKS.md has 12.1 for
/// threads that never sleep and 110 for a check that comes alone.
const CHECK_TIME: f64 = 20.0;

/// The fleet of the page: 53 gateways of four workers, twelve replicas of four threads.
const WORKERS: usize = 212;
const REPLICAS: usize = 12;
const THREADS: usize = 4;

/// The loads of the tables, in percent of what all replicas can answer.
pub const LOADS: [u32; 8] = [10, 20, 30, 40, 50, 60, 70, 80];

/// Changes that are averaged for each way.
const CHANGES: u64 = 200;

/// The moments of the second picture, in seconds after the change.
const SECONDS: [f64; 8] = [1.0, 2.0, 5.0, 10.0, 20.0, 45.0, 90.0, 180.0];

/// The rows of the first table.
pub const SCENARIOS: [(&str, LoadBalancing, Fault); 5] = [
    (
        "all well, least request",
        LoadBalancing::LeastRequest,
        Fault::None,
    ),
    (
        "all well, round robin",
        LoadBalancing::RoundRobin,
        Fault::None,
    ),
    (
        "a zone of three lost",
        LoadBalancing::LeastRequest,
        Fault::ZoneLost,
    ),
    (
        "a slow replica, least request",
        LoadBalancing::LeastRequest,
        Fault::SlowReplica,
    ),
    (
        "a slow replica, round robin",
        LoadBalancing::RoundRobin,
        Fault::SlowReplica,
    ),
];

/// What was simulated, ready to be written.
#[derive(Debug)]
pub struct Report {
    pub tables: String,
    pub waits: String,
    pub distribution: String,
}

/// Simulates everything, with this many checks a run.
pub fn make(checks: usize) -> Report {
    let runs: Vec<Vec<Waits>> = SCENARIOS
        .iter()
        .map(|scenario| LOADS.map(|load| run(scenario, load, checks)).to_vec())
        .collect();
    let ways = Way::ALL.map(|way| (way, changes(way)));
    Report {
        tables: format!("{}\n{}", waits_table(&runs), ways_table(&ways)),
        waits: waits_picture(&runs),
        distribution: ways_picture(&ways),
    }
}

/// Runs one cell of the first table.
pub fn run(
    (_, load_balancing, fault): &(&str, LoadBalancing, Fault),
    load: u32,
    checks: usize,
) -> Waits {
    let fleet = Fleet {
        workers: WORKERS,
        replicas: REPLICAS,
        threads: THREADS,
        check_time: CHECK_TIME,
        utilisation: f64::from(load) / 100.0,
        load_balancing: *load_balancing,
        fault: *fault,
    };
    simulate(fleet, checks, SEED)
}

fn waits_table(runs: &[Vec<Waits>]) -> String {
    let loads: String = LOADS.iter().map(|load| format!(" {load} % |")).collect();
    let rule = " --- |".repeat(LOADS.len());
    let mut table = format!("| p99 until the answer, us, at a load of |{loads}\n| --- |{rule}\n");
    for ((name, ..), waits) in SCENARIOS.iter().zip(runs) {
        let cells: String = waits.iter().map(|it| format!(" {} |", cell(*it))).collect();
        table.push_str(&format!("| {name} |{cells}\n"));
    }
    table
}

/// Returns the p99 of a run and, if checks were refused, how many of a hundred.
pub fn cell(waits: Waits) -> String {
    if waits.refused == 0.0 {
        return format!("{}", waits.p99);
    }
    format!("{} ({:.1} % refused)", waits.p99, waits.refused * 100.0)
}

fn changes(way: Way) -> Vec<Vec<f64>> {
    let seeds = SEED..SEED + CHANGES;
    seeds.map(|seed| arrivals(way, REPLICAS, seed)).collect()
}

/// Returns the median of some values.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    Estimate::of(&values).map_or(0.0, |estimate| estimate.median)
}

fn ways_table(ways: &[(Way, Vec<Vec<f64>>)]) -> String {
    let mut table = "| way, median of 200 changes, s | first replica | half of them | all | \
         replicas differ for |\n| --- | --- | --- | --- | --- |\n"
        .to_owned();
    for (way, changes) in ways {
        let at = |index: usize| median(changes.iter().map(|at| at[index]));
        let differ = median(changes.iter().map(|at| at[REPLICAS - 1] - at[0]));
        table.push_str(&format!(
            "| {} | {:.1} | {:.1} | {:.1} | {differ:.1} |\n",
            way.name(),
            at(0),
            at(REPLICAS / 2),
            at(REPLICAS - 1)
        ));
    }
    table
}

fn waits_picture(runs: &[Vec<Waits>]) -> String {
    let drawn = SCENARIOS.iter().zip(runs).map(|((name, ..), waits)| Curve {
        name: (*name).to_owned(),
        points: LOADS
            .iter()
            .zip(waits)
            .map(|(load, it)| (f64::from(*load), it.p99 as f64))
            .collect(),
        dashed: name.contains("round robin"),
    });
    let axes = Axes {
        across: "load, % of what all replicas can answer",
        up: "p99 from arrival to answer, us",
        scale: Scale::Logarithmic,
    };
    curves::draw(
        "Simulated: how long a check waits in a fleet",
        axes,
        &drawn.collect::<Vec<_>>(),
    )
}

fn ways_picture(ways: &[(Way, Vec<Vec<f64>>)]) -> String {
    let drawn = ways.iter().map(|(way, changes)| Curve {
        name: way.name().to_owned(),
        points: SECONDS
            .iter()
            .map(|second| {
                let shares = changes.iter().map(|at| share_at(at, *second));
                (*second, shares.sum::<f64>() / changes.len() as f64 * 100.0)
            })
            .collect(),
        dashed: false,
    });
    let axes = Axes {
        across: "seconds after the change",
        up: "% of the replicas that have it in force",
        scale: Scale::Linear,
    };
    curves::draw(
        "Simulated: a change of policies on its way",
        axes,
        &drawn.collect::<Vec<_>>(),
    )
}

#[cfg(test)]
mod tests;
