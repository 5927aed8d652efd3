//! Work that no check may wait for: a thread of its own, which the system schedules behind those that answer checks.
//!
//! The rule: whatever reads, parses, compiles or takes a set apart runs here. A thread's priority is its own on Linux, and
//! those that it starts inherit it; so this is never a thread of the runtime's pool, which would do other work later.
//! Elsewhere the priority is one of the whole process, and stays.

use std::any::Any;
use std::io;
use std::thread;

use tokio::task::spawn_blocking;

/// By how much the thread is nicer than the others: at 10, one that checks want too gets a tenth of a core.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// Does this behind everything else, and waits for it.
///
/// # Errors
/// If the system gives no thread, or the work panics.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let behind = move || {
        step_back();
        work()
    };
    let thread = thread::Builder::new().name("customs-files".to_owned()).spawn(behind)?;
    // To wait takes a thread of the pool, but none of its time.
    let joined = spawn_blocking(move || thread.join()).await.map_err(io::Error::other)?;
    joined.map_err(|panic| io::Error::other(format!("panicked: {}", message(panic.as_ref()))))
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
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn it_is_nicer_with_all_that_it_starts_and_nothing_else_is() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let (own, started) = run(move || (nice(), thread::spawn(nice).join().unwrap())).await.unwrap();
        let expected = (before + NICER).min(19);
        assert_eq!((own, started), (expected, expected));
        assert_eq!((nice(), spawn_blocking(nice).await.unwrap()), (before, before));
    }

    #[tokio::test]
    async fn a_panic_is_told() {
        let panics: [(fn(), &str); 3] = [
            (|| panic!("at {:?}", thread::current().name()), "panicked: at Some(\"customs-files\")"),
            (|| panic!("plain"), "panicked: plain"),
            (|| std::panic::panic_any(7), "panicked: without a message"),
        ];
        for (work, expected) in panics {
            assert_eq!(run(work).await.unwrap_err().to_string(), expected);
        }
    }
}
