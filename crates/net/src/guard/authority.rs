//! Makes the `:authority` of a call one that HTTP/2 accepts.
//!
//! A proxy without a configured `authority` sends the name of its cluster, which may contain
//! anything: `outbound|9191||customs.egress`. The transport refuses a call whose authority is not a
//! valid authority of a URI, before anything here could answer it. customs does not use the
//! authority of a call at all, so each byte in it that is not allowed there becomes `_`.
//!
//! It decodes nothing else, keeps no table, and knows no other call. Three rules make this sound:
//! the text keeps its length and its place, so both ends of the connection keep equal tables; it
//! never takes more bytes than before; and whatever is not understood stays as it is, and the
//! transport judges it.

use std::ops::Range;

use http::uri::Authority;

use super::huffman;

/// The name, and its place in the static table of HPACK (RFC 7541, appendix A).
const NAME: &[u8] = b":authority";
const PLACE: usize = 1;

/// The last pseudo-header of the static table, and the last header. Higher indexes are those of the
/// dynamic table.
const LAST_PSEUDO: usize = 14;
const LAST_STATIC: usize = 61;

/// A replacement in a block: a range of it, and the text to write there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mending {
    /// The position of the text, its length included.
    pub place: Range<usize>,
    /// The text to write there, its length included; never longer than `place`.
    pub text: Vec<u8>,
}

/// Returns the replacement that makes the authority of a block of headers acceptable. `None` if the
/// authority is valid, or not to be found in this block.
pub(super) fn mend(block: &[u8]) -> Option<Mending> {
    let Text {
        place,
        content,
        is_huffman,
    } = find(block)?;
    let content = block.get(content)?;
    let decoded = if is_huffman {
        huffman::decode(content)?
    } else {
        content.to_vec()
    };
    if Authority::try_from(decoded.as_slice()).is_ok() {
        return None;
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let mended: Vec<u8> = decoded
        .into_iter()
        .map(|byte| if allowed(byte) { byte } else { b'_' })
        .collect();
    Authority::try_from(mended.as_slice()).ok()?;
    let mut text = Vec::with_capacity(place.len());
    if is_huffman {
        // No byte that is not allowed has a shorter code than `_`, so this is no longer than
        // before.
        let encoded = huffman::encode(&mended);
        write_length(encoded.len(), 0x80, &mut text);
        text.extend_from_slice(&encoded);
    } else {
        write_length(mended.len(), 0, &mut text);
        text.extend_from_slice(&mended);
    }
    (text.len() <= place.len()).then_some(Mending { place, text })
}

/// A text in a block.
struct Text {
    /// Its position, its length included.
    place: Range<usize>,
    /// The position of its bytes.
    content: Range<usize>,
    is_huffman: bool,
}

/// Finds the authority, if the block spells it out. Pseudo-headers precede all other headers, so
/// few fields are read.
fn find(block: &[u8]) -> Option<Text> {
    let mut walk = Walk { block, at: 0 };
    loop {
        let first = walk.peek()?;
        let name = if first & 0x80 != 0 {
            let field = walk.number(7)?;
            if (LAST_PSEUDO + 1..=LAST_STATIC).contains(&field) {
                return None;
            }
            continue;
        } else if first & 0x40 != 0 {
            walk.number(6)?
        } else if first & 0x20 != 0 {
            // A change of the table's size, which is not a field.
            walk.number(5)?;
            continue;
        } else {
            walk.number(4)?
        };
        let is_authority = match name {
            0 => walk.text()?.says(block, NAME),
            name => name == PLACE,
        };
        let value = walk.text()?;
        if is_authority {
            return Some(value);
        }
        if (LAST_PSEUDO + 1..=LAST_STATIC).contains(&name) {
            return None;
        }
    }
}

impl Text {
    fn says(&self, block: &[u8], expected: &[u8]) -> bool {
        let content = block.get(self.content.clone()).unwrap_or_default();
        if self.is_huffman {
            *content == *huffman::encode(expected)
        } else {
            content == expected
        }
    }
}

/// Reads a block from its beginning.
struct Walk<'b> {
    block: &'b [u8],
    at: usize,
}

impl Walk<'_> {
    fn peek(&self) -> Option<u8> {
        self.block.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Reads a number whose first `bits` bits are in the next byte (RFC 7541, 5.1). `None` beyond
    /// 28 more bits.
    fn number(&mut self, bits: u32) -> Option<usize> {
        let most = (1_usize << bits) - 1;
        let mut number = usize::from(self.next()?) & most;
        if number < most {
            return Some(number);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.next()?;
            number += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<Text> {
        let (start, is_huffman) = (self.at, self.peek()? & 0x80 != 0);
        let length = self.number(7)?;
        let end = self
            .at
            .checked_add(length)
            .filter(|end| *end <= self.block.len())?;
        let text = Text {
            place: start..end,
            content: self.at..end,
            is_huffman,
        };
        self.at = end;
        Some(text)
    }
}

/// Writes the length of a text after the bits that mark its kind.
fn write_length(length: usize, kind: u8, out: &mut Vec<u8>) {
    const MOST: usize = 0x7f;
    let mut put =
        |number: usize, mark: u8| out.extend(u8::try_from(number).map(|byte| byte | mark));
    if length < MOST {
        return put(length, kind);
    }
    put(MOST, kind);
    let mut rest = length - MOST;
    while rest > MOST {
        put(rest & MOST, 0x80);
        rest >>= 7;
    }
    put(rest, 0);
}

#[cfg(test)]
mod tests;
