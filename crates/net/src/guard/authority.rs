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
use std::sync::LazyLock;

use http::uri::Authority;

use super::header_block::{Field, FieldName, KnownText, LAST_STATIC, Text, Walk, write_text};
use super::huffman;

/// The name, and its place in the static table of HPACK (RFC 7541, appendix A).
static NAME: LazyLock<KnownText> = LazyLock::new(|| KnownText::new(b":authority"));
const PLACE: usize = 1;

/// The last pseudo-header of the static table.
const LAST_PSEUDO: usize = 14;

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
    let found = find(block)?;
    let decoded = if found.is_huffman {
        huffman::decode(found.content)?
    } else {
        found.content.to_vec()
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
    let place = found.place();
    let mut text = Vec::with_capacity(place.len());
    if found.is_huffman {
        // No byte that is not allowed has a shorter code than `_`, so this is no longer than
        // before.
        write_text(&huffman::encode(&mended), true, &mut text);
    } else {
        write_text(&mended, false, &mut text);
    }
    (text.len() <= place.len()).then_some(Mending { place, text })
}

/// Finds the authority, if the block spells it out. Pseudo-headers precede all other headers, so
/// few fields are read.
fn find(block: &[u8]) -> Option<Text<'_>> {
    let mut walk = Walk::new(block);
    loop {
        let index = match walk.field().ok()?? {
            Field::TableSize(_) => continue,
            Field::Indexed(index) => index,
            Field::Literal(literal) => match literal.name {
                FieldName::Spelled(name) if name.is(&NAME) => return Some(literal.value),
                FieldName::Spelled(_) => continue,
                FieldName::Indexed(PLACE) => return Some(literal.value),
                FieldName::Indexed(index) => index,
            },
        };
        if (LAST_PSEUDO + 1..=LAST_STATIC).contains(&index) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests;
