//! Calls that are refused before the transport sees them, byte by byte, with a test as the transport.

mod headers;

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::sync::Mutex;

use customs_test_support::http2::{frame, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::super::frame::{ACK, SETTINGS};
use super::super::{ConnectionObserver, ConnectionRefusal, PREFACE, TransportGuard};
use super::*;
use crate::activity::ConnectionActivity;
use crate::limits::ConnectionLimits;
use crate::memory::MemoryPool;

const CHECK: &str = "/check.Service/Check";
const PING: u8 = 6;
const CANCEL: &[u8] = &[0, 0, 0, 8];

/// How many calls may wait: few, so that a test reaches it.
const MOST: u32 = 3;

/// How many calls were refused, and what else was.
#[derive(Default)]
struct Shed(Mutex<u64>, Mutex<Vec<ConnectionRefusal>>);

impl ConnectionObserver for Shed {
    fn refused(&self, refusal: ConnectionRefusal, _: &dyn Display) {
        self.1.lock().unwrap().push(refusal);
    }

    fn shed(&self, calls: u64) {
        *self.0.lock().unwrap() += calls;
    }
}

/// A client, a guard, and a transport that is this test.
struct Rig {
    client: DuplexStream,
    guard: TransportGuard<DuplexStream, Shed>,
    activity: Arc<ConnectionActivity>,
    shed: Arc<Shed>,
}

impl Rig {
    /// A connection on which both sides have acknowledged their settings.
    async fn open(limits: ConnectionLimits) -> Rig {
        let (client, server) = duplex(1 << 20);
        let activity = ConnectionActivity::new(MemoryPool::default()).with_queue(MOST);
        let (activity, shed) = (Arc::new(activity), Arc::<Shed>::default());
        let guard = TransportGuard::new(server, &limits, shed.clone(), activity.clone())
            .shed(Arc::new(ExpectedPath::new(CHECK)));
        let mut rig = Rig {
            client,
            guard,
            activity,
            shed,
        };
        let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        rig.client.write_all(&hello).await.unwrap();
        assert_eq!(rig.passed().await, hello);
        rig.answer(&[frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat())
            .await;
        rig
    }

    /// A connection on which one call was answered besides.
    async fn start() -> Rig {
        let mut rig = Rig::open(ConnectionLimits::DEFAULT).await;
        assert_eq!(rig.send(&call(1)).await, call(1));
        rig.answer(&frame(HEADERS, END_HEADERS, 1, b"\x88")).await;
        rig.end_overload();
        rig
    }

    /// A connection on which one call was answered, and as many wait as may.
    async fn overloaded() -> Rig {
        let mut rig = Rig::start().await;
        rig.overload();
        rig
    }

    /// Sends bytes to the transport, and returns what it sees of them.
    async fn send(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.client.write_all(bytes).await.unwrap();
        self.passed().await
    }

    /// Reads what there is, and flushes, as the transport does.
    async fn passed(&mut self) -> Vec<u8> {
        let mut passed = Vec::new();
        self.activity.begin_turn();
        while let Some(count) = now(self.guard.read_buf(&mut passed)).await {
            assert!(count.unwrap() > 0);
        }
        if let Some(flushed) = now(self.guard.flush()).await {
            flushed.unwrap();
        }
        passed
    }

    /// The transport writes these bytes, which the client receives, after other bytes if there are
    /// any.
    async fn answer(&mut self, bytes: &[u8]) {
        self.guard.write_all(bytes).await.unwrap();
        let received = self.received().await;
        assert!(received.ends_with(bytes), "{received:x?}");
    }

    async fn received(&mut self) -> Vec<u8> {
        let mut received = Vec::new();
        while let Some(count) = now(self.client.read_buf(&mut received)).await {
            assert!(count.unwrap() > 0);
        }
        received
    }

    /// Lets as many calls wait as may.
    fn overload(&mut self) {
        while self.activity.queue().admit() {}
    }

    fn end_overload(&mut self) {
        self.activity.queue().settle(0);
    }

    /// Returns how many calls were refused. Nothing else was.
    fn shed(&self) -> u64 {
        assert_eq!(*self.shed.1.lock().unwrap(), []);
        *self.shed.0.lock().unwrap()
    }

    fn shedding(&self) -> &Shedding {
        self.guard.shedding.as_ref().unwrap()
    }
}

/// Asks a future once, as a transport does that is woken once.
async fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(tokio::task::unconstrained(future));
    let once = poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
    match once.await {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn path(path: &str) -> Vec<u8> {
    [&[0x83, 0x86, 0x04][..], &text(path)].concat()
}

fn head(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &path(CHECK))
}

fn message(stream: u32, length: usize) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, &vec![7; length])
}

fn call(stream: u32) -> Vec<u8> {
    [head(stream), message(stream, 100)].concat()
}

fn refusal(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, REFUSAL)
}

#[tokio::test]
async fn a_call_too_many_is_answered_at_once_and_the_transport_does_not_see_it() {
    let mut rig = Rig::overloaded().await;
    for stream in [3, 5, 7] {
        assert_eq!(rig.send(&call(stream)).await, b"");
        assert_eq!(rig.received().await, refusal(stream));
    }
    assert_eq!(rig.shed(), 3);
    // What is of no call passes in between.
    let ping = frame(PING, 0, 0, &[1; 8]);
    let mixed = [call(9), ping.clone(), call(11), ping.clone()].concat();
    assert_eq!(rig.send(&mixed).await, ping.repeat(2));
    rig.end_overload();
    assert_eq!(rig.send(&call(13)).await, call(13));
    assert_eq!(rig.shed(), 5);
}

#[tokio::test]
async fn calls_that_arrive_together_are_counted_before_the_transport_hands_them_over() {
    let mut rig = Rig::start().await;
    let calls: Vec<u8> = (3..=19).step_by(2).flat_map(call).collect();
    assert_eq!(rig.send(&calls).await, [call(3), call(5), call(7)].concat());
    assert_eq!(rig.shed(), 6);
    // One has had its turn.
    rig.activity.queue().settle(2);
    assert_eq!(rig.send(&[call(21), call(23)].concat()).await, call(21));
    assert_eq!(rig.shed(), 7);
}

#[tokio::test]
async fn a_call_that_the_transport_would_refuse_is_refused_here_in_better_words() {
    let mut rig = Rig::open(ConnectionLimits {
        concurrent_streams: 2,
        ..ConnectionLimits::DEFAULT
    })
    .await;
    assert_eq!(rig.send(&call(1)).await, call(1));
    rig.answer(&frame(HEADERS, END_HEADERS, 1, b"\x88")).await;
    rig.end_overload();
    assert_eq!(rig.send(&[call(3), call(5)].concat()).await, call(3));
    assert_eq!(rig.received().await, refusal(5));
    rig.answer(&frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\x88"))
        .await;
    assert_eq!(rig.send(&call(7)).await, call(7));
}

#[tokio::test]
async fn frames_of_a_refused_call_cost_what_other_frames_without_a_call_cost() {
    let mut rig = Rig::overloaded().await;
    assert_eq!(rig.send(&head(3)).await, b"");
    let empty = frame(DATA, 0, 3, &[]);
    rig.client.write_all(&empty.repeat(2_000)).await.unwrap();
    rig.activity.begin_turn();
    let mut passed = Vec::new();
    let cut = now(rig.guard.read_buf(&mut passed)).await.unwrap();
    assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(*rig.shed.1.lock().unwrap(), [ConnectionRefusal::FrameFlood]);
}

#[tokio::test]
async fn whatever_follows_on_a_refused_call_is_dropped_and_given_back() {
    let mut rig = Rig::overloaded().await;
    let first = frame(DATA, 0, 3, &[7; 15_000]);
    let begun = [head(3), head(5), first.clone(), head(7)].concat();
    assert_eq!(rig.send(&begun).await, b"");
    let refused = [refusal(3), refusal(5), refusal(7)].concat();
    assert_eq!(rig.received().await, refused);
    // In any pieces, and after another call has passed.
    rig.end_overload();
    assert_eq!(rig.send(&call(9)).await, call(9));
    for byte in [first, message(3, 5_000), frame(RST_STREAM, 0, 5, CANCEL)].concat() {
        assert_eq!(rig.send(&[byte]).await, b"");
    }
    let given_back = frame(WINDOW_UPDATE, 0, 0, &35_000_u32.to_be_bytes());
    assert_eq!(rig.received().await, given_back);
    // The deadline of a caller that was refused and has sent everything.
    let late = frame(RST_STREAM, 0, 3, CANCEL);
    assert_eq!(
        rig.send(&late).await,
        late,
        "the transport knows that stream 3 is over"
    );
    rig.overload();
    assert_eq!(rig.send(&call(11)).await, b"");
    let late = frame(RST_STREAM, 0, 11, CANCEL);
    assert_eq!(
        rig.send(&late).await,
        b"",
        "for the transport, stream 11 never began"
    );
    let idle = frame(RST_STREAM, 0, 13, CANCEL);
    assert_eq!(
        rig.send(&idle).await,
        idle,
        "and stream 13 did not, which it must see"
    );
}

#[tokio::test]
async fn nothing_is_refused_here_until_both_sides_agree_on_the_table() {
    let mut rig = Rig::open(ConnectionLimits::DEFAULT).await;
    rig.overload();
    assert_eq!(
        rig.send(&call(1)).await,
        call(1),
        "the transport wrote no headers yet"
    );
    rig.answer(&frame(HEADERS, END_HEADERS, 1, b"\x88")).await;
    assert_eq!(rig.send(&call(3)).await, b"");
    let smaller = frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]);
    assert_eq!(rig.send(&smaller).await, smaller);
    assert_eq!(rig.send(&call(5)).await, call(5));
    rig.answer(&frame(SETTINGS, ACK, 0, &[])).await;
    assert_eq!(rig.send(&call(7)).await, call(7));
    rig.answer(&frame(HEADERS, END_HEADERS, 5, b"\x20\x88"))
        .await;
    assert_eq!(rig.send(&call(9)).await, b"");
}

#[tokio::test]
async fn an_answer_never_lands_within_a_frame_of_the_transport() {
    let mut rig = Rig::overloaded().await;
    // Headers in two frames, and a message, each cut anywhere.
    let whole = [
        frame(HEADERS, 0, 1, b"\x88"),
        frame(super::CONTINUATION, END_HEADERS, 1, b"\x88"),
        frame(DATA, 0, 1, &[1; 5]),
    ];
    let mut stream = 1;
    for cut in 1..whole.concat().len() {
        let whole = whole.concat();
        let (begin, end) = whole.split_at(cut);
        rig.guard.write_all(begin).await.unwrap();
        stream += 2;
        assert_eq!(rig.send(&call(stream)).await, b"");
        rig.guard.write_all(end).await.unwrap();
        assert_eq!(rig.passed().await, b"");
        let received = rig.received().await;
        let at = received
            .windows(9)
            .position(|window| window == &refusal(stream)[..9])
            .unwrap();
        assert!(
            [20, 34].contains(&at),
            "after the headers, or after the message: {at}"
        );
        let (before, rest) = received.split_at(at);
        let (answer, after) = rest.split_at(refusal(stream).len());
        assert_eq!(answer, refusal(stream));
        assert_eq!([before, after].concat(), whole, "cut after {cut} bytes");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_refusals_is_not_read() {
    let mut rig = Rig::overloaded().await;
    // The socket takes a megabyte of answers, and the guard some more.
    let calls: Vec<u8> = (0..1_000).flat_map(|number| call(number * 2 + 3)).collect();
    let mut stream = 2_003;
    rig.send(&calls).await;
    let mut sent = 1_000_usize;
    loop {
        let more: Vec<u8> = (0..1_000)
            .flat_map(|number| call(stream + number * 2))
            .collect();
        stream += 2_000;
        if now(rig.client.write_all(&more)).await.is_none() {
            break;
        }
        sent += 1_000;
        rig.passed().await;
        assert!(sent < 100_000, "the guard reads without end");
    }
    assert!(rig.shedding().unwritten().len() <= 2 * WRITE);
}

#[tokio::test]
async fn calls_that_a_client_leaves_unfinished_are_bounded() {
    let mut rig = Rig::overloaded().await;
    let most = u32::try_from(MOST_UNFINISHED).unwrap();
    for number in 1..=most + 1 {
        assert_eq!(rig.send(&head(number * 2 + 1)).await, b"");
    }
    let received = rig.received().await;
    let reset = frame(RST_STREAM, 0, 3, &[0; 4]);
    let of_resets = received
        .windows(reset.len())
        .filter(|window| *window == reset);
    assert_eq!(of_resets.count(), 1, "the oldest");
    assert_eq!(rig.shedding().unfinished.len(), MOST_UNFINISHED);
}
