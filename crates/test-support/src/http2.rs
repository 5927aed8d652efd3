//! Frames of HTTP/2, written and read by hand, so that a test can do what no library does.
//!
//! It knows no connection: it makes and takes bytes.

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The kinds of frames.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Flags of frames. `ACK` is of SETTINGS and PING.
pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// Builds a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Encodes a text of a header, without Huffman's code.
pub fn text(text: &str) -> Vec<u8> {
    [&number(text.len(), 7), text.as_bytes()].concat()
}

/// Encodes a number of HPACK whose first byte has this many bits for it.
fn number(value: usize, bits: u32) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    let Some(mut rest) = value.checked_sub(most) else {
        return vec![u8::try_from(value).unwrap()];
    };
    let mut bytes = vec![u8::try_from(most).unwrap()];
    while rest > 127 {
        bytes.push(u8::try_from(rest & 127 | 128).unwrap());
        rest >>= 7;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// Encodes a header that enters no table.
pub fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

/// The beginning of a call, where it differs from Envoy's.
pub struct Call<'c> {
    pub method: &'c [u8],
    pub path: &'c str,
    pub authority: Vec<u8>,
    pub content_type: Option<&'c str>,
    pub more: Vec<u8>,
}

impl Default for Call<'_> {
    fn default() -> Self {
        let authority = [&[0x01][..], &text("customs")].concat();
        Call {
            method: &[0x83],
            path: CHECK,
            authority,
            content_type: Some("application/grpc"),
            more: Vec::new(),
        }
    }
}

impl Call<'_> {
    /// Returns the block of headers.
    pub fn head(&self) -> Vec<u8> {
        let content_type = self
            .content_type
            .map(|value| literal("content-type", value))
            .unwrap_or_default();
        let path = [&[0x04][..], &text(self.path)].concat();
        [
            self.method,
            &[0x86],
            &path,
            &self.authority,
            &content_type,
            &literal("te", "trailers"),
            &self.more,
        ]
        .concat()
    }

    /// Returns the frames of a call with this body.
    pub fn with(&self, stream: u32, body: &[u8]) -> Vec<u8> {
        let head = frame(HEADERS, END_HEADERS, stream, &self.head());
        let data: Vec<u8> = body
            .chunks(16_000)
            .flat_map(|chunk| frame(DATA, 0, stream, chunk))
            .collect();
        [head, data, frame(DATA, END_STREAM, stream, &[])].concat()
    }
}

/// Builds a message of gRPC, not compressed.
pub fn message(bytes: &[u8]) -> Vec<u8> {
    [
        &[0][..],
        &u32::try_from(bytes.len()).unwrap().to_be_bytes(),
        bytes,
    ]
    .concat()
}

/// Takes the first whole frame out of what was received: its kind, flags, stream and payload.
pub fn take_frame(read: &mut Vec<u8>) -> Option<(u8, u8, u32, Vec<u8>)> {
    let head = read.get(..9)?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let (kind, flags) = (head[3], head[4]);
    let stream = u32::from_be_bytes(head[5..9].try_into().unwrap()) & (u32::MAX >> 1);
    let payload = read.get(9..9 + length)?.to_vec();
    read.drain(..9 + length);
    Some((kind, flags, stream, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_encoded_as_hpack_says() {
        assert_eq!(number(10, 5), [10]);
        assert_eq!(number(1337, 5), [31, 154, 10]);
        assert_eq!(number(127, 7), [127, 0]);
    }

    #[test]
    fn a_frame_is_taken_once_it_is_whole() {
        let bytes = frame(DATA, END_STREAM, 3, b"abc");
        for cut in 0..bytes.len() {
            assert_eq!(take_frame(&mut bytes[..cut].to_vec()), None);
        }
        let mut two = [bytes.clone(), bytes].concat();
        let whole = (DATA, END_STREAM, 3, b"abc".to_vec());
        assert_eq!(take_frame(&mut two), Some(whole.clone()));
        assert_eq!(take_frame(&mut two), Some(whole));
        assert!(two.is_empty());
    }
}
