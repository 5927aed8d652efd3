//! The ids of decisions: UUIDs of version 7, in the order of time, each unique.
//!
//! A denied caller receives the id, so that people can find the record; it is not secret and grants
//! nothing. So randomness is read from the system once, when the process starts, and only spread
//! from then on: a system call for each check would cost as much as deciding it.

use uuid::{Builder, Uuid, fmt::Hyphenated};

use customs_engine::time::UnixNanos;

const NANOS_PER_MILLI: i128 = 1_000_000;

/// Makes the ids of one process.
#[derive(Debug)]
pub(crate) struct DecisionIds {
    seed: u64,
}

impl DecisionIds {
    /// Creates a generator of ids that no other process makes.
    pub(crate) fn new() -> DecisionIds {
        DecisionIds {
            seed: Uuid::new_v4().as_u64_pair().1 ^ Uuid::new_v4().as_u64_pair().0,
        }
    }

    /// Returns the id of the decision with this number, made at this time.
    pub(crate) fn of(&self, number: u64, time: UnixNanos) -> Hyphenated {
        let (millis, rest) = (
            time.0.div_euclid(NANOS_PER_MILLI),
            time.0.rem_euclid(NANOS_PER_MILLI),
        );
        // The fraction of the millisecond, in 4,096 parts, so that ids of one millisecond are in
        // order as well (RFC 9562, 6.2).
        let part = u16::try_from(rest * 4096 / NANOS_PER_MILLI).unwrap_or_default();
        let [high, low] = part.to_be_bytes();
        let [a, b, c, d, e, f, g, h] = spread(self.seed, number).to_be_bytes();
        let bytes = [high, low, a, b, c, d, e, f, g, h];
        Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or_default(), &bytes)
            .into_uuid()
            .hyphenated()
    }
}

impl Default for DecisionIds {
    fn default() -> Self {
        DecisionIds::new()
    }
}

/// Maps each number to another one that looks random: a step of SplitMix64, which is invertible, so
/// no two numbers give the same.
fn spread(seed: u64, number: u64) -> u64 {
    let mixed = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW: UnixNanos = UnixNanos(1_795_435_200_123_456_789);

    #[test]
    fn an_id_is_a_uuid_of_version_7_with_its_time() {
        let id = DecisionIds::new().of(1, NOW).into_uuid();
        assert_eq!(
            (id.get_version_num(), id.get_variant()),
            (7, uuid::Variant::RFC4122)
        );
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos / 1_000_000), (1_795_435_200, 123));
        assert_eq!(
            DecisionIds::new()
                .of(1, UnixNanos(-1))
                .into_uuid()
                .get_version_num(),
            7
        );
    }

    #[test]
    fn no_two_are_alike_in_one_process_or_in_two() {
        let (here, there) = (DecisionIds::new(), DecisionIds::new());
        let ids = (0..100_000).flat_map(|number| [here.of(number, NOW), there.of(number, NOW)]);
        assert_eq!(ids.collect::<HashSet<_>>().len(), 200_000);
    }

    #[test]
    fn later_ones_come_after_earlier_ones() {
        let ids = DecisionIds::new();
        let ids_in_order = (0..1_000).map(|n| {
            ids.of(n, UnixNanos(NOW.0 + i128::from(n) * 250))
                .to_string()
        });
        assert!(ids_in_order.is_sorted());
    }
}
