//! Calls that answer at once, wait, or panic, on a connection that hands them over.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::*;

const BOUND: Duration = Duration::from_secs(20);

/// What happened, in order.
type Story = Arc<Mutex<Vec<&'static str>>>;

fn tell(story: &Story, what: &'static str) {
    story.lock().unwrap().push(what);
}

/// A connection that hands over one batch of calls each time it is polled, and ends once it has
/// been polled without one.
fn connection(
    queue: &CallQueue,
    story: &Story,
    batches: Vec<Vec<Call>>,
) -> impl Future<Output = ()> + use<> {
    let (queue, story) = (queue.clone(), story.clone());
    let mut batches = VecDeque::from(batches);
    poll_fn(move |_| {
        tell(&story, "polled");
        let Some(batch) = batches.pop_front() else {
            return Poll::Ready(());
        };
        batch.into_iter().for_each(|call| queue.execute(call));
        Poll::Pending
    })
}

fn call(call: impl Future<Output = ()> + Send + 'static) -> Call {
    Box::pin(call)
}

fn answered(story: &Story) -> Call {
    let story = story.clone();
    call(async move { tell(&story, "answered") })
}

#[tokio::test]
async fn calls_that_arrive_together_are_answered_before_the_connection_is_polled_again() {
    let (queue, story) = (CallQueue::default(), Story::default());
    let batches = vec![
        vec![answered(&story), answered(&story)],
        vec![answered(&story)],
    ];
    let connection = connection(&queue, &story, batches);
    timeout(BOUND, InlineCalls::new(connection, queue, Arc::default()))
        .await
        .unwrap();
    assert_eq!(
        *story.lock().unwrap(),
        [
            "polled", "answered", "answered", "polled", "answered", "polled"
        ]
    );
}

#[tokio::test]
async fn a_call_that_waits_delays_no_other_one_and_goes_on_later() {
    let (queue, story) = (CallQueue::default(), Story::default());
    let (go, waits) = oneshot::channel();
    let slow = {
        let story = story.clone();
        call(async move {
            waits.await.unwrap();
            tell(&story, "late");
        })
    };
    let connection = connection(&queue, &story, vec![vec![slow, answered(&story)]]);
    timeout(BOUND, InlineCalls::new(connection, queue, Arc::default()))
        .await
        .unwrap();
    go.send(()).unwrap();
    let all = ["polled", "answered", "polled", "late"];
    let is_over = async {
        while *story.lock().unwrap() != all {
            yield_now().await;
        }
    };
    timeout(BOUND, is_over).await.unwrap();
}

#[tokio::test]
async fn a_call_that_panics_ends_alone() {
    let (queue, story) = (CallQueue::default(), Story::default());
    let panics = || call(async { panic!("this panic is part of a test") });
    let waits_and_panics = call(async {
        yield_now().await;
        panic!("this panic is part of a test")
    });
    let batch = vec![panics(), answered(&story), waits_and_panics, panics()];
    let connection = connection(&queue, &story, vec![batch, vec![answered(&story)]]);
    timeout(BOUND, InlineCalls::new(connection, queue, Arc::default()))
        .await
        .unwrap();
    let told = story.lock().unwrap();
    assert_eq!(
        *told,
        ["polled", "answered", "polled", "answered", "polled"]
    );
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("this panic is part of a test");
    }
}

#[tokio::test]
async fn a_call_whose_panic_panics_again_ends_alone() {
    let (queue, story) = (CallQueue::default(), Story::default());
    let panics = call(async { std::panic::panic_any(Bomb) });
    let connection = connection(&queue, &story, vec![vec![panics, answered(&story)]]);
    timeout(BOUND, InlineCalls::new(connection, queue, Arc::default()))
        .await
        .unwrap();
    assert_eq!(*story.lock().unwrap(), ["polled", "answered", "polled"]);
}

#[tokio::test]
async fn calls_of_a_connection_that_ends_are_run() {
    let (queue, story) = (CallQueue::default(), Story::default());
    let last = {
        let (queue, mut last) = (queue.clone(), Some(answered(&story)));
        poll_fn(move |_| {
            queue.execute(last.take().unwrap());
            Poll::Ready(())
        })
    };
    timeout(BOUND, InlineCalls::new(last, queue, Arc::default()))
        .await
        .unwrap();
    assert_eq!(*story.lock().unwrap(), ["answered"]);
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Polls a connection once, and returns how often its task was woken, by then and after the
/// connection's waker was used once more.
fn wakes(connection: impl FnMut(&Waker, &CallQueue) -> bool + Send) -> (usize, usize) {
    let (queue, kept) = (CallQueue::default(), Mutex::new(None));
    let mut connection = connection;
    let connection = poll_fn(|context| {
        *kept.lock().unwrap() = Some(context.waker().clone());
        match connection(context.waker(), &queue) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    let mut calls = InlineCalls::new(connection, queue.clone(), Arc::default());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let poll = Pin::new(&mut calls).poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    let by_then = woken.0.load(SeqCst);
    kept.lock().unwrap().as_ref().unwrap().wake_by_ref();
    (by_then, woken.0.load(SeqCst))
}

#[test]
fn a_connection_that_waits_wakes_its_task_later() {
    assert_eq!(wakes(|_, _| false), (0, 1));
}

/// As one does that has used up its turn: it must not be polled until others had theirs.
#[test]
fn a_connection_that_wakes_itself_is_polled_after_other_tasks() {
    let yields = |waker: &Waker, _: &CallQueue| {
        waker.wake_by_ref();
        false
    };
    assert_eq!(wakes(yields), (1, 2));
}

/// Answers wake the connection that is to write them, and it is polled anyway.
#[test]
fn a_call_that_wakes_its_connection_wakes_no_task() {
    let mut is_first = true;
    let hands_over = move |waker: &Waker, queue: &CallQueue| {
        if std::mem::take(&mut is_first) {
            let waker = waker.clone();
            queue.execute(async move { waker.wake() });
        }
        false
    };
    assert_eq!(wakes(hands_over), (0, 1));
}

#[test]
fn a_call_that_was_not_run_is_dropped_with_its_connection() {
    let (queue, held) = (CallQueue::default(), Arc::new(()));
    let holds = (queue.clone(), held.clone());
    queue.execute(async move {
        let _holds = holds;
        pending::<()>().await;
    });
    drop(InlineCalls::new(pending::<()>(), queue, Arc::default()));
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn a_turn_runs_some_calls_and_the_next_comes_by_itself() {
    let (queue, story) = (CallQueue::default(), Story::default());
    (0..2 * CALLS_PER_TURN + 10).for_each(|_| queue.execute(answered(&story)));
    let mut calls = InlineCalls::new(pending::<()>(), queue, Arc::default());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    for (turn, wakes) in [(1, 1), (2, 2), (3, 2)] {
        let poll = Pin::new(&mut calls).poll(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
        let expected = (turn * CALLS_PER_TURN).min(2 * CALLS_PER_TURN + 10);
        assert_eq!(story.lock().unwrap().len(), expected, "{turn}");
        assert_eq!(woken.0.load(SeqCst), wakes, "{turn}");
    }
}
