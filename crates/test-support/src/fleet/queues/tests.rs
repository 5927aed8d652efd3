//! The model against what is known of queues, and what a fault does to it.

use super::{Fault, Fleet, LoadBalancing, Waits, simulate};

const CHECKS: usize = 60_000;

fn fleet(utilisation: f64) -> Fleet {
    Fleet {
        workers: 64,
        replicas: 6,
        threads: 2,
        check_time: 12.0,
        utilisation,
        load_balancing: LoadBalancing::LeastRequest,
        fault: Fault::None,
    }
}

fn with(fault: Fault, load_balancing: LoadBalancing, utilisation: f64) -> Waits {
    let fleet = Fleet {
        fault,
        load_balancing,
        ..fleet(utilisation)
    };
    simulate(fleet, CHECKS, 7)
}

/// With one thread, the time until an answer is exponential with the mean `time / (1 - load)`.
#[test]
fn one_thread_waits_as_the_theory_of_queues_says() {
    for (utilisation, mean) in [(0.1, 13.3), (0.5, 24.0), (0.8, 60.0)] {
        let one = Fleet {
            replicas: 1,
            threads: 1,
            ..fleet(utilisation)
        };
        let waits = simulate(one, 400_000, 3);
        for (found, factor) in [(waits.p50, 0.693), (waits.p99, 4.605)] {
            let expected = mean * factor;
            let error = (found as f64 - expected).abs() / expected;
            assert!(error < 0.12, "{utilisation}: {found} us, not {expected:.1}");
        }
    }
}

#[test]
fn a_seed_makes_a_run_the_same_and_another_seed_another() {
    let runs = [5, 5, 6].map(|seed| simulate(fleet(0.6), CHECKS, seed));
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[test]
fn waits_grow_with_the_load() {
    let p99 = [0.2, 0.5, 0.8].map(|load| simulate(fleet(load), CHECKS, 7).p99);
    assert!(p99.is_sorted(), "{p99:?}");
}

/// Two thirds of the replicas answer what 60 % of all of them answered: 90 % of what they can.
#[test]
fn a_lost_zone_is_carried_by_the_others_up_to_two_thirds_of_the_capacity() {
    let carried = with(Fault::ZoneLost, LoadBalancing::LeastRequest, 0.6);
    assert_eq!(carried.refused, 0.0);
    let beyond = with(Fault::ZoneLost, LoadBalancing::LeastRequest, 0.9);
    assert!(beyond.refused > 0.1, "{beyond:?}");
}

#[test]
fn least_request_spares_a_slow_replica_and_round_robin_does_not() {
    let [spared, not_spared] = [LoadBalancing::LeastRequest, LoadBalancing::RoundRobin]
        .map(|balancing| with(Fault::SlowReplica, balancing, 0.5));
    assert!(spared.p99 * 3 < not_spared.p99, "{spared:?} {not_spared:?}");
}
