//! The slots against a naive model, and what a connection notices of them.

use std::future::pending;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::timeout;

use super::*;

const BOUND: Duration = Duration::from_secs(10);

fn peer(number: u8) -> ConnectionPeer {
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
    ConnectionPeer::Tcp(SocketAddr::new(address, 1))
}

fn slots(total: usize, per_peer: usize) -> ConnectionSlots {
    ConnectionSlots::new(SlotLimits { total, per_peer })
}

/// What may happen to slots.
#[derive(Clone, Debug)]
enum Event {
    /// A connection of this peer arrives.
    Take(u8),
    /// Something happens to one of the connections that have not ended.
    Prove(prop::sample::Index),
    WaitAgain(prop::sample::Index),
    End(prop::sample::Index),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..4_u8).prop_map(Event::Take),
        2 => any::<prop::sample::Index>().prop_map(Event::Prove),
        1 => any::<prop::sample::Index>().prop_map(Event::WaitAgain),
        2 => any::<prop::sample::Index>().prop_map(Event::End),
    ]
}

/// A connection of the model, which does everything by looking at all of them.
#[derive(Debug)]
struct Modelled {
    peer: u8,
    /// Since when it waits; `None` is proven.
    waits_since: Option<usize>,
    is_evicted: bool,
}

/// Returns the connection that gives way, or why none does.
fn modelled_take(
    connections: &[Modelled],
    limits: SlotLimits,
    peer: u8,
) -> Result<Option<usize>, SlotRefusal> {
    let open = |of: Option<u8>| {
        let open = connections.iter().enumerate();
        open.filter(move |(_, connection)| {
            !connection.is_evicted && of.is_none_or(|peer| connection.peer == peer)
        })
    };
    let leaving = connections
        .iter()
        .filter(|connection| connection.is_evicted);
    let may_evict = leaving.count() < limits.leaving();
    let oldest = |of, refusal| {
        let waiting = open(of).filter_map(|(at, connection)| Some((connection.waits_since?, at)));
        let (_, oldest) = waiting.min().ok_or(refusal)?;
        may_evict
            .then_some(Some(oldest))
            .ok_or(SlotRefusal::Leaving)
    };
    if open(Some(peer)).count() >= limits.per_peer {
        oldest(Some(peer), SlotRefusal::PerPeer)
    } else if open(None).count() >= limits.total {
        oldest(None, SlotRefusal::Total)
    } else {
        Ok(None)
    }
}

proptest! {
    #[test]
    fn slots_do_what_the_model_does(
        total in 1..9_usize,
        per_peer in 1..5_usize,
        events in prop::collection::vec(event(), 0..200),
    ) {
        let (slots, limits) = (slots(total, per_peer), SlotLimits { total, per_peer });
        let (mut model, mut held) = (Vec::<Modelled>::new(), Vec::<ConnectionSlot>::new());
        for (now, event) in events.into_iter().enumerate() {
            match event {
                Event::Take(number) => {
                    let expected = modelled_take(&model, limits, number);
                    let taken = slots.take(peer(number));
                    let evicted_peer = expected.map(|at| at.map(|at| peer(model[at].peer)));
                    match taken {
                        Ok((slot, evicted)) => {
                            prop_assert_eq!(Ok(evicted), evicted_peer);
                            held.push(slot);
                            if let Ok(Some(at)) = expected {
                                model[at].is_evicted = true;
                            }
                            let waits_since = Some(now);
                            model.push(Modelled { peer: number, waits_since, is_evicted: false });
                        }
                        Err(refusal) => prop_assert_eq!(Err(refusal), evicted_peer),
                    }
                }
                Event::Prove(at) if !held.is_empty() => {
                    let at = at.index(held.len());
                    held[at].handle().prove();
                    model[at].waits_since = None;
                }
                Event::WaitAgain(at) if !held.is_empty() => {
                    let at = at.index(held.len());
                    held[at].handle().wait_again();
                    if model[at].waits_since.is_none() {
                        model[at].waits_since = Some(now);
                    }
                }
                Event::End(at) if !held.is_empty() => {
                    let at = at.index(held.len());
                    held.remove(at);
                    model.remove(at);
                }
                _ => {}
            }
            for (slot, modelled) in held.iter().zip(&model) {
                prop_assert_eq!(slot.0.state.is_evicted(), modelled.is_evicted);
            }
            let open = model.iter().filter(|connection| !connection.is_evicted).count();
            prop_assert_eq!(slots.open(), open);
            let (waiting, peers) = slots.registry().entries();
            prop_assert!(waiting <= open && peers <= open && open <= total);
        }
        drop(held);
        prop_assert_eq!((slots.open(), slots.registry().entries()), (0, (0, 0)));
    }
}

#[test]
fn silent_connections_lock_nobody_out_and_proven_ones_stay() {
    let slots = slots(10, 10);
    let (kept, _) = slots.take(peer(0)).unwrap();
    kept.handle().prove();
    // More may leave at once than there are, as each that gives way ends at once.
    let mut silent = Vec::new();
    for number in 0..1_000 {
        let (slot, evicted) = slots.take(peer(1)).unwrap();
        assert_eq!(evicted.is_some(), number >= 9, "{number}");
        silent.push(slot);
        silent.retain(|slot: &ConnectionSlot| !slot.0.state.is_evicted());
    }
    assert!(kept.0.state.is_proven());
    silent.iter().for_each(|slot| slot.handle().prove());
    assert_eq!(slots.take(peer(2)).unwrap_err(), SlotRefusal::Total);
    drop(kept);
    assert_eq!(slots.take(peer(2)).unwrap().1, None);
}

#[test]
fn a_peer_takes_slots_from_itself_alone() {
    let slots = slots(16, 3);
    let others: Vec<_> = (0..3).map(|_| slots.take(peer(1)).unwrap()).collect();
    let mut taken: Vec<_> = (0..3).map(|_| slots.take(peer(2)).unwrap().0).collect();
    for _ in 0..3 {
        let (slot, evicted) = slots.take(peer(2)).unwrap();
        assert_eq!(evicted, Some(peer(2)));
        slot.handle().prove();
        taken.push(slot);
    }
    assert_eq!(slots.take(peer(2)).unwrap_err(), SlotRefusal::PerPeer);
    assert!(others.iter().all(|(slot, _)| !slot.0.state.is_evicted()));
}

#[test]
fn connections_that_gave_way_and_do_not_end_are_bounded() {
    let slots = slots(8, 8);
    let held: Vec<_> = (0..10).map(|_| slots.take(peer(1)).unwrap()).collect();
    assert_eq!(slots.take(peer(1)).unwrap_err(), SlotRefusal::Leaving);
    assert_eq!(held.len(), slots.limits().descriptors());
    drop(held);
    assert!(slots.take(peer(1)).is_ok());
}

#[tokio::test]
async fn the_end_of_a_connection_that_gave_way_is_waited_for() {
    let slots = slots(1, 1);
    let mut held: Vec<_> = (0..3).map(|_| slots.take(peer(1)).unwrap().0).collect();
    assert_eq!(slots.take(peer(1)).unwrap_err(), SlotRefusal::Leaving);
    drop(held.remove(0));
    timeout(BOUND, slots.left()).await.unwrap();
    assert!(slots.take(peer(1)).is_ok());
}

#[tokio::test]
async fn a_connection_that_gives_way_is_woken_and_ends() {
    let slots = slots(1, 1);
    let (silent, _) = slots.take(peer(1)).unwrap();
    let waiting = tokio::spawn(async move { silent.hold(pending::<()>()).await });
    tokio::task::yield_now().await;
    let (next, evicted) = slots.take(peer(1)).unwrap();
    assert_eq!(evicted, Some(peer(1)));
    assert_eq!(timeout(BOUND, waiting).await.unwrap().unwrap(), None);
    assert_eq!(next.hold(async { 5 }).await, Some(5));
}

#[tokio::test]
async fn a_connection_that_waits_again_gives_way() {
    let slots = slots(1, 1);
    let (slot, _) = slots.take(peer(1)).unwrap();
    let handle = slot.handle();
    handle.prove();
    let waiting = tokio::spawn(async move { slot.hold(pending::<()>()).await });
    tokio::task::yield_now().await;
    assert_eq!(slots.take(peer(1)).unwrap_err(), SlotRefusal::PerPeer);
    handle.wait_again();
    let _next = slots.take(peer(1)).unwrap();
    assert_eq!(timeout(BOUND, waiting).await.unwrap().unwrap(), None);
}

#[test]
fn a_connection_is_proven_or_gives_way_and_never_both() {
    for _ in 0..200 {
        let slots = slots(1, 1);
        let (slot, _) = slots.take(peer(1)).unwrap();
        let (handle, taken) = (slot.handle(), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| handle.prove());
            scope.spawn(|| {
                if let Ok((next, _)) = slots.take(peer(1)) {
                    taken.fetch_add(1, Ordering::SeqCst);
                    std::mem::forget(next);
                }
            });
        });
        let was_taken = taken.load(Ordering::SeqCst) == 1;
        assert_eq!(handle.state.is_evicted(), was_taken);
        assert_eq!(handle.state.is_proven(), !was_taken);
    }
}
