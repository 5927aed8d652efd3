//! The counts behind the lock: who has how many slots, and who waits in which order.
//!
//! A connection that is proven stays in the order until it would be the next to give way, because
//! its calls take no lock. The rule: the order has at most one entry for each connection that has a
//! slot.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::peer_key::PeerKey;
use super::slot_state::SlotState;
use super::{SlotLimits, SlotRefusal};
use crate::peer::ConnectionPeer;

/// The connections of one port.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// How many connections have a slot.
    open: usize,
    /// How many connections gave way and have not ended yet.
    leaving: usize,
    /// The number of the next connection that waits.
    next: u64,
    /// The connections that wait, and some that are proven, by their numbers.
    waiting: BTreeMap<u64, Arc<SlotState>>,
    /// The peers that have a slot.
    peers: HashMap<PeerKey, PeerSlots>,
}

/// The connections of one peer.
#[derive(Debug, Default)]
struct PeerSlots {
    /// How many have a slot.
    open: usize,
    /// The numbers of those that wait.
    waiting: BTreeSet<u64>,
}

impl Registry {
    pub(super) fn open(&self) -> usize {
        self.open
    }

    pub(super) fn take(
        &mut self,
        limits: SlotLimits,
        peer: ConnectionPeer,
    ) -> Result<(Arc<SlotState>, Option<ConnectionPeer>), SlotRefusal> {
        let state = Arc::new(SlotState::new(peer));
        let of_peer = self.peers.get(&state.key).map_or(0, |peer| peer.open);
        let evicted = if of_peer >= limits.per_peer {
            let evicted = self.evict(limits, Some(state.key))?;
            Some(evicted.ok_or(SlotRefusal::PerPeer)?)
        } else if self.open >= limits.total {
            let evicted = self.evict(limits, None)?;
            Some(evicted.ok_or(SlotRefusal::Total)?)
        } else {
            None
        };
        self.open += 1;
        self.peers.entry(state.key).or_default().open += 1;
        self.enqueue(&state);
        Ok((state, evicted))
    }

    /// Makes the connection give way that has waited longest, of all or of one peer. Returns
    /// nothing if each is proven.
    ///
    /// # Errors
    /// If too many that gave way have not ended yet.
    pub(super) fn evict(
        &mut self,
        limits: SlotLimits,
        of: Option<PeerKey>,
    ) -> Result<Option<ConnectionPeer>, SlotRefusal> {
        while let Some(state) = self.oldest(of) {
            if state.is_proven() {
                self.dequeue(&state);
                continue;
            }
            if self.leaving >= limits.leaving() {
                return Err(SlotRefusal::Leaving);
            }
            self.dequeue(&state);
            // Fails if the connection is proven at this moment.
            if state.evict() {
                self.close(state.key);
                self.leaving += 1;
                return Ok(Some(state.peer));
            }
        }
        Ok(None)
    }

    /// Returns the connection that has waited longest, or was proven since.
    fn oldest(&self, of: Option<PeerKey>) -> Option<Arc<SlotState>> {
        let number = match of {
            None => self.waiting.keys().next()?,
            Some(key) => self.peers.get(&key)?.waiting.first()?,
        };
        self.waiting.get(number).cloned()
    }

    /// Returns whether the connection had given way.
    pub(super) fn give_back(&mut self, state: &SlotState) -> bool {
        let had_given_way = state.end();
        if had_given_way {
            self.leaving = self.leaving.saturating_sub(1);
        } else {
            self.dequeue(state);
            self.close(state.key);
        }
        had_given_way
    }

    pub(super) fn wait_again(&mut self, state: &Arc<SlotState>) {
        if state.wait_again() {
            self.dequeue(state);
            self.enqueue(state);
        }
    }

    fn enqueue(&mut self, state: &Arc<SlotState>) {
        let number = self.next;
        self.next += 1;
        state.number.store(number, Relaxed);
        self.waiting.insert(number, state.clone());
        let peer = self.peers.entry(state.key).or_default();
        peer.waiting.insert(number);
    }

    fn dequeue(&mut self, state: &SlotState) {
        let number = state.number.load(Relaxed);
        self.waiting.remove(&number);
        if let Some(peer) = self.peers.get_mut(&state.key) {
            peer.waiting.remove(&number);
        }
    }

    fn close(&mut self, key: PeerKey) {
        self.open = self.open.saturating_sub(1);
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.open = peer.open.saturating_sub(1);
            if peer.open == 0 {
                self.peers.remove(&key);
            }
        }
    }

    /// Returns how many entries the registry keeps: connections in the order, and peers.
    #[cfg(test)]
    pub(super) fn entries(&self) -> (usize, usize) {
        let of_peers = self.peers.values().map(|peer| peer.waiting.len());
        assert_eq!(of_peers.sum::<usize>(), self.waiting.len());
        (self.waiting.len(), self.peers.len())
    }
}
