//! Which headers are of a call that is refused, and what the transport gets of later ones.

use super::*;

/// Returns the path with more fields behind it.
fn with(fields: &[u8]) -> Vec<u8> {
    [&path(CHECK), fields].concat()
}

fn head_of(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, block)
}

/// A field that enters the table.
const TRACE: &[u8] = b"\x40\x05trace\x031-2";

#[tokio::test]
async fn only_calls_of_the_path_are_refused() {
    for (block, is_refused, why) in [
        (path(CHECK), true, "spelled out"),
        (with(TRACE), true, "with a field that enters the table"),
        (
            with(b"\x10\x02te\x08trailers"),
            true,
            "with one that never may",
        ),
        (
            [&b"\x20"[..], &path(CHECK)].concat(),
            true,
            "after a change of the table's size",
        ),
        (path("/grpc.health.v1.Health/Check"), false, "another path"),
        (with(&path("/other")), false, "two paths"),
        (b"\x83".to_vec(), false, "none"),
    ] {
        let mut rig = Rig::overloaded().await;
        let passed = rig.send(&head_of(3, &block)).await;
        assert_eq!(passed.is_empty(), is_refused, "{why}");
        assert_eq!(rig.shed(), u64::from(is_refused), "{why}");
    }
}

#[tokio::test]
async fn a_path_from_the_table_is_recognized() {
    let mut rig = Rig::start().await;
    let enters = [&[0x44][..], &text(CHECK)].concat();
    assert_eq!(rig.send(&head_of(3, &enters)).await, head_of(3, &enters));
    rig.overload();
    assert_eq!(rig.send(&head_of(5, b"\xbe")).await, b"");
    assert_eq!(rig.shed(), 1);
}

#[tokio::test]
async fn after_a_refused_call_changed_the_table_the_transport_gets_headers_without_one() {
    let mut rig = Rig::overloaded().await;
    assert_eq!(rig.send(&head_of(3, &with(TRACE))).await, b"");
    rig.end_overload();
    // The newest entry of the client's table, which the transport never saw.
    let refers = [head_of(5, &with(b"\xbe")), message(5, 3)].concat();
    let spelled = [
        head_of(5, &[&b"\x20"[..], &with(b"\x00\x05trace\x031-2")].concat()),
        message(5, 3),
    ]
    .concat();
    assert_eq!(rig.send(&refers).await, spelled);
    // However the bytes arrive, and with others around it.
    let ping = frame(PING, 0, 0, &[1; 8]);
    let mut passed = Vec::new();
    for byte in [&ping[..], &refers, &ping].concat() {
        passed.extend(rig.send(&[byte]).await);
    }
    assert_eq!(passed, [&ping[..], &spelled, &ping].concat());
}

#[tokio::test]
async fn headers_in_several_frames_are_refused_and_rewritten_as_a_whole() {
    let mut rig = Rig::overloaded().await;
    let block = with(TRACE);
    let cut = |stream: u32, block: &[u8], at: usize| {
        let (first, rest) = block.split_at(at);
        [
            frame(HEADERS, 0, stream, first),
            frame(CONTINUATION, 0, stream, &[]),
            frame(CONTINUATION, END_HEADERS, stream, rest),
        ]
        .concat()
    };
    for (number, at) in (0..block.len()).enumerate() {
        let stream = u32::try_from(number).unwrap() * 2 + 3;
        let (begun, rest) = (cut(stream, &block, at), message(stream, 10));
        for byte in [begun, rest].concat() {
            assert_eq!(rig.send(&[byte]).await, b"", "{at}");
        }
        assert_eq!(rig.received().await, refusal(stream), "{at}");
    }
    rig.end_overload();
    let spelled = [&b"\x20"[..], &with(b"\x00\x05trace\x031-2")].concat();
    assert_eq!(
        rig.send(&cut(1001, &with(b"\xbe"), 4)).await,
        head_of(1001, &spelled)
    );
}

#[tokio::test]
async fn a_rewritten_block_that_is_too_long_is_answered_as_the_transport_would() {
    let mut rig = Rig::overloaded().await;
    let long = [&[0x40, 1, b'a', 0x7f, 0xa1, 0x1e][..], &[b'x'; 4000]].concat();
    assert_eq!(rig.send(&head_of(3, &with(&long))).await, b"");
    rig.received().await;
    rig.end_overload();
    // Five times four kilobytes.
    assert_eq!(rig.send(&head_of(5, &with(&[0xbe; 5]))).await, b"");
    let answer = frame(HEADERS, END_HEADERS | END_STREAM, 5, TOO_LONG);
    assert_eq!(rig.received().await, answer);
    assert_eq!(
        *rig.shed.1.lock().unwrap(),
        [ConnectionRefusal::StreamRefused]
    );
    let rest = rig.send(&[message(5, 10), call(7)].concat()).await;
    let begins = head_of(7, &[&b"\x20"[..], &path(CHECK)].concat());
    assert_eq!(rest, [begins, message(7, 100)].concat());
}

#[tokio::test]
async fn headers_that_contradict_the_table_end_the_connection_only_if_the_transport_cannot_judge() {
    let unknown = head_of(5, &with(b"\xff\x00"));
    let mut rig = Rig::start().await;
    assert_eq!(rig.send(&unknown).await, unknown, "the transport judges");
    let mut rig = Rig::overloaded().await;
    assert_eq!(rig.send(&head_of(3, &with(TRACE))).await, b"");
    rig.end_overload();
    rig.client.write_all(&unknown).await.unwrap();
    let cut = now(rig.guard.read_buf(&mut Vec::new())).await.unwrap();
    assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(
        *rig.shed.1.lock().unwrap(),
        [ConnectionRefusal::HeadersMalformed]
    );
}

#[tokio::test]
async fn headers_behind_a_refused_call_are_dropped() {
    let mut rig = Rig::overloaded().await;
    assert_eq!(rig.send(&head(3)).await, b"");
    let trailers = frame(HEADERS, END_HEADERS | END_STREAM, 3, TRACE);
    assert_eq!(rig.send(&trailers).await, b"");
    assert!(rig.shedding().unfinished.is_empty());
    rig.end_overload();
    assert_eq!(
        rig.send(&head_of(5, b"\xbe")).await,
        head_of(5, b"\x20\x00\x05trace\x031-2"),
        "they were read"
    );
}
