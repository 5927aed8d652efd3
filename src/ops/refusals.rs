//! Connections and requests that were refused before they were checks: logged, and counted for a
//! record.
//!
//! Any client that reaches the address can cause refusals, as many as the network carries. So each
//! pair of peer and cause is logged at most once a minute, all pairs together make one record a
//! minute, and the number of pairs that are counted separately is bounded.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use customs_engine::time::UnixNanos;
use customs_record::{PeerAddress, RefusalCause, RefusalCount, RefusalsEntry};

/// The least time between two log lines for one peer and cause, and between two records.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// The number of pairs of a peer and a cause that are counted separately.
const PAIRS: usize = 256;

/// The most bytes of an example.
const MAX_EXAMPLE: usize = 160;

/// The refusals since the last record.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Tallies>);

#[derive(Debug, Default)]
struct Tallies {
    pairs: HashMap<(PeerAddress, RefusalCause), Tally>,
    /// When the first and the last refusal happened that are not recorded yet.
    span: Option<(UnixNanos, UnixNanos)>,
}

#[derive(Debug)]
struct Tally {
    /// The number of refusals that are not recorded yet.
    count: u64,
    example: String,
    logged_at: Instant,
}

impl Refusals {
    /// Counts a refusal, and logs it if this peer and cause were not logged within the last minute.
    pub fn add(
        &self,
        peer: PeerAddress,
        cause: RefusalCause,
        example: &dyn Display,
        time: UnixNanos,
    ) {
        self.add_many(peer, cause, 1, example, time);
    }

    /// Counts refusals of one peer for one cause in the same way.
    pub fn add_many(
        &self,
        peer: PeerAddress,
        cause: RefusalCause,
        count: u64,
        example: &dyn Display,
        time: UnixNanos,
    ) {
        if let Some(example) = self.count((peer, cause), count, example, time, Instant::now()) {
            let (cause, remedy) = (cause.as_str(), cause.remedy());
            tracing::warn!(%peer, cause, example, remedy, "refused before it was a check; repeats within a minute are only counted");
        }
    }

    /// Returns the example to log, if it is time to.
    fn count(
        &self,
        (peer, cause): (PeerAddress, RefusalCause),
        count: u64,
        example: &dyn Display,
        time: UnixNanos,
        now: Instant,
    ) -> Option<String> {
        let mut tallies = self.tallies();
        let (first, _) = tallies.span.unwrap_or((time, time));
        tallies.span = Some((first, time));
        let is_full = tallies.pairs.len() >= PAIRS;
        let is_new = !tallies.pairs.contains_key(&(peer, cause));
        let peer = if is_full && is_new {
            PeerAddress::Other
        } else {
            peer
        };
        let mut logged = None;
        let tally = tallies.pairs.entry((peer, cause)).or_insert_with(|| {
            let example = shortened(example.to_string());
            logged = Some(example.clone());
            Tally {
                count: 0,
                example,
                logged_at: now,
            }
        });
        if logged.is_none()
            && (tally.count == 0 || now.saturating_duration_since(tally.logged_at) >= INTERVAL)
        {
            let example = shortened(example.to_string());
            if now.saturating_duration_since(tally.logged_at) >= INTERVAL {
                tally.logged_at = now;
                logged = Some(example.clone());
            }
            if tally.count == 0 {
                tally.example = example;
            }
        }
        tally.count = tally.count.saturating_add(count);
        logged
    }

    /// Returns the record of the refusals since the last one; `None` if there were none.
    pub fn take(&self, time: UnixNanos) -> Option<RefusalsEntry> {
        self.taken(time, Instant::now())
    }

    fn taken(&self, time: UnixNanos, now: Instant) -> Option<RefusalsEntry> {
        let mut tallies = self.tallies();
        let (first, last) = tallies.span.take()?;
        let mut pairs: Vec<_> = tallies
            .pairs
            .iter_mut()
            .filter(|(_, tally)| tally.count > 0)
            .collect();
        pairs.sort_by_key(|(pair, _)| **pair);
        let refusals = pairs
            .into_iter()
            .map(|((peer, cause), tally)| RefusalCount {
                peer: peer.to_string(),
                cause: *cause,
                count: std::mem::take(&mut tally.count),
                example: std::mem::take(&mut tally.example),
            });
        let refusals = refusals.collect();
        // A pair that was logged stays known as long as it must not be logged again.
        tallies
            .pairs
            .retain(|_, tally| now.saturating_duration_since(tally.logged_at) < INTERVAL);
        Some(RefusalsEntry {
            time,
            first,
            last,
            refusals,
            redacted: Vec::new(),
        })
    }

    fn tallies(&self) -> MutexGuard<'_, Tallies> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_EXAMPLE));
    text
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const TIME: UnixNanos = UnixNanos(1_000);

    fn peer(number: u32) -> PeerAddress {
        PeerAddress::Ip(IpAddr::V4(Ipv4Addr::from(number)))
    }

    #[test]
    fn each_peer_and_cause_is_logged_once_a_minute_and_always_counted() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let count = |peer, cause, seconds| {
            refusals
                .count(
                    (peer, cause),
                    1,
                    &"an example",
                    TIME,
                    start + Duration::from_secs(seconds),
                )
                .is_some()
        };
        assert!(count(peer(1), RefusalCause::Tls, 0));
        assert!(!count(peer(1), RefusalCause::Tls, 1), "logged just now");
        assert!(count(peer(2), RefusalCause::Tls, 1), "another peer");
        assert!(count(peer(1), RefusalCause::Http1, 1), "another cause");
        refusals
            .taken(TIME, start + Duration::from_secs(30))
            .unwrap();
        assert!(
            !count(peer(1), RefusalCause::Tls, 59),
            "a record in between changes nothing"
        );
        assert!(count(peer(1), RefusalCause::Tls, 60));
        assert!(!count(peer(1), RefusalCause::Tls, 61));
        let entry = refusals
            .taken(TIME, start + Duration::from_secs(61))
            .unwrap();
        let recorded: Vec<_> = entry
            .refusals
            .iter()
            .map(|r| (r.peer.as_str(), r.cause, r.count))
            .collect();
        assert_eq!(recorded, [("0.0.0.1", RefusalCause::Tls, 3)]);
    }

    #[test]
    fn a_record_has_every_refusal_since_the_last_one() {
        let refusals = Refusals::default();
        assert_eq!(refusals.take(TIME), None, "nothing was refused");
        for (time, example) in [(5, "first"), (7, "second"), (9, "third")] {
            refusals.add(
                PeerAddress::Unix,
                RefusalCause::MessageMalformed,
                &example,
                UnixNanos(time),
            );
        }
        refusals.add(
            peer(1),
            RefusalCause::Abandoned,
            &"x".repeat(1_000),
            UnixNanos(11),
        );
        let entry = refusals.take(TIME).unwrap();
        assert_eq!(
            (entry.time, entry.first, entry.last),
            (TIME, UnixNanos(5), UnixNanos(11))
        );
        let recorded: Vec<_> = entry
            .refusals
            .iter()
            .map(|r| (r.peer.as_str(), r.count, r.example.len()))
            .collect();
        assert_eq!(
            recorded,
            [("0.0.0.1", 1, MAX_EXAMPLE), ("unix", 3, "first".len())]
        );
        assert_eq!(refusals.take(TIME), None, "already recorded");
        refusals.add(
            PeerAddress::Unix,
            RefusalCause::MessageMalformed,
            &"later",
            UnixNanos(13),
        );
        assert_eq!(refusals.take(TIME).unwrap().refusals[0].example, "later");
    }

    #[test]
    fn peers_beyond_the_bound_are_counted_together() {
        let refusals = Refusals::default();
        for number in 0..100_000 {
            refusals.add(peer(number), RefusalCause::Tls, &"x", TIME);
        }
        assert_eq!(refusals.tallies().pairs.len(), PAIRS + 1);
        let entry = refusals.take(TIME).unwrap();
        assert_eq!(entry.refusals.iter().map(|r| r.count).sum::<u64>(), 100_000);
        let other = entry.refusals.iter().find(|r| r.peer == "other").unwrap();
        assert_eq!(other.count, 100_000 - u64::try_from(PAIRS).unwrap());
    }

    #[test]
    fn a_pair_that_was_logged_long_ago_makes_room() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        for number in 0..1_000 {
            refusals.count((peer(number), RefusalCause::Tls), 1, &"x", TIME, start);
        }
        refusals.taken(TIME, start + INTERVAL).unwrap();
        assert_eq!(refusals.tallies().pairs.len(), 0);
    }
}
