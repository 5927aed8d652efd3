//! Threads that answer checks, each with a runtime of its own.
//!
//! A connection stays on the thread that received it, so a check never moves between processors and
//! its tasks wake no other thread. This module does not know what a connection does. The rule: a
//! new connection goes to the thread that has the fewest.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

/// The work that a thread receives: everything about one connection.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handle to all threads. They end once every clone of it is dropped and their work is done.
#[derive(Clone, Debug)]
pub struct Workers(Arc<[WorkerHandle]>);

/// A handle to one thread.
#[derive(Debug)]
struct WorkerHandle {
    work: UnboundedSender<Work>,
    /// How many connections the thread has.
    held: Arc<AtomicUsize>,
}

/// One of the threads, not yet running.
#[derive(Debug)]
pub struct Worker(UnboundedReceiver<Work>);

impl Workers {
    /// Creates the handle and the threads. Each thread must be [run](Worker::run).
    pub fn new(threads: NonZeroUsize) -> (Workers, Vec<Worker>) {
        let (handles, workers): (Vec<_>, Vec<_>) =
            (0..threads.get()).map(|_| Worker::new()).unzip();
        (Workers(handles.into()), workers)
    }

    /// Gives a connection to the thread that has the fewest.
    pub fn take(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let Some(handle) = self.0.iter().min_by_key(|handle| handle.held.load(Relaxed)) else {
            return;
        };
        let held = ConnectionCount::of(&handle.held);
        let work = async move {
            let _held = held;
            connection.await;
        };
        // Fails only if the thread has ended, and with it every connection.
        let _ = handle.work.send(Box::pin(work));
    }
}

impl Worker {
    fn new() -> (WorkerHandle, Worker) {
        let (work, receiver) = unbounded_channel();
        (
            WorkerHandle {
                work,
                held: Arc::default(),
            },
            Worker(receiver),
        )
    }

    /// Runs until no handle is left and all work is done. If the future is dropped earlier, it ends
    /// the remaining connections.
    ///
    /// # Errors
    /// If the system provides no thread, or nothing to wait for connections with.
    pub async fn run(self) -> io::Result<()> {
        let end = CancellationToken::new();
        let _ends = end.clone().drop_guard();
        let thread = spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(end.run_until_cancelled(serve(self.0)));
            Ok(())
        });
        thread.await.map_err(io::Error::other)?
    }
}

async fn serve(mut work: UnboundedReceiver<Work>) {
    let mut connections = JoinSet::new();
    while let Some(connection) = work.recv().await {
        connections.spawn(connection);
        // Removes connections that have ended; they would accumulate otherwise.
        while connections.try_join_next().is_some() {}
    }
    while connections.join_next().await.is_some() {}
}

/// Counts a connection until it is dropped.
struct ConnectionCount(Arc<AtomicUsize>);

impl ConnectionCount {
    fn of(count: &Arc<AtomicUsize>) -> ConnectionCount {
        count.fetch_add(1, Relaxed);
        ConnectionCount(count.clone())
    }
}

impl Drop for ConnectionCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    fn two() -> (Workers, Vec<Worker>) {
        Workers::new(NonZeroUsize::new(2).unwrap())
    }

    /// Adds a connection that reports its thread and stays until its token is cancelled.
    fn stay(workers: &Workers, sender: &mpsc::Sender<ThreadId>) -> CancellationToken {
        let (go, sender) = (CancellationToken::new(), sender.clone());
        let gone = go.clone();
        workers.take(async move {
            sender.send(thread::current().id()).unwrap();
            gone.cancelled().await;
        });
        go
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn connections_are_spread_and_fill_what_others_left() {
        let (workers, threads) = two();
        let runs: Vec<_> = threads
            .into_iter()
            .map(|thread| tokio::spawn(thread.run()))
            .collect();
        let (sender, receiver) = mpsc::channel();
        let next = || {
            let go = stay(&workers, &sender);
            (go, receiver.recv_timeout(BOUND).unwrap())
        };
        let ((first, here), (_second, there)) = (next(), next());
        assert_ne!(here, there);
        first.cancel();
        while workers
            .0
            .iter()
            .map(|handle| handle.held.load(Relaxed))
            .sum::<usize>()
            > 1
        {
            tokio::task::yield_now().await;
        }
        assert_eq!(next().1, here, "the thread that lost one has the fewest");
        runs.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn threads_end_once_no_handle_is_left_and_all_work_is_done() {
        let (workers, threads) = two();
        let runs: Vec<_> = threads
            .into_iter()
            .map(|thread| tokio::spawn(thread.run()))
            .collect();
        let (sender, receiver) = mpsc::channel();
        let go = stay(&workers, &sender);
        receiver.recv_timeout(BOUND).unwrap();
        drop(workers);
        let mut runs = runs.into_iter();
        let (busy, idle) = (runs.next().unwrap(), runs.next().unwrap());
        timeout(BOUND, idle).await.unwrap().unwrap().unwrap();
        assert!(!busy.is_finished());
        go.cancel();
        timeout(BOUND, busy).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_thread_that_is_dropped_ends_its_connections() {
        let (workers, mut threads) = two();
        let run = tokio::spawn(threads.remove(0).run());
        let (sender, receiver) = mpsc::channel();
        let (alive, gone) = mpsc::channel::<()>();
        workers.take(async move {
            let _alive = alive;
            sender.send(thread::current().id()).unwrap();
            std::future::pending::<()>().await;
        });
        receiver.recv_timeout(BOUND).unwrap();
        run.abort();
        assert_eq!(
            gone.recv_timeout(BOUND),
            Err(mpsc::RecvTimeoutError::Disconnected)
        );
    }
}
