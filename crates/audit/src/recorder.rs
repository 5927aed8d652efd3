//! The side of the audit log that checks use: all queues together.
//!
//! The rule: **a decision is answered only if it is going to be recorded**. Before its answer is
//! given, a decision reserves room in every sink whose filter selects it. If a sink that blocks or
//! denies has no room, the answer is withheld, and every sink records that denial or counts it. So
//! for every sink, the decisions that its filter selects are exactly its records plus the counts of
//! its gaps.

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

/// Every sink, for code that records something. Clones share them.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queues: Vec<Arc<SinkQueue>>,
    decisions: AtomicU64,
    /// How long an answer waits until its record is on the disk.
    durable_within: Duration,
}

/// The current numbers of one sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The sink's name.
    pub sink: String,
    /// Records that it has taken since the start.
    pub written: u64,
    /// Writes that failed since the start.
    pub failures: u64,
    /// Records that wait, and reserved room.
    pub queued: u64,
    /// About how many bytes they hold in memory.
    pub queued_bytes: u64,
    /// Records that it did not get since the start.
    pub lost: Loss,
    /// Whether it takes records as it should.
    pub healthy: bool,
    /// Whether every answer whose record it should get is withheld because of it.
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

    /// Returns the number of the next decision of this process, from 1.
    pub fn number(&self) -> u64 {
        self.0.decisions.fetch_add(1, Relaxed) + 1
    }

    /// Returns how many decisions were numbered.
    pub fn numbered(&self) -> u64 {
        self.0.decisions.load(Relaxed)
    }

    /// Reserves room in every sink whose filter selects a decision, without waiting: a sink that
    /// blocks and is full counts as having no room. `None` means that the answer must be withheld,
    /// and recorded by [`withhold`](Self::withhold).
    ///
    /// It needs no runtime, nor do [`Reservation::record`], [`withhold`](Self::withhold) and
    /// [`record_caller_gone`](Self::record_caller_gone), so a host that must not wait can call it
    /// on any thread.
    pub fn try_admit(&self, decision: &DecisionRecord) -> Option<Reservation> {
        let mut admission = Admission::of(self, decision);
        for (place, queue) in self.wanting(decision) {
            let has_room = queue.reserve_now(admission.reservation.load);
            admission.note(place, queue, has_room)?;
        }
        Some(admission.reservation())
    }

    /// Returns the sinks whose filters select a decision, each with its index.
    fn wanting(&self, decision: &DecisionRecord) -> impl Iterator<Item = (usize, &SinkQueue)> {
        let queues = self.0.queues.iter().enumerate();
        queues
            .filter(|(_, queue)| queue.filter().wants_decision(decision))
            .map(|(place, queue)| (place, &**queue))
    }

    /// Returns whether answers wait until their records are on the disk.
    pub fn waits_for_disk(&self) -> bool {
        self.0.queues.iter().any(|queue| queue.acknowledges())
    }

    /// Returns whether an eighth of some queue is taken, by records or by answers that are on their
    /// way to their callers.
    pub fn is_pressed(&self) -> bool {
        self.0.queues.iter().any(|queue| queue.is_pressed())
    }

    /// Records a decision whose answer was not given: it was withheld, or its caller gave up while
    /// it waited for room. A sink without room counts it as withheld. Returns true if every sink
    /// whose filter selects it had room.
    pub fn withhold(&self, decision: Arc<DecisionRecord>) -> bool {
        let load = Load::of_decision(&decision, Class::Withheld);
        // Offers it to every sink, whatever the others returned.
        self.wanting(&decision)
            .filter(|(_, queue)| !queue.offer(Entry::Decision(decision.clone()), load))
            .count()
            == 0
    }

    /// Records something that already happened, such as a policy change, without waiting. A sink
    /// without room does not get it and counts it. Returns true if every sink had room.
    pub fn try_record(&self, entry: &Entry) -> bool {
        self.offer(entry, Load::of_event(entry.time()))
    }

    /// Returns the first sink for which every answer is withheld now; `None` while an answer can be
    /// recorded.
    pub fn withholding(&self) -> Option<Withholding> {
        let of = |queue: &Arc<SinkQueue>| {
            Some(Withholding {
                sink: queue.name().to_owned(),
                problem: queue.withholds()?,
            })
        };
        self.0.queues.iter().find_map(of)
    }

    /// Returns the current numbers of every sink.
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

    /// Records that the caller of a recorded decision had given up and did not get the answer.
    pub fn record_caller_gone(&self, decision: &DecisionRecord) {
        let entry = CallerGoneEntry {
            time: customs_record::clock::now(),
            decision_id: decision.text(decision.facts().decision_id).to_owned(),
            decision_number: decision.facts().decision_number,
        };
        let load = Load::of_follow_up(entry.time, &entry.decision_id);
        self.offer(&Entry::CallerGone(entry.into()), load);
    }

    /// Records that the answer of a recorded decision was withheld afterwards: its record did not
    /// reach the disk in time.
    fn record_not_durable(&self, decision: &DecisionRecord, reason: &'static str) {
        let entry = WithheldEntry {
            time: customs_record::clock::now(),
            decision_id: decision.text(decision.facts().decision_id).to_owned(),
            decision_number: decision.facts().decision_number,
            reason,
        };
        let load = Load::of_follow_up(entry.time, &entry.decision_id);
        self.offer(&Entry::Withheld(entry.into()), load);
    }

    /// Offers a record to every sink, whatever the others return; true if each had room.
    fn offer(&self, entry: &Entry, load: Load) -> bool {
        let without_room = |queue: &&Arc<SinkQueue>| !queue.offer(entry.clone(), load);
        self.0.queues.iter().filter(without_room).count() == 0
    }
}

/// A decision that reserves room in sink after sink. Dropped before the last one, it releases its
/// room and counts nothing: the caller that withholds the answer accounts for it, in every sink.
struct Admission {
    reservation: Reservation,
    /// The selected sinks that were tried so far, one bit each.
    selected: u64,
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
            selected: 0,
        }
    }

    /// Notes the result of a sink. `None` means that the answer must be withheld.
    fn note(&mut self, place: usize, queue: &SinkQueue, has_room: bool) -> Option<()> {
        self.selected |= 1 << place;
        self.reservation.taken |= u64::from(has_room) << place;
        (has_room || queue.on_full() == OnFull::Drop).then_some(())
    }

    fn reservation(mut self) -> Reservation {
        self.reservation.is_wanted = self.selected;
        self.reservation
    }
}

/// Room for one decision in every sink that has room and whose filter selects it. Dropped unused,
/// it is released, and the decision counts as withheld: its answer was not given.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    recorder: Recorder,
    load: Load,
    /// The sinks in which room is reserved, one bit each.
    taken: u64,
    /// The sinks whose filters select the decision, one bit each.
    is_wanted: u64,
}

impl Reservation {
    /// Hands the record over. The caller waits for the returned value before it gives the answer.
    pub fn record(mut self, decision: Arc<DecisionRecord>) -> PendingAck {
        let recorder = self.recorder.clone();
        let mut acks = Vec::new();
        for (place, queue) in recorder.0.queues.iter().enumerate() {
            let (wanted, taken) = (self.is_wanted >> place & 1, self.taken >> place & 1);
            // Sink after sink, so that a panic leaves the others to the drop, which counts them.
            self.is_wanted &= !(1 << place);
            self.taken &= !(1 << place);
            match (wanted, taken) {
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
    /// The receivers of the sinks that acknowledge records on the disk; `None` if there is no such
    /// sink.
    Option<(Vec<oneshot::Receiver<()>>, Recorder)>,
);

impl PendingAck {
    /// Blocks until the record is on the disk, if the settings ask for that. Returns false if it is
    /// not in time: the answer must be withheld, and that is recorded as well. It needs no runtime,
    /// and must not be called on a thread of one.
    pub fn wait_durable_blocking(self, decision: &DecisionRecord, reason: &'static str) -> bool {
        let Some((mut acks, recorder)) = self.0 else {
            return true;
        };
        let deadline = Instant::now() + recorder.0.durable_within;
        let is_durable = acks
            .iter_mut()
            .all(|ack| matches!(ack.wait_until(deadline), Some(Ok(()))));
        if !is_durable {
            recorder.record_not_durable(decision, reason);
        }
        is_durable
    }
}
