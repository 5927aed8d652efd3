//! A value that one thread sends to another once; the receiver can await it or block for it.
//!
//! It needs no runtime: the receiver is a plain future, and it can wait on a thread without an
//! executor. The rule: a sender that is dropped without a value ends the wait, so a receiver never
//! waits for a thread that has ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// The sender was dropped without sending a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sender is gone")]
pub struct SenderGoneError;

/// Sends the value.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// Waits for the value.
#[derive(Debug)]
#[must_use]
pub struct Receiver<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    value: Option<T>,
    is_sender_gone: bool,
    /// The task that polled last.
    waker: Option<Waker>,
}

/// Creates the two ends.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            value: None,
            is_sender_gone: false,
            waker: None,
        }),
        changed: Condvar::new(),
    });
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Returns the value, or that there will be none; `None` while it may still come.
    fn outcome(&mut self) -> Option<Result<T, SenderGoneError>> {
        match self.value.take() {
            Some(value) => Some(Ok(value)),
            None => self.is_sender_gone.then_some(Err(SenderGoneError)),
        }
    }
}

impl<T> Sender<T> {
    /// Sends the value. A receiver that was dropped does not get it.
    pub fn send(self, value: T) {
        self.0.state().value = Some(value);
        // Dropping the sender wakes the receiver.
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.state();
            state.is_sender_gone = true;
            state.waker.take()
        };
        self.0.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Receiver<T> {
    /// Blocks until the value comes; `None` if the deadline passes first. It can be called again
    /// after that.
    pub fn wait_until(&mut self, deadline: Instant) -> Option<Result<T, SenderGoneError>> {
        let mut state = self.0.state();
        loop {
            if let Some(outcome) = state.outcome() {
                return Some(outcome);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.0.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, SenderGoneError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state();
        if let Some(outcome) = state.outcome() {
            return Poll::Ready(outcome);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => state.waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use std::task::Wake;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicU32);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[test]
    fn a_thread_that_waits_gets_the_value() {
        let (sender, mut receiver) = channel();
        let waits = thread::spawn(move || receiver.wait_until(soon()));
        sender.send(7);
        assert_eq!(waits.join().unwrap(), Some(Ok(7)));
    }

    #[test]
    fn a_waiting_thread_learns_that_the_sender_is_gone() {
        let (sender, mut receiver) = channel::<u32>();
        let waits = thread::spawn(move || receiver.wait_until(soon()));
        drop(sender);
        assert_eq!(waits.join().unwrap(), Some(Err(SenderGoneError)));
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_can_be_repeated() {
        let (sender, mut receiver) = channel();
        assert_eq!(
            receiver.wait_until(Instant::now() + Duration::from_millis(5)),
            None
        );
        sender.send(7);
        assert_eq!(receiver.wait_until(Instant::now()), Some(Ok(7)));
    }

    #[test]
    fn a_task_is_woken_once_by_a_value_and_by_a_sender_that_is_gone() {
        for value in [Some(7), None] {
            let (sender, mut receiver) = channel();
            let wakes = Arc::new(Wakes::default());
            let (first, second) = (Waker::noop().clone(), Waker::from(wakes.clone()));
            for waker in [&first, &second] {
                let poll = Pin::new(&mut receiver).poll(&mut Context::from_waker(waker));
                assert_eq!(poll, Poll::Pending);
            }
            match value {
                Some(value) => sender.send(value),
                None => drop(sender),
            }
            assert_eq!(wakes.0.load(Relaxed), 1);
            let poll = Pin::new(&mut receiver).poll(&mut Context::from_waker(&second));
            assert_eq!(poll, Poll::Ready(value.ok_or(SenderGoneError)));
        }
    }
}
