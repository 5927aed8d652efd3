//! The threads of the writers: how they are started, watched and ended.
//!
//! [`writer`](super::writer) says what a writer does. The rule: at the end every thread is joined,
//! or the error says which one hangs and how many records are lost.

#[cfg(feature = "tokio")]
mod waiting;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::oneshot::{self, SenderGoneError};
use super::sink_queue::SinkQueue;
use super::writer::{End, Writer};

/// How long a writer may take to end after it was asked to give up.
const GIVE_UP_BOUND: Duration = Duration::from_millis(800);

/// Why the audit log did not end well.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditFlushError {
    /// A sink did not take everything in time.
    #[error("{lost} audit records could not be written to {sink} within the bound")]
    Lost {
        /// The sink.
        sink: String,
        /// The number of lost records.
        lost: u64,
    },
    /// A sink hangs in a system call, or a reservation is never used.
    #[error("the audit log of {sink} did not end: a write hangs; up to {lost} records are lost")]
    Hangs {
        /// The sink.
        sink: String,
        /// The number of records that may be lost.
        lost: u64,
    },
    /// The thread has ended by itself.
    #[error("the audit thread of {0} ended by itself")]
    Gone(String),
}

/// The owner's handle on the writers.
#[derive(Debug)]
pub struct Writers(Vec<Running>);

#[derive(Debug)]
pub(super) struct Running {
    queue: Arc<SinkQueue>,
    /// Whether its records leave this machine.
    is_elsewhere: bool,
    /// `None` after it has reported that the thread ended.
    ended: Option<oneshot::Receiver<End>>,
    thread: JoinHandle<()>,
}

impl Running {
    pub(super) fn start(writer: Writer, is_elsewhere: bool) -> io::Result<Running> {
        let queue = writer.queue.clone();
        let (ended_sender, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("audit".into()).spawn(move || {
            let _ended = EndedGuard(writer.queue.clone());
            ended_sender.send(writer.run());
        })?;
        Ok(Running {
            queue,
            is_elsewhere,
            ended: Some(ended),
            thread,
        })
    }

    fn finish_blocking(mut self, deadline: Instant) -> Result<(), AuditFlushError> {
        let Some(mut ended) = self.ended.take() else {
            return Err(self.gone());
        };
        let mut end = ended.wait_until(deadline);
        if end.is_none() {
            self.give_up();
            end = ended.wait_until(Instant::now() + GIVE_UP_BOUND);
        }
        self.end(end)
    }

    /// Asks the thread to stop trying.
    fn give_up(&self) {
        self.queue.state.give_up.store(true, Relaxed);
    }

    /// Joins a thread that has ended like this; `None` is a thread that has not.
    fn end(self, end: Option<Result<End, SenderGoneError>>) -> Result<(), AuditFlushError> {
        let sink = self.queue.name().to_owned();
        let Some(end) = end else {
            let lost = self.queue.queued().0;
            return Err(AuditFlushError::Hangs { sink, lost });
        };
        match (end, self.thread.join()) {
            (Ok(End { lost: 0 }), Ok(())) => Ok(()),
            (Ok(End { lost }), Ok(())) => Err(AuditFlushError::Lost { sink, lost }),
            (Err(_), _) | (_, Err(_)) => Err(AuditFlushError::Gone(sink)),
        }
    }

    fn gone(&self) -> AuditFlushError {
        AuditFlushError::Gone(self.queue.name().to_owned())
    }
}

/// Reports that the writer has ended, also if it panicked: from then on the queue has no room, so no
/// answer is given whose record nobody writes, and nothing waits for it.
struct EndedGuard(Arc<SinkQueue>);

impl Drop for EndedGuard {
    fn drop(&mut self) {
        self.0.state.ended.store(true, Relaxed);
        self.0.wake();
    }
}

impl Writers {
    pub(super) fn new(running: Vec<Running>) -> Writers {
        Writers(running)
    }

    /// Waits until some writer has ended by itself, which none should; without a sink, forever.
    pub async fn ended(&mut self) {
        poll_fn(|context| {
            for running in &mut self.0 {
                let Some(ended) = &mut running.ended else {
                    continue;
                };
                if Pin::new(ended).poll(context).is_ready() {
                    // That it ended is enough; the log says why.
                    running.ended = None;
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Ends the audit log and blocks until it has ended: nothing new is accepted, what was accepted
    /// and what has reserved room is written, files are synced, and the threads are joined. After
    /// `bound` they stop trying, and what is lost is reported. The sinks that leave this machine
    /// have a bound of their own, after that of the others.
    ///
    /// It needs no runtime, and must not be called on a thread of one.
    ///
    /// # Errors
    /// The first sink that did not end well.
    pub fn finish_blocking(self, bound: Duration) -> Result<(), AuditFlushError> {
        let mut ended = Ok(());
        for part in self.in_order_of_their_end() {
            let deadline = Instant::now() + bound;
            part.iter().for_each(|running| running.queue.close());
            for running in part {
                ended = ended.and(running.finish_blocking(deadline));
            }
        }
        ended
    }

    /// Sinks that leave this machine end last, because they get the last checkpoints of the others.
    fn in_order_of_their_end(self) -> [Vec<Running>; 2] {
        let is_elsewhere = |running: &Running| running.is_elsewhere;
        let (elsewhere, here) = self.0.into_iter().partition(is_elsewhere);
        [here, elsewhere]
    }
}
