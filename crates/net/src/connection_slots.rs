//! How many connections a port has, in total and from one peer, and which connection gives way when
//! there are as many as may be.
//!
//! A slot is taken before anything is made for a connection, and given back when it is dropped. The
//! rules:
//!
//! - A connection is *proven* by its first whole call, and a proven connection stays.
//! - If a port or a peer has all its slots taken, the connection that has waited longest without a
//!   whole call gives way to the new one. If there is none, the new one is refused. So silent
//!   connections lock out no other client.
//! - A call of a proven connection costs one relaxed load and takes no lock. Taking a slot and
//!   giving it back take a lock, for a time that grows with the logarithm of the connections.
//!
//! This module knows no socket: a connection that gives way is woken and ends by itself.

mod peer_key;
mod registry;
mod slot_state;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::Notify;

use super::peer::ConnectionPeer;
use registry::Registry;
use slot_state::SlotState;

/// How many connections a port may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotLimits {
    /// In total.
    pub total: usize,
    /// From one peer. A peer is an IPv4 address, a network /64 of IPv6, or a user of a unix socket.
    pub per_peer: usize,
}

impl SlotLimits {
    /// Returns the limits of a port with this total, of which a peer may have the same share.
    pub fn with_total(&self, total: usize) -> SlotLimits {
        let share = total
            .saturating_mul(self.per_peer)
            .div_ceil(self.total.max(1));
        SlotLimits {
            total,
            per_peer: share.clamp(1, total.max(1)),
        }
    }

    /// Returns how many connections that gave way may still be open: they end by themselves, which
    /// takes a moment.
    pub(crate) fn leaving(&self) -> usize {
        (self.total / 4).max(2)
    }

    /// Returns how many descriptors these connections need at most.
    pub fn descriptors(&self) -> usize {
        self.total.saturating_add(self.leaving())
    }
}

impl Default for SlotLimits {
    fn default() -> Self {
        SlotLimits {
            total: 1024,
            per_peer: 512,
        }
    }
}

/// Why a connection has no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotRefusal {
    /// The port has as many connections as it may have, all of them proven.
    Total,
    /// The peer has as many connections as it may have, all of them proven.
    PerPeer,
    /// Too many connections that gave way have not ended yet. One of them will in a moment.
    Leaving,
}

/// The slots of a port. Clones share them.
#[derive(Clone, Debug)]
pub struct ConnectionSlots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: SlotLimits,
    registry: Mutex<Registry>,
    /// A connection that gave way has ended.
    left: Notify,
}

/// A connection's slot. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionSlot(SlotHandle);

/// Says about a connection whether it is in use. Clones mean the same connection.
#[derive(Clone, Debug)]
pub struct SlotHandle {
    slots: ConnectionSlots,
    state: Arc<SlotState>,
}

impl ConnectionSlots {
    /// Creates the slots of one port.
    pub fn new(limits: SlotLimits) -> ConnectionSlots {
        ConnectionSlots(Arc::new(Shared {
            limits,
            registry: Mutex::default(),
            left: Notify::new(),
        }))
    }

    /// Returns the limits.
    pub fn limits(&self) -> SlotLimits {
        self.0.limits
    }

    /// Returns the number of connections that have a slot.
    pub fn open(&self) -> usize {
        self.registry().open()
    }

    /// Takes a slot. The second value is the peer of the connection that gives way for it.
    ///
    /// # Errors
    /// If no slot is free and no connection gives way.
    pub(crate) fn take(
        &self,
        peer: ConnectionPeer,
    ) -> Result<(ConnectionSlot, Option<ConnectionPeer>), SlotRefusal> {
        let (state, evicted) = self.registry().take(self.0.limits, peer)?;
        let slots = self.clone();
        Ok((ConnectionSlot(SlotHandle { slots, state }), evicted))
    }

    /// Makes the connection give way that has waited longest without a whole call, and returns its
    /// peer.
    pub(crate) fn evict_oldest(&self) -> Option<ConnectionPeer> {
        self.registry().evict(self.0.limits, None).ok()?
    }

    /// Waits until a connection that gave way has ended.
    pub(crate) async fn left(&self) {
        self.0.left.notified().await;
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        let registry = &self.0.registry;
        registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionSlot {
    /// Returns who is at the other end.
    pub(crate) fn peer(&self) -> ConnectionPeer {
        self.0.state.peer
    }

    /// Returns the handle by which calls prove the connection.
    pub(crate) fn handle(&self) -> SlotHandle {
        self.0.clone()
    }

    /// Runs a future of the connection to its end. Returns nothing if the connection gives way
    /// before that; then the future is dropped.
    pub(crate) async fn hold<F: Future>(&self, future: F) -> Option<F::Output> {
        let state = &self.0.state;
        let (mut future, mut evicted) = (pin!(future), pin!(state.evicted()));
        // What is polled once wakes this task also later.
        let mut is_registered = false;
        poll_fn(|context| {
            if !is_registered || !state.is_proven() {
                is_registered = true;
                if evicted.as_mut().poll(context).is_ready() {
                    return Poll::Ready(None);
                }
            }
            future.as_mut().poll(context).map(Some)
        })
        .await
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let SlotHandle { slots, state } = &self.0;
        if slots.registry().give_back(state) {
            slots.0.left.notify_one();
        }
    }
}

impl SlotHandle {
    /// Notes a whole call: the connection is proven.
    pub fn prove(&self) {
        self.state.prove();
    }

    /// Notes that the connection has answered and waits again, as if it were new. A port whose
    /// clients send single requests uses it, so that no client keeps a place by one request.
    pub fn wait_again(&self) {
        self.slots.registry().wait_again(&self.state);
    }
}

#[cfg(test)]
mod tests;
