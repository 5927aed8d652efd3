//! The writer of one sink: a thread that joins queued records into a stream and writes them.
//!
//! It decides nothing and drops nothing. The rules:
//!
//! - Only this thread numbers, renders and chains, in the order in which records are written.
//! - A failed sink is retried from the very byte where it stopped: no record is torn or repeated.
//! - A batch is kept until it is known that the file which took it still has its name. A file that
//!   was deleted took nothing: its records are numbered and written again in the next file.
//! - If answers wait for the disk, records are acknowledged after the sync that covers them.
//! - At the end everything that was accepted is written, followed by a last checkpoint; otherwise
//!   the number of lost records is reported.

mod gathering;
mod waiting;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use self::gathering::Gathering;
use self::waiting::Waiting;
use super::checkpoint::Checkpointer;
use super::redact::Redactor;
use super::sink_queue::{DURABLE_WITHIN, Message, SinkQueue};
use super::sinks::{Place, Sink};
use customs_record::clock::now;
use customs_record::stream::{Mark, ResumePoint, Stream};
use customs_record::{CheckpointEntry, Entry, GapEntry};

/// The most records that are written at once: few enough that their bytes are still in the
/// processor's cache when they are hashed and written. Larger batches evict what checks need.
const BATCH_RECORDS: usize = 64;

/// How long the thread waits before it tries a failed sink again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// How long it waits for a sink that can take no more just now.
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// The longest time between two checks for due work: syncs, checkpoints, rotation.
const TICK: Duration = Duration::from_millis(250);

/// How often a disk that was too slow is tried while nothing else is written.
const PROBE_PAUSE: Duration = Duration::from_millis(500);

/// When records are synced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// At checkpoints, at the end, and when a file is closed.
    None,
    /// At least this often while there is something to sync.
    Interval(Duration),
    /// Before an answer is given.
    Always,
}

/// The parts of a writer.
pub struct Writer {
    /// The side that checks use.
    pub queue: Arc<SinkQueue>,
    /// This side.
    pub receiver: Receiver<Message>,
    /// Where it writes.
    pub sink: Box<dyn Sink>,
    /// What it writes.
    pub stream: Stream,
    /// When it syncs.
    pub durability: Durability,
    /// Its checkpoints.
    pub checkpointer: Checkpointer,
    /// What is removed from records before they are written.
    pub redactor: Arc<Redactor>,
}

/// How a writer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Records that the sink did not get.
    pub lost: u64,
}

impl Writer {
    /// Writes until it receives [`Message::Finish`].
    pub fn run(self) -> End {
        Work::new(self).run()
    }
}

/// How a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    All,
    /// The file was deleted in the meantime: what it took is gone.
    Lost,
    /// The writer was asked to give up.
    GivenUp,
}

/// The thread's own state.
struct Work {
    writer: Writer,
    /// What an earlier process left, until the stream has begun.
    left: Option<ResumePoint>,
    /// The stream's mark behind the last record that is kept.
    kept: Mark,
    waiting: VecDeque<Waiting>,
    /// The records of the batch.
    rendered: VecDeque<Waiting>,
    /// The loss that the batch records.
    gap: Option<GapEntry>,
    is_finishing: bool,
    /// Whether the queue was empty.
    is_drained: bool,
    gathering: Gathering,
    /// Rendered, and not taken by the sink yet.
    batch: Vec<u8>,
    synced: Instant,
    is_dirty: bool,
    /// When this batch was begun, or was last tried again.
    begun: Instant,
    /// When a disk that was too slow was last tried.
    probed: Instant,
}

impl Work {
    fn new(mut writer: Writer) -> Work {
        let now = Instant::now();
        Work {
            left: Some(writer.sink.resume_point()),
            kept: writer.stream.mark(),
            writer,
            waiting: VecDeque::new(),
            rendered: VecDeque::new(),
            gap: None,
            is_finishing: false,
            is_drained: false,
            gathering: Gathering::new(BATCH_RECORDS, now),
            batch: Vec::new(),
            synced: now,
            is_dirty: false,
            begun: now,
            probed: now,
        }
    }

    fn run(mut self) -> End {
        loop {
            if let Some(end) = self.round() {
                return end;
            }
            self.receive();
        }
    }

    /// Writes what was received to the sink; `Some` once the thread is to end.
    fn round(&mut self) -> Option<End> {
        self.begun = Instant::now();
        let is_last = self.is_last();
        self.writer.queue.state.set_busy(Some(self.begun));
        if !self.rotate() {
            if self.writer.queue.state.give_up.load(Relaxed) {
                return Some(self.give_up());
            }
            thread::sleep(RETRY_PAUSE);
            return None;
        }
        // The first batch is the beginning alone, so that a loss is recorded right after it.
        let ((records, bytes), checkpoint) = match self.begin() {
            true => ((0, 0), None),
            false => (self.render(), self.checkpoint(is_last)),
        };
        match self.write() {
            Written::All => {}
            Written::Lost => return self.undo(),
            Written::GivenUp => return Some(self.give_up()),
        }
        let is_synced = self.sync_if_due(is_last || checkpoint.is_some());
        // Only now is it known where the records are: a deleted file took them with it.
        let place = self.writer.sink.place();
        if place == Place::Deleted {
            return self.undo();
        }
        self.settle(records);
        if let Some(checkpoint) = checkpoint {
            self.writer
                .checkpointer
                .begin(self.writer.stream.position());
            self.writer.checkpointer.publish(checkpoint, is_synced);
        }
        self.acknowledge(is_synced, place);
        self.writer.queue.free(records, bytes);
        self.writer.queue.state.set_busy(None);
        is_last.then_some(End { lost: 0 })
    }

    /// Returns whether no more records come.
    fn is_last(&self) -> bool {
        let queue = &self.writer.queue;
        let none_comes = queue.queued().0 == 0 || queue.state.give_up.load(Relaxed);
        self.left.is_none() && self.is_finishing && self.waiting.is_empty() && none_comes
    }

    /// Begins the stream; returns false if it has begun.
    fn begin(&mut self) -> bool {
        let Some(left) = &self.left else { return false };
        self.writer
            .stream
            .begin(left.clone(), now(), &mut self.batch);
        self.writer
            .checkpointer
            .begin(self.writer.stream.position());
        true
    }

    /// Appends a checkpoint if one is due, or to try a disk that was slow while no check arrives.
    fn checkpoint(&mut self, is_last: bool) -> Option<CheckpointEntry> {
        let (position, time) = (self.writer.stream.position(), now());
        let is_late = self.writer.queue.state.late.load(Relaxed) > 0;
        let is_probe = is_late && self.probed.elapsed() >= PROBE_PAUSE;
        let checkpoint = match is_probe {
            true => Some(self.writer.checkpointer.checkpoint(position, is_last, time)),
            false => self.writer.checkpointer.due(position, is_last, time),
        }?;
        self.probed = Instant::now();
        self.writer.stream.append(
            &Entry::Checkpoint(checkpoint.clone().into()),
            &mut self.batch,
        );
        Some(checkpoint)
    }

    /// Accounts for a batch that the sink has taken.
    fn settle(&mut self, records: u64) {
        let state = &self.writer.queue.state;
        state.written.fetch_add(records, Relaxed);
        if self.writer.queue.acknowledges() && !self.batch.is_empty() {
            let is_late = self.begun.elapsed() > DURABLE_WITHIN;
            let before = state.late.load(Relaxed);
            let late = if is_late { before.saturating_add(1) } else { 0 };
            state.late.store(late, Relaxed);
        }
        if state.works() {
            tracing::info!(
                sink = self.writer.sink.name(),
                "the audit log is written again"
            );
            self.writer.queue.wake();
        }
        self.batch.clear();
        (self.left, self.gap) = (None, None);
        self.kept = self.writer.stream.mark();
    }

    /// Acknowledges the records. If the file was moved, they are safe as long as another file can
    /// be opened; otherwise, and if another process cut the file, the answers are withheld.
    fn acknowledge(&mut self, is_synced: bool, place: Place) {
        let is_kept = match place {
            Place::Unchanged => true,
            Place::Moved => self.rotate(),
            Place::Deleted | Place::Cut => false,
        };
        for Waiting { ack, .. } in self.rendered.drain(..) {
            if let Some(ack) = ack.filter(|_| is_synced && is_kept) {
                ack.send(());
            }
        }
    }

    /// Takes the batch back, as if it had never been rendered: it goes to the next file.
    fn undo(&mut self) -> Option<End> {
        self.writer.stream.reset(self.kept);
        self.batch.clear();
        while let Some(waiting) = self.rendered.pop_back() {
            self.waiting.push_front(waiting);
        }
        self.is_dirty = false;
        None
    }

    /// Receives what is there; waits a while if there is nothing.
    fn receive(&mut self) {
        // Records that were kept for another file come first.
        if self.waiting.is_empty() && !self.is_finishing {
            // If no answer waits for the disk, records may gather: one write then serves many.
            if self.is_drained && self.is_dirty && self.writer.durability != Durability::Always {
                thread::sleep(self.gathering.pause(Instant::now()).min(self.patience()));
            }
            match self.writer.receiver.recv_timeout(self.patience()) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => self.is_finishing = true,
            }
        } else if self.is_finishing && self.waiting.is_empty() {
            // Records with reserved room are still to come.
            if let Ok(message) = self.writer.receiver.recv_timeout(BUSY_PAUSE) {
                self.take(message);
            }
        }
        self.is_drained = false;
        while self.waiting.len() < BATCH_RECORDS {
            let Ok(message) = self.writer.receiver.try_recv() else {
                self.is_drained = true;
                return;
            };
            self.take(message);
        }
    }

    /// Returns how long it may wait for a record: until something else is due.
    fn patience(&self) -> Duration {
        match self.writer.durability {
            Durability::Interval(interval) if self.is_dirty => {
                interval.saturating_sub(self.synced.elapsed()).min(TICK)
            }
            _ => TICK,
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Record(entry, weight, ack) => {
                self.gathering.take();
                self.waiting.push_back(Waiting::of(entry, weight, ack));
            }
            Message::Finish => self.is_finishing = true,
        }
    }

    /// Lets the sink rotate to another file, which begins with a record that says what it
    /// continues. Returns false if the sink has no place to write to, which is a failure like any
    /// other.
    fn rotate(&mut self) -> bool {
        let time = now();
        match self.writer.sink.rotate_if_due(time) {
            Ok(true) if self.left.is_none() => {
                let previous_file = self.writer.sink.previous_file();
                self.writer
                    .stream
                    .continue_in_new_file(previous_file, time, &mut self.batch);
            }
            Ok(_) => {}
            Err(problem) if matches!(self.writer.sink.place(), Place::Moved | Place::Deleted) => {
                self.fails(&problem);
                return false;
            }
            Err(problem) => {
                self.writer.queue.state.failures.fetch_add(1, Relaxed);
                tracing::error!(sink = self.writer.sink.name(), %problem, "the audit log cannot rotate to another file");
            }
        }
        true
    }

    /// Renders waiting records for this file; returns their number and the room that they held.
    fn render(&mut self) -> (u64, u64) {
        let (mut records, mut bytes) = (0, 0);
        // A gap that was recorded in a lost file is recorded again, before later losses.
        self.gap = self.gap.take().or_else(|| self.writer.queue.gap(now()));
        if let Some(gap) = &self.gap {
            self.writer
                .stream
                .append(&Entry::Gap(gap.clone().into()), &mut self.batch);
        }
        let room = self.writer.sink.room();
        while self.batch.len() < room || records == 0 {
            let Some(Waiting {
                entry,
                weight,
                ack,
                is_redacted,
            }) = self.waiting.pop_front()
            else {
                break;
            };
            let entry = if is_redacted {
                entry
            } else {
                self.writer.redactor.redact(entry)
            };
            self.writer.stream.append(&entry, &mut self.batch);
            self.rendered.push_back(Waiting {
                entry,
                weight,
                ack,
                is_redacted: true,
            });
            (records, bytes) = (records + 1, bytes + weight);
        }
        (records, bytes)
    }

    /// Writes the batch to the sink, however long it takes.
    fn write(&mut self) -> Written {
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
            let is_failure = problem.is_some();
            if let Some(problem) = problem {
                self.fails(&problem);
                if self.writer.sink.place() == Place::Deleted {
                    return Written::Lost;
                }
            }
            if self.writer.queue.state.give_up.load(Relaxed) {
                return Written::GivenUp;
            }
            thread::sleep(pause);
            if is_failure {
                self.begun = Instant::now();
            }
        }
        Written::All
    }

    /// Reports that the sink fails, and logs it the first time.
    fn fails(&self, problem: &io::Error) {
        if self.writer.queue.state.fails(problem) {
            let way = self.writer.queue.on_full().as_str();
            tracing::error!(
                sink = self.writer.sink.name(),
                %problem,
                on_full = way,
                "the audit log cannot be written; the write is retried five times a second"
            );
        }
    }

    /// Syncs if that is due; returns whether everything written is on the disk.
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
        let state = &self.writer.queue.state;
        match self.writer.sink.sync() {
            Ok(()) => {
                self.is_dirty = false;
                state.syncs();
            }
            Err(problem) => {
                state.fails_to_sync(&problem);
                tracing::error!(sink = self.writer.sink.name(), %problem, "the audit log could not be synced to the disk");
                // After a failed sync, a later success proves nothing about these records.
                self.rendered
                    .iter_mut()
                    .for_each(|waiting| waiting.ack = None);
            }
        }
        !self.is_dirty
    }

    /// Counts what is lost: what the sink does not have, and what came after it.
    fn give_up(&mut self) -> End {
        let mut lost = (self.rendered.len() + self.waiting.len()) as u64;
        while let Ok(message) = self.writer.receiver.try_recv() {
            lost += u64::from(matches!(message, Message::Record(..)));
        }
        tracing::error!(
            sink = self.writer.sink.name(),
            lost,
            "the audit log ends without records that the sink did not take"
        );
        self.sync_if_due(true);
        End { lost }
    }
}
