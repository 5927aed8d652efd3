//! The path to one sink: a bounded queue, the room in it, and the count of what did not get in.
//!
//! It renders nothing and writes nothing; the [`writer`](super::writer) at the other end does. The
//! rules:
//!
//! - The queue is bounded by records and by bytes. Its last quarter takes only denials, answers
//!   that differ and events, so that a flood of allows hides none of them.
//! - Room is reserved before anything is sent, so sending neither waits nor fails. `waiting` waits
//!   for room in async code.
//! - What the sink's filter selects and the sink does not get is counted by class. The count
//!   becomes a record as soon as there is room.

mod load;
#[cfg(feature = "tokio")]
mod waiting;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

#[cfg(feature = "tokio")]
use tokio::sync::Notify;

use self::load::EVENT_WEIGHT;
pub use self::load::{Class, Load};
use super::config::OnFull;
use super::oneshot;
use super::sink_state::State;
use customs_engine::time::UnixNanos;
use customs_record::filter::Filter;
use customs_record::{Entry, GapEntry, Loss};

/// How much may wait for one sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records.
    pub records: u64,
    /// Bytes that they hold in memory, as [`Load::bytes`] counts them.
    pub bytes: u64,
    /// Checks that wait for room at the same time.
    pub waiting: u64,
    /// How long one check waits.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            records: 16_384,
            bytes: 64 << 20,
            waiting: 1024,
            deadline: Duration::from_millis(100),
        }
    }
}

/// How long an answer waits until its record is on the disk: less than the proxy's timeout, with
/// time for the way there and back.
pub const DURABLE_WITHIN: Duration = Duration::from_millis(150);

/// How long one write and its sync may last before answers are reported as withheld because of it.
/// A write that is late once costs only its own answers.
const LASTING: Duration = Duration::from_millis(500);

/// How many batches in a row may be late before the same is reported.
const LATE_IN_A_ROW: u64 = 2;

/// How long the writer may take for one batch before the sink is reported as hanging.
const HANGS_AFTER: Duration = Duration::from_secs(1);

/// What travels to the writer.
#[derive(Debug)]
pub enum Message {
    /// A record, its weight, and the sender that acknowledges it once it is on the disk.
    Record(Entry, u64, Option<oneshot::Sender<()>>),
    /// The end: only records with reserved room follow.
    Finish,
}

/// The records that did not get in.
#[derive(Clone, Copy, Debug, Default)]
struct Lost {
    /// Since the start.
    total: Loss,
    /// What is not recorded yet, and when the first and the last happened.
    unrecorded: Option<(Loss, UnixNanos, UnixNanos)>,
}

/// The checks' side of one sink.
pub struct SinkQueue {
    name: String,
    filter: Filter,
    on_full: OnFull,
    limits: Limits,
    /// Whether senders wait until the record is on the disk.
    acknowledges: bool,
    sender: mpsc::Sender<Message>,
    /// Waiting records and reserved room, and their bytes, in one number, so that a check changes
    /// one.
    held: AtomicU64,
    #[cfg(feature = "tokio")]
    waiting: AtomicU64,
    #[cfg(feature = "tokio")]
    freed: Notify,
    lost: Mutex<Lost>,
    pub(super) state: State,
}

impl fmt::Debug for SinkQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkQueue")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The settings of a queue.
#[derive(Clone, Debug)]
pub struct SinkQueueConfig {
    /// The sink's name.
    pub name: String,
    /// Which records it takes.
    pub filter: Filter,
    /// What happens when it takes no more.
    pub on_full: OnFull,
    /// How much may wait.
    pub limits: Limits,
    /// Whether senders wait until the record is on the disk.
    pub acknowledges: bool,
}

impl SinkQueue {
    /// Creates a queue, and the writer's end of it.
    pub fn new(config: SinkQueueConfig) -> (SinkQueue, mpsc::Receiver<Message>) {
        let SinkQueueConfig {
            name,
            filter,
            on_full,
            limits,
            acknowledges,
        } = config;
        let (sender, receiver) = mpsc::channel();
        let queue = SinkQueue {
            name,
            filter,
            on_full,
            limits,
            acknowledges,
            sender,
            held: AtomicU64::new(0),
            #[cfg(feature = "tokio")]
            waiting: AtomicU64::new(0),
            #[cfg(feature = "tokio")]
            freed: Notify::new(),
            lost: Mutex::default(),
            state: State::default(),
        };
        (queue, receiver)
    }

    /// Returns the sink's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what happens when the sink takes no more.
    pub fn on_full(&self) -> OnFull {
        self.on_full
    }

    /// Returns whether senders wait until the record is on the disk.
    pub fn acknowledges(&self) -> bool {
        self.acknowledges
    }

    /// Returns which records it takes.
    pub fn filter(&self) -> Filter {
        self.filter
    }

    /// Returns the waiting records and reserved room, and their bytes.
    pub fn queued(&self) -> (u64, u64) {
        parts(self.held.load(Relaxed))
    }

    /// Reserves room, if there is some for this class.
    pub fn try_reserve(&self, load: Load) -> bool {
        if self.state.closing.load(Relaxed) || self.state.ended.load(Relaxed) {
            return false;
        }
        let of = |limit: u64| {
            if load.class.is_reserved_for() {
                limit
            } else {
                limit - limit / 4
            }
        };
        let one = held(1, load.bytes);
        let (records, bytes) = parts(self.held.fetch_add(one, Relaxed) + one);
        // One record alone always has room, whatever its weight.
        let fits =
            records <= of(self.limits.records) && (bytes <= of(self.limits.bytes) || records == 1);
        if !fits {
            // Wakes no waiter: this room never existed.
            self.held.fetch_sub(one, Relaxed);
        }
        fits
    }

    /// Releases room that was not used.
    pub fn release(&self, load: Load) {
        self.free(1, load.bytes);
    }

    /// Reserves room now for a check whose answer must not be given without it, if there is some. A
    /// failing sink gives none unless it drops, since the failure may last.
    pub fn reserve_now(&self, load: Load) -> bool {
        (self.on_full == OnFull::Drop || !self.state.failing.load(Relaxed))
            && self.try_reserve(load)
    }

    /// Sends a record for which room was reserved. The returned receiver gets a value once the
    /// record is on the disk, if this queue acknowledges records.
    pub fn send(&self, entry: Entry, bytes: u64) -> Option<oneshot::Receiver<()>> {
        let (ack, acked) = match self.acknowledges {
            true => Some(oneshot::channel()).unzip(),
            false => (None, None),
        };
        // Sending fails only if the writer has ended. Then nothing is acknowledged and the server
        // ends.
        let _ = self.sender.send(Message::Record(entry, bytes, ack));
        acked
    }

    /// Sends an event for which room was reserved.
    pub fn send_event(&self, entry: Entry) {
        self.send(entry, EVENT_WEIGHT);
    }

    /// Sends a record if there is room, and counts it otherwise; returns whether there was room.
    pub fn offer(&self, entry: Entry, load: Load) -> bool {
        let has_room = self.try_reserve(load);
        if has_room {
            self.send(entry, load.bytes);
        } else {
            self.record_drop(load);
        }
        has_room
    }

    /// Offers an event in the same way.
    pub fn offer_event(&self, entry: &Entry) {
        self.offer(entry.clone(), Load::of_event(entry.time()));
    }

    /// Counts a record that does not get in.
    pub fn record_drop(&self, load: Load) {
        let mut lost = self.lost();
        let (unrecorded, first, last) =
            lost.unrecorded
                .get_or_insert((Loss::default(), load.time, load.time));
        (*first, *last) = ((*first).min(load.time), (*last).max(load.time));
        *load.class.of_loss(unrecorded) += 1;
        *load.class.of_loss(&mut lost.total) += 1;
    }

    /// Returns all losses since the start.
    pub fn losses(&self) -> Loss {
        self.lost().total
    }

    /// Returns the losses since the last call, as a record; for the writer.
    pub(super) fn gap(&self, time: UnixNanos) -> Option<GapEntry> {
        self.lost()
            .unrecorded
            .take()
            .map(|(lost, first, last)| GapEntry {
                time,
                lost,
                first,
                last,
            })
    }

    /// Returns why an answer to any check would be withheld now because this sink cannot record it;
    /// `None` while it would not. A sink that drops withholds nothing, and one with a filter lets
    /// the other answers pass.
    pub fn withholds(&self) -> Option<String> {
        if self.on_full == OnFull::Drop || self.filter != Filter::All {
            return None;
        }
        let state = &self.state;
        if state.ended.load(Relaxed) {
            return Some("the thread that writes it has ended".into());
        }
        if state.failing.load(Relaxed) {
            let patience = if self.on_full == OnFull::Block {
                self.limits.deadline
            } else {
                Duration::ZERO
            };
            return state
                .trouble()
                .filter(|(since, _)| since.elapsed() >= patience)
                .map(|(_, why)| why);
        }
        let busy = state
            .busy()
            .map(|since| since.elapsed())
            .unwrap_or_default();
        if self.acknowledges && state.unsynced.load(Relaxed) {
            return Some(state.trouble().map(|(_, why)| why).unwrap_or_default());
        }
        if self.acknowledges && (state.late.load(Relaxed) >= LATE_IN_A_ROW || busy > LASTING) {
            return Some(format!(
                "records do not reach the disk within {} ms",
                DURABLE_WITHIN.as_millis()
            ));
        }
        (busy > self.limits.deadline && self.is_full())
            .then(|| "it takes no records, and its queue is full".into())
    }

    /// Returns what is wrong with the sink, whether answers are withheld for it or not.
    pub fn trouble(&self) -> Option<String> {
        let state = &self.state;
        let is_bad = state.failing.load(Relaxed) || state.unsynced.load(Relaxed);
        let why = is_bad
            .then(|| state.trouble().map(|(_, why)| why).unwrap_or_default())
            .or_else(|| self.withholds());
        why.or_else(|| self.hangs())
    }

    /// Reports that the sink has been at one batch for long, without an error: a file system or a
    /// reader that hangs. Answers are given while its queue has room.
    fn hangs(&self) -> Option<String> {
        let since = self.state.busy()?.elapsed();
        let why = || {
            format!(
                "it has taken no records for {} s, without an error: it hangs",
                since.as_secs()
            )
        };
        (since > HANGS_AFTER).then(why)
    }

    /// Returns whether an eighth of the queue is taken.
    pub fn is_pressed(&self) -> bool {
        let (records, bytes) = self.queued();
        records > self.limits.records / 8 || bytes > self.limits.bytes / 8
    }

    /// Returns whether a plain allow finds no room.
    fn is_full(&self) -> bool {
        let of = |limit: u64| limit - limit / 4;
        let (records, bytes) = self.queued();
        records >= of(self.limits.records) || bytes >= of(self.limits.bytes)
    }

    /// Frees room, for the writer: records that the sink has.
    pub(super) fn free(&self, records: u64, bytes: u64) {
        self.held.fetch_sub(held(records, bytes), Relaxed);
        self.wake();
    }

    /// Wakes waiting checks, so that they see that the queue is closing or failing.
    pub(super) fn wake(&self) {
        #[cfg(feature = "tokio")]
        self.freed.notify_waiters();
    }

    /// Accepts nothing new.
    pub(super) fn close(&self) {
        self.state.closing.store(true, Relaxed);
        let _ = self.sender.send(Message::Finish);
        self.wake();
    }

    fn lost(&self) -> MutexGuard<'_, Lost> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bits of a queue's number that count bytes: up to a terabyte. The others count up to 16
/// million records.
const BYTES_BITS: u32 = 40;

/// The most records and bytes that the settings can give a queue: half of what it can count; the
/// rest is for checks that only try.
pub const MOST: (u64, u64) = (1 << (63 - BYTES_BITS), 1 << (BYTES_BITS - 1));

fn held(records: u64, bytes: u64) -> u64 {
    records << BYTES_BITS | bytes
}

fn parts(held: u64) -> (u64, u64) {
    (held >> BYTES_BITS, held & ((1 << BYTES_BITS) - 1))
}
