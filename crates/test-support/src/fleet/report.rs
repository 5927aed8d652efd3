//! The figures of docs/explanation/scale.md: simulated runs, and the tables made of them.
//!
//! The rule: a fact in a table comes from a run or from a constant here, which names its source.

use std::thread;

use serde::{Deserialize, Serialize};

use super::distribution::{Way, arrivals};
use super::queues::{Fault, Fleet, LoadBalancing, Waits, simulate};
use crate::bench_report::statistics::Estimate;

/// The name in the marks around the tables.
pub const FLEET: &str = "fleet";

/// The first seed; each further run and change has the next one.
const SEED: u64 = 20_261_129;

/// CPU time of a check, in microseconds, that the page plans with. The benchmarks have 12.1 for
/// threads that never sleep and 110 for a check that comes alone.
const CHECK_TIME: f64 = 20.0;

/// The fleet of the page: 53 gateways of four workers, twelve replicas of four threads.
const WORKERS: usize = 212;
const REPLICAS: usize = 12;
const THREADS: usize = 4;

/// The loads of the tables, in percent of what all replicas can answer.
pub const LOADS: [u32; 8] = [10, 20, 30, 40, 50, 60, 70, 80];

/// Changes that are simulated for each way.
pub const CHANGES: u64 = 200;

/// A row of the first table: how replicas are chosen, and what is wrong.
pub type Scenario = (LoadBalancing, Fault);

/// The rows of the first table.
pub const SCENARIOS: [Scenario; 5] = [
    (LoadBalancing::LeastRequest, Fault::None),
    (LoadBalancing::RoundRobin, Fault::None),
    (LoadBalancing::LeastRequest, Fault::ZoneLost),
    (LoadBalancing::LeastRequest, Fault::SlowReplica),
    (LoadBalancing::RoundRobin, Fault::SlowReplica),
];

/// Returns the name of a scenario in the table.
pub fn name_of((load_balancing, fault): Scenario) -> String {
    let chosen = match load_balancing {
        LoadBalancing::LeastRequest => "least request",
        LoadBalancing::RoundRobin => "round robin",
    };
    match fault {
        Fault::None => format!("all well, {chosen}"),
        Fault::ZoneLost => "a zone of three lost".to_owned(),
        Fault::SlowReplica => format!("a slow replica, {chosen}"),
    }
}

/// The runs of every scenario under every load, with several seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FleetRuns {
    /// Checks of each run.
    pub checks: usize,
    /// Runs of each cell.
    pub seeds: u64,
    pub cells: Vec<Cell>,
}

/// One scenario under one load: a value for each seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    pub scenario: String,
    /// In percent of what all replicas can answer.
    pub load: u32,
    /// In microseconds.
    pub p99: Vec<u64>,
    /// The part of the checks that was refused, 0 to 1.
    pub refused: Vec<f64>,
}

impl Cell {
    /// Returns the p99 in microseconds.
    pub fn p99(&self) -> Option<Estimate> {
        let values: Vec<f64> = self.p99.iter().map(|value| *value as f64).collect();
        Estimate::of(&values)
    }

    /// Returns the median of the parts that were refused.
    pub fn refused(&self) -> f64 {
        median(self.refused.iter().copied())
    }
}

impl FleetRuns {
    /// Simulates everything, with this many checks a run and runs a cell.
    ///
    /// # Panics
    /// If a simulation panics.
    pub fn simulate(checks: usize, seeds: u64) -> FleetRuns {
        let cells = SCENARIOS
            .into_iter()
            .flat_map(|scenario| LOADS.map(|load| (scenario, load)));
        let cell = |(scenario, load): (Scenario, u32)| {
            let runs = in_threads(seeds, |seed| run(scenario, load, checks, seed));
            Cell {
                scenario: name_of(scenario),
                load,
                p99: runs.iter().map(|waits| waits.p99).collect(),
                refused: runs.iter().map(|waits| waits.refused).collect(),
            }
        };
        FleetRuns {
            checks,
            seeds,
            cells: cells.map(cell).collect(),
        }
    }

    /// Returns the loads, in ascending order.
    pub fn loads(&self) -> Vec<u32> {
        let mut loads: Vec<u32> = self.cells.iter().map(|cell| cell.load).collect();
        loads.sort_unstable();
        loads.dedup();
        loads
    }

    /// Returns one scenario under one load.
    pub fn cell(&self, scenario: &str, load: u32) -> Option<&Cell> {
        let is_wanted = |cell: &&Cell| cell.scenario == scenario && cell.load == load;
        self.cells.iter().find(is_wanted)
    }

    /// Returns the tables in Markdown: the waits, and the ways of a change.
    pub fn tables(&self) -> String {
        let ways = Way::ALL.map(|way| (way, changes(way)));
        format!("{}\n{}", self.waits_table(), ways_table(&ways))
    }

    fn waits_table(&self) -> String {
        let loads = self.loads();
        let heads: String = loads.iter().map(|load| format!(" {load} % |")).collect();
        let rule = " ---: |".repeat(loads.len());
        let mut table =
            format!("| p99 until the answer, µs, at a load of |{heads}\n| --- |{rule}\n");
        for scenario in SCENARIOS {
            let name = name_of(scenario);
            let cells = loads.iter().filter_map(|load| self.cell(&name, *load));
            let cells: String = cells.map(|it| format!(" {} |", in_words(it))).collect();
            table.push_str(&format!("| {name} |{cells}\n"));
        }
        table
    }
}

/// Computes a value for each seed, on all processors.
fn in_threads<T: Send>(seeds: u64, compute: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut values: Vec<(u64, T)> = thread::scope(|scope| {
        let of_thread = |first: u64| {
            let compute = &compute;
            scope.spawn(move || {
                let own = (first..seeds).step_by(threads as usize);
                own.map(|seed| (seed, compute(seed))).collect::<Vec<_>>()
            })
        };
        let all: Vec<_> = (0..threads).map(of_thread).collect();
        all.into_iter()
            .flat_map(|thread| thread.join().expect("a simulation ends"))
            .collect()
    });
    values.sort_by_key(|(seed, _)| *seed);
    values.into_iter().map(|(_, value)| value).collect()
}

/// Simulates one run of a cell.
pub fn run((load_balancing, fault): Scenario, load: u32, checks: usize, seed: u64) -> Waits {
    let fleet = Fleet {
        workers: WORKERS,
        replicas: REPLICAS,
        threads: THREADS,
        check_time: CHECK_TIME,
        utilisation: f64::from(load) / 100.0,
        load_balancing,
        fault,
    };
    simulate(fleet, checks, SEED + seed)
}

/// Returns the p99 of a cell and, if checks were refused, how many of a hundred.
pub fn in_words(cell: &Cell) -> String {
    let p99 = cell.p99().map_or(0.0, |estimate| estimate.median);
    let refused = cell.refused();
    if refused == 0.0 {
        return format!("{p99:.0}");
    }
    format!("{p99:.0} ({:.1} % refused)", refused * 100.0)
}

/// Simulates the changes of a way: when each replica has one in force, in seconds.
pub fn changes(way: Way) -> Vec<Vec<f64>> {
    let seeds = SEED..SEED + CHANGES;
    seeds.map(|seed| arrivals(way, REPLICAS, seed)).collect()
}

/// Returns when the last replica has a change in force: the median of the changes, in seconds.
pub fn last_replica(changes: &[Vec<f64>]) -> f64 {
    median(changes.iter().filter_map(|at| at.last().copied()))
}

/// Returns the median of some values.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    Estimate::of(&values).map_or(0.0, |estimate| estimate.median)
}

fn ways_table(ways: &[(Way, Vec<Vec<f64>>)]) -> String {
    let mut table = "| way, median of 200 changes, s | first replica | half of them | all | \
         replicas differ for |\n| --- | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for (way, changes) in ways {
        let at = |index: usize| median(changes.iter().map(|at| at[index]));
        let differ = median(changes.iter().map(|at| at[REPLICAS - 1] - at[0]));
        table.push_str(&format!(
            "| {} | {:.1} | {:.1} | {:.1} | {differ:.1} |\n",
            way.name(),
            at(0),
            at(REPLICAS / 2),
            last_replica(changes)
        ));
    }
    table
}

#[cfg(test)]
mod tests;
