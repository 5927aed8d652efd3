//! Bytes on their way, cut anywhere: what passes unchanged, what is mended, what is ended, and what
//! is reported.

mod flow;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::answers::Answer;
use super::frame::{GOAWAY, PADDED, PRIORITY};
use super::input::READ_BUFFER;
use super::*;

/// An observer that stores what was refused.
#[derive(Default)]
struct RecordedRefusals(Mutex<Vec<(ConnectionRefusal, String)>>);

impl ConnectionObserver for RecordedRefusals {
    fn refused(&self, refusal: ConnectionRefusal, example: &dyn Display) {
        self.0.lock().unwrap().push((refusal, example.to_string()));
    }

    fn shed(&self, calls: u64) {
        panic!("no queue bounds the {calls} calls");
    }
}

/// A client that sends these pieces and then closes, or waits. It takes so many bytes of answers.
struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    waits: bool,
    taken: Vec<u8>,
    room: usize,
}

impl Pieces {
    fn new(bytes: &[u8], size: usize) -> Pieces {
        Pieces {
            pieces: bytes.chunks(size).map(<[u8]>::to_vec).collect(),
            waits: false,
            taken: Vec::new(),
            room: usize::MAX,
        }
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = bytes.len().min(self.room);
        if count == 0 {
            return Poll::Pending;
        }
        self.room -= count;
        self.taken.extend(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = self.pieces.front_mut() {
            let rest = piece.split_off(piece.len().min(out.remaining()));
            out.put_slice(piece);
            *piece = rest;
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        } else if self.waits {
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

/// What the transport receives, and what is reported.
type Passed = (io::Result<Vec<u8>>, Vec<(ConnectionRefusal, String)>);

/// Returns what the transport receives of these bytes, cut into such pieces, and what is reported.
fn passed(bytes: &[u8], size: usize, resets: u32) -> Passed {
    served(bytes, size, resets).0
}

/// Returns besides what the client receives, and what the connection is doing at last.
fn served(bytes: &[u8], size: usize, resets: u32) -> (Passed, Vec<u8>, WireActivity) {
    let refusals = Arc::new(RecordedRefusals::default());
    let mut guard = guard(Pieces::new(bytes, size), resets, refusals.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let read = runtime.block_on(async {
        let mut out = Vec::new();
        let mut room = vec![0; 1 << 10];
        loop {
            let read = std::future::poll_fn(|context| {
                guard.activity.begin_turn();
                let mut out = ReadBuf::new(&mut room);
                let read = Pin::new(&mut guard).poll_read(context, &mut out);
                read.map_ok(|()| out.filled().len())
            });
            match read.await? {
                0 => return Ok(out),
                count => out.extend(&room[..count]),
            }
        }
    });
    let refusals = std::mem::take(&mut *refusals.0.lock().unwrap());
    let wire = guard.activity.sample().wire;
    ((read, refusals), guard.io.taken, wire)
}

/// A client may send a hundred control frames at once.
fn guard(
    io: Pieces,
    resets: u32,
    observer: Arc<RecordedRefusals>,
) -> TransportGuard<Pieces, RecordedRefusals> {
    let limits = ConnectionLimits {
        concurrent_streams: resets,
        pending_resets: resets,
        control_frames: 20,
        ..ConnectionLimits::DEFAULT
    };
    TransportGuard::new(io, &limits, observer, Arc::default())
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

/// Returns a block of headers with this authority, Huffman-coded or not.
fn block(authority: &[u8], is_huffman: bool) -> Vec<u8> {
    let content = if is_huffman {
        huffman::encode(authority)
    } else {
        authority.to_vec()
    };
    assert!(content.len() < 127);
    let length = u8::try_from(content.len()).unwrap() | if is_huffman { 0x80 } else { 0 };
    [
        &[0x83, 0x86, 0x84, 0x41, length],
        content.as_slice(),
        &[0xbf],
    ]
    .concat()
}

#[test]
fn an_authority_is_mended_wherever_its_frame_is_cut() {
    for is_huffman in [false, true] {
        let (refused, taken) = (
            block(b"outbound|9191||customs", is_huffman),
            block(b"outbound_9191__customs", is_huffman),
        );
        for (flags, before, behind) in [
            (4, &[][..], &[][..]),
            (5, &[], &[]),
            (4 | PRIORITY, &[0, 0, 0, 3, 7], &[]),
            (4 | PADDED, &[3], &[0; 3]),
        ] {
            let stream = |block: &[u8]| {
                let headers = frame(HEADERS, flags, &[before, block, behind].concat());
                [
                    PREFACE,
                    &frame(4, 0, &[]),
                    &headers,
                    &frame(0, 1, b"body"),
                    &headers,
                    &frame(6, 0, &[7; 8]),
                ]
                .concat()
            };
            for size in 1..40 {
                let (out, refusals) = passed(&stream(&refused), size, 1);
                assert_eq!(out.unwrap(), stream(&taken), "{is_huffman} {flags} {size}");
                assert_eq!(refusals, []);
            }
        }
    }
}

#[test]
fn the_longest_frames_pass_and_longer_ones_are_for_the_transport_to_judge() {
    let long = |length| {
        let block = [block(b"a/b", true), vec![0; length]].concat();
        frame(HEADERS, 4, &block[..length])
    };
    for size in [1, 1_000, READ_BUFFER] {
        let stream = [
            PREFACE,
            &long(LONGEST),
            &long(LONGEST),
            &frame(0, 0, &[1; LONGEST]),
        ]
        .concat();
        let expected = [
            PREFACE,
            &mended_by_hand(&long(LONGEST)),
            &mended_by_hand(&long(LONGEST)),
            &frame(0, 0, &[1; LONGEST]),
        ];
        assert_eq!(
            passed(&stream, size, 1).0.unwrap(),
            expected.concat(),
            "{size}"
        );
        let stream = [PREFACE, &long(LONGEST + 1), &long(20)].concat();
        assert_eq!(
            passed(&stream, size, 1).0.unwrap(),
            stream,
            "{size}: nothing behind it is understood"
        );
    }
}

/// The text `a/b` takes as many bytes in the code as `a_b`.
fn mended_by_hand(frame: &[u8]) -> Vec<u8> {
    let (refused, taken) = (huffman::encode(b"a/b"), huffman::encode(b"a_b"));
    assert_eq!(refused.len(), taken.len());
    let at = frame
        .windows(refused.len())
        .position(|window| window == refused)
        .unwrap();
    let mut frame = frame.to_vec();
    frame[at..at + taken.len()].copy_from_slice(&taken);
    frame
}

#[test]
fn an_unfinished_frame_passes_at_the_end() {
    let stream = [PREFACE, &frame(HEADERS, 4, &block(b"a/b", false))].concat();
    for end in PREFACE.len()..stream.len() {
        assert_eq!(
            passed(&stream[..end], 7, 1).0.unwrap(),
            &stream[..end],
            "{end}"
        );
    }
}

#[test]
fn input_other_than_a_preface_is_reported_and_ended() {
    for (bytes, cause, example) in [
        (
            &b"GET /x?token=1 HTTP/1.1\r\n\r\n"[..],
            ConnectionRefusal::Http1,
            "a request GET of HTTP/1",
        ),
        (
            b"PRI * HTTP/1.1\r\n",
            ConnectionRefusal::Http1,
            "a request PRI of HTTP/1",
        ),
        (
            &[0x16, 3, 1, 2, 0],
            ConnectionRefusal::Tls,
            "a TLS handshake",
        ),
        (
            b"SSH-2.0-x",
            ConnectionRefusal::OtherProtocol,
            "a connection that begins with the bytes 53 53 48 2d 32 2e 30 2d",
        ),
    ] {
        let (out, refusals) = passed(bytes, bytes.len(), 1);
        assert_eq!(out.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(refusals, [(cause, example.to_owned())]);
    }
    for end in 1..PREFACE.len() {
        assert_eq!(
            passed(&PREFACE[..end], 3, 1).1[0].0,
            ConnectionRefusal::OtherProtocol,
            "{end}"
        );
    }
    assert_eq!(passed(b"", 1, 1).1, [], "the client sent nothing");
}

#[test]
fn more_resets_than_allowed_end_the_connection() {
    let resets = |count| [PREFACE, &frame(RST_STREAM, 0, &[0, 0, 0, 8]).repeat(count)].concat();
    assert_eq!(passed(&resets(50), 33, 50).0.unwrap(), resets(50));
    let (out, refusals) = passed(&resets(1_000), 33, 50);
    assert_eq!(out.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(
        refusals,
        [(
            ConnectionRefusal::TooManyResets,
            "the client reset more than 50 calls in a second".to_owned()
        )]
    );
}

#[test]
fn answers_are_found_however_they_are_cut() {
    let answers = [
        frame(4, 0, &[0; 6]),
        frame(4, 1, &[]),
        frame(RST_STREAM, 0, &[0, 0, 0, 1]),
        frame(HEADERS, END_HEADERS, &[1; 20]),
        frame(DATA, END_STREAM, &[3; 40]),
        frame(DATA, END_STREAM, &[]),
        frame(8, 0, &[0, 0, 0, 1]),
        frame(RST_STREAM, 0, &[0, 0, 0, 7]),
    ]
    .concat();
    let expected = [
        Answer::Acknowledged,
        Answer::Reset(1, 1),
        Answer::Headers { ended: None },
        Answer::Ended(1),
        Answer::Ended(1),
        Answer::Reset(1, 7),
    ];
    for size in 1..answers.len() {
        let (mut found, mut walk) = (Vec::new(), Answers::default());
        answers
            .chunks(size)
            .for_each(|bytes| walk.look(bytes, |answer| found.push(answer)));
        assert_eq!(found, expected, "{size}");
        assert!(walk.are_whole());
    }
}

proptest! {
    #[test]
    fn whatever_follows_the_preface_passes_in_its_order(
        frames in prop::collection::vec((0..12_u8, any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)), 0..12),
        rest in prop::collection::vec(any::<u8>(), 0..40),
        size in 1..90_usize,
    ) {
        let frames: Vec<u8> = frames.iter().flat_map(|(kind, flags, payload)| frame(*kind, *flags, payload)).collect();
        let stream = [PREFACE, &frames, &rest].concat();
        let whole = passed(&stream, stream.len(), 1_000).0.unwrap();
        prop_assert_eq!(passed(&stream, size, 1_000).0.unwrap(), &whole[..], "the place of the cuts makes no difference");
        // Unless a block happens to contain an authority, these are the same bytes.
        prop_assert!(whole.len() <= stream.len());
        let has_authority = stream.windows(1).any(|byte| [0x01, 0x11, 0x41, 0x00, 0x10, 0x40].contains(&byte[0]));
        if !has_authority {
            prop_assert_eq!(whole, stream);
        }
    }
}
