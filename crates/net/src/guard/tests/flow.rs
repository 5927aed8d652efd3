//! How much passes: frames that carry no call, the calls that are counted, a share of the input at a
//! time, and nothing while the client takes no answers.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn on(stream: u8, mut frame: Vec<u8>) -> Vec<u8> {
    frame[8] = stream;
    frame
}

#[test]
fn frames_without_a_call_are_cut_beyond_their_budget() {
    for (name, flood) in [
        ("SETTINGS", frame(4, 0, &[])),
        ("PING", frame(6, 0, &[0; 8])),
        ("PING", frame(6, 1, &[0; 8])),
        ("WINDOW_UPDATE", frame(8, 0, &[0, 0, 0, 1])),
        ("PRIORITY", frame(2, 0, &[0; 5])),
        ("CONTINUATION", frame(9, 0, &[])),
        ("DATA", frame(DATA, 0, &[])),
        ("GOAWAY", frame(7, 0, &[0; 8])),
        ("unknown", frame(0xba, 0, &[1; 64])),
    ] {
        let stream = |count| [PREFACE, &flood.repeat(count)].concat();
        for size in [1, 100, 1 << 20] {
            let ((out, refusals), taken, _) = served(&stream(100), size, 1);
            assert_eq!(out.unwrap(), stream(100), "{name}");
            assert_eq!((refusals, taken), (vec![], vec![]), "{name}");

            let ((out, refusals), taken, _) = served(&stream(200), size, 1);
            assert_eq!(out.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
            let [(ConnectionRefusal::FrameFlood, example)] = &refusals[..] else {
                panic!("{name}: {refusals:?}");
            };
            assert!(example.contains(name), "{example}");
            assert_eq!(
                taken,
                [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11],
                "{name}: it is asked to calm down"
            );
        }
    }
}

#[test]
fn frames_of_calls_take_nothing_from_the_budget() {
    let call = |stream: u8| {
        [
            on(stream, frame(HEADERS, END_HEADERS, &block(b"a", false))),
            // A client of HTTP/2 may send these for one call.
            on(stream, frame(2, 0, &[0; 5])),
            on(stream, frame(DATA, 0, b"part")),
            on(stream, frame(DATA, END_STREAM, &[])),
            frame(6, 0, &[0; 8]),
            frame(8, 0, &[0, 0, 0, 1]),
            on(stream, frame(8, 0, &[0, 0, 0, 1])),
        ]
        .concat()
    };
    let calls: Vec<u8> = (0..127).flat_map(|number| call(2 * number + 1)).collect();
    let stream = [PREFACE, &calls].concat();
    let ((out, refusals), _, wire) = served(&stream, 1_000, 200);
    assert_eq!((out.unwrap(), refusals), (stream, vec![]));
    assert_eq!((wire.begun_calls, wire.open_calls), (127, 127));
}

#[test]
fn headers_of_an_earlier_call_earn_nothing() {
    let again = frame(HEADERS, END_HEADERS, &block(b"a", false));
    let stream = [PREFACE, &again.repeat(300)].concat();
    let ((out, refusals), ..) = served(&stream, 1_000, 10);
    assert!(out.is_err());
    assert_eq!(refusals[0].0, ConnectionRefusal::FrameFlood);
}

#[test]
fn a_connection_is_counted_frame_by_frame() {
    let head = frame(HEADERS, 0, &block(b"a", false));
    let rest = frame(9, END_HEADERS, &[]);
    for (bytes, is_established, is_unfinished, frames, open) in [
        (PREFACE.to_vec(), false, false, 0, 0),
        (
            [PREFACE, &frame(4, 0, &[0; 6])[..9]].concat(),
            false,
            true,
            0,
            0,
        ),
        ([PREFACE, &frame(4, 0, &[0; 6])].concat(), true, false, 1, 0),
        ([PREFACE, &head[..12]].concat(), false, true, 0, 0),
        ([PREFACE, &head].concat(), true, true, 1, 1),
        ([PREFACE, &head, &rest[..3]].concat(), true, true, 1, 1),
        ([PREFACE, &head, &rest].concat(), true, false, 2, 1),
        (
            [PREFACE, &head, &rest, &frame(RST_STREAM, 0, &[0; 4])].concat(),
            true,
            false,
            3,
            0,
        ),
    ] {
        let mut client = Pieces::new(&bytes, 7);
        client.waits = true;
        let mut guard = guard(client, 10, Arc::default());
        read_until_pending(&mut guard);
        let wire = guard.activity.sample().wire;
        assert_eq!(
            (
                wire.is_established,
                wire.is_unfinished,
                wire.frames,
                wire.open_calls
            ),
            (is_established, is_unfinished, frames, open),
            "{bytes:?}"
        );
    }
}

#[test]
fn a_reader_gets_a_share_at_a_time() {
    let call = |stream: u8| on(stream, frame(HEADERS, END_HEADERS, &block(b"a", false)));
    let calls: Vec<u8> = (0..120).flat_map(|number| call(2 * number + 1)).collect();
    let stream = [PREFACE, &calls].concat();
    let mut guard = guard(Pieces::new(&stream, 1 << 20), 1000, Arc::default());
    let first = read_until_pending(&mut guard);
    assert_eq!(guard.wire.begun_calls, ReadShare::CALLS);
    let rest = read_until_pending(&mut guard);
    assert_eq!((first + rest, guard.wire.begun_calls), (stream.len(), 120));
}

/// Reads as the transport does, and returns how many bytes it got.
fn read_until_pending(guard: &mut TransportGuard<Pieces, RecordedRefusals>) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let mut read = 0;
    guard.activity.begin_turn();
    loop {
        let mut room = vec![0; 1 << 20];
        let mut out = ReadBuf::new(&mut room);
        match Pin::new(&mut *guard).poll_read(&mut context, &mut out) {
            Poll::Ready(done) => done.unwrap(),
            Poll::Pending => return read,
        }
        if out.filled().is_empty() {
            return read;
        }
        read += out.filled().len();
    }
}

#[tokio::test]
async fn nothing_is_read_while_the_client_takes_no_answers() {
    let stream = [PREFACE, &frame(6, 0, &[0; 8]).repeat(50)].concat();
    let mut client = Pieces::new(&stream, 40);
    client.room = 10;
    let mut guard = guard(client, 10, Arc::default());
    let mut out = [0; 24];
    guard.read_exact(&mut out).await.unwrap();

    let waker = Waker::noop();
    let mut context = Context::from_waker(waker);
    assert!(
        Pin::new(&mut guard)
            .poll_write(&mut context, &[0; 10])
            .is_ready()
    );
    assert!(!guard.activity.needs_deadline() || guard.wire.is_unfinished);
    assert!(
        Pin::new(&mut guard)
            .poll_write(&mut context, &[0; 10])
            .is_pending()
    );
    assert!(guard.activity.needs_deadline());
    let mut room = [0; 100];
    let mut out = ReadBuf::new(&mut room);
    assert!(
        Pin::new(&mut guard)
            .poll_read(&mut context, &mut out)
            .is_pending()
    );
    assert!(
        guard.reader.is_some(),
        "it is woken once the client continues"
    );

    guard.io.room = usize::MAX;
    guard.write_all(&[0; 10]).await.unwrap();
    assert!(guard.reader.is_some(), "there may be more to write");
    guard.flush().await.unwrap();
    assert!(guard.reader.is_none());
    let mut rest = Vec::new();
    guard.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest.len(), 50 * 17);
}
