//! What an entry of the table of headers holds: a name and a value, as they are coded.
//!
//! It knows no table and no index of one, except those of the static table. The rule: an entry
//! holds no more bytes than its decoded texts have, whatever its client writes.

use std::sync::Arc;

use super::super::header_block::{KnownText, Text, write_number, write_text};
use super::super::huffman;
use super::NAME_BITS;

/// What an entry counts besides its texts (RFC 7541, 4.1).
pub(super) const ENTRY_OVERHEAD: usize = 32;

/// The names of the static table (RFC 7541, appendix A), each with the last of its indexes.
#[rustfmt::skip]
const STATIC_NAMES: [(usize, &str); 52] = [
    (1, ":authority"), (3, ":method"), (5, ":path"), (7, ":scheme"), (14, ":status"),
    (15, "accept-charset"), (16, "accept-encoding"), (17, "accept-language"),
    (18, "accept-ranges"), (19, "accept"), (20, "access-control-allow-origin"), (21, "age"),
    (22, "allow"), (23, "authorization"), (24, "cache-control"), (25, "content-disposition"),
    (26, "content-encoding"), (27, "content-language"), (28, "content-length"),
    (29, "content-location"), (30, "content-range"), (31, "content-type"), (32, "cookie"),
    (33, "date"), (34, "etag"), (35, "expect"), (36, "expires"), (37, "from"), (38, "host"),
    (39, "if-match"), (40, "if-modified-since"), (41, "if-none-match"), (42, "if-range"),
    (43, "if-unmodified-since"), (44, "last-modified"), (45, "link"), (46, "location"),
    (47, "max-forwards"), (48, "proxy-authenticate"), (49, "proxy-authorization"), (50, "range"),
    (51, "referer"), (52, "refresh"), (53, "retry-after"), (54, "server"), (55, "set-cookie"),
    (56, "strict-transport-security"), (57, "transfer-encoding"), (58, "user-agent"),
    (59, "vary"), (60, "via"), (61, "www-authenticate"),
];

/// Returns the value of a `:path` of the static table. `None` if the index is another header's.
pub(super) fn static_path(index: usize) -> Option<&'static [u8]> {
    match index {
        4 => Some(b"/"),
        5 => Some(b"/index.html"),
        _ => None,
    }
}

/// Returns the name of an index of the static table.
pub(super) fn static_name(index: usize) -> &'static str {
    let place = STATIC_NAMES.partition_point(|(last, _)| *last < index);
    STATIC_NAMES.get(place).map_or("", |(_, name)| name)
}

/// An entry of the table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: EntryName,
    pub(super) value: StoredText,
    /// What it counts in the table.
    pub(super) size: usize,
}

/// The name of an entry. Entries that take it from one another share it: a block of many references
/// copies no names.
#[derive(Clone, Debug)]
pub(super) enum EntryName {
    /// The name of an index of the static table.
    Static(usize),
    Spelled(Arc<SpelledName>),
}

/// A name that a block has spelled out.
#[derive(Debug)]
pub(super) struct SpelledName {
    pub(super) text: StoredText,
    decoded_length: usize,
    is_path: bool,
}

impl EntryName {
    /// Stores a name that has so many bytes once it is decoded.
    pub(super) fn spelled(text: &Text<'_>, decoded_length: usize, path: &KnownText) -> EntryName {
        EntryName::Spelled(Arc::new(SpelledName {
            is_path: text.is(path),
            text: StoredText::new(text, decoded_length),
            decoded_length,
        }))
    }

    pub(super) fn is_path(&self) -> bool {
        match self {
            EntryName::Static(index) => static_path(*index).is_some(),
            EntryName::Spelled(name) => name.is_path,
        }
    }

    pub(super) fn decoded_length(&self) -> usize {
        match self {
            EntryName::Static(index) => static_name(*index).len(),
            EntryName::Spelled(name) => name.decoded_length,
        }
    }

    /// Writes the beginning of a field with this name, without the dynamic table.
    pub(super) fn write(&self, mark: u8, out: &mut Vec<u8>) {
        match self {
            EntryName::Static(index) => write_number(*index, NAME_BITS, mark, out),
            EntryName::Spelled(name) => {
                out.push(mark);
                name.text.write(out);
            }
        }
    }
}

/// A text as it is coded, or decoded if that is shorter.
#[derive(Debug)]
pub(super) struct StoredText {
    pub(super) content: Box<[u8]>,
    pub(super) is_huffman: bool,
}

impl StoredText {
    /// Stores a text that has so many bytes once it is decoded.
    pub(super) fn new(text: &Text<'_>, decoded_length: usize) -> StoredText {
        let is_longer = text.is_huffman && decoded_length < text.content.len();
        match is_longer.then(|| huffman::decode(text.content)).flatten() {
            Some(decoded) => StoredText {
                content: decoded.into(),
                is_huffman: false,
            },
            None => StoredText {
                content: text.content.into(),
                is_huffman: text.is_huffman,
            },
        }
    }

    pub(super) fn is(&self, known: &KnownText) -> bool {
        known.is(&self.content, self.is_huffman)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_text(&self.content, self.is_huffman, out);
    }
}
