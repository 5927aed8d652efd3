//! The writer of one sink: a thread that takes records from its lane, joins them into the sink's stream and writes them.
//!
//! It judges nothing and drops nothing. The rules:
//!
//! - One thread alone numbers, renders and chains, in the order in which records are written.
//! - A sink that fails is tried again from the very byte at which it stopped, so that a record is never torn or repeated.
//! - Where answers wait for the disk, they are told after the sync that covers their records, and never before.
//! - At the end what was accepted is written, behind it a last checkpoint, or the loss is told with its number.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::checkpoint::Sealer;
use super::lane::{Lane, Message};
use super::redact::Redactor;
use super::sinks::Sink;
use super::stream::Stream;
use crate::clock::now;
use crate::engine::record::Entry;

/// The most records that are written at once. So few that their bytes are still in the cache of the processor when they are
/// hashed and written; larger batches save no time and push out what checks need.
const BATCH_RECORDS: usize = 64;

/// How long the thread lets records gather once it has written all there were: nobody has to wake it for each.
const GATHER_PAUSE: Duration = Duration::from_millis(5);

/// How long the thread waits before it tries a failed sink again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// How long it waits for a sink that can take no more just now.
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// The longest time between two looks at what is due without a record: syncs, checkpoints, other files.
const TICK: Duration = Duration::from_millis(250);

/// When what was written is made to reach the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// At checkpoints, at the end, and where a file is left.
    None,
    /// At least this often while there is something to sync.
    Interval(Duration),
    /// Before an answer is given.
    Always,
}

/// What a writer is made of.
pub struct Writer {
    /// The checks' side.
    pub lane: Arc<Lane>,
    /// This side.
    pub queue: Receiver<Message>,
    /// Where it writes.
    pub sink: Box<dyn Sink>,
    /// What it writes.
    pub stream: Stream,
    /// When it syncs.
    pub durability: Durability,
    /// Its checkpoints.
    pub sealer: Sealer,
    /// What is taken out of records before they are written.
    pub redactor: Arc<Redactor>,
}

/// How a writer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Records that the sink did not get.
    pub lost: u64,
}

impl Writer {
    /// Writes until it is told to finish.
    pub fn run(self) -> End {
        let lane = self.lane.clone();
        let end = Work::new(self).run();
        lane.state.ended.store(true, Relaxed);
        lane.wake();
        end
    }
}

/// What waits to be rendered.
type Waiting = VecDeque<(Entry, u64, Option<oneshot::Sender<()>>)>;

/// The thread's own state.
struct Work {
    writer: Writer,
    waiting: Waiting,
    is_finishing: bool,
    /// Whether everything that had come was received.
    is_drained: bool,
    /// Rendered, and not taken by the sink yet.
    batch: Vec<u8>,
    /// Who waits for the records of the batch.
    told: Vec<oneshot::Sender<()>>,
    synced: Instant,
    is_dirty: bool,
}

impl Work {
    fn new(writer: Writer) -> Work {
        Work {
            writer,
            waiting: Waiting::new(),
            is_finishing: false,
            is_drained: false,
            batch: Vec::new(),
            told: Vec::new(),
            synced: Instant::now(),
            is_dirty: false,
        }
    }

    fn run(mut self) -> End {
        let left = self.writer.sink.left();
        self.writer.stream.begin(left, now(), &mut self.batch);
        self.writer.sealer.begin(self.writer.stream.position());
        if !self.write() {
            return self.give_up(0);
        }
        loop {
            self.receive();
            let lane = &self.writer.lane;
            let none_comes = lane.queued().0 == 0 || lane.state.give_up.load(Relaxed);
            let is_last = self.is_finishing && self.waiting.is_empty() && none_comes;
            self.turn();
            let (records, bytes) = self.render();
            let sealed = self.writer.sealer.due(self.writer.stream.position(), is_last, now());
            if let Some(checkpoint) = &sealed {
                self.writer.stream.append(&Entry::Checkpoint(checkpoint.clone().into()), &mut self.batch);
                self.writer.sealer.begin(self.writer.stream.position());
            }
            if !self.write() {
                return self.give_up(records);
            }
            self.writer.lane.state.written.fetch_add(records, Relaxed);
            let is_synced = self.sync_if_due(is_last || sealed.is_some());
            if let Some(checkpoint) = sealed {
                self.writer.sealer.tell(checkpoint, is_synced);
            }
            self.writer.lane.release(records, bytes);
            if is_last {
                return End { lost: 0 };
            }
        }
    }

    /// Receives what there is; waits a while where there is nothing.
    fn receive(&mut self) {
        // Records that were left for another file come first.
        if self.waiting.is_empty() && !self.is_finishing {
            // Where nobody waits for the disk, records may gather: one write then serves many.
            if self.is_drained && self.is_dirty && self.writer.durability != Durability::Always {
                thread::sleep(GATHER_PAUSE);
            }
            match self.writer.queue.recv_timeout(self.patience()) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => self.is_finishing = true,
            }
        } else if self.is_finishing && self.waiting.is_empty() {
            // What was promised room is still to come.
            if let Ok(message) = self.writer.queue.recv_timeout(BUSY_PAUSE) {
                self.take(message);
            }
        }
        self.is_drained = false;
        while self.waiting.len() < BATCH_RECORDS {
            let Ok(message) = self.writer.queue.try_recv() else {
                self.is_drained = true;
                return;
            };
            self.take(message);
        }
    }

    /// How long it may wait for a record: until something else is due.
    fn patience(&self) -> Duration {
        match self.writer.durability {
            Durability::Interval(interval) if self.is_dirty => interval.saturating_sub(self.synced.elapsed()).min(TICK),
            _ => TICK,
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Record(entry, bytes, told) => self.waiting.push_back((entry, bytes, told)),
            Message::Finish => self.is_finishing = true,
        }
    }

    /// Lets the sink go over to another file, which then says what it goes on from.
    fn turn(&mut self) {
        let time = now();
        match self.writer.sink.turn(time) {
            Ok(true) => self.writer.stream.go_on("", time, &mut self.batch),
            Ok(false) => {}
            Err(problem) => {
                self.writer.lane.state.failures.fetch_add(1, Relaxed);
                tracing::error!(sink = self.writer.sink.name(), %problem, "the audit cannot go over to another file");
            }
        }
    }

    /// Renders what waits, as far as this file should take it; says how many records, and the room that they held.
    fn render(&mut self) -> (u64, u64) {
        let (mut records, mut bytes) = (0, 0);
        if let Some(gap) = self.writer.lane.gap(now()) {
            self.writer.stream.append(&Entry::Gap(gap.into()), &mut self.batch);
        }
        let room = self.writer.sink.room();
        while self.batch.len() < room || records == 0 {
            let Some((entry, weight, told)) = self.waiting.pop_front() else { break };
            self.writer.stream.append(&self.writer.redactor.redact(entry), &mut self.batch);
            self.told.extend(told);
            (records, bytes) = (records + 1, bytes + weight);
        }
        (records, bytes)
    }

    /// Hands the batch to the sink, however long it takes; false if it was told to give up.
    fn write(&mut self) -> bool {
        let state = &self.writer.lane.state;
        let mut taken = 0;
        self.is_dirty = self.is_dirty || !self.batch.is_empty();
        while let Some(rest) = self.batch.get(taken..).filter(|rest| !rest.is_empty()) {
            let (problem, pause) = match self.writer.sink.write(rest) {
                Ok(bytes @ 1..) => {
                    taken += bytes;
                    continue;
                }
                Ok(_) => (Some(io::ErrorKind::WriteZero.into()), RETRY_PAUSE),
                Err(problem) if problem.kind() == io::ErrorKind::Interrupted => continue,
                Err(problem) if problem.kind() == io::ErrorKind::WouldBlock => (None, BUSY_PAUSE),
                Err(problem) => (Some(problem), RETRY_PAUSE),
            };
            if let Some(problem) = problem {
                state.failures.fetch_add(1, Relaxed);
                if !state.failing.swap(true, Relaxed) {
                    let way = self.writer.lane.on_full().as_str();
                    tracing::error!(
                        sink = self.writer.sink.name(),
                        %problem,
                        on_full = way,
                        "the audit cannot be written; it is tried again five times a second"
                    );
                }
            }
            if state.give_up.load(Relaxed) {
                self.batch.drain(..taken);
                return false;
            }
            thread::sleep(pause);
        }
        self.batch.clear();
        if state.failing.swap(false, Relaxed) {
            tracing::info!(sink = self.writer.sink.name(), "the audit is written again");
            self.writer.lane.wake();
        }
        true
    }

    /// Syncs if that is due, and tells who waits for it; says whether everything written is on the disk.
    fn sync_if_due(&mut self, is_asked: bool) -> bool {
        let is_due = match self.writer.durability {
            Durability::None => false,
            Durability::Interval(interval) => self.synced.elapsed() >= interval,
            Durability::Always => true,
        };
        if !self.is_dirty || !(is_due || is_asked) {
            return !self.is_dirty;
        }
        self.synced = Instant::now();
        let state = &self.writer.lane.state;
        match self.writer.sink.sync() {
            Ok(()) => {
                self.is_dirty = false;
                state.unsynced.store(false, Relaxed);
                self.told.drain(..).for_each(|told| {
                    // Gone where the proxy gave up.
                    let _ = told.send(());
                });
            }
            Err(problem) => {
                state.failures.fetch_add(1, Relaxed);
                state.unsynced.store(true, Relaxed);
                tracing::error!(sink = self.writer.sink.name(), %problem, "the audit could not be synced to the disk");
                // After a failed sync a later one proves nothing of these records, so nobody is told.
                self.told.clear();
            }
        }
        !self.is_dirty
    }

    /// Counts what is lost: what the sink does not have, and what came after it.
    fn give_up(&mut self, records: u64) -> End {
        let mut lost = records + self.waiting.len() as u64;
        while let Ok(message) = self.writer.queue.try_recv() {
            lost += u64::from(matches!(message, Message::Record(..)));
        }
        tracing::error!(
            sink = self.writer.sink.name(),
            lost,
            "the audit ends without records that the sink did not take"
        );
        self.sync_if_due(true);
        End { lost }
    }
}
