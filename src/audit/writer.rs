//! The way from the checks to the sinks: a bounded queue and one thread that numbers, renders and writes.
//!
//! It judges nothing and it drops nothing in silence. The rules:
//!
//! - A check **reserves room before its answer is given**. Where there is none, or where a sink does not take what was
//!   accepted before, it gets no slot and its caller withholds the answer. A slot, once given, is always recorded.
//! - Records are numbered by this thread alone, from 1 without a gap, in the order in which they are written.
//! - Every sink gets every record. A sink that fails is tried again where it stopped, so that a torn line is continued
//!   and never repeated; meanwhile the others wait too, and nothing new is accepted.
//! - At the end what was accepted is written, within a bound, or its loss is told with its number.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::line;
use super::sinks::{Attempt, Place, Sink};
use crate::engine::record::Entry;

/// The most records that wait for the thread; about 1.5 KB each, and never more than 7 KB.
pub const QUEUE_RECORDS: usize = 16_384;

/// How long a check waits for room before its answer is withheld.
pub const RESERVE_WAIT: Duration = Duration::from_millis(100);

/// The most records that are written at once.
const BATCH_RECORDS: usize = 512;

/// How long the thread lets records gather after a batch: one write then serves many, and nobody has to wake it.
const GATHER_PAUSE: Duration = Duration::from_millis(2);

/// How long the thread waits before it tries a failed sink again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// How long it waits for a sink that can take no more just now.
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// Starts the thread. Without a sink there is none: room is always given, and records are dropped.
pub fn start(sinks: Vec<Box<dyn Sink>>) -> io::Result<(Recorder, WriterHandle)> {
    let shared = Arc::new(Shared::default());
    if sinks.is_empty() {
        return Ok((Recorder { queue: None, shared: shared.clone() }, WriterHandle { running: None, shared }));
    }
    let (queue, receiver) = mpsc::channel(QUEUE_RECORDS);
    let (ended_tx, ended) = oneshot::channel();
    let writer = Writer { sinks: sinks.into_iter().map(Place::new).collect(), shared: shared.clone(), next: 1 };
    let thread = thread::Builder::new().name("audit".into()).spawn(move || {
        let end = writer.run(receiver);
        // Nobody listens only where nobody waits any more.
        let _ = ended_tx.send(end);
    })?;
    let running = Running { queue: queue.clone(), ended: Some(ended), thread };
    Ok((Recorder { queue: Some(queue), shared: shared.clone() }, WriterHandle { running: Some(running), shared }))
}

/// What both sides look at.
#[derive(Debug, Default)]
struct Shared {
    written: AtomicU64,
    failures: AtomicU64,
    /// Records that the thread has taken out of the queue and not handed over yet.
    in_hand: AtomicU64,
    /// Whether some sink does not take what it should.
    failing: AtomicBool,
    /// Whether nothing new is accepted any more.
    closing: AtomicBool,
    /// Whether the thread shall stop trying.
    give_up: AtomicBool,
}

impl Shared {
    /// Records on their way, with the room that is promised.
    fn waiting(&self, queue: &mpsc::Sender<Message>) -> u64 {
        let queued = queue.max_capacity().saturating_sub(queue.capacity());
        queued as u64 + self.in_hand.load(Ordering::Relaxed)
    }
}

/// Numbers about the record, as they are just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Records that every sink has taken, since the start.
    pub written: u64,
    /// Writes that a sink refused, since the start.
    pub failures: u64,
    /// Records that wait, with the room that is reserved for answers being given.
    pub queued: u64,
    /// Whether every sink takes what it should.
    pub healthy: bool,
}

/// What travels to the thread.
#[derive(Debug)]
enum Message {
    Record(Entry),
    /// Nothing comes after this but what was promised a slot before.
    Finish,
}

/// The checks' end of the queue.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// `None` where there is no sink.
    queue: Option<mpsc::Sender<Message>>,
    shared: Arc<Shared>,
}

impl Recorder {
    /// Reserves room for one record, before the answer is given. `None`: the answer must be withheld, because a sink
    /// fails, because there was no room within [`RESERVE_WAIT`], or because the record has ended.
    pub async fn reserve(&self) -> Option<Slot> {
        let Some(queue) = &self.queue else { return Some(Slot(None)) };
        if self.shared.failing.load(Ordering::Relaxed) || self.shared.closing.load(Ordering::Relaxed) {
            return None;
        }
        let permit = match queue.clone().try_reserve_owned() {
            Ok(permit) => Some(permit),
            Err(TrySendError::Full(queue)) => timeout(RESERVE_WAIT, queue.reserve_owned()).await.ok()?.ok(),
            Err(TrySendError::Closed(_)) => None,
        };
        permit.map(|permit| Slot(Some(permit)))
    }

    /// Records what already happened, such as a policy change: waits for room as long as it takes.
    pub async fn record(&self, entry: Entry) {
        let Some(queue) = &self.queue else { return };
        if queue.send(Message::Record(entry)).await.is_err() {
            tracing::error!("the audit has ended; an event after its end is not on record");
        }
    }

    /// The numbers as they are just now.
    pub fn reading(&self) -> Reading {
        Reading {
            written: self.shared.written.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
            queued: self.queue.as_ref().map_or(0, |queue| self.shared.waiting(queue)),
            healthy: !self.shared.failing.load(Ordering::Relaxed),
        }
    }
}

/// Room for one record. Dropped unused, the room is given back.
#[derive(Debug)]
pub struct Slot(Option<mpsc::OwnedPermit<Message>>);

impl Slot {
    /// Hands the record over. It neither waits nor fails.
    pub fn record(self, entry: Entry) {
        if let Some(permit) = self.0 {
            permit.send(Message::Record(entry));
        }
    }
}

/// How the thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    /// Records that some sink did not get.
    lost: u64,
}

/// Why the record did not end well.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfinished {
    /// A sink did not take everything in time.
    #[error("{0} audit records could not be written within the bound")]
    Lost(u64),
    /// A sink hangs in a call of the system, or somebody holds a slot and never uses it.
    #[error("the audit did not end: a write hangs, or an answer was never given; up to {0} records are lost")]
    Hangs(u64),
    /// The thread is gone.
    #[error("the audit thread ended by itself")]
    Gone,
}

/// The owner's hold on the thread.
#[derive(Debug)]
pub struct WriterHandle {
    running: Option<Running>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Running {
    queue: mpsc::Sender<Message>,
    /// `None` once it was told that the thread has ended.
    ended: Option<oneshot::Receiver<End>>,
    thread: JoinHandle<()>,
}

impl WriterHandle {
    /// Waits until the thread has ended by itself, which it never should; without a sink, for ever.
    pub async fn ended(&mut self) {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        if let Some(ended) = &mut running.ended {
            // That it ended is enough; how, is in the log.
            let _ = ended.await;
            running.ended = None;
        }
    }

    /// Ends the record: nothing new is accepted, what was accepted and what holds a slot is written, files are synced,
    /// and the thread is joined. After `bound` the thread stops trying, and what is lost is told.
    pub async fn finish(self, bound: Duration) -> Result<(), Unfinished> {
        let WriterHandle { running: Some(Running { queue, ended, thread }), shared } = self else { return Ok(()) };
        let Some(mut ended) = ended else { return Err(Unfinished::Gone) };
        shared.closing.store(true, Ordering::Relaxed);
        let orderly = async {
            // Refused only where the thread is gone, and `ended` tells that.
            let _ = queue.send(Message::Finish).await;
            (&mut ended).await
        };
        let end = match timeout(bound, orderly).await {
            Ok(end) => end,
            Err(_) => {
                shared.give_up.store(true, Ordering::Relaxed);
                match timeout(4 * RETRY_PAUSE, &mut ended).await {
                    Ok(end) => end,
                    Err(_) => return Err(Unfinished::Hangs(shared.waiting(&queue))),
                }
            }
        };
        let joined = thread.join();
        match (end, joined) {
            (Ok(End { lost: 0 }), Ok(())) => Ok(()),
            (Ok(End { lost }), Ok(())) => Err(Unfinished::Lost(lost)),
            (Err(_), _) | (_, Err(_)) => Err(Unfinished::Gone),
        }
    }
}

/// The thread's own state.
struct Writer {
    sinks: Vec<Place>,
    shared: Arc<Shared>,
    /// The number of the next record.
    next: u64,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Message>) -> End {
        let mut messages = Vec::with_capacity(BATCH_RECORDS);
        let mut batch = Vec::new();
        while queue.blocking_recv_many(&mut messages, BATCH_RECORDS) > 0 {
            let before = self.next;
            self.render(&mut messages, &mut batch, &mut queue);
            let records = self.next - before;
            self.shared.in_hand.store(records, Ordering::Relaxed);
            if !self.write(&batch) {
                queue.close();
                return self.give_up(records, &mut queue);
            }
            self.shared.in_hand.store(0, Ordering::Relaxed);
            self.shared.written.fetch_add(records, Ordering::Relaxed);
            batch.clear();
            if self.shared.give_up.load(Ordering::Relaxed) {
                queue.close();
            }
            if !self.shared.closing.load(Ordering::Relaxed) {
                thread::sleep(GATHER_PAUSE);
            }
        }
        self.sync();
        End { lost: 0 }
    }

    fn render(&mut self, messages: &mut Vec<Message>, batch: &mut Vec<u8>, queue: &mut mpsc::Receiver<Message>) {
        for message in messages.drain(..) {
            match message {
                Message::Record(entry) => {
                    line::render(&entry, self.next, batch);
                    self.next += 1;
                }
                // What holds a slot is still received; then the queue ends.
                Message::Finish => queue.close(),
            }
        }
    }

    /// Hands a batch to every sink, however long it takes; false if it was told to give up.
    fn write(&mut self, batch: &[u8]) -> bool {
        for place in &mut self.sinks {
            place.begin();
        }
        loop {
            let pause = self.offer(batch);
            let Some(pause) = pause else { return true };
            if self.shared.give_up.load(Ordering::Relaxed) {
                return false;
            }
            thread::sleep(pause);
        }
    }

    /// Offers the batch to every sink once; says how long to wait before the next time.
    fn offer(&mut self, batch: &[u8]) -> Option<Duration> {
        let mut pause = None;
        for place in &mut self.sinks {
            match place.offer(batch) {
                Attempt::Complete => place.tell(None),
                Attempt::Busy => pause = pause.max(Some(BUSY_PAUSE)),
                Attempt::Failed(problem) => {
                    self.shared.failures.fetch_add(1, Ordering::Relaxed);
                    place.tell(Some(&problem));
                    pause = pause.max(Some(RETRY_PAUSE));
                }
            }
        }
        self.shared.failing.store(self.sinks.iter().any(|place| place.is_failing()), Ordering::Relaxed);
        pause
    }

    /// Counts what is lost: the batch that some sink does not have, and what came after it.
    fn give_up(&mut self, records: u64, queue: &mut mpsc::Receiver<Message>) -> End {
        let mut lost = records;
        while let Ok(message) = queue.try_recv() {
            lost += u64::from(matches!(message, Message::Record(_)));
        }
        tracing::error!(lost, "the audit ends without records that no sink took, or that not every sink took");
        self.sync();
        End { lost }
    }

    fn sync(&mut self) {
        for place in &mut self.sinks {
            if let Err(problem) = place.sync() {
                self.shared.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(sink = place.name(), %problem, "the audit could not be synced to the disk");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::audit::examples::{full_change, full_decision};
    use crate::audit::sinks::doubles::{Memory, Step};

    const BOUND: Duration = Duration::from_secs(20);

    fn decision() -> Entry {
        Entry::Decision(Box::new(full_decision()))
    }

    fn with(sinks: &[&Memory]) -> (Recorder, WriterHandle) {
        start(sinks.iter().map(|sink| sink.boxed()).collect()).unwrap()
    }

    /// The numbers of the records in a text; every line must be one whole record.
    fn sequence(text: &str) -> Vec<u64> {
        assert!(text.is_empty() || text.ends_with('\n'));
        let number =
            |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["sequence"].as_str().unwrap().parse();
        text.lines().map(|line| number(line).unwrap()).collect()
    }

    async fn until(what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < BOUND, "still waiting until {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn every_record_is_numbered_without_a_gap() {
        let (first, second) = (Memory::default(), Memory::default());
        let (recorder, handle) = with(&[&first, &second]);
        let checks: Vec<_> = (0..4)
            .map(|_| {
                let recorder = recorder.clone();
                tokio::spawn(async move {
                    for _ in 0..5_000 {
                        recorder.reserve().await.expect("there is room").record(decision());
                    }
                })
            })
            .collect();
        for check in checks {
            check.await.unwrap();
        }
        recorder.record(Entry::PolicyChange(Box::new(full_change()))).await;
        handle.finish(BOUND).await.unwrap();
        assert_eq!(sequence(&first.text()), (1..=20_001).collect::<Vec<_>>());
        assert_eq!(first.text(), second.text());
        assert_eq!(*first.syncs.lock().unwrap(), 1);
        assert_eq!(recorder.reading(), Reading { written: 20_001, failures: 0, queued: 0, healthy: true });
    }

    #[tokio::test]
    async fn a_torn_line_is_continued_and_not_repeated() {
        let failures = [Step::Take(10), Step::Fail(io::ErrorKind::StorageFull), Step::Take(1), Step::Take(0)];
        let harmless = [Step::Fail(io::ErrorKind::Interrupted), Step::Fail(io::ErrorKind::WouldBlock), Step::Take(7)];
        let sink = Memory::with(failures.into_iter().chain(harmless));
        let (recorder, handle) = with(&[&sink]);
        for _ in 0..3 {
            recorder.record(decision()).await;
        }
        handle.finish(BOUND).await.unwrap();
        assert_eq!(sequence(&sink.text()), [1, 2, 3]);
        assert_eq!(recorder.reading().failures, 2);
    }

    #[tokio::test]
    async fn a_full_disk_withholds_answers_until_there_is_room() {
        let (full, good) = (Memory::default(), Memory::default());
        full.set_full(true);
        let (recorder, handle) = with(&[&full, &good]);
        recorder.reserve().await.unwrap().record(decision());
        until("it is seen", || !recorder.reading().healthy).await;
        let start = Instant::now();
        assert!(recorder.reserve().await.is_none());
        assert!(start.elapsed() < RESERVE_WAIT, "a failing sink is no reason to wait");
        full.set_full(false);
        until("it recovers", || recorder.reading().healthy).await;
        recorder.reserve().await.expect("it goes on").record(decision());
        handle.finish(BOUND).await.unwrap();
        assert_eq!(sequence(&full.text()), [1, 2]);
        assert_eq!(full.text(), good.text());
    }

    #[tokio::test]
    async fn a_full_queue_withholds_answers_after_a_short_wait() {
        let (recorder, handle) = with(&[&Memory::default()]);
        let mut slots = Vec::new();
        for _ in 0..QUEUE_RECORDS {
            slots.push(recorder.reserve().await.unwrap());
        }
        assert_eq!(recorder.reading().queued, QUEUE_RECORDS as u64);
        assert!(recorder.reserve().await.is_none());
        drop(slots.pop());
        assert!(recorder.reserve().await.is_some(), "an unused slot is given back");
        drop(slots);
        handle.finish(BOUND).await.unwrap();
    }

    #[tokio::test]
    async fn the_end_waits_for_answers_that_are_being_given() {
        let sink = Memory::default();
        let (recorder, handle) = with(&[&sink]);
        let slot = recorder.reserve().await.unwrap();
        let end = tokio::spawn(handle.finish(BOUND));
        until("nothing new is accepted", || recorder.shared.closing.load(Ordering::Relaxed)).await;
        assert!(recorder.reserve().await.is_none());
        slot.record(decision());
        end.await.unwrap().unwrap();
        assert_eq!(sequence(&sink.text()), [1]);
    }

    #[tokio::test]
    async fn what_cannot_be_written_in_time_is_told() {
        let sink = Memory::default();
        sink.set_full(true);
        let (recorder, handle) = with(&[&sink]);
        for _ in 0..3 {
            recorder.record(decision()).await;
        }
        let end = handle.finish(Duration::from_millis(50)).await;
        assert_eq!(end, Err(Unfinished::Lost(3)));
        assert!(recorder.reserve().await.is_none());
    }

    #[tokio::test]
    async fn a_slot_that_is_never_used_does_not_hold_the_end() {
        let (recorder, handle) = with(&[&Memory::default()]);
        let _slot = recorder.reserve().await.unwrap();
        let start = Instant::now();
        assert!(handle.finish(Duration::from_millis(50)).await.is_err());
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn without_a_sink_there_is_always_room() {
        let (recorder, handle) = start(Vec::new()).unwrap();
        recorder.reserve().await.unwrap().record(decision());
        recorder.record(decision()).await;
        assert_eq!(recorder.reading(), Reading { written: 0, failures: 0, queued: 0, healthy: true });
        handle.finish(BOUND).await.unwrap();
    }
}
