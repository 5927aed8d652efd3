//! When a connection must end, by a table of what it does at which moment.

use super::*;
use crate::activity::WireActivity;

const SECOND: Duration = Duration::from_secs(1);

fn limits() -> ConnectionLimits {
    ConnectionLimits {
        handshake_timeout: 5 * SECOND,
        request_timeout: 4 * SECOND,
        idle_timeout: 60 * SECOND,
        age: Some(600 * SECOND),
        ..ConnectionLimits::DEFAULT
    }
}

/// Half of the range: no jitter.
const MIDDLE: u64 = 1 << 63;

/// Looks whenever the watch says so, at what `at` says is going on at that second, and returns the
/// second at which something must happen, what, and how often it looked.
fn run(
    limits: &ConnectionLimits,
    at: impl Fn(f64) -> ActivitySample,
) -> (u64, ConnectionExpiry, u32) {
    let start = Instant::now();
    let mut watch = Watch::new(limits, start, MIDDLE);
    let mut now = start + limits.handshake_timeout;
    for looks in 1.. {
        let passed = now - start;
        match watch.look(now, at(passed.as_secs_f64())) {
            Err(expiry) => return (passed.as_secs(), expiry, looks),
            Ok(next) => {
                assert!(next > now, "it looks again later");
                now = next;
            }
        }
        assert!(looks < 100_000, "nothing ever happens");
    }
    unreachable!()
}

fn established() -> ActivitySample {
    ActivitySample {
        wire: WireActivity {
            is_established: true,
            ..WireActivity::default()
        },
        ..ActivitySample::default()
    }
}

fn count(seconds: f64) -> u32 {
    // Whole seconds.
    format!("{seconds:.0}").parse().unwrap()
}

fn refusal(expiry: ConnectionExpiry) -> ConnectionRefusal {
    match expiry {
        ConnectionExpiry::Refuse(refusal, example) => {
            assert!(!example.is_empty());
            refusal
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_without_the_whole_preface_ends_at_the_handshake_timeout() {
    let (second, expiry, looks) = run(&limits(), |_| ActivitySample::default());
    assert_eq!((second, looks), (5, 1));
    assert_eq!(refusal(expiry), ConnectionRefusal::HandshakeTimeout);
}

#[test]
fn a_connection_without_calls_retires_and_is_looked_at_rarely() {
    let (second, expiry, looks) = run(&limits(), |_| established());
    assert_eq!(expiry, ConnectionExpiry::Retire);
    assert!(
        (60..=66).contains(&second) && looks <= 3,
        "{second} {looks}"
    );
}

#[test]
fn pings_do_not_keep_a_connection_from_being_idle() {
    let (second, expiry, _) = run(&limits(), |second| {
        let mut sample = established();
        sample.wire.frames = count(second);
        sample
    });
    assert_eq!((expiry, second < 70), (ConnectionExpiry::Retire, true));
}

#[test]
fn a_busy_connection_retires_at_its_age_and_is_looked_at_rarely() {
    let (second, expiry, looks) = run(&limits(), |second| {
        let mut sample = established();
        let calls = count(second * 1000.0);
        // At each look there happens to be a part of a frame, and an answer on its way.
        sample.wire.is_unfinished = calls.is_multiple_of(3);
        sample.wire.open_calls = calls % 2;
        (sample.wire.frames, sample.wire.begun_calls) = (calls, calls);
        sample.wire.answer_frames = calls;
        sample
    });
    assert_eq!((second, expiry), (600, ConnectionExpiry::Retire));
    assert!(looks <= 602, "a look in a second at most: {looks}");
}

#[test]
fn an_open_call_keeps_a_connection_from_being_idle() {
    let (second, expiry, _) = run(&limits(), |_| {
        let mut sample = established();
        sample.wire.open_calls = 1;
        sample.calls_in_hand = 1;
        sample
    });
    assert_eq!((second, expiry), (600, ConnectionExpiry::Retire));
}

#[test]
fn age_zero_is_never() {
    let limits = ConnectionLimits {
        age: None,
        idle_timeout: Duration::from_secs(1 << 40),
        ..limits()
    };
    let (second, expiry, looks) = run(&limits, |_| established());
    assert_eq!(expiry, ConnectionExpiry::Retire);
    assert!(second >= NEVER.as_secs() && looks < 5, "{second} {looks}");
}

#[tokio::test]
async fn ages_differ_by_a_tenth_either_way() {
    let now = Instant::now();
    for (random, seconds) in [(0, 540), (MIDDLE, 600), (u64::MAX, 660)] {
        let age = Watch::new(&limits(), now, random).old_at - now;
        assert!(age.abs_diff(seconds * SECOND) < SECOND / 100, "{age:?}");
    }
    let ages: std::collections::BTreeSet<Duration> = (0..20)
        .map(|_| {
            ConnectionDeadlines::new(&limits(), now, Arc::default())
                .watch
                .old_at
                - now
        })
        .collect();
    assert!(ages.len() > 15, "{ages:?}");
}

#[test]
fn a_frame_that_is_never_whole_ends_the_connection() {
    let (second, expiry, _) = run(&limits(), |second| {
        let mut sample = established();
        sample.wire.begun_calls = count(second.min(20.0));
        sample.wire.frames = count(second.min(20.0));
        sample.wire.is_unfinished = second > 20.0;
        sample
    });
    // The look that finds it may be a second after it began; the connection has ended by then.
    assert_eq!(refusal(expiry), ConnectionRefusal::RequestTimeout);
    assert!(second >= 24, "{second}");
}

#[test]
fn answers_that_nobody_takes_end_the_connection() {
    for is_blocked in [false, true] {
        let (second, expiry, _) = run(&limits(), |second| {
            let mut sample = established();
            sample.wire.is_blocked = is_blocked;
            sample.wire.is_unfinished = is_blocked;
            sample.wire.open_calls = if is_blocked { 0 } else { 7 };
            // Some are taken for half a minute.
            sample.wire.answer_frames = count(second.min(30.0));
            // The client is lively otherwise, as far as it is read.
            sample.wire.frames = if is_blocked { 9 } else { count(second) };
            sample
        });
        assert_eq!(refusal(expiry), ConnectionRefusal::AnswersUnread);
        assert!((33..=37).contains(&second), "{second}");
    }
}

#[test]
fn calls_in_hand_are_not_answers_that_wait() {
    let (second, expiry, _) = run(&limits(), |_| {
        let mut sample = established();
        (sample.wire.open_calls, sample.calls_in_hand) = (5, 5);
        sample
    });
    assert_eq!((second, expiry), (600, ConnectionExpiry::Retire));
}

#[test]
fn a_client_that_does_not_go_is_closed() {
    let start = Instant::now();
    let mut watch = Watch::new(&limits(), start, MIDDLE);
    let mut busy = established();
    (busy.wire.open_calls, busy.calls_in_hand) = (1, 1);
    assert_eq!(
        watch.look(start + 601 * SECOND, busy),
        Err(ConnectionExpiry::Retire)
    );
    let end = watch.look(start + 602 * SECOND, busy).unwrap();
    assert_eq!(end, start + 601 * SECOND + RETIREMENT);
    assert_eq!(watch.look(end, busy), Err(ConnectionExpiry::Close));
}

#[tokio::test]
async fn what_begins_while_all_is_quiet_is_noticed_in_time() {
    let limits = ConnectionLimits {
        handshake_timeout: SECOND / 10,
        request_timeout: SECOND / 10,
        ..limits()
    };
    let activity = Arc::new(ConnectionActivity::default());
    let mut deadlines = ConnectionDeadlines::new(&limits, Instant::now(), activity.clone());
    activity.set_wire(established().wire);
    let quiet = tokio::time::timeout(SECOND / 2, deadlines.expired()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    let mut wire = established().wire;
    wire.is_unfinished = true;
    activity.set_wire(wire);
    let begun = Instant::now();
    // The timer was set for the end of the idle time, which is a minute away.
    let expired = tokio::time::timeout(30 * SECOND, deadlines.expired()).await;
    assert_eq!(refusal(expired.unwrap()), ConnectionRefusal::RequestTimeout);
    assert!(begun.elapsed() >= limits.request_timeout);
}
