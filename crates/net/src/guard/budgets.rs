//! How many frames of some kinds a client may send.
//!
//! A budget counts and knows no frame. The rule: what a client earns by its calls is never taken
//! from it, so a busy proxy is not mistaken for a flood; a flood runs out within a moment.

use std::time::Instant;

use crate::limits::ConnectionLimits;

/// How many more calls the client may reset: at once as many as the transport may hold, and the
/// same number again per second.
///
/// A proxy resets the calls that this server did not answer in time: in a stall of one second,
/// several times as many calls as it may have open. A flood resets everything that it sends, which
/// is more in any second.
#[derive(Debug)]
pub(super) struct ResetBudget {
    most: f64,
    left: f64,
    since: Option<Instant>,
}

impl ResetBudget {
    pub(super) fn new(limits: &ConnectionLimits) -> ResetBudget {
        let most = f64::from(limits.pending_resets);
        ResetBudget {
            most,
            left: most,
            since: None,
        }
    }

    /// Returns how many may be reset in a second.
    pub(super) fn most(&self) -> f64 {
        self.most
    }

    /// Takes one reset from the budget. Returns false if none is left.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let passed = self
            .since
            .map(|since| now.saturating_duration_since(since).as_secs_f64())
            .unwrap_or_default();
        self.since = Some(now);
        self.left = (self.left + passed * self.most).min(self.most) - 1.0;
        self.left >= 0.0
    }
}

/// How many more frames without a call the client may send.
///
/// They are worth nothing to the server and cost it as much as they cost the client. A client that
/// has no call open sends less than one per second; one that is busy sends some for each call.
#[derive(Debug)]
pub(super) struct ControlBudget {
    per_second: u32,
    /// The most that is gained by time.
    burst: u32,
    /// The most that calls add to.
    most: u32,
    left: u32,
    /// When the budget was last filled up.
    since: Instant,
}

impl ControlBudget {
    /// How many seconds' worth may be sent at once: what piles up while the server or the network
    /// is held up.
    const BURST: u32 = 5;

    /// How many frames a call adds. A call may need two updates of windows for its answer, a ping
    /// that measures the network, and a change of priority; its message may end with an empty frame,
    /// and its headers may continue in a second frame.
    const PER_CALL: u32 = 8;

    pub(super) fn new(limits: &ConnectionLimits, now: Instant) -> ControlBudget {
        let burst = limits.control_frames.saturating_mul(Self::BURST);
        // All calls that may be open at once can earn before the first of them spends.
        let calls = limits.concurrent_streams.saturating_mul(Self::PER_CALL);
        ControlBudget {
            per_second: limits.control_frames,
            burst,
            most: burst.saturating_add(calls),
            left: burst,
            since: now,
        }
    }

    /// Returns how many frames a second are gained.
    pub(super) fn per_second(&self) -> u32 {
        self.per_second
    }

    /// Adds what a call earns.
    pub(super) fn earn(&mut self) {
        self.left = self.left.saturating_add(Self::PER_CALL).min(self.most);
    }

    /// Takes one frame from the budget. Returns false if none is left.
    ///
    /// The clock is read only if nothing is left, and then gives what was gained since the last
    /// time, up to a burst.
    pub(super) fn take(&mut self, now: impl FnOnce() -> Instant) -> bool {
        if self.left == 0 {
            self.fill(now());
        }
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        let gained = passed.as_millis() * u128::from(self.per_second) / 1000;
        if gained > 0 {
            self.left = u32::try_from(gained).unwrap_or(u32::MAX).min(self.burst);
            self.since = now;
        }
    }
}

/// Counts what is handed to the transport in one turn of the connection's task.
///
/// The transport reads as long as there is input, and only then lets calls be answered and answers
/// be written. After a share, the guard makes it do so: else a client could have it hold megabytes.
///
/// If calls may wait for their turn, all of them are read, so that those that may not wait are
/// refused at once; the queue bounds how many are handed over.
#[derive(Debug, Default)]
pub(super) struct ReadShare {
    turn: u32,
    bytes: usize,
    calls: u32,
    dropped: usize,
    /// Calls may wait for their turn, and are bounded there.
    is_queued: bool,
}

impl ReadShare {
    /// The most bytes of a share: two readings of the buffer.
    const BYTES: usize = 64 << 10;
    /// The most calls of a share.
    pub(super) const CALLS: u32 = 64;
    /// The most bytes of a share if calls may wait: twice what the transport lets a client send of
    /// messages, for their headers.
    const QUEUED_BYTES: usize = 512 << 10;
    /// The most bytes that are dropped in a turn, so that refusals do not delay other connections.
    const DROPPED_BYTES: usize = 1 << 20;

    /// Starts the first share. If calls may wait for their turn, `is_queued` is true.
    pub(super) fn new(is_queued: bool) -> ReadShare {
        ReadShare {
            is_queued,
            ..ReadShare::default()
        }
    }

    /// Starts a new share if this is another turn.
    pub(super) fn begin(&mut self, turn: u32) {
        if turn != self.turn {
            *self = ReadShare {
                turn,
                ..ReadShare::new(self.is_queued)
            };
        }
    }

    /// Counts a call that is not bounded by a queue.
    pub(super) fn count_call(&mut self) {
        self.calls += 1;
    }

    pub(super) fn count_bytes(&mut self, count: usize) {
        self.bytes += count;
    }

    pub(super) fn count_dropped(&mut self, count: usize) {
        self.dropped += count;
    }

    pub(super) fn is_over(&self) -> bool {
        let bytes = if self.is_queued {
            Self::QUEUED_BYTES
        } else {
            Self::BYTES
        };
        self.bytes >= bytes || self.calls >= Self::CALLS || self.dropped >= Self::DROPPED_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits(control_frames: u32) -> ConnectionLimits {
        ConnectionLimits {
            control_frames,
            concurrent_streams: 100,
            pending_resets: 400,
            ..ConnectionLimits::DEFAULT
        }
    }

    #[test]
    fn resets_come_back_with_time() {
        let start = Instant::now();
        let taken = |budget: &mut ResetBudget, millis| {
            (0..1_000)
                .take_while(|_| budget.take(start + Duration::from_millis(millis)))
                .count()
        };
        let mut budget = ResetBudget::new(&limits(1));
        assert_eq!(taken(&mut budget, 0), 400);
        // One was taken although none was available.
        assert_eq!(taken(&mut budget, 500), 199);
        assert_eq!(
            taken(&mut budget, 60_000),
            400,
            "never more than there may be at once"
        );
    }

    fn taken(budget: &mut ControlBudget, now: Instant) -> usize {
        (0..1_000_000).take_while(|_| budget.take(|| now)).count()
    }

    #[test]
    fn control_frames_come_back_with_time() {
        let start = Instant::now();
        let mut budget = ControlBudget::new(&limits(100), start);
        assert_eq!(taken(&mut budget, start), 500, "a burst");
        assert_eq!(taken(&mut budget, start + SECOND / 2), 50);
        assert_eq!(taken(&mut budget, start + SECOND / 2), 0);
        assert_eq!(
            taken(&mut budget, start + 3600 * SECOND),
            500,
            "never more than a burst"
        );
    }

    #[test]
    fn a_client_that_stays_below_the_rate_is_never_cut() {
        let start = Instant::now();
        let mut budget = ControlBudget::new(&limits(100), start);
        for number in 0..100_000_u32 {
            assert!(budget.take(|| start + number * SECOND / 99), "{number}");
        }
    }

    #[test]
    fn a_client_that_is_twice_as_fast_as_the_rate_is_cut() {
        let start = Instant::now();
        let mut budget = ControlBudget::new(&limits(100), start);
        let cut = (0..u32::MAX).find(|number| !budget.take(|| start + *number * SECOND / 200));
        // Two bursts at most, one of which it gained on the way.
        assert!(cut.is_some_and(|number| number <= 2_000), "{cut:?}");
    }

    #[test]
    fn calls_earn_frames() {
        let start = Instant::now();
        let mut budget = ControlBudget::new(&limits(1), start);
        assert_eq!(taken(&mut budget, start), 5);
        for _ in 0..1_000 {
            budget.earn();
            assert_eq!(taken(&mut budget, start), 8, "the clock never moved");
        }
        for _ in 0..1_000 {
            budget.earn();
        }
        assert_eq!(
            taken(&mut budget, start),
            5 + 100 * 8,
            "as many calls as may be open, and a burst"
        );
    }

    #[test]
    fn a_share_ends_after_its_bytes_or_its_calls() {
        let mut share = ReadShare::default();
        share.count_bytes(ReadShare::BYTES - 1);
        assert!(!share.is_over());
        share.count_bytes(1);
        assert!(share.is_over());
        share.begin(0);
        assert!(share.is_over(), "it is still the same turn");
        share.begin(1);
        (0..ReadShare::CALLS).for_each(|_| {
            assert!(!share.is_over());
            share.count_call();
        });
        assert!(share.is_over());
    }
    #[test]
    fn a_share_is_larger_if_calls_wait_elsewhere() {
        let mut share = ReadShare::new(true);
        share.count_bytes(ReadShare::QUEUED_BYTES - 1);
        share.count_dropped(ReadShare::DROPPED_BYTES - 1);
        assert!(!share.is_over());
        share.count_dropped(1);
        assert!(share.is_over());
        share.begin(1);
        share.count_bytes(ReadShare::QUEUED_BYTES);
        assert!(share.is_over());
    }
}
