//! What came to the address of checks and was refused before it was a check: told in the log, and counted for a record.
//!
//! Anybody who reaches the address can cause a refusal, as often as the network carries it. So each peer and cause is told in
//! the log once a minute, all of them together are one record a minute, and only so many peers are kept apart.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use customs_engine::time::UnixNanos;
use customs_record::{PeerAddress, RefusalCause, RefusalCount, RefusalsEntry};

/// How often a peer and a cause are told in the log at most, and how often a record is made.
pub const INTERVAL: Duration = Duration::from_secs(60);

/// How many pairs of a peer and a cause are kept apart.
const PAIRS: usize = 256;

/// The most bytes of an example.
const MAX_EXAMPLE: usize = 160;

/// The refusals since the last record.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Tallies>);

#[derive(Debug, Default)]
struct Tallies {
    pairs: HashMap<(PeerAddress, RefusalCause), Tally>,
    /// When the first and the last refusal that no record tells yet happened.
    span: Option<(UnixNanos, UnixNanos)>,
}

#[derive(Debug)]
struct Tally {
    /// How many no record tells yet.
    count: u64,
    example: String,
    told: Instant,
}

impl Refusals {
    /// Counts one, and tells it in the log if this peer and cause were not told within the last minute.
    pub fn add(
        &self,
        peer: PeerAddress,
        cause: RefusalCause,
        example: &dyn Display,
        time: UnixNanos,
    ) {
        if let Some(example) = self.count(peer, cause, example, time, Instant::now()) {
            let (cause, remedy) = (cause.as_str(), cause.remedy());
            tracing::warn!(%peer, cause, example, remedy, "refused before it was a check; more of this within a minute are counted only");
        }
    }

    /// The example to be told, where it is time to.
    fn count(
        &self,
        peer: PeerAddress,
        cause: RefusalCause,
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
        let mut told = None;
        let tally = tallies.pairs.entry((peer, cause)).or_insert_with(|| {
            let example = shortened(example.to_string());
            told = Some(example.clone());
            Tally {
                count: 0,
                example,
                told: now,
            }
        });
        if told.is_none()
            && (tally.count == 0 || now.saturating_duration_since(tally.told) >= INTERVAL)
        {
            let example = shortened(example.to_string());
            if now.saturating_duration_since(tally.told) >= INTERVAL {
                tally.told = now;
                told = Some(example.clone());
            }
            if tally.count == 0 {
                tally.example = example;
            }
        }
        tally.count = tally.count.saturating_add(1);
        told
    }

    /// The record of what came since the last one; none if nothing did.
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
        // What was told lately is known for as long as it must not be told again.
        tallies
            .pairs
            .retain(|_, tally| now.saturating_duration_since(tally.told) < INTERVAL);
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
    fn each_peer_and_cause_is_told_once_a_minute_and_counted_always() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        let count = |peer, cause, seconds| {
            refusals
                .count(
                    peer,
                    cause,
                    &"an example",
                    TIME,
                    start + Duration::from_secs(seconds),
                )
                .is_some()
        };
        assert!(count(peer(1), RefusalCause::Tls, 0));
        assert!(!count(peer(1), RefusalCause::Tls, 1), "told just now");
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
        let told: Vec<_> = entry
            .refusals
            .iter()
            .map(|r| (r.peer.as_str(), r.cause, r.count))
            .collect();
        assert_eq!(told, [("0.0.0.1", RefusalCause::Tls, 3)]);
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
        let told: Vec<_> = entry
            .refusals
            .iter()
            .map(|r| (r.peer.as_str(), r.count, r.example.len()))
            .collect();
        assert_eq!(
            told,
            [("0.0.0.1", 1, MAX_EXAMPLE), ("unix", 3, "first".len())]
        );
        assert_eq!(refusals.take(TIME), None, "told already");
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
    fn what_was_told_long_ago_makes_room() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        for number in 0..1_000 {
            refusals.count(peer(number), RefusalCause::Tls, &"x", TIME, start);
        }
        refusals.taken(TIME, start + INTERVAL).unwrap();
        assert_eq!(refusals.tallies().pairs.len(), 0);
    }
}
