//! When changes have settled: some time after the last write, or at the latest some time after the
//! first.
//!
//! It reads nothing and knows no file.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Constant writing delays a reload for at most this long, or for the settle time if that is
/// longer.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// When the changes that were written have settled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settling {
    settle: Duration,
    limit: Duration,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Settling {
    pub(super) fn new(settle: Duration) -> Settling {
        let limit = settle.saturating_mul(10).min(SETTLE_LIMIT).max(settle);
        Settling {
            settle,
            limit,
            first: None,
            last: None,
        }
    }

    pub(super) fn touch(&mut self, at: Instant) {
        self.first.get_or_insert(at);
        self.last = Some(at);
    }

    pub(super) fn clear(&mut self) {
        (self.first, self.last) = (None, None);
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.first.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        Some((self.last? + self.settle).min(self.first? + self.limit))
    }

    /// Waits for the deadline; forever if nothing was written.
    pub(super) async fn over(&self) {
        match self.deadline() {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn writing_settles_or_reaches_the_limit() {
        for (settle, touches, expected) in [
            (250, &[] as &[u32], None),
            (250, &[0], Some(250)),
            (250, &[0, 100, 200], Some(450)),
            (
                250,
                &[
                    0, 200, 400, 600, 800, 1000, 1200, 1400, 1600, 1800, 2000, 2200, 2400,
                ],
                Some(2500),
            ),
            (1_000, &[0, 900, 1_800, 2_700, 3_600, 4_500], Some(5_000)),
            (8_000, &[0, 100], Some(8_000)),
            (0, &[0, 0], Some(0)),
        ] {
            let start = Instant::now();
            let mut settling = Settling::new(settle * MS);
            touches
                .iter()
                .for_each(|at| settling.touch(start + *at * MS));
            assert_eq!(
                settling.deadline(),
                expected.map(|at: u32| start + at * MS),
                "{settle} {touches:?}"
            );
            assert_eq!(settling.is_waiting(), expected.is_some());
            settling.clear();
            assert!(!settling.is_waiting());
        }
    }
}
