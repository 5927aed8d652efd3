//! How long checks wait when many gateways share several replicas.
//!
//! The model: checks arrive at random (Poisson). A worker of a gateway has one connection to each
//! replica and chooses a replica by what it has in flight itself, as Envoy does. A connection
//! belongs to one thread of its replica, and a thread answers one check after the other. The time
//! of a check is exponential, which varies more than what is measured, so waits are longer than
//! they are in a real fleet.
//!
//! It knows no network: a wait is the time from the arrival at the replica until the answer. The
//! rule: a check that finds a thread's queue full is refused, as overload control does, and is
//! counted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastrand::Rng;

use crate::bench_report::statistics::percentile;

/// How a worker chooses the replica for a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadBalancing {
    /// Each replica in turn.
    RoundRobin,
    /// Of two replicas drawn at random, the one with fewer checks of this worker in flight. It is
    /// the default of Istio.
    LeastRequest,
}

/// What is wrong with the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// A third of the replicas is gone, and the gateways know it.
    ZoneLost,
    /// A check takes ten times as long at one replica.
    SlowReplica,
}

/// A fleet and its load. Times are in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// The workers of all gateways together.
    pub workers: usize,
    pub replicas: usize,
    /// The threads of one replica.
    pub threads: usize,
    /// The mean time of a check on a thread.
    pub check_time: f64,
    /// The load, as a part of what all replicas can answer before the fault: 0.5 is half of it.
    pub utilisation: f64,
    pub load_balancing: LoadBalancing,
    pub fault: Fault,
}

/// What happened to the checks of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waits {
    /// Percentiles of the time from arrival to answer, in microseconds.
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
    /// The part of the checks that was refused, 0 to 1.
    pub refused: f64,
}

/// As many checks may wait for one thread: the default of `--max-queued-checks`.
const QUEUE_LIMIT: usize = 1024;

/// A slow replica takes this many times as long.
const SLOW: f64 = 10.0;

/// Checks at the beginning that are not counted, while queues fill, as a part of all.
const WARM_UP: f64 = 0.2;

/// One thread of a replica.
#[derive(Clone, Debug, Default)]
struct Thread {
    /// When it has answered everything that it has.
    free_at: f64,
    waiting: usize,
}

/// An answer that is on its way, in order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    nanos: u64,
    worker: usize,
    replica: usize,
    thread: usize,
}

struct Simulation {
    fleet: Fleet,
    rng: Rng,
    /// The replicas that the gateways know.
    replicas: usize,
    threads: Vec<Thread>,
    /// Checks in flight, by worker and replica.
    in_flight: Vec<usize>,
    /// Where each worker is in turn.
    turns: Vec<usize>,
    answers: BinaryHeap<Reverse<Answer>>,
}

/// Simulates this many checks.
pub fn simulate(fleet: Fleet, checks: usize, seed: u64) -> Waits {
    Simulation::new(fleet, seed).run(checks)
}

impl Simulation {
    fn new(fleet: Fleet, seed: u64) -> Simulation {
        let replicas = match fleet.fault {
            Fault::ZoneLost => fleet.replicas - fleet.replicas / 3,
            Fault::None | Fault::SlowReplica => fleet.replicas,
        };
        Simulation {
            fleet,
            rng: Rng::with_seed(seed),
            replicas,
            threads: vec![Thread::default(); replicas * fleet.threads],
            in_flight: vec![0; fleet.workers * replicas],
            // Workers do not begin at the same replica.
            turns: (0..fleet.workers).collect(),
            answers: BinaryHeap::new(),
        }
    }

    fn run(mut self, checks: usize) -> Waits {
        let threads = (self.fleet.replicas * self.fleet.threads) as f64;
        let between = self.fleet.check_time / (threads * self.fleet.utilisation);
        let uncounted = (checks as f64 * WARM_UP) as usize;
        let (mut now, mut refused) = (0.0, 0_usize);
        let mut waits = Vec::with_capacity(checks);
        for number in 0..checks {
            now += self.exponential(between);
            self.deliver_until(now);
            let wait = self.ask(now);
            if number < uncounted {
                continue;
            }
            match wait {
                Some(wait) => waits.push((wait * 1000.0) as u64),
                None => refused += 1,
            }
        }
        let counted = (waits.len() + refused).max(1) as f64;
        waits.sort_unstable();
        let of = |thousandths| percentile(&waits, thousandths).unwrap_or_default() / 1000;
        Waits {
            p50: of(500),
            p99: of(990),
            p999: of(999),
            refused: refused as f64 / counted,
        }
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.rng.f64()).ln()
    }

    fn deliver_until(&mut self, now: f64) {
        let now = (now * 1000.0) as u64;
        while let Some(Reverse(answer)) = self.answers.peek().copied() {
            if answer.nanos > now {
                return;
            }
            self.answers.pop();
            self.in_flight[answer.worker * self.replicas + answer.replica] -= 1;
            self.threads[answer.thread].waiting -= 1;
        }
    }

    /// Sends one check, and returns how long it waits for its answer, or `None` if it is refused.
    fn ask(&mut self, now: f64) -> Option<f64> {
        let worker = self.rng.usize(..self.fleet.workers);
        let replica = self.choose(worker);
        // Connections go to the thread that has the fewest, so they are spread in turn.
        let thread = replica * self.fleet.threads + worker % self.fleet.threads;
        if self.threads[thread].waiting >= QUEUE_LIMIT {
            return None;
        }
        let is_slow = self.fleet.fault == Fault::SlowReplica && replica == 0;
        let factor = if is_slow { SLOW } else { 1.0 };
        let time = self.exponential(self.fleet.check_time * factor);
        let state = &mut self.threads[thread];
        let answered = state.free_at.max(now) + time;
        state.free_at = answered;
        state.waiting += 1;
        self.in_flight[worker * self.replicas + replica] += 1;
        self.answers.push(Reverse(Answer {
            nanos: (answered * 1000.0) as u64,
            worker,
            replica,
            thread,
        }));
        Some(answered - now)
    }

    fn choose(&mut self, worker: usize) -> usize {
        match self.fleet.load_balancing {
            LoadBalancing::RoundRobin => {
                let turn = &mut self.turns[worker];
                *turn += 1;
                *turn % self.replicas
            }
            LoadBalancing::LeastRequest => {
                let one = self.rng.usize(..self.replicas);
                let other = self.rng.usize(..self.replicas);
                let busy = |replica| self.in_flight[worker * self.replicas + replica];
                if busy(other) < busy(one) { other } else { one }
            }
        }
    }
}

#[cfg(test)]
mod tests;
