//! Threads that answer checks, each with a runtime of its own.
//!
//! A connection stays on the thread that it was given to, so a check never moves between processors, and its tasks wake
//! nobody on another one. It knows nothing of what a connection does. The rule: whoever comes is given to the thread that
//! has the fewest.

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

/// What a thread is given to do: everything about one connection.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The way to the threads. They end when every clone of it is gone and what they were given is done.
#[derive(Clone, Debug)]
pub struct Workers(Arc<[WorkerHandle]>);

/// The way to one thread.
#[derive(Debug)]
struct WorkerHandle {
    work: UnboundedSender<Work>,
    /// How many connections the thread has.
    held: Arc<AtomicUsize>,
}

/// One of the threads, to be run.
#[derive(Debug)]
pub struct Worker(UnboundedReceiver<Work>);

impl Workers {
    /// The way to so many threads. Each must be [run](Worker::run).
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
        // Refused only where the thread was ended, and every connection with it.
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

    /// Runs until nothing can come any more and everything is done. Dropped before that, it ends what is left.
    ///
    /// # Errors
    /// If the system gives no thread, or nothing to wait for connections with.
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
        // Those that have ended would be kept for ever otherwise.
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

    /// Gives a connection that tells its thread and stays until it is told to go.
    fn stay(workers: &Workers, told: &mpsc::Sender<ThreadId>) -> CancellationToken {
        let (go, told) = (CancellationToken::new(), told.clone());
        let gone = go.clone();
        workers.take(async move {
            told.send(thread::current().id()).unwrap();
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
        let (told, heard) = mpsc::channel();
        let next = || {
            let go = stay(&workers, &told);
            (go, heard.recv_timeout(BOUND).unwrap())
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
    async fn threads_end_when_nothing_can_come_and_all_is_done() {
        let (workers, threads) = two();
        let runs: Vec<_> = threads
            .into_iter()
            .map(|thread| tokio::spawn(thread.run()))
            .collect();
        let (told, heard) = mpsc::channel();
        let go = stay(&workers, &told);
        heard.recv_timeout(BOUND).unwrap();
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
        let (told, heard) = mpsc::channel();
        let (alive, gone) = mpsc::channel::<()>();
        workers.take(async move {
            let _alive = alive;
            told.send(thread::current().id()).unwrap();
            std::future::pending::<()>().await;
        });
        heard.recv_timeout(BOUND).unwrap();
        run.abort();
        assert_eq!(
            gone.recv_timeout(BOUND),
            Err(mpsc::RecvTimeoutError::Disconnected)
        );
    }
}
