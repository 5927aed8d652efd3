//! What a connection and the registry of slots know about each other: whether the connection is
//! proven, and whether it gave way.

use std::future::Future;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};

use tokio::sync::Notify;

use super::peer_key::PeerKey;
use crate::peer::ConnectionPeer;

/// No whole call yet, or none since the connection waits again.
const WAITING: u8 = 0;
/// There was a whole call.
const PROVEN: u8 = 1;
/// The connection gave way or has ended, for good.
const EVICTED: u8 = 2;

/// The state of one connection.
///
/// Relaxed orderings are enough: only the state itself is shared by it. A connection is either
/// proven or gives way, because both exchange the same value.
#[derive(Debug)]
pub(super) struct SlotState {
    pub(super) peer: ConnectionPeer,
    pub(super) key: PeerKey,
    /// The place in the order of the connections that wait. Only the registry uses it, behind its
    /// lock.
    pub(super) number: AtomicU64,
    state: AtomicU8,
    evicted: Notify,
}

impl SlotState {
    pub(super) fn new(peer: ConnectionPeer) -> SlotState {
        SlotState {
            peer,
            key: PeerKey::from(&peer),
            number: AtomicU64::new(0),
            state: AtomicU8::new(WAITING),
            evicted: Notify::new(),
        }
    }

    pub(super) fn is_proven(&self) -> bool {
        self.state.load(Relaxed) == PROVEN
    }

    #[cfg(test)]
    pub(super) fn is_evicted(&self) -> bool {
        self.state.load(Relaxed) == EVICTED
    }

    pub(super) fn prove(&self) {
        if self.state.load(Relaxed) == WAITING {
            // Fails only if the connection gives way at this moment.
            let _ = self.change(WAITING, PROVEN);
        }
    }

    /// Returns whether the connection was proven, and waits now.
    pub(super) fn wait_again(&self) -> bool {
        self.change(PROVEN, WAITING)
    }

    /// Makes the connection give way and wakes it. Returns false if it is proven.
    pub(super) fn evict(&self) -> bool {
        let is_evicted = self.change(WAITING, EVICTED);
        if is_evicted {
            self.evicted.notify_one();
        }
        is_evicted
    }

    /// Notes that the connection has ended. Returns whether it had given way before.
    pub(super) fn end(&self) -> bool {
        self.state.swap(EVICTED, Relaxed) == EVICTED
    }

    /// Waits until the connection gives way.
    pub(super) fn evicted(&self) -> impl Future<Output = ()> {
        self.evicted.notified()
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Relaxed, Relaxed)
            .is_ok()
    }
}
