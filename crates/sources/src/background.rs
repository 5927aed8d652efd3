//! Work that no check may wait for, on threads of its own. Once a set is in force, the system
//! schedules these threads behind those that answer checks.
//!
//! The rule: whatever reads, parses, compiles or frees a set runs here. Before the first set is in
//! force, no check can be answered by policy, so the work runs at full speed; later it steps back.
//! On Linux each thread has its own priority, and threads that it starts inherit it, so this is
//! never a thread of the runtime's pool, which would do other work later. Elsewhere the priority
//! belongs to the whole process, and stays unchanged. Nothing waits for these threads at the end of
//! the process, because a file system may block one forever.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// Niceness of the background thread. At 10 it gets about a tenth of a core that check threads
/// compete for.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// How much of the machine the work may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// As much as anything else: no check is answered before the work is done.
    Full,
    /// What checks leave.
    BehindChecks,
}

/// Does the work and waits for it. If the future is dropped, the work continues by itself.
///
/// # Errors
/// If the system provides no thread, or the work panics.
pub(super) async fn run<T: Send + 'static>(
    pace: Pace,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = oneshot::channel();
    let behind = move || {
        if pace == Pace::BehindChecks {
            step_back();
        }
        // After a panic the work's state is dropped, so nothing half done is visible.
        let done = catch_unwind(AssertUnwindSafe(work));
        // The future may have been dropped.
        let _ = sender.send(done);
    };
    let _not_joined = thread::Builder::new()
        .name("customs-files".to_owned())
        .spawn(behind)?;
    let done = receiver.await.map_err(io::Error::other)?;
    done.map_err(|panic| io::Error::other(format!("panicked: {}", message(panic.as_ref()))))
}

/// How often, and how long each time, a value is looked at that others may still hold.
const MOST_PAUSES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(1);

/// Drops a value once nobody else holds it, or after a while; blocks. The thread that drops a large
/// set last takes milliseconds for it, so it must be one that nobody waits for.
pub(super) fn drop_when_unshared<T>(value: Arc<T>) {
    // Checks hold a set for microseconds, so after a short while the last is this thread and no
    // check. An explanation may hold it longer, and has the time.
    for _ in 0..MOST_PAUSES {
        if Arc::strong_count(&value) == 1 {
            break;
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(target_os = "linux")]
pub(super) fn step_back() {
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!("cannot lower the priority of reading policies: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn step_back() {}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_work_behind_checks_is_nicer_with_all_that_it_starts() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        for (pace, expected) in [
            (Pace::Full, before),
            (Pace::BehindChecks, (before + NICER).min(19)),
        ] {
            let (own, started) = run(pace, move || (nice(), thread::spawn(nice).join().unwrap()))
                .await
                .unwrap();
            assert_eq!((own, started), (expected, expected), "{pace:?}");
        }
        assert_eq!(
            (nice(), tokio::task::spawn_blocking(nice).await.unwrap()),
            (before, before)
        );
    }

    #[test]
    fn a_value_is_dropped_by_the_last_that_holds_it() {
        let value = Arc::new(());
        let (watched, held) = (Arc::downgrade(&value), value.clone());
        let check = thread::spawn(move || {
            thread::sleep(10 * PAUSE);
            drop(held);
        });
        assert_eq!(watched.strong_count(), 2);
        drop_when_unshared(value);
        assert_eq!(
            watched.strong_count(),
            0,
            "a check may be the last otherwise"
        );
        check.join().unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_reported() {
        let panics: [(fn(), &str); 3] = [
            (
                || panic!("at {:?}", thread::current().name()),
                "panicked: at Some(\"customs-files\")",
            ),
            (|| panic!("plain"), "panicked: plain"),
            (|| std::panic::panic_any(7), "panicked: without a message"),
        ];
        for (work, expected) in panics {
            assert_eq!(
                run(Pace::Full, work).await.unwrap_err().to_string(),
                expected
            );
        }
    }

    #[tokio::test]
    async fn work_that_hangs_delays_no_other() {
        let (release, hangs) = std::sync::mpsc::channel::<()>();
        let work = run(Pace::Full, move || hangs.recv());
        assert!(
            tokio::time::timeout(std::time::Duration::from_millis(50), work)
                .await
                .is_err()
        );
        drop(release);
    }
}
