//! Bounds of each way, and that the order of the ways is what their parts say.

use super::{Way, arrivals, share_at};

const REPLICAS: usize = 24;

#[test]
fn every_replica_gets_the_change_within_the_bound_of_its_way() {
    for (way, first, last) in [
        (Way::ConfigMap, 0.5, 93.0),
        (Way::ConfigMapAnnotated, 1.0, 6.0),
        (Way::GitSync, 0.9, 14.0),
        (Way::ImageVolume, 4.4, 14.0 * REPLICAS as f64),
    ] {
        for seed in 0..50 {
            let at = arrivals(way, REPLICAS, seed);
            assert_eq!(at.len(), REPLICAS);
            assert!(at.is_sorted());
            assert!(
                at.iter().all(|at| (first..=last).contains(at)),
                "{way:?} {at:?}"
            );
        }
    }
}

#[test]
fn a_seed_makes_the_delays_the_same() {
    assert_eq!(arrivals(Way::GitSync, 8, 1), arrivals(Way::GitSync, 8, 1));
    assert_ne!(arrivals(Way::GitSync, 8, 1), arrivals(Way::GitSync, 8, 2));
}

#[test]
fn the_share_grows_from_none_to_all() {
    let at = arrivals(Way::ConfigMap, 10, 1);
    assert_eq!(share_at(&at, 0.0), 0.0);
    assert_eq!(share_at(&at, at[4]), 0.5);
    assert_eq!(share_at(&at, 100.0), 1.0);
}
