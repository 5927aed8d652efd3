//! The frames that a client writes, and the few facts that it reads in those of a server.

pub(super) use crate::http2::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frame,
};
use crate::http2::{CHECK, PREFACE, literal, text};

/// The length of a frame's head.
pub(super) const HEAD: usize = 9;

/// What a client sends first: its preface, settings that forbid a table of headers, and room for
/// the answers of a long load.
pub(super) fn greeting() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]));
    bytes.extend(frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    bytes
}

/// Returns the frame that begins a check. Without a traced header it leaves the table of headers as
/// it is.
pub(super) fn begin(deadline: std::time::Duration, traces: bool) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    block.extend(indexed_name(4, CHECK));
    block.extend(indexed_name(1, "customs.egress.svc.cluster.local"));
    block.extend(literal("te", "trailers"));
    block.extend(literal(
        "grpc-timeout",
        &format!("{}m", deadline.as_millis()),
    ));
    block.extend(literal("content-type", "application/grpc"));
    block.extend(literal("x-envoy-internal", "true"));
    if traces {
        block.push(0x40);
        block.extend(text("traceparent"));
        block.extend(text(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ));
    }
    frame(HEADERS, END_HEADERS, 0, &block)
}

/// Returns the frames of a check's message.
pub(super) fn message(check: &[u8]) -> Vec<u8> {
    let prefix = [&[0], &u32::try_from(check.len()).unwrap().to_be_bytes()[..]].concat();
    let whole = [&prefix, check].concat();
    let mut chunks: Vec<_> = whole
        .chunks(16 << 10)
        .map(|chunk| frame(DATA, 0, 0, chunk))
        .collect();
    if let Some(last) = chunks.last_mut() {
        last[4] = END_STREAM;
    }
    chunks.concat()
}

/// Returns the positions of the stream ids of frames that were written one after another.
pub(super) fn stream_ids(frames: &[u8]) -> Vec<usize> {
    let (mut places, mut at) = (Vec::new(), 0);
    while let Some(head) = frames.get(at..at + HEAD) {
        places.push(at + 5);
        at += HEAD + length(head);
    }
    places
}

pub(super) fn length(head: &[u8]) -> usize {
    usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])
}

pub(super) fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

fn indexed_name(name: u8, value: &str) -> Vec<u8> {
    [&[name][..], &text(value)].concat()
}

/// Returns the status in the headers or trailers of an answer. The server must not use a table of
/// headers, which [`greeting`] forbids.
pub(super) fn grpc_status(block: &[u8]) -> Option<u32> {
    const NAME: &str = "grpc-status";
    let plain = text(NAME);
    let coded = huffman(NAME);
    let coded = [&[0x80 | u8::try_from(coded.len()).ok()?], &coded[..]].concat();
    let after = [plain, coded].iter().find_map(|name| {
        let at = block
            .windows(name.len())
            .position(|window| window == name)?;
        block.get(at + name.len()..)
    })?;
    let (first, rest) = after.split_first()?;
    let value = rest.get(..usize::from(first & 0x7f))?;
    (0..=16).find(|status| {
        let status = status.to_string();
        value
            == if first & 0x80 == 0 {
                status.into_bytes()
            } else {
                huffman(&status)
            }
    })
}

/// Encodes letters that occur in `grpc-status` and its values (RFC 7541, appendix B).
fn huffman(text: &str) -> Vec<u8> {
    let codes = text.bytes().map(|letter| match letter {
        b'0' => "00000",
        b'1' => "00001",
        b'2' => "00010",
        b'3' => "011001",
        b'4' => "011010",
        b'5' => "011011",
        b'6' => "011100",
        b'7' => "011101",
        b'8' => "011110",
        b'9' => "011111",
        b'a' => "00011",
        b'c' => "00100",
        b's' => "01000",
        b't' => "01001",
        b'-' => "010110",
        b'g' => "100110",
        b'p' => "101011",
        b'r' => "101100",
        b'u' => "101101",
        other => panic!("{other} has no code here"),
    });
    let mut bits: String = codes.collect();
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    let bytes = bits.as_bytes().chunks(8);
    bytes
        .map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_in_both_spellings() {
        for (block, status) in [
            (&b"\x88\x00\x0bgrpc-status\x018"[..], Some(8)),
            (
                b"\x00\x0bgrpc-status\x0214\x00\x0cgrpc-message\x01x",
                Some(14),
            ),
            // What the `h2` crate writes for `grpc-status: 0`, after a change of the table's size.
            (
                b"\x20\x00\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f\x81\x07",
                Some(0),
            ),
            (b"\x00\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f\x81\x7b", Some(8)),
            (b"\x88", None),
        ] {
            assert_eq!(grpc_status(block), status, "{block:x?}");
        }
    }
}
