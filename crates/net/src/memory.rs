//! The memory that the calls of connections may hold, over all connections and on each.
//!
//! It counts and allocates nothing. A connection may always hold a guaranteed part. What it holds
//! beyond that it leases from a pool, which all connections share. The rules:
//!
//! - A connection holds at most as much of the pool as it leaves free. So one client takes half of
//!   it at most, and many clients leave something for the next one.
//! - What fits into the guaranteed part touches nothing that two connections share, and a lease
//!   grows and shrinks by more than a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What an open call holds beside its message, in bytes: its task, its stream in the transport, and
/// its answer.
pub(crate) const PER_CALL: usize = 4 << 10;

/// What a connection may always hold: a few calls, and messages that arrive in pieces.
const GUARANTEED: usize = 96 << 10;

/// By how much a lease grows and shrinks.
const QUANTUM: usize = 64 << 10;

/// The memory that all connections share. Clones share it.
#[derive(Clone, Debug)]
pub struct MemoryPool(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    limit: usize,
    leased: AtomicUsize,
}

impl MemoryPool {
    /// The size of the pool unless the settings say otherwise.
    pub const DEFAULT_LIMIT: usize = 32 << 20;

    /// Creates a pool of so many bytes.
    pub fn new(limit: usize) -> MemoryPool {
        MemoryPool(Arc::new(Pool {
            limit,
            leased: AtomicUsize::new(0),
        }))
    }

    /// Returns how many bytes are leased.
    pub fn leased(&self) -> usize {
        self.0.leased.load(Relaxed)
    }

    /// Leases more to a connection that has a lease already. Returns false if that would be more
    /// than is free.
    fn lease(&self, has: usize, more: usize) -> bool {
        let lease = |leased: usize| {
            let free = self.0.limit.saturating_sub(leased);
            (has.saturating_add(more) <= free).then(|| leased + more)
        };
        self.0.leased.fetch_update(Relaxed, Relaxed, lease).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.leased.fetch_sub(bytes, Relaxed);
    }
}

impl Default for MemoryPool {
    fn default() -> Self {
        MemoryPool::new(Self::DEFAULT_LIMIT)
    }
}

/// The memory of one connection.
#[derive(Debug, Default)]
pub(crate) struct ConnectionMemory {
    pool: MemoryPool,
    /// What messages hold that have not arrived to the end.
    messages: AtomicUsize,
    leased: AtomicUsize,
}

impl ConnectionMemory {
    pub(crate) fn new(pool: MemoryPool) -> ConnectionMemory {
        ConnectionMemory {
            pool,
            messages: AtomicUsize::new(0),
            leased: AtomicUsize::new(0),
        }
    }

    fn needed(&self, open_calls: u32) -> usize {
        let calls = usize::try_from(open_calls).unwrap_or(usize::MAX);
        let messages = self.messages.load(Relaxed);
        calls.saturating_mul(PER_CALL).saturating_add(messages)
    }

    /// Makes the lease suffice for what is held. Returns false if the pool does not have as much.
    pub(crate) fn cover(&self, open_calls: u32) -> bool {
        let leased = self.leased.load(Relaxed);
        let needed = self.needed(open_calls);
        let missing = needed.saturating_sub(GUARANTEED.saturating_add(leased));
        if missing == 0 {
            return true;
        }
        let more = missing.div_ceil(QUANTUM).saturating_mul(QUANTUM);
        // The last part of the pool may be less than a quantum.
        for more in [more, missing] {
            if self.pool.lease(leased, more) {
                self.leased.fetch_add(more, Relaxed);
                return true;
            }
        }
        false
    }

    /// Gives back what is not needed any more.
    pub(crate) fn settle(&self, open_calls: u32) {
        let leased = self.leased.load(Relaxed);
        if leased == 0 {
            return;
        }
        let beyond = self.needed(open_calls).saturating_sub(GUARANTEED);
        let kept = beyond.div_ceil(QUANTUM).saturating_mul(QUANTUM);
        let is_worth_it = kept == 0 || leased > kept.saturating_add(QUANTUM);
        if is_worth_it && kept < leased {
            let changed = self.leased.compare_exchange(leased, kept, Relaxed, Relaxed);
            if changed.is_ok() {
                self.pool.give_back(leased - kept);
            }
        }
    }

    /// Counts more of a message. Returns false, and counts nothing, if there is no memory for it.
    pub(crate) fn hold(&self, bytes: usize, open_calls: u32) -> bool {
        self.messages.fetch_add(bytes, Relaxed);
        let is_covered = self.cover(open_calls);
        if !is_covered {
            self.messages.fetch_sub(bytes, Relaxed);
        }
        is_covered
    }

    /// Counts less of a message.
    pub(crate) fn release(&self, bytes: usize, open_calls: u32) {
        self.messages.fetch_sub(bytes, Relaxed);
        self.settle(open_calls);
    }
}

impl Drop for ConnectionMemory {
    fn drop(&mut self) {
        self.pool.give_back(self.leased.load(Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: usize = 1 << 20;

    fn held(memory: &ConnectionMemory, step: usize, open_calls: u32) -> usize {
        (0..1_000_000)
            .take_while(|_| memory.hold(step, open_calls))
            .count()
            * step
    }

    #[test]
    fn what_is_guaranteed_leases_nothing() {
        let pool = MemoryPool::new(0);
        let memories: Vec<_> = (0..1_000)
            .map(|_| ConnectionMemory::new(pool.clone()))
            .collect();
        for memory in &memories {
            assert_eq!(held(memory, 1_000, 0), GUARANTEED / 1_000 * 1_000);
            assert!(!memory.cover(1));
        }
        let fresh = ConnectionMemory::new(pool.clone());
        let calls = u32::try_from(GUARANTEED / PER_CALL).unwrap();
        assert!(fresh.cover(calls) && !fresh.cover(calls + 1));
        assert_eq!(pool.leased(), 0);
    }

    #[test]
    fn one_connection_takes_half_and_many_leave_something() {
        let pool = MemoryPool::new(32 * MIB);
        let first = ConnectionMemory::new(pool.clone());
        let beyond = held(&first, 1_000, 0) - GUARANTEED;
        assert!(beyond.abs_diff(16 * MIB) < 2 * QUANTUM, "{beyond}");
        let others: Vec<_> = (0..511)
            .map(|_| ConnectionMemory::new(pool.clone()))
            .collect();
        for memory in &others {
            held(memory, 1_000, 0);
        }
        assert!(pool.leased() <= 32 * MIB);
        let last = ConnectionMemory::new(pool.clone());
        assert!(held(&last, 1_000, 0) >= GUARANTEED - 1_000);
    }

    #[test]
    fn a_lease_is_given_back_with_what_it_is_for() {
        let pool = MemoryPool::new(32 * MIB);
        let memory = ConnectionMemory::new(pool.clone());
        assert!(memory.cover(1024) && memory.hold(4 * MIB, 1024));
        assert!(pool.leased() >= 8 * MIB - GUARANTEED);
        memory.settle(10);
        assert!(pool.leased() < 5 * MIB, "{}", pool.leased());
        memory.release(4 * MIB, 10);
        assert_eq!(pool.leased(), 0);
        assert!(memory.hold(MIB, 0));
        drop(memory);
        assert_eq!(pool.leased(), 0, "a connection gives back what it held");
    }

    #[test]
    fn a_lease_does_not_change_with_each_call() {
        let pool = MemoryPool::new(32 * MIB);
        let memory = ConnectionMemory::new(pool.clone());
        let mut changes = 0;
        let mut last = 0;
        for round in 0..1_000_u32 {
            let open = 500 + round % 7;
            assert!(memory.cover(open));
            memory.settle(open);
            changes += u32::from(pool.leased() != last);
            last = pool.leased();
        }
        assert!(changes <= 3, "{changes}");
    }

    proptest! {
        #[test]
        fn the_pool_has_what_the_connections_have(
            steps in prop::collection::vec((0..4_usize, 0..3_u8, 0..300_000_usize, 0..600_u32), 0..200),
        ) {
            let pool = MemoryPool::new(4 * MIB);
            let memories: Vec<_> = (0..4).map(|_| ConnectionMemory::new(pool.clone())).collect();
            let mut messages = [0; 4];
            for (which, what, bytes, calls) in steps {
                let memory = &memories[which];
                match what {
                    0 => if memory.hold(bytes, calls) {
                        messages[which] += bytes;
                        prop_assert!(memory.needed(calls) <= GUARANTEED + memory.leased.load(Relaxed));
                    },
                    1 => {
                        let bytes = bytes.min(messages[which]);
                        messages[which] -= bytes;
                        memory.release(bytes, calls);
                    }
                    _ => memory.settle(calls),
                }
                let leased: usize = memories.iter().map(|memory| memory.leased.load(Relaxed)).sum();
                prop_assert_eq!(leased, pool.leased());
                prop_assert!(leased <= 4 * MIB);
            }
            drop(memories);
            prop_assert_eq!(pool.leased(), 0);
        }
    }
}
