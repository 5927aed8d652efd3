//! Bytes on their way, cut anywhere: what passes unchanged, what is mended, what is ended, and what
//! is reported.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::AsyncReadExt;

use super::frame::{PADDED, PRIORITY};
use super::input::READ_BUFFER;
use super::*;

/// An observer that stores what was refused.
#[derive(Default)]
struct RecordedRefusals(Mutex<Vec<(ConnectionRefusal, String)>>);

impl ConnectionObserver for RecordedRefusals {
    fn refused(&self, refusal: ConnectionRefusal, example: &dyn Display) {
        self.0.lock().unwrap().push((refusal, example.to_string()));
    }
}

/// A client that sends these pieces and then closes.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = self.0.front_mut() {
            let rest = piece.split_off(piece.len().min(out.remaining()));
            out.put_slice(piece);
            *piece = rest;
            if piece.is_empty() {
                self.0.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Returns what the transport receives of these bytes, cut into such pieces, and what is reported.
fn passed(
    bytes: &[u8],
    size: usize,
    resets: u32,
) -> (io::Result<Vec<u8>>, Vec<(ConnectionRefusal, String)>) {
    let refusals = Arc::new(RecordedRefusals::default());
    let limits = ConnectionLimits {
        concurrent_streams: resets,
        pending_resets: resets,
        ..ConnectionLimits::default()
    };
    let pieces = bytes.chunks(size).map(<[u8]>::to_vec).collect();
    let mut guard = TransportGuard::new(Pieces(pieces), limits, refusals.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let read = runtime.block_on(async {
        let mut out = Vec::new();
        guard.read_to_end(&mut out).await.map(|_| out)
    });
    let refusals = std::mem::take(&mut *refusals.0.lock().unwrap());
    (read, refusals)
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
fn resets_come_back_with_time() {
    let start = Instant::now();
    let limits = ConnectionLimits {
        concurrent_streams: 100,
        pending_resets: 400,
        ..ConnectionLimits::default()
    };
    let taken = |budget: &mut ResetBudget, millis| {
        (0..1_000)
            .take_while(|_| budget.take(start + Duration::from_millis(millis)))
            .count()
    };
    let mut budget = ResetBudget::new(limits);
    assert_eq!(taken(&mut budget, 0), 400);
    // One was taken although none was available.
    assert_eq!(taken(&mut budget, 500), 199);
    assert_eq!(
        taken(&mut budget, 60_000),
        400,
        "never more than there may be at once"
    );
}

#[test]
fn resets_among_the_answers_are_found_however_they_are_cut() {
    let answers = [
        frame(4, 0, &[0; 6]),
        frame(4, 1, &[]),
        frame(RST_STREAM, 0, &[0, 0, 0, 1]),
        frame(0, 1, &[3; 40]),
    ];
    let answers = [answers.concat(), frame(RST_STREAM, 0, &[0, 0, 0, 7])].concat();
    for size in 1..answers.len() {
        let (mut found, mut walk) = (Vec::new(), Answers::default());
        answers
            .chunks(size)
            .for_each(|bytes| walk.look(bytes, |code| found.push(code)));
        assert_eq!(found, [1, 7], "{size}");
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
