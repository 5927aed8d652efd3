//! Confines a panic to the check that caused it.
//!
//! A panic is a bug of customs. It must not become an answer that Envoy may take for an allow: an
//! ended stream is an error to Envoy, which lets requests through under `failOpen`. So each stage of
//! a check runs inside one of these functions, and its caller answers a panic with a denial. What a
//! panic says is logged by the program, where the panic happens.
//!
//! Values that a stage had in hand are dropped while it unwinds. So a reservation is released and
//! counted, and no lock stays held.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// The code panicked, and everything it had in hand is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("customs failed: a part of it panicked")]
pub(crate) struct PanicError;

/// Runs code that may panic.
///
/// # Errors
/// If it panics. What it changed before stays changed, so it must only change what is dropped or
/// replaced afterwards.
pub(crate) fn catch<T>(code: impl FnOnce() -> T) -> Result<T, PanicError> {
    catch_unwind(AssertUnwindSafe(code)).map_err(forget)
}

/// Awaits a future that may panic.
///
/// # Errors
/// If it panics; as for [`catch`].
pub(crate) async fn catch_async<F: Future>(future: F) -> Result<F::Output, PanicError> {
    let mut future = pin!(future);
    poll_fn(|context| match catch(|| future.as_mut().poll(context)) {
        Ok(poll) => poll.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

/// Leaks the payload, which is small: dropping a value of an unknown type may panic again.
fn forget(payload: Box<dyn std::any::Any + Send>) -> PanicError {
    match payload.downcast::<String>() {
        Ok(message) => drop(message),
        Err(other) if other.is::<&str>() => drop(other),
        Err(other) => std::mem::forget(other),
    }
    PanicError
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a payload that panics");
        }
    }

    #[test]
    fn a_panic_is_an_error_whatever_its_payload() {
        assert_eq!(catch(|| 7), Ok(7));
        let panics: [fn(); 4] = [
            || panic!("plain"),
            || panic!("formatted {}", 1),
            || std::panic::panic_any(7),
            || std::panic::panic_any(Bomb),
        ];
        for panics in panics {
            assert_eq!(catch(panics), Err(PanicError));
        }
    }

    #[tokio::test]
    async fn a_future_may_panic_before_and_after_it_waited() {
        assert_eq!(catch_async(async { 7 }).await, Ok(7));
        let waits = |panics: bool| async move {
            tokio::task::yield_now().await;
            assert!(!panics, "after a wait");
            7
        };
        assert_eq!(catch_async(waits(false)).await, Ok(7));
        assert_eq!(catch_async(waits(true)).await, Err(PanicError));
        let at_once: std::future::PollFn<_> = poll_fn(|_| -> Poll<()> { panic!("at once") });
        assert_eq!(catch_async(at_once).await, Err(PanicError));
    }
}
