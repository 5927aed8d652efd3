//! The frames of HTTP/2, as far as a client that only sends checks and a server that only allows
//! them need them (RFC 9113, 4.1).

/// The first bytes of a client (RFC 9113, 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The length of a frame's head.
pub(crate) const HEAD: usize = 9;

/// The types that matter here.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

/// The flags that matter here; the first is an acknowledgement on SETTINGS and PING.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The window that each side begins with, and how much more it can get.
pub(crate) const FIRST_WINDOW: u32 = 65_535;
pub(crate) const MORE_WINDOW: u32 = 0x7fff_ffff - FIRST_WINDOW;

/// A frame: its type, flags, stream and payload.
pub(crate) type Frame<'b> = (u8, u8, u32, &'b [u8]);

/// Takes the next frame from bytes that begin with one, if it has arrived whole.
pub(crate) fn next<'b>(bytes: &mut &'b [u8]) -> Option<Frame<'b>> {
    let ([a, b, c, kind, flags, id @ ..], _) = bytes.split_first_chunk::<HEAD>()?;
    let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()?;
    let (whole, rest) = bytes.split_at_checked(HEAD + length)?;
    *bytes = rest;
    let stream = u32::from_be_bytes(*id) & 0x7fff_ffff;
    Some((*kind, *flags, stream, whole.get(HEAD..)?))
}

/// Writes a frame.
pub(crate) fn write((kind, flags, stream, payload): Frame<'_>, out: &mut Vec<u8>) {
    let [_, length @ ..] = u32::try_from(payload.len())
        .unwrap_or_default()
        .to_be_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Writes a text of a header block, of less than 127 bytes, without Huffman's code.
pub(crate) fn text(text: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(text.len()).unwrap_or_default());
    out.extend_from_slice(text.as_bytes());
}
