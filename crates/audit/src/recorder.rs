//! The checks' end of the record: all queues together.
//!
//! The rule: **nothing is answered that is not going to be on record**. A decision asks every sink that wants it for room
//! before its answer is given. Where a sink that blocks or denies has none, the answer is withheld, and that denial is
//! what goes on record, or is counted, everywhere. So for every sink the decisions that it wants are its records and what
//! its gaps count, exactly.

#[cfg(feature = "tokio")]
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::config::OnFull;
use super::oneshot;
use super::sink_queue::{Class, Load, SinkQueue};
use customs_record::{CallerGoneEntry, DecisionRecord, Entry, Loss, WithheldEntry};

/// The most sinks that there can be.
pub const MAX_SINKS: usize = 64;

/// Every sink, for those who have something to tell. Clones share them.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queues: Vec<Arc<SinkQueue>>,
    decisions: AtomicU64,
    /// How long an answer waits for its record to be on the disk.
    durable_within: Duration,
}

/// Numbers about one sink, as they are just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The sink's name.
    pub sink: String,
    /// Records that it has taken, since the start.
    pub written: u64,
    /// Writes that it refused, since the start.
    pub failures: u64,
    /// Records that wait, with the room that is promised.
    pub queued: u64,
    /// About how many bytes they hold in memory.
    pub queued_bytes: u64,
    /// Records that it did not get, since the start.
    pub lost: Loss,
    /// Whether it takes what it should.
    pub healthy: bool,
    /// Whether every answer that it wants is withheld because of it.
    pub withholding: bool,
    /// What is wrong with it; empty while it is healthy.
    pub problem: String,
}

/// Why no check can be answered by policy now: its answer could not be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withholding {
    /// The sink.
    pub sink: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Recorder {
    /// Joins queues, at most [`MAX_SINKS`].
    pub fn new(queues: Vec<Arc<SinkQueue>>, durable_within: Duration) -> Recorder {
        Recorder(Arc::new(Shared {
            queues,
            decisions: AtomicU64::new(0),
            durable_within,
        }))
    }

    /// The number of the next decision of this process, from 1.
    pub fn number(&self) -> u64 {
        self.0.decisions.fetch_add(1, Relaxed) + 1
    }

    /// How many decisions were numbered.
    pub fn numbered(&self) -> u64 {
        self.0.decisions.load(Relaxed)
    }

    /// Asks every sink that wants a decision for room, without waiting: a sink that blocks and has no room now has none.
    /// `None`: the answer must be withheld, and put on record by [`withhold`](Self::withhold). It needs no runtime, nor do
    /// [`Reservation::record`], [`withhold`](Self::withhold) and [`tell_caller_gone`](Self::tell_caller_gone), so a host that must
    /// not wait can call it on any thread.
    pub fn try_admit(&self, decision: &DecisionRecord) -> Option<Reservation> {
        let mut admission = Admission::of(self, decision);
        for (place, queue) in self.wanting(decision) {
            let has_room = queue.reserve_now(admission.reservation.load);
            admission.note(place, queue, has_room)?;
        }
        Some(admission.reservation())
    }

    /// The sinks that want a decision, each with its place.
    fn wanting(&self, decision: &DecisionRecord) -> impl Iterator<Item = (usize, &SinkQueue)> {
        let queues = self.0.queues.iter().enumerate();
        queues
            .filter(|(_, queue)| queue.filter().wants_decision(decision))
            .map(|(place, queue)| (place, &**queue))
    }

    /// Whether answers wait until their records are on the disk.
    pub fn waits_for_disk(&self) -> bool {
        self.0.queues.iter().any(|queue| queue.acknowledges())
    }

    /// Whether an eighth of some queue is taken, by records or by answers that are on their way to their callers.
    pub fn is_pressed(&self) -> bool {
        self.0.queues.iter().any(|queue| queue.is_pressed())
    }

    /// Puts an answer that nobody got on record where there is room, and counts it as withheld where there is none: it was
    /// withheld, or its caller gave up while it waited for room. True if every sink that wants it had room.
    pub fn withhold(&self, decision: Arc<DecisionRecord>) -> bool {
        let load = Load::of_decision(&decision, Class::Withheld);
        let wanting = self
            .0
            .queues
            .iter()
            .filter(|queue| queue.filter().wants_decision(&decision));
        // Each is asked, whatever the others said.
        wanting
            .filter(|queue| !queue.offer(Entry::Decision(decision.clone()), load))
            .count()
            == 0
    }

    /// Records what already happened, such as a policy change, without waiting: a sink without room now does not get it and
    /// counts it. True if every sink had room.
    pub fn try_record(&self, entry: &Entry) -> bool {
        self.offer(entry, Load::of_event(entry.time()))
    }

    /// The first sink for which every answer is withheld now; `None` while an answer can be recorded.
    pub fn withholding(&self) -> Option<Withholding> {
        let of = |queue: &Arc<SinkQueue>| {
            Some(Withholding {
                sink: queue.name().to_owned(),
                problem: queue.withholds()?,
            })
        };
        self.0.queues.iter().find_map(of)
    }

    /// The numbers of every sink as they are just now.
    pub fn readings(&self) -> Vec<Reading> {
        let reading = |queue: &Arc<SinkQueue>| {
            let (queued, queued_bytes) = queue.queued();
            let (withholds, trouble) = (queue.withholds(), queue.trouble());
            Reading {
                sink: queue.name().to_owned(),
                written: queue.state.written.load(Relaxed),
                failures: queue.state.failures.load(Relaxed),
                queued,
                queued_bytes,
                lost: queue.losses(),
                healthy: trouble.is_none() && !queue.state.ended.load(Relaxed),
                withholding: withholds.is_some(),
                problem: trouble.unwrap_or_default(),
            }
        };
        self.0.queues.iter().map(reading).collect()
    }

    /// Tells that nobody got the answer of a recorded decision: its caller had given up.
    pub fn tell_caller_gone(&self, decision: &DecisionRecord) {
        let entry = CallerGoneEntry {
            time: customs_record::clock::now(),
            decision_id: decision.text(decision.facts().decision_id).to_owned(),
            decision_number: decision.facts().decision_number,
        };
        let load = Load::of_follow_up(entry.time, &entry.decision_id);
        self.offer(&Entry::CallerGone(entry.into()), load);
    }

    /// Tells that the answer of a recorded decision was withheld after all: its record did not reach the disk in time.
    fn tell_not_durable(&self, decision: &DecisionRecord, reason: &'static str) {
        let entry = WithheldEntry {
            time: customs_record::clock::now(),
            decision_id: decision.text(decision.facts().decision_id).to_owned(),
            decision_number: decision.facts().decision_number,
            reason,
        };
        let load = Load::of_follow_up(entry.time, &entry.decision_id);
        self.offer(&Entry::Withheld(entry.into()), load);
    }

    /// Gives every sink a record, whatever the others said; true if each had room.
    fn offer(&self, entry: &Entry, load: Load) -> bool {
        let without_room = |queue: &&Arc<SinkQueue>| !queue.offer(entry.clone(), load);
        self.0.queues.iter().filter(without_room).count() == 0
    }
}

/// A decision that asks sink after sink for room. Dropped before it has asked all, it gives back what it has and counts
/// nothing: whoever withholds the answer accounts for it, in every sink.
struct Admission {
    reservation: Reservation,
    /// The sinks that were asked, a bit each.
    asked: u64,
}

impl Admission {
    fn of(recorder: &Recorder, decision: &DecisionRecord) -> Admission {
        let load = Load::of_decision(decision, Class::of(decision));
        Admission {
            reservation: Reservation {
                recorder: recorder.clone(),
                load,
                taken: 0,
                is_wanted: 0,
            },
            asked: 0,
        }
    }

    /// Notes what a sink said. `None`: the answer must be withheld.
    fn note(&mut self, place: usize, queue: &SinkQueue, has_room: bool) -> Option<()> {
        self.asked |= 1 << place;
        self.reservation.taken |= u64::from(has_room) << place;
        (has_room || queue.on_full() == OnFull::Drop).then_some(())
    }

    fn reservation(mut self) -> Reservation {
        self.reservation.is_wanted = self.asked;
        self.reservation
    }
}

/// Room for one decision in every sink that wants it and has some. Dropped unused, it is given back, and the decision
/// counts as withheld: nobody got its answer.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    recorder: Recorder,
    load: Load,
    /// The sinks that promised room, a bit each.
    taken: u64,
    /// The sinks that want the decision, a bit each.
    is_wanted: u64,
}

impl Reservation {
    /// Hands the record over. What is returned must be waited for before the answer is given.
    pub fn record(mut self, decision: Arc<DecisionRecord>) -> PendingAck {
        let (wanted, taken) = (
            std::mem::take(&mut self.is_wanted),
            std::mem::take(&mut self.taken),
        );
        let mut acks = Vec::new();
        for (place, queue) in self.recorder.0.queues.iter().enumerate() {
            match (wanted >> place & 1, taken >> place & 1) {
                (_, 1) => {
                    acks.extend(queue.send(Entry::Decision(decision.clone()), self.load.bytes))
                }
                (1, _) => queue.record_drop(self.load),
                _ => {}
            }
        }
        PendingAck((!acks.is_empty()).then(|| (acks, self.recorder.clone())))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        for (place, queue) in self.recorder.0.queues.iter().enumerate() {
            if self.taken >> place & 1 == 1 {
                queue.release(self.load);
            }
            if self.is_wanted >> place & 1 == 1 {
                queue.record_drop(Load {
                    class: Class::Withheld,
                    ..self.load
                });
            }
        }
    }
}

/// A record on its way to the disk.
#[derive(Debug)]
#[must_use]
pub struct PendingAck(
    /// What each sink tells that says when a record is on the disk; `None` where there is no such sink.
    Option<(Vec<oneshot::Receiver<()>>, Recorder)>,
);

impl PendingAck {
    /// Blocks until the record is on the disk, where that is asked for. False if it is not in time: the answer must be
    /// withheld, which is then on record as well. It needs no runtime, and must not be called on a thread of one.
    pub fn wait_durable_blocking(self, decision: &DecisionRecord, reason: &'static str) -> bool {
        let Some((mut acks, recorder)) = self.0 else {
            return true;
        };
        let deadline = Instant::now() + recorder.0.durable_within;
        let is_durable = acks
            .iter_mut()
            .all(|ack| matches!(ack.wait_until(deadline), Some(Ok(()))));
        if !is_durable {
            recorder.tell_not_durable(decision, reason);
        }
        is_durable
    }
}
