//! Medians, intervals, percentiles, crossings.

use super::{Crossing, Estimate, crossing, differences, percentile, ratios};

fn interval(rounds: u32) -> (f64, f64, f64) {
    // In reverse, since rounds come in any order.
    let values: Vec<f64> = (1..=rounds).rev().map(f64::from).collect();
    let Estimate { low, median, high } = Estimate::of(&values).unwrap();
    (low, median, high)
}

#[test]
fn the_interval_is_that_of_the_tables_of_order_statistics() {
    // The ranks of the 95 % interval of a median, as in tables of the sign test.
    for (rounds, low, median, high) in [
        (6, 1.0, 3.5, 6.0),
        (8, 1.0, 4.5, 8.0),
        (9, 2.0, 5.0, 8.0),
        (11, 2.0, 6.0, 10.0),
        (12, 3.0, 6.5, 10.0),
        (15, 4.0, 8.0, 12.0),
        (20, 6.0, 10.5, 15.0),
        (25, 8.0, 13.0, 18.0),
    ] {
        assert_eq!(interval(rounds), (low, median, high), "{rounds} rounds");
    }
}

#[test]
fn few_rounds_have_the_whole_range_as_interval() {
    assert_eq!(interval(1), (1.0, 1.0, 1.0));
    assert_eq!(interval(5), (1.0, 3.0, 5.0));
    assert_eq!(Estimate::of(&[]), None);
}

#[test]
fn the_interval_holds_the_true_median_as_often_as_it_says() {
    // A generator of numbers from 0 to 1 whose true median is 0.5, with a fixed seed.
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let holds = |_| {
        let rounds: Vec<f64> = (0..9).map(|_| next()).collect();
        let estimate = Estimate::of(&rounds).unwrap();
        estimate.low <= 0.5 && 0.5 <= estimate.high
    };
    let held = (0..20_000).map(holds).filter(|held| *held).count();
    assert!((19_000..19_500).contains(&held), "{held} of 20,000");
}

#[test]
fn rounds_are_compared_one_by_one() {
    assert_eq!(ratios(&[1.0, 9.0], &[2.0, 3.0]), [0.5, 3.0]);
    assert_eq!(differences(&[1.0, 9.0], &[2.0, 3.0]), [-1.0, 6.0]);
}

#[test]
fn a_percentile_is_a_value_that_occurred() {
    let hundred: Vec<u64> = (1..=100).collect();
    for (of_thousand, value) in [
        (0, 1),
        (10, 1),
        (500, 50),
        (505, 51),
        (990, 99),
        (999, 100),
        (1000, 100),
    ] {
        assert_eq!(
            percentile(&hundred, of_thousand),
            Some(value),
            "{of_thousand}"
        );
    }
    assert_eq!(percentile(&[7], 990), Some(7));
    assert_eq!(percentile(&[], 990), None);
}

#[test]
fn costs_cross_on_a_straight_line_of_logarithms() {
    // The cost is equal to the size, so the flat cost is met at its own value.
    let costs = [(10.0, 10.0), (100.0, 100.0), (1_000.0, 1_000.0)];
    for flat in [30.0, 100.0, 500.0] {
        let Some(Crossing::At(size)) = crossing(&costs, flat) else {
            panic!("no crossing at {flat}")
        };
        assert!((size - flat).abs() < 1e-6, "{size} is not {flat}");
    }
    assert_eq!(crossing(&costs, 5.0), Some(Crossing::Before(10.0)));
    assert_eq!(crossing(&costs, 5_000.0), Some(Crossing::After(1_000.0)));
    assert_eq!(crossing(&[], 1.0), None);
}

#[test]
fn a_cost_lost_in_the_noise_is_below() {
    assert_eq!(
        crossing(&[(10.0, -0.5), (100.0, 7.0)], 3.0),
        Some(Crossing::At(100.0))
    );
}
