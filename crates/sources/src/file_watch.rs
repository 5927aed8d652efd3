//! Says when files that are not policies must be read again: certificates and keys.
//!
//! The same rules as for policies: the directories of the files are watched, an event counts once
//! nothing has happened for the settle time, and every rescan counts too, so that a lost event only
//! costs time. It does not know what the files hold, or what reading them means: the program gives
//! it a function.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::background::{self, Pace};
use super::reload::Trigger;
use super::settling::Settling;
use super::watch::{SharedWatcher, Watcher};

/// The longest settle time: a certificate that is replaced must be used soon.
const LONGEST_SETTLE: Duration = Duration::from_secs(60);
/// The bounds of the rescan interval.
const RESCAN: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(60 * 60));

/// Some files that may change.
pub struct FileWatch {
    watcher: SharedWatcher,
    changed: Arc<Notify>,
    asked: Arc<Notify>,
    settling: Settling,
    rescan: Duration,
    rescan_at: Instant,
}

/// Why the files are to be read, or not.
enum Event {
    FilesChanged,
    ReadNow,
    Rescan,
    Shutdown,
}

impl FileWatch {
    /// Creates the watch of some files. Nothing is watched before [`FileWatch::run`].
    pub fn new(files: &[PathBuf], settle: Duration, rescan: Duration) -> FileWatch {
        let changed = Arc::new(Notify::new());
        let paths = files.iter().map(PathBuf::as_path);
        let watcher = Watcher::new(&[], paths, changed.clone());
        FileWatch {
            watcher: SharedWatcher::new(watcher),
            changed,
            asked: Arc::new(Notify::new()),
            settling: Settling::new(settle.min(LONGEST_SETTLE)),
            rescan: rescan.clamp(RESCAN.0, RESCAN.1),
            rescan_at: Instant::now(),
        }
    }

    /// Returns a handle that asks for reading now.
    pub fn trigger(&self) -> Trigger {
        Trigger(self.asked.clone())
    }

    /// Calls `read` at once, and again whenever the files may have changed, until shutdown. It runs
    /// on a thread of its own, because a file system may block it forever; it is not called again
    /// before it has returned.
    pub async fn run(mut self, read: impl FnMut() + Send + 'static, shutdown: CancellationToken) {
        let read = Arc::new(Mutex::new(read));
        loop {
            match self.next(&shutdown).await {
                Event::Shutdown => return,
                Event::FilesChanged => self.settling.touch(Instant::now()),
                // A change that is being written is read once it has settled, which is soon.
                Event::Rescan if self.settling.is_waiting() => self.plan_rescan(),
                Event::ReadNow | Event::Rescan => {
                    self.settling.clear();
                    // Watches are set before the files are read, so that a change after the read is
                    // an event.
                    self.watcher.rearm(Pace::Full).await;
                    let read = read.clone();
                    let work = move || read.lock().unwrap_or_else(PoisonError::into_inner)();
                    match shutdown
                        .run_until_cancelled(background::run(Pace::Full, work))
                        .await
                    {
                        None | Some(Ok(())) => {}
                        Some(Err(error)) => {
                            tracing::error!("reading files failed, what is in use stays: {error}");
                        }
                    }
                    self.plan_rescan();
                }
            }
        }
    }

    async fn next(&self, shutdown: &CancellationToken) -> Event {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Event::Shutdown,
            () = self.asked.notified() => Event::ReadNow,
            () = self.settling.over() => Event::ReadNow,
            () = self.changed.notified() => Event::FilesChanged,
            () = sleep_until(self.rescan_at) => Event::Rescan,
        }
    }

    fn plan_rescan(&mut self) {
        self.rescan_at = Instant::now() + self.rescan;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use tokio::sync::mpsc;
    use tokio::time::timeout;
    use tokio_util::sync::DropGuard;

    use super::*;

    const BOUND: Duration = Duration::from_secs(10);
    const SETTLE: Duration = Duration::from_millis(20);

    /// Watches a file without rescans, and returns what is read of it.
    fn watched(file: &Path) -> (mpsc::UnboundedReceiver<String>, DropGuard) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (file, shutdown) = (file.to_owned(), CancellationToken::new());
        let watch = FileWatch::new(std::slice::from_ref(&file), SETTLE, RESCAN.1);
        let read = move || {
            let _ = sender.send(fs::read_to_string(&file).unwrap_or_default());
        };
        tokio::spawn(watch.run(read, shutdown.clone()));
        (receiver, shutdown.drop_guard())
    }

    /// Waits until this text was read.
    async fn until(reads: &mut mpsc::UnboundedReceiver<String>, text: &str) {
        let read = async { while reads.recv().await.as_deref() != Some(text) {} };
        timeout(BOUND, read)
            .await
            .unwrap_or_else(|_| panic!("{text} was never read"));
    }

    #[tokio::test]
    async fn a_file_that_is_replaced_in_any_way_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        let (file, other) = (root.path().join("tls.crt"), root.path().join("new"));
        let (mut reads, _end) = watched(&file);
        until(&mut reads, "").await;
        fs::write(&file, "in place").unwrap();
        until(&mut reads, "in place").await;
        fs::write(&other, "renamed").unwrap();
        fs::rename(&other, &file).unwrap();
        until(&mut reads, "renamed").await;
        fs::remove_file(&file).unwrap();
        until(&mut reads, "").await;
        fs::write(&file, "back").unwrap();
        until(&mut reads, "back").await;
    }

    #[tokio::test]
    async fn a_mounted_secret_is_read_at_each_swap() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let swap = |number: u32| {
            let version = format!("..{number}");
            fs::create_dir(at(&version)).unwrap();
            fs::write(at(&version).join("tls.crt"), number.to_string()).unwrap();
            symlink(&version, at("..data_tmp")).unwrap();
            fs::rename(at("..data_tmp"), at("..data")).unwrap();
        };
        swap(1);
        symlink("..data/tls.crt", at("tls.crt")).unwrap();
        let (mut reads, _end) = watched(&at("tls.crt"));
        until(&mut reads, "1").await;
        for number in 2..6 {
            swap(number);
            until(&mut reads, &number.to_string()).await;
        }
    }

    #[tokio::test]
    async fn a_lost_event_only_costs_time_and_a_panic_ends_nothing() {
        let root = tempfile::tempdir().unwrap();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let (shutdown, mut count) = (CancellationToken::new(), 0);
        // There is nothing to watch, so only rescans count.
        let watch = FileWatch::new(&[root.path().join("a/b/c")], SETTLE, SETTLE);
        let read = move || {
            count += 1;
            sender.send(count).unwrap();
            assert_ne!(count, 2, "once");
        };
        let run = tokio::spawn(watch.run(read, shutdown.clone()));
        for expected in 1..=4 {
            let count = timeout(BOUND, receiver.recv()).await.unwrap();
            assert_eq!(count, Some(expected));
        }
        shutdown.cancel();
        timeout(BOUND, run).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_reading_that_hangs_does_not_hold_up_the_end() {
        let (release, hangs) = std::sync::mpsc::channel::<()>();
        let (begun, mut has_begun) = mpsc::unbounded_channel();
        let shutdown = CancellationToken::new();
        let watch = FileWatch::new(&[], SETTLE, SETTLE);
        let read = move || {
            begun.send(()).unwrap();
            let _ = hangs.recv();
        };
        let run = tokio::spawn(watch.run(read, shutdown.clone()));
        timeout(BOUND, has_begun.recv()).await.unwrap();
        shutdown.cancel();
        timeout(BOUND, run).await.unwrap().unwrap();
        drop(release);
    }
}
