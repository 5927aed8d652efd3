//! Logs panics as everything else is logged: printable, in the format of the log, and not once for
//! each request.
//!
//! It stops no panic: the code that confines one says what happens next. The rule: a place in the
//! code is logged at most once a minute, because a client may be able to repeat the request that
//! leads there.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::HashMap;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The least time between two log lines about one place.
const INTERVAL: Duration = Duration::from_secs(60);

/// From now on, panics are logged. With `RUST_BACKTRACE` set, the log has the backtrace as well.
pub fn install() {
    let logged = Logged::default();
    std::panic::set_hook(Box::new(move |panic| {
        let place = place(panic);
        if logged.is_due(&place, Instant::now()) {
            log(&place, panic.payload_as_str().unwrap_or("no message"));
        }
    }));
}

fn log(place: &str, message: &str) {
    let thread = thread::current();
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        thread = thread.name().unwrap_or_default(),
        place,
        problem = message,
        backtrace,
        "panicked; this is a bug of customs, please report it; repeats within a minute are not logged"
    );
}

fn place(panic: &PanicHookInfo<'_>) -> String {
    panic
        .location()
        .map(|place| format!("{}:{}", place.file(), place.line()))
        .unwrap_or_default()
}

/// When each place was last logged. There are as many places as lines of code that can panic.
#[derive(Default)]
struct Logged(Mutex<HashMap<String, Instant>>);

impl Logged {
    fn is_due(&self, place: &str, now: Instant) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = logged
            .get(place)
            .is_none_or(|last| now.saturating_duration_since(*last) >= INTERVAL);
        if is_due {
            logged.insert(place.to_owned(), now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_logged_once_a_minute() {
        let (logged, begin) = (Logged::default(), Instant::now());
        assert!(logged.is_due("a.rs:1", begin));
        assert!(!logged.is_due("a.rs:1", begin + INTERVAL / 2));
        assert!(logged.is_due("a.rs:2", begin + INTERVAL / 2));
        assert!(logged.is_due("a.rs:1", begin + INTERVAL));
        assert!(!logged.is_due("a.rs:1", begin + INTERVAL));
    }
}
