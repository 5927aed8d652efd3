//! The real transport, as the reference: it is fed with frames, and shows the calls that it reads
//! and the table that it has then.

use h2::server;
use tokio::io::AsyncWriteExt;

use super::super::super::frame::{CONTINUATION, END_HEADERS, END_STREAM, HEADERS};
use super::super::super::protocol::PREFACE;
use super::{Headers, text};

/// The longest part of a block that a frame holds.
const LONGEST_PART: usize = 16_384;

/// A call as the transport reads it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReadCall {
    pub(super) stream: u32,
    pub(super) path: String,
    pub(super) headers: Headers,
}

/// Returns the frames of a call with this block, which is cut at these places.
pub(super) fn call(stream: u32, block: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (block.len() + 1)).collect();
    cuts.extend((0..block.len()).step_by(LONGEST_PART));
    cuts.extend([0, block.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &block[cut[0]..cut[1]]).collect();
    let parts = if parts.is_empty() { vec![block] } else { parts };
    let mut frames = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let is_last = place + 1 == parts.len();
        let flags = if place == 0 { END_STREAM } else { 0 } | if is_last { END_HEADERS } else { 0 };
        let kind = if place == 0 { HEADERS } else { CONTINUATION };
        frames.extend(&u32::try_from(part.len()).unwrap().to_be_bytes()[1..]);
        frames.extend([kind, flags]);
        frames.extend(stream.to_be_bytes());
        frames.extend(*part);
    }
    frames
}

/// Returns the calls that the transport reads of these frames. `None` if it ends the connection.
pub(super) fn read_calls(frames: &[u8]) -> Option<Vec<ReadCall>> {
    const LAST: u32 = 0x7fff_ffff;
    let end = [&[0x83, 0x86, 0x04][..], &text("/the/end", false)].concat();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let sent = [PREFACE, &settings, frames, &call(LAST, &end, &[])].concat();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(sent.len() + (1 << 20));
        client.write_all(&sent).await.unwrap();
        let mut connection = server::Builder::new()
            .max_header_list_size(16 << 20)
            .handshake::<_, std::io::Cursor<Vec<u8>>>(server)
            .await
            .unwrap();
        let (mut calls, mut responses) = (Vec::new(), Vec::new());
        while let Some(accepted) = connection.accept().await {
            let Ok((request, response)) = accepted else {
                return None;
            };
            let stream = response.stream_id().as_u32();
            if stream == LAST {
                return Some(calls);
            }
            calls.push(ReadCall {
                stream,
                path: request.uri().path().to_owned(),
                headers: request
                    .headers()
                    .iter()
                    .map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec()))
                    .collect(),
            });
            responses.push(response);
        }
        panic!("the client has not closed its connection")
    })
}

/// Returns whether a call with this header and no other one is shown with it, whatever its value
/// is.
fn is_shown(name: &str) -> bool {
    let judged = [
        "connection",
        "content-length",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    !name.starts_with(':') && !judged.contains(&name)
}

/// Asserts that the transport, which reads these frames, has exactly these entries in its table
/// then.
pub(super) fn assert_table(frames: &[u8], entries: &Headers) {
    let mut frames = frames.to_vec();
    let probe = |place: usize| {
        let mut block = [&[0x83, 0x86, 0x04][..], &text("/probe", false)].concat();
        super::write_number(62 + place, 7, 0x80, &mut block);
        let stream = 0x4000_0001 + 2 * u32::try_from(place).unwrap();
        (stream, call(stream, &block, &[]))
    };
    let mut expected = Vec::new();
    for (place, (name, value)) in entries.iter().enumerate() {
        let (stream, call) = probe(place);
        frames.extend(call);
        if is_shown(name) {
            expected.push((stream, vec![(name.clone(), value.clone())]));
        }
    }
    let calls = read_calls(&frames).expect("the transport has each of the entries");
    let probes: Vec<_> = calls
        .into_iter()
        .filter(|call| expected.iter().any(|(stream, _)| *stream == call.stream))
        .map(|call| (call.stream, call.headers))
        .collect();
    assert_eq!(probes, expected);
    frames.extend(probe(entries.len()).1);
    assert_eq!(read_calls(&frames), None, "the transport has more entries");
}
