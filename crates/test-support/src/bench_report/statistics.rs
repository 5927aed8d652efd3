//! Statistics of rounds: a median with its interval, percentiles, and the point where two costs
//! cross.
//!
//! Numbers in, numbers out; it measures nothing. The rule: nothing is assumed about the
//! distribution of rounds. The interval runs from one of the sorted rounds to another, so that the
//! true median is between them with 95 % confidence.

use serde::{Deserialize, Serialize};

/// How often the interval may miss the true median on one side.
const MISS: f64 = 0.025;

/// Fewer rounds cannot give a 95 % interval; theirs is from the smallest to the largest.
pub const ENOUGH_ROUNDS: usize = 6;

/// A median and its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Estimate {
    /// A value that has no interval: one that was counted, or measured once.
    pub fn exact(value: f64) -> Estimate {
        Estimate {
            low: value,
            median: value,
            high: value,
        }
    }

    /// Estimates from one value per round; `None` if there are no rounds.
    pub fn of(rounds: &[f64]) -> Option<Estimate> {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (rank, count) = (rank(sorted.len()), sorted.len());
        Some(Estimate {
            low: *sorted.get(rank - 1)?,
            median: middle(&sorted)?,
            high: *sorted.get(count.checked_sub(rank)?)?,
        })
    }
}

/// Returns the median of sorted values.
fn middle(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(sorted.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// Returns which of the sorted rounds, counted from one from either end, bounds the interval. The
/// median is below the k-th as often as fewer than k of `rounds` coin tosses show heads.
fn rank(rounds: usize) -> usize {
    let count = rounds as f64;
    let (mut rank, mut missed) = (0.0, 0.0);
    let mut next = 0.5_f64.powf(count);
    while rank < count && missed + next <= MISS {
        missed += next;
        rank += 1.0;
        next *= (count - rank + 1.0) / rank;
    }
    (rank as usize).max(1)
}

/// Returns, round by round, the ratio of one to the other.
pub fn ratios(ones: &[f64], others: &[f64]) -> Vec<f64> {
    ones.iter()
        .zip(others)
        .map(|(one, other)| one / other)
        .collect()
}

/// Returns, round by round, the difference between one and the other.
pub fn differences(ones: &[f64], others: &[f64]) -> Vec<f64> {
    ones.iter()
        .zip(others)
        .map(|(one, other)| one - other)
        .collect()
}

/// Returns the smallest of the sorted values that `of_thousand` in a thousand do not exceed.
pub fn percentile(sorted: &[u64], of_thousand: usize) -> Option<u64> {
    let rank = (sorted.len() * of_thousand).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Where a growing cost passes a flat one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Crossing {
    /// It is above from the first measured size on.
    Before(f64),
    At(f64),
    /// It is still below at the last size.
    After(f64),
}

/// Finds the crossing among sizes in ascending order with their costs. Between two sizes it assumes
/// a straight line on logarithmic scales. A cost that is lost in the noise (zero or less) counts as
/// below.
pub fn crossing(costs: &[(f64, f64)], flat: f64) -> Option<Crossing> {
    let above = costs.iter().position(|(_, cost)| *cost > flat);
    let Some(above) = above else {
        return costs.last().map(|(size, _)| Crossing::After(*size));
    };
    let (size, cost) = *costs.get(above)?;
    let Some(before) = above.checked_sub(1) else {
        return Some(Crossing::Before(size));
    };
    let (size_before, cost_before) = *costs.get(before)?;
    if cost_before <= 0.0 {
        return Some(Crossing::At(size));
    }
    let part = (flat / cost_before).ln() / (cost / cost_before).ln();
    Some(Crossing::At(size_before * (size / size_before).powf(part)))
}

#[cfg(test)]
mod tests;
