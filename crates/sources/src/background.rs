//! Work that no check may wait for, on threads of its own; and that once a set is in force, the system schedules behind those
//! that answer checks.
//!
//! The rule: whatever reads, parses, compiles or takes a set apart runs here. Before the first set is in force nobody can
//! be answered by policy, so that work is done at full speed; later it steps back. A thread's priority is its own on Linux, and
//! those that it starts inherit it; so this is never a thread of the runtime's pool, which would do other work later.
//! Elsewhere the priority is one of the whole process, and stays. Nothing waits for these threads at the end of the process,
//! because a file system may hold one for ever.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tokio::sync::oneshot;

/// By how much the thread is nicer than the others: at 10, one that checks want too gets a tenth of a core.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// How much of the machine some work may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// As much as anything else: nothing is answered before it is done.
    Full,
    /// What checks leave.
    BehindChecks,
}

/// Does this and waits for it. Who stops waiting leaves the work to itself.
///
/// # Errors
/// If the system gives no thread, or the work panics.
pub(super) async fn run<T: Send + 'static>(
    pace: Pace,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (tells, told) = oneshot::channel();
    let behind = move || {
        if pace == Pace::BehindChecks {
            step_back();
        }
        // The work is not looked at after a panic, so nothing half done of it is seen.
        let done = catch_unwind(AssertUnwindSafe(work));
        // Whoever waited may be gone.
        let _ = tells.send(done);
    };
    let _not_joined = thread::Builder::new()
        .name("customs-files".to_owned())
        .spawn(behind)?;
    let done = told.await.map_err(io::Error::other)?;
    done.map_err(|panic| io::Error::other(format!("panicked: {}", message(panic.as_ref()))))
}

#[cfg(target_os = "linux")]
fn step_back() {
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!("reading policies keeps the priority of checks: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn step_back() {}

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

    #[tokio::test]
    async fn a_panic_is_told() {
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
    async fn work_that_hangs_keeps_nobody() {
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
