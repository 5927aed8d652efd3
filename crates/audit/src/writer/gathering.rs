//! How long a writer lets records gather before it takes them.
//!
//! While the writer sleeps for a set time, a check that hands its record over wakes no thread and
//! makes no system call, and one write serves many records. The rules: a record waits at most
//! [`LONGEST`], which is what a kill may cost; and when many checks arrive, the pauses become so
//! short that about one batch gathers in each.

use std::time::{Duration, Instant};

/// The longest pause. Each one ends with a wake-up, a write and two looks at the file, which cost
/// as much as a check.
pub(super) const LONGEST: Duration = Duration::from_millis(20);

/// The shortest pause.
const SHORTEST: Duration = Duration::from_millis(5);

/// The pauses of one writer.
#[derive(Debug)]
pub(super) struct Gathering {
    /// About how many records are to gather in a pause.
    batch: u32,
    /// When the last pause began.
    begun: Instant,
    /// Records that were taken since then.
    taken: u32,
}

impl Gathering {
    /// Begins without a pause, at `now`.
    pub(super) fn new(batch: usize, now: Instant) -> Gathering {
        Gathering {
            batch: u32::try_from(batch).unwrap_or(u32::MAX),
            begun: now,
            taken: 0,
        }
    }

    /// Counts a record that was taken.
    pub(super) fn take(&mut self) {
        self.taken = self.taken.saturating_add(1);
    }

    /// Begins a pause at `now`, and returns how long it lasts: as long as a batch takes to gather
    /// if records arrive as they did since the last pause began.
    pub(super) fn pause(&mut self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.begun);
        let expected = since
            .checked_mul(self.batch)
            .and_then(|time| time.checked_div(self.taken));
        (self.begun, self.taken) = (now, 0);
        expected.unwrap_or(LONGEST).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: usize = 64;

    /// Returns the pause after `taken` records in `millis` since the last one.
    fn pause(taken: u32, millis: u64) -> Duration {
        let begun = Instant::now();
        let mut gathering = Gathering::new(BATCH, begun);
        (0..taken).for_each(|_| gathering.take());
        gathering.pause(begun + Duration::from_millis(millis))
    }

    #[test]
    fn a_pause_is_as_long_as_a_batch_takes_to_gather_within_its_bounds() {
        for (taken, millis, expected) in [
            // A thousand a second, and fewer: the bound of what a kill may cost.
            (20, 20, LONGEST),
            (1, 250, LONGEST),
            (0, 250, LONGEST),
            (0, 0, LONGEST),
            // Six thousand a second: 64 take ten milliseconds.
            (128, 20, Duration::from_millis(10)),
            // Ten thousand and more a second.
            (2_000, 20, SHORTEST),
            (100_000, 1, SHORTEST),
        ] {
            assert_eq!(pause(taken, millis), expected, "{taken} in {millis} ms");
        }
    }

    #[test]
    fn a_pause_follows_the_records_since_the_last_one() {
        let begun = Instant::now();
        let mut gathering = Gathering::new(BATCH, begun);
        (0..2_000).for_each(|_| gathering.take());
        let (busy, quiet) = (begun + LONGEST, begun + 2 * LONGEST);
        assert_eq!(gathering.pause(busy), SHORTEST);
        assert_eq!(gathering.pause(quiet), LONGEST);
    }
}
