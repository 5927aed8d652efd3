//! Runs the calls of a connection inside the connection's own task, as far as they do not wait.
//!
//! The transport hands each call over as a future to run. A check whose bytes have arrived whole is
//! answered the first time it is polled, so a task of its own would be made, queued and woken for
//! nothing. Instead, a call is polled here as soon as the transport has read what there is; one
//! that then waits gets a task. It does not know what a call is. The rules:
//!
//! - The answers of calls that arrived together are written together.
//! - In one turn of the connection's task some calls are run, and the others wait for the next, so
//!   that the connections of a thread take turns.
//! - A call that waits delays no other one.
//! - A call that panics ends alone, as it would in a task.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;

use super::panic_isolation;
use customs_net::ConnectionActivity;

/// The most calls that are run in one turn.
const CALLS_PER_TURN: usize = 64;

/// A call that the transport has handed over.
type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The calls of one connection that are to be run. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct CallQueue(Arc<Mutex<VecDeque<Call>>>);

impl CallQueue {
    fn calls(&self) -> MutexGuard<'_, VecDeque<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves all calls behind those that wait.
    fn move_to(&self, waiting: &mut VecDeque<Call>) {
        let calls = &mut *self.calls();
        if waiting.is_empty() {
            // No memory is allocated for it.
            std::mem::swap(calls, waiting);
        } else {
            waiting.append(calls);
        }
    }
}

impl<C> Executor<C> for CallQueue
where
    C: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: C) {
        self.calls().push_back(Box::pin(call));
    }
}

/// A connection, with the calls that it hands over. It must be polled in a runtime.
pub(crate) struct InlineCalls<C> {
    connection: Pin<Box<C>>,
    queue: CallQueue,
    /// The calls that wait for their turn.
    waiting: VecDeque<Call>,
    activity: Arc<ConnectionActivity>,
    wakes: Arc<Wakes>,
}

impl<C: Future> InlineCalls<C> {
    /// Wraps a connection that hands its calls over to `queue`. `activity` knows how many wait.
    pub(crate) fn new(
        connection: C,
        queue: CallQueue,
        activity: Arc<ConnectionActivity>,
    ) -> InlineCalls<C> {
        InlineCalls {
            connection: Box::pin(connection),
            queue,
            waiting: VecDeque::new(),
            activity,
            wakes: Arc::default(),
        }
    }

    /// Returns the connection.
    pub(crate) fn connection(&mut self) -> Pin<&mut C> {
        self.connection.as_mut()
    }

    /// Polls up to `most` of the calls that were handed over, and returns how many.
    fn run_calls(&mut self, most: usize) -> usize {
        self.queue.move_to(&mut self.waiting);
        let count = self.waiting.len().min(most);
        for mut call in self.waiting.drain(..count) {
            // A call that waits is polled again at once, by its task, which it then wakes.
            let mut context = Context::from_waker(Waker::noop());
            // The panic was reported when it happened; dropping the call resets its stream.
            if let Ok(Poll::Pending) = panic_isolation::catch(|| call.as_mut().poll(&mut context)) {
                TokioExecutor::new().execute(call);
            }
        }
        count
    }
}

impl<C: Future> Future for InlineCalls<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        let this = self.get_mut();
        let waker = Waker::from(this.wakes.clone());
        let mut left = CALLS_PER_TURN;
        loop {
            this.wakes.begin(context.waker());
            let connection = this.connection.as_mut();
            let poll = connection.poll(&mut Context::from_waker(&waker));
            // Whatever calls wake the connection for, it does when it is polled again.
            // Those of a connection that is over have no other turn.
            let most = if poll.is_ready() { usize::MAX } else { left };
            let count = this.run_calls(most);
            left = left.saturating_sub(count);
            if poll.is_ready() || count == 0 {
                this.activity.queue().settle(this.waiting.len());
                if !this.waiting.is_empty() {
                    this.wakes.wake_by_ref();
                }
                this.wakes.end();
                return poll;
            }
        }
    }
}

impl<C> Drop for InlineCalls<C> {
    fn drop(&mut self) {
        // A call holds the queue that holds it.
        self.queue.calls().clear();
        self.activity.queue().settle(0);
    }
}

/// Wakes the connection's task, unless the connection is being polled anyway.
#[derive(Default)]
struct Wakes(Mutex<State>);

#[derive(Default)]
struct State {
    task: Option<Waker>,
    is_polling: bool,
    is_woken: bool,
}

impl Wakes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to poll the connection, which takes account of everything that woke it until now.
    fn begin(&self, task: &Waker) {
        let mut state = self.state();
        match &mut state.task {
            Some(known) => known.clone_from(task),
            None => state.task = Some(task.clone()),
        }
        (state.is_polling, state.is_woken) = (true, false);
    }

    /// Ends the polling. What woke the connection since [`begin`](Self::begin) wakes its task now,
    /// so that other tasks have their turn before.
    fn end(&self) {
        let mut state = self.state();
        state.is_polling = false;
        if state.is_woken
            && let Some(task) = &state.task
        {
            task.wake_by_ref();
        }
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.state();
        state.is_woken = true;
        if !state.is_polling
            && let Some(task) = &state.task
        {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests;
