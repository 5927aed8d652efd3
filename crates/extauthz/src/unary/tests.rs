//! Calls as they arrive: in one piece, in many, too long, compressed, unfinished.

use std::collections::VecDeque;

use super::*;

/// The limit of these tests.
const MOST: usize = 4 << 20;

/// A body of these frames.
struct Frames(VecDeque<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// Counts how often it was sent, and how often it was dropped unsent.
#[derive(Clone, Default)]
struct Counted(std::sync::Arc<std::sync::Mutex<(usize, usize)>>);

impl Counted {
    fn outcomes(&self) -> (usize, usize) {
        *self.0.lock().unwrap()
    }
}

/// Passes each outcome on, once.
struct Once(Option<Counted>);

impl Sending for Once {
    fn sent(mut self) -> Option<Bytes> {
        self.0.take().unwrap().0.lock().unwrap().0 += 1;
        None
    }
}

impl Drop for Once {
    fn drop(&mut self) {
        if let Some(counted) = self.0.take() {
            counted.0.lock().unwrap().1 += 1;
        }
    }
}

fn body(pieces: &[&[u8]]) -> Frames {
    Frames(
        pieces
            .iter()
            .map(|piece| Frame::data(Bytes::copy_from_slice(piece)))
            .collect(),
    )
}

async fn read_whole(body: Frames) -> Result<Vec<u8>, Vec<u8>> {
    match read(body, MOST, &Arc::default()).await.unwrap() {
        UnaryBody::Message(message, _) => Ok(message.to_vec()),
        UnaryBody::Unusual(_, whole) => Err(whole.collect().await.unwrap().to_bytes().to_vec()),
    }
}

async fn unusual(pieces: &[&[u8]]) -> Option<Unusual> {
    match read(body(pieces), MOST, &Arc::default()).await.unwrap() {
        UnaryBody::Message(..) => None,
        UnaryBody::Unusual(unusual, _) => Some(unusual),
    }
}

#[tokio::test]
async fn a_message_is_read_however_it_is_cut() {
    let frame = b"\0\0\0\0\x03abc";
    for cut in 0..=frame.len() {
        let (head, tail) = frame.split_at(cut);
        assert_eq!(
            read_whole(body(&[head, tail])).await,
            Ok(b"abc".to_vec()),
            "cut at {cut}"
        );
        assert_eq!(
            read_whole(body(&[head, b"", tail])).await,
            Ok(b"abc".to_vec()),
            "cut at {cut}"
        );
    }
    assert_eq!(
        read_whole(body(&[b"\0\0\0\0\0"])).await,
        Ok(Vec::new()),
        "an empty message is a message"
    );
    let mut trailed = body(&[frame]);
    trailed.0.push_back(Frame::trailers(HeaderMap::new()));
    assert_eq!(read_whole(trailed).await, Ok(b"abc".to_vec()));
}

#[tokio::test]
async fn unusual_calls_are_handed_back_whole() {
    let too_long = [b"\0\0\x40\0\x01".as_slice(), b"ab"];
    for pieces in [
        &[][..],
        &[b"\0\0".as_slice()],
        &[b"\0\0\0\0\x03ab".as_slice()],
        &[b"\0\0\0\0\x03abcd".as_slice()],
        &[b"\0\0\0\0\x01a\0\0\0\0\x01b".as_slice()],
        &[b"\x01\0\0\0\x03abc".as_slice()],
        &[b"\x02\0\0\0\x03abc".as_slice()],
        &too_long,
    ] {
        assert_eq!(
            read_whole(body(pieces)).await,
            Err(pieces.concat()),
            "{pieces:?}"
        );
    }
    let longest = [b"\0\0\x40\0\0".to_vec(), vec![7; MOST]].concat();
    assert_eq!(read_whole(body(&[&longest])).await, Ok(vec![7; MOST]));
}

#[tokio::test]
async fn unusual_calls_are_distinguished() {
    for (pieces, expected) in [
        (&[][..], Some(Unusual::Nothing)),
        (&[b"\0\0".as_slice()], Some(Unusual::Unfinished)),
        (&[b"\0\0\0\0\x03ab".as_slice()], Some(Unusual::Unfinished)),
        (&[b"\0\0\0\0\x03abcd".as_slice()], Some(Unusual::Several)),
        (
            &[b"\0\0\0\0\x01a".as_slice(), b"\0\0\0\0\x01b".as_slice()],
            Some(Unusual::Several),
        ),
        (
            &[b"\x01\0\0\0\x03abc".as_slice()],
            Some(Unusual::Compressed),
        ),
        (
            &[b"\x02\0\0\0\x03abc".as_slice()],
            Some(Unusual::Compressed),
        ),
        (
            &[b"\0\0\x40\0\x01".as_slice(), b"ab".as_slice()],
            Some(Unusual::TooLarge(MOST + 1)),
        ),
        (
            &[b"\0\xff\xff\xff\xff".as_slice()],
            Some(Unusual::TooLarge(u32::MAX as usize)),
        ),
        (&[b"\0\0\0\0\x03abc".as_slice()], None),
    ] {
        assert_eq!(unusual(pieces).await, expected, "{pieces:?}");
    }
}

#[test]
fn grpc_is_recognised_by_its_content_type() {
    let of = |text: &str| HeaderMap::from_iter([(CONTENT_TYPE, text.parse().unwrap())]);
    for text in [
        "application/grpc",
        "application/grpc+proto",
        "Application/gRPC",
        "application/grpc; charset=utf-8",
    ] {
        assert!(is_grpc(&of(text)), "{text}");
    }
    for text in [
        "",
        "text/plain",
        "application/json",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpc+json",
        "application/grpc+",
        "application/grpcx",
        "application/grp",
    ] {
        assert!(!is_grpc(&of(text)), "{text}");
    }
    assert!(!is_grpc(&HeaderMap::new()), "none at all");
}

#[tokio::test]
async fn an_answer_is_a_message_and_the_status() {
    let framed = framed(1, |out| out.extend_from_slice(b"abc"));
    assert_eq!(
        (&framed[..], message(&framed)),
        (b"\0\0\0\0\x03abc".as_slice(), b"abc".as_slice())
    );
    let response = response(framed.clone(), Once(Some(Counted::default())));
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), framed);
}

#[tokio::test]
async fn a_long_answer_is_sent_in_short_frames() {
    for length in [0, MAX_FRAME - PREFIX, MAX_FRAME, 5 * MAX_FRAME] {
        let framed = framed(length, |out| out.resize(PREFIX + length, 7));
        let mut body = response(framed.clone(), Once(Some(Counted::default()))).into_body();
        let mut sent = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.unwrap().into_data() else {
                break;
            };
            assert!(data.len() <= MAX_FRAME, "{length}");
            sent.extend_from_slice(&data);
        }
        assert_eq!(sent, framed, "{length}");
    }
}

#[tokio::test]
async fn an_answer_is_sent_once_its_message_is_taken_and_unsent_if_it_never_is() {
    for (frames, expected) in [(0, (0, 1)), (1, (1, 0)), (2, (1, 0)), (9, (1, 0))] {
        let counted = Counted::default();
        let mut body =
            response(framed(1, |out| out.push(7)), Once(Some(counted.clone()))).into_body();
        for _ in 0..frames {
            body.frame().await;
        }
        drop(body);
        assert_eq!(counted.outcomes(), expected, "after {frames} frames");
    }
}

#[test]
fn grpc_timeout_is_a_number_and_a_unit() {
    let read = |text: &str| {
        grpc_timeout(&HeaderMap::from_iter([(
            "grpc-timeout".parse().unwrap(),
            text.parse().unwrap(),
        )]))
    };
    for (text, time) in [
        ("1H", Duration::from_secs(3600)),
        ("2M", Duration::from_secs(120)),
        ("3S", Duration::from_secs(3)),
        ("50m", Duration::from_millis(50)),
        ("7u", Duration::from_micros(7)),
        ("0n", Duration::ZERO),
        ("99999999H", Duration::from_secs(99_999_999 * 3600)),
    ] {
        assert_eq!(read(text), Some(time), "{text}");
    }
    for text in [
        "",
        "S",
        "1",
        "1s",
        "+1S",
        "-1S",
        "1 S",
        "100000000S",
        "1SS",
        "1.5S",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    assert_eq!(grpc_timeout(&HeaderMap::new()), None);
}
