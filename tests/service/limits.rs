//! Clients that hold a connection without using it, or use it up: each is ended or refused in time,
//! and reported with its cause. Others are answered meanwhile.

use std::time::{Duration, Instant};

use customs_engine::settings::Settings;
use customs_net::ConnectionLimits;
use customs_record::RefusalCause;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::SEED;
use crate::http2_client::*;
use crate::rig::Rig;

/// Times short enough for a test, and long enough that a busy machine does not exceed them.
const LIMITS: ConnectionLimits = ConnectionLimits {
    concurrent_streams: 200,
    pending_resets: 800,
    control_frames: 50,
    handshake_timeout: Duration::from_secs(2),
    request_timeout: Duration::from_secs(2),
    ..ConnectionLimits::DEFAULT
};

async fn start() -> Rig {
    Rig::start_with(SEED, Settings::default(), LIMITS).await
}

fn causes(rig: &Rig) -> Vec<RefusalCause> {
    let refusals = rig.log.refusals();
    refusals.into_iter().map(|(_, cause, _)| cause).collect()
}

/// Waits until something was refused for this cause, and returns how often.
async fn refused_for(rig: &Rig, cause: RefusalCause) -> usize {
    let wait = async {
        loop {
            let count = causes(rig).iter().filter(|seen| **seen == cause).count();
            if count > 0 {
                return count;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(BOUND, wait).await.expect("it is reported")
}

/// Waits until the server has closed the connection, and returns what it sent before.
async fn until_closed(socket: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = timeout(BOUND, socket.read_to_end(&mut rest))
        .await
        .expect("it is closed");
    rest
}

async fn is_answered(client: &mut Client, stream: u32) -> bool {
    let call = Call::default().with(stream, &message(&check()));
    client.send(&call).await;
    !client.answer(stream).await.data.is_empty()
}

#[tokio::test]
async fn a_flood_of_frames_without_calls_is_cut_and_reported_once() {
    let rig = start().await;
    let open = frame(HEADERS, END_HEADERS, 1, &Call::default().head());
    for (name, before, flood) in [
        ("ping", vec![], frame(6, 0, 0, &[7; 8])),
        (
            "settings",
            vec![],
            frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]),
        ),
        ("empty settings", vec![], frame(SETTINGS, 0, 0, &[])),
        ("window", vec![], frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        (
            "window of a call",
            open.clone(),
            frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
        ),
        ("priority", vec![], frame(2, 0, 3, &[0, 0, 0, 1, 7])),
        ("unknown", vec![], frame(0xba, 0, 0, &[1; 64])),
    ] {
        let mut client = Client::connect(&rig).await;
        assert!(is_answered(&mut client, 1).await, "{name}");
        let mut client = Client::connect(&rig).await;
        client.send(&before).await;
        // The connection may be cut before all of it is written.
        let _ = client.socket.write_all(&flood.repeat(20_000)).await;
        assert!(client.answer(99_999).await.gone, "{name}");
        assert_eq!(
            refused_for(&rig, RefusalCause::FrameFlood).await,
            1,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_client_that_is_cut_for_a_flood_is_asked_to_calm_down() {
    let rig = start().await;
    let mut client = Client::connect(&rig).await;
    assert!(is_answered(&mut client, 1).await);
    // Slowly, so that the server has read all of it when it closes, and nothing is lost.
    let ping = frame(6, 0, 0, &[7; 8]);
    let goaway = async {
        loop {
            if client.socket.write_all(&ping.repeat(30)).await.is_err() {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut more = [0; 4096];
            while let Ok(count @ 1..) = client.socket.try_read(&mut more) {
                client.read.extend(&more[..count]);
            }
            while let Some((kind, _, _, payload)) = client.next_frame() {
                if kind == GOAWAY {
                    return Some(payload);
                }
            }
        }
    };
    let goaway = timeout(BOUND, goaway).await.unwrap();
    assert_eq!(goaway.unwrap(), [0, 0, 0, 1, 0, 0, 0, 11]);
}

#[tokio::test]
async fn a_client_with_calls_may_send_many_frames() {
    let rig = start().await;
    let mut client = Client::connect(&rig).await;
    for stream in (1..600).step_by(2) {
        // Far more than the budget without calls.
        let more = [
            frame(6, 0, 0, &[7; 8]),
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
            frame(2, 0, stream, &[0, 0, 0, 0, 7]),
        ];
        client.send(&more.concat()).await;
        assert!(is_answered(&mut client, stream).await, "{stream}");
    }
    assert_eq!(causes(&rig), []);
}

#[tokio::test]
async fn a_connection_that_is_not_used_ends_at_the_handshake_timeout() {
    let rig = start().await;
    for (name, bytes) in [
        ("half a preface", PREFACE[..20].to_vec()),
        ("no settings", PREFACE.to_vec()),
        (
            "half of the settings",
            [PREFACE, &frame(SETTINGS, 0, 0, &[0; 6])[..12]].concat(),
        ),
    ] {
        let begun = Instant::now();
        let mut socket = TcpStream::connect(rig.address).await.unwrap();
        socket.write_all(&bytes).await.unwrap();
        until_closed(&mut socket).await;
        assert!(begun.elapsed() >= LIMITS.handshake_timeout, "{name}");
        assert_eq!(
            refused_for(&rig, RefusalCause::HandshakeTimeout).await,
            1,
            "{name}"
        );
    }
}

#[tokio::test]
async fn headers_that_are_never_whole_end_the_connection() {
    let rig = start().await;
    let head = Call::default().head();
    for (name, bytes) in [
        (
            "half a frame",
            frame(HEADERS, END_HEADERS, 3, &head)[..30].to_vec(),
        ),
        (
            "half of a head",
            frame(HEADERS, END_HEADERS, 3, &head)[..5].to_vec(),
        ),
        ("no end of headers", frame(HEADERS, 0, 3, &head)),
        ("half of a ping", frame(6, 0, 0, &[0; 8])[..12].to_vec()),
    ] {
        let mut client = Client::connect(&rig).await;
        assert!(is_answered(&mut client, 1).await, "{name}");
        let begun = Instant::now();
        client.send(&bytes).await;
        until_closed(&mut client.socket).await;
        assert!(begun.elapsed() >= LIMITS.request_timeout, "{name}");
        assert_eq!(
            refused_for(&rig, RefusalCause::RequestTimeout).await,
            1,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_frame_that_comes_byte_by_byte_ends_the_connection() {
    let rig = start().await;
    let mut client = Client::connect(&rig).await;
    assert!(is_answered(&mut client, 1).await);
    let slow = frame(HEADERS, END_HEADERS, 3, &[0; 200]);
    let drip = async {
        for byte in slow {
            if client.socket.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(BOUND, drip).await.expect("it is cut meanwhile");
    assert_eq!(refused_for(&rig, RefusalCause::RequestTimeout).await, 1);
}

#[tokio::test]
async fn a_message_that_is_never_whole_is_refused_and_its_connection_stays() {
    let rig = start().await;
    let mut client = Client::connect(&rig).await;
    assert!(is_answered(&mut client, 1).await);
    let whole = message(&check());
    let open = frame(HEADERS, END_HEADERS, 3, &Call::default().head());
    client
        .send(&[open, frame(DATA, 0, 3, &whole[..40])].concat())
        .await;
    let begun = Instant::now();
    // Another byte now and then makes no difference.
    for at in 40..46 {
        client.send(&frame(DATA, 0, 3, &whole[at..=at])).await;
        tokio::time::sleep(LIMITS.request_timeout / 8).await;
    }
    let came = client.answer(3).await;
    assert!(begun.elapsed() >= LIMITS.request_timeout);
    assert!(came.data.is_empty() && !came.gone, "{came:?}");
    assert_eq!(causes(&rig), [RefusalCause::RequestTimeout]);
    assert!(
        is_answered(&mut client, 5).await,
        "others on the connection go on"
    );
}

#[tokio::test]
async fn a_connection_whose_only_call_is_never_whole_ends() {
    let rig = start().await;
    let mut client = Client::connect(&rig).await;
    client
        .send(&frame(HEADERS, END_HEADERS, 1, &Call::default().head()))
        .await;
    // It gets a GOAWAY; a client that does not answer the ping of that is closed.
    until_closed(&mut client.socket).await;
    assert_eq!(refused_for(&rig, RefusalCause::RequestTimeout).await, 1);
}

#[tokio::test]
async fn a_connection_without_calls_is_asked_to_go() {
    let limits = ConnectionLimits {
        idle_timeout: Duration::from_secs(2),
        ..LIMITS
    };
    let rig = Rig::start_with(SEED, Settings::default(), limits).await;
    let mut client = Client::connect(&rig).await;
    assert!(is_answered(&mut client, 1).await);
    let said = goaway(&mut client).await;
    assert_eq!(said[4..8], [0; 4], "no error");
    assert!(
        is_answered(&mut client, 3).await,
        "a call on its way is answered"
    );
    assert_eq!(causes(&rig), [], "nobody did anything wrong");
}

#[tokio::test]
async fn a_connection_ends_at_its_age_and_answers_what_is_open() {
    let limits = ConnectionLimits {
        age: Some(Duration::from_secs(2)),
        ..LIMITS
    };
    let rig = Rig::start_with(SEED, Settings::default(), limits).await;
    let mut client = Client::connect(&rig).await;
    assert!(is_answered(&mut client, 1).await);
    // A check that waits for its record while the connection becomes too old.
    rig.log.gate.forget_permits(1_000);
    client
        .send(&Call::default().with(3, &message(&check())))
        .await;
    goaway(&mut client).await;
    rig.log.gate.add_permits(1_000);
    assert!(!client.answer(3).await.data.is_empty());
    assert_eq!(causes(&rig), []);
}

/// Waits until the server asks the client to go, and returns what it says.
async fn goaway(client: &mut Client) -> Vec<u8> {
    let wait = async {
        loop {
            while let Some((kind, _, _, payload)) = client.next_frame() {
                if kind == GOAWAY {
                    return payload;
                }
            }
            assert!(client.receive().await, "it says so before it closes");
        }
    };
    timeout(BOUND, wait).await.expect("it is asked to go")
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_cut() {
    for (name, window, bytes) in [
        // No window at all, and one that is a byte.
        ("window 0", 0_u32, &b""[..]),
        ("window 1", 1, b""),
        // It is lively otherwise.
        ("window 0 and pings", 0, &[6]),
    ] {
        let rig = start().await;
        let mut socket = TcpStream::connect(rig.address).await.unwrap();
        let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
        let calls: Vec<u8> = (0..20)
            .flat_map(|call| Call::default().with(2 * call + 1, &message(&check())))
            .collect();
        let begin = [PREFACE, &frame(SETTINGS, 0, 0, &settings), &calls].concat();
        socket.write_all(&begin).await.unwrap();
        let closed = async {
            loop {
                for kind in bytes {
                    let ping = frame(*kind, 0, 0, &[0; 8]);
                    if socket.write_all(&ping).await.is_err() {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                let mut more = [0; 4096];
                let read = timeout(Duration::from_millis(1), socket.read(&mut more)).await;
                if matches!(read, Ok(Ok(0) | Err(_))) {
                    return;
                }
            }
        };
        timeout(BOUND, closed).await.expect(name);
        assert_eq!(
            refused_for(&rig, RefusalCause::AnswersUnread).await,
            1,
            "{name}"
        );
        assert_eq!(rig.log.entries().len(), 20, "{name}: they were decided");
    }
}

#[tokio::test]
async fn a_client_that_never_reads_its_socket_is_cut() {
    let rig = start().await;
    let socket = TcpStream::connect(rig.address).await.unwrap();
    let (_unread, mut socket) = socket.into_split();
    let window = (1_u32 << 30).to_be_bytes();
    let settings = frame(SETTINGS, 0, 0, &[&[0, 4][..], &window].concat());
    let begin = [PREFACE, &settings, &frame(WINDOW_UPDATE, 0, 0, &window)].concat();
    socket.write_all(&begin).await.unwrap();
    let flood = async {
        for first in (1..).step_by(200) {
            let calls: Vec<u8> = (0..100)
                .flat_map(|call| Call::default().with(first + 2 * call, &message(&check())))
                .collect();
            if socket.write_all(&calls).await.is_err() {
                return;
            }
        }
    };
    timeout(6 * BOUND, flood).await.expect("it is cut");
    let causes = causes(&rig);
    assert!(causes.contains(&RefusalCause::AnswersUnread), "{causes:?}");
}
