//! What a connection is doing, as its [deadlines](super::deadlines) see it, and the memory that it
//! may hold for that.
//!
//! The guard counts what passes on the wire, the router the calls that it has in hand, and the
//! deadlines look at the counts from time to time. Nothing here reads a clock or wakes anybody. The
//! rule: a connection is served by one thread, so these cells are cheap; they are atomic only so
//! that the connection's tasks may share them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use super::admission::ConnectionQueue;
use super::memory::{ConnectionMemory, MemoryPool};

/// What one connection is doing.
#[derive(Debug, Default)]
pub struct ConnectionActivity {
    is_established: AtomicBool,
    is_unfinished: AtomicBool,
    is_blocked: AtomicBool,
    frames: AtomicU32,
    begun_calls: AtomicU32,
    open_calls: AtomicU32,
    answer_frames: AtomicU32,
    calls_in_hand: AtomicU32,
    has_whole_call: AtomicBool,
    turn: AtomicU32,
    memory: ConnectionMemory,
    queue: ConnectionQueue,
}

/// The part of the activity that the guard counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WireActivity {
    /// The preface and the frame after it are whole.
    pub(crate) is_established: bool,
    /// A frame or a block of headers has begun and is not whole.
    pub(crate) is_unfinished: bool,
    /// The client's socket accepts no more bytes.
    pub(crate) is_blocked: bool,
    /// How many frames of the client were whole.
    pub(crate) frames: u32,
    /// How many calls have begun.
    pub(crate) begun_calls: u32,
    /// How many calls are open.
    pub(crate) open_calls: u32,
    /// How many frames of answers were written.
    pub(crate) answer_frames: u32,
}

/// A moment of a connection's activity.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ActivitySample {
    pub(crate) wire: WireActivity,
    /// How many calls the router has in hand: they wait for their message, for a decision, or they
    /// are streams.
    pub(crate) calls_in_hand: u32,
}

impl ActivitySample {
    /// Returns whether answers wait for the client: those that the router has handed over and that
    /// are not written to the end.
    pub(crate) fn has_unread_answers(&self) -> bool {
        self.wire.is_blocked || self.wire.open_calls > self.calls_in_hand
    }
}

impl ConnectionActivity {
    /// Starts the activity of a connection that may lease memory from the pool.
    pub fn new(pool: MemoryPool) -> ConnectionActivity {
        ConnectionActivity {
            memory: ConnectionMemory::new(pool),
            ..ConnectionActivity::default()
        }
    }

    /// Returns the same activity for a connection whose calls wait for their turn on a thread where
    /// `most` may wait; zero if there is no bound.
    pub fn with_queue(self, most: u32) -> ConnectionActivity {
        let queue = ConnectionQueue::new(most);
        ConnectionActivity { queue, ..self }
    }

    /// Returns the calls that wait for their turn.
    pub fn queue(&self) -> &ConnectionQueue {
        &self.queue
    }

    /// Shows what the guard has counted.
    pub(crate) fn set_wire(&self, wire: WireActivity) {
        let WireActivity {
            is_established,
            is_unfinished,
            is_blocked,
            frames,
            begun_calls,
            open_calls,
            answer_frames,
        } = wire;
        self.is_established.store(is_established, Relaxed);
        self.is_unfinished.store(is_unfinished, Relaxed);
        self.is_blocked.store(is_blocked, Relaxed);
        self.frames.store(frames, Relaxed);
        self.begun_calls.store(begun_calls, Relaxed);
        self.open_calls.store(open_calls, Relaxed);
        self.answer_frames.store(answer_frames, Relaxed);
        self.memory.settle(open_calls);
    }

    pub(crate) fn sample(&self) -> ActivitySample {
        ActivitySample {
            wire: WireActivity {
                is_established: self.is_established.load(Relaxed),
                is_unfinished: self.is_unfinished.load(Relaxed),
                is_blocked: self.is_blocked.load(Relaxed),
                frames: self.frames.load(Relaxed),
                begun_calls: self.begun_calls.load(Relaxed),
                open_calls: self.open_calls.load(Relaxed),
                answer_frames: self.answer_frames.load(Relaxed),
            },
            calls_in_hand: self.calls_in_hand.load(Relaxed),
        }
    }

    /// Returns whether something has begun that a deadline may end: half a frame, or an answer that
    /// the client does not take.
    pub(crate) fn needs_deadline(&self) -> bool {
        self.is_unfinished.load(Relaxed)
            || self.is_blocked.load(Relaxed)
            || self.open_calls.load(Relaxed) > self.calls_in_hand.load(Relaxed)
    }

    /// Begins a turn of the connection's task. In each turn the guard hands over one share of the
    /// input, however often the transport asks for more, so it must be called whenever the
    /// connection is polled.
    pub fn begin_turn(&self) {
        let turn = self.turn.load(Relaxed);
        self.turn.store(turn.wrapping_add(1), Relaxed);
    }

    pub(crate) fn turn(&self) -> u32 {
        self.turn.load(Relaxed)
    }

    /// Returns whether the client has sent the whole preface.
    pub fn is_established(&self) -> bool {
        self.is_established.load(Relaxed)
    }

    /// Returns how many calls are open on the wire.
    pub fn open_calls(&self) -> u32 {
        self.open_calls.load(Relaxed)
    }

    /// Notes that the client sent a whole call, so that it is worth its place.
    pub fn set_whole_call(&self) {
        if !self.has_whole_call.load(Relaxed) {
            self.has_whole_call.store(true, Relaxed);
        }
    }

    /// Returns whether the client has ever sent a whole call.
    pub fn has_whole_call(&self) -> bool {
        self.has_whole_call.load(Relaxed)
    }

    /// Returns whether there is memory for the calls that are open. If not, the router refuses the
    /// one that it was given last.
    pub fn has_memory(&self) -> bool {
        self.memory.cover(self.open_calls())
    }

    /// Counts memory for a message that arrives in pieces. `None` if there is none.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Option<MessageMemory> {
        let connection = self.clone();
        let is_covered = self.memory.hold(bytes, self.open_calls());
        is_covered.then_some(MessageMemory { connection, bytes })
    }

    /// Counts a call that the router takes in hand, until the value is dropped.
    pub fn take_call(self: &Arc<Self>) -> CallInHand {
        self.calls_in_hand.fetch_add(1, Relaxed);
        CallInHand(self.clone())
    }
}

/// The memory of a message that arrives in pieces, until the value is dropped.
#[derive(Debug)]
pub struct MessageMemory {
    connection: Arc<ConnectionActivity>,
    bytes: usize,
}

impl MessageMemory {
    /// Counts more of it. Returns false, and counts nothing, if there is no memory for it.
    pub fn grow(&mut self, more: usize) -> bool {
        let connection = &self.connection;
        let is_covered = connection.memory.hold(more, connection.open_calls());
        if is_covered {
            self.bytes += more;
        }
        is_covered
    }
}

impl Drop for MessageMemory {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection
            .memory
            .release(self.bytes, connection.open_calls());
    }
}

/// A call in the router's hands. It is dropped once the transport has the whole answer.
#[derive(Debug)]
pub struct CallInHand(Arc<ConnectionActivity>);

impl Drop for CallInHand {
    fn drop(&mut self) {
        self.0.calls_in_hand.fetch_sub(1, Relaxed);
    }
}
