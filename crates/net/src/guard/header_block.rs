//! Reads and writes the fields of a block of headers in the form that HPACK gives them (RFC 7541,
//! 5 and 6).
//!
//! It keeps no table, decodes no text, and knows no header. The rule: it reads every block that the
//! transport reads, field by field, and never reads beyond the end of the block.

use std::ops::Range;

use super::huffman;

/// The last index of the static table. Higher indexes are those of the dynamic table.
pub(super) const LAST_STATIC: usize = 61;

/// Why a block of headers cannot be read, or cannot be written without its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderBlockError {
    #[error("the block of headers ends within a field")]
    Truncated,
    #[error("the block of headers has a number of more than five bytes")]
    NumberTooLong,
    #[error("the block of headers has index {0}, which is in no table")]
    UnknownIndex(usize),
    /// The transport ends the connection, unless the field is in a frame that another one
    /// continues. Then it ignores the field, and may read the rest of the block at the wrong place.
    #[error("the block of headers has a header without a name")]
    EmptyName,
    #[error("the block of headers sets the size of the table to {size} bytes, more than {most}")]
    TableTooLarge { size: usize, most: usize },
    #[error("the block of headers has a text that is not one of the Huffman code")]
    NotHuffman,
    /// The block was applied to its end nevertheless.
    #[error("the block of headers takes more than {most} bytes without its table")]
    ExpandsTooFar { most: usize },
}

/// A field, or a change of the table's size.
#[derive(Debug)]
pub(super) enum Field<'b> {
    Indexed(usize),
    Literal(Literal<'b>),
    TableSize(usize),
}

/// A field that has at least its value in the block.
#[derive(Debug)]
pub(super) struct Literal<'b> {
    pub(super) indexing: Indexing,
    pub(super) name: FieldName<'b>,
    pub(super) value: Text<'b>,
}

/// What becomes of a field that is spelled out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indexing {
    /// It enters the dynamic table.
    Incremental,
    /// It enters no table.
    Without,
    /// It enters no table here, and none further on.
    Never,
}

#[derive(Debug)]
pub(super) enum FieldName<'b> {
    Indexed(usize),
    Spelled(Text<'b>),
}

/// A text in a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'b> {
    /// Where its length begins.
    start: usize,
    /// All of it, its length included.
    pub(super) coded: &'b [u8],
    /// Its bytes, coded or not.
    pub(super) content: &'b [u8],
    pub(super) is_huffman: bool,
}

impl Text<'_> {
    /// Returns its position in the block, its length included.
    pub(super) fn place(&self) -> Range<usize> {
        self.start..self.start + self.coded.len()
    }

    pub(super) fn is(&self, known: &KnownText) -> bool {
        known.is(self.content, self.is_huffman)
    }

    /// Returns how many bytes the text has once it is decoded.
    pub(super) fn decoded_length(&self) -> Result<usize, HeaderBlockError> {
        if self.is_huffman {
            huffman::decoded_length(self.content).ok_or(HeaderBlockError::NotHuffman)
        } else {
            Ok(self.content.len())
        }
    }
}

/// A text to compare others with, prepared so that none of them is decoded.
#[derive(Debug)]
pub(super) struct KnownText {
    plain: Box<[u8]>,
    /// Each text has one Huffman code.
    huffman: Box<[u8]>,
}

impl KnownText {
    pub(super) fn new(text: &[u8]) -> KnownText {
        KnownText {
            plain: text.into(),
            huffman: huffman::encode(text).into(),
        }
    }

    /// Returns whether these bytes, Huffman-coded or not, are this text.
    pub(super) fn is(&self, content: &[u8], is_huffman: bool) -> bool {
        let expected = if is_huffman {
            &self.huffman
        } else {
            &self.plain
        };
        *content == **expected
    }
}

/// Reads a block from its beginning.
pub(super) struct Walk<'b> {
    block: &'b [u8],
    at: usize,
}

impl<'b> Walk<'b> {
    pub(super) fn new(block: &'b [u8]) -> Walk<'b> {
        Walk { block, at: 0 }
    }

    /// Reads a field, or a change of the table's size. `None` at the end of the block.
    #[inline]
    pub(super) fn field(&mut self) -> Result<Option<Field<'b>>, HeaderBlockError> {
        let Some(&first) = self.block.get(self.at) else {
            return Ok(None);
        };
        let (indexing, bits) = if first & 0x80 != 0 {
            return Ok(Some(Field::Indexed(self.number(7)?)));
        } else if first & 0x40 != 0 {
            (Indexing::Incremental, 6)
        } else if first & 0x20 != 0 {
            return Ok(Some(Field::TableSize(self.number(5)?)));
        } else if first & 0x10 != 0 {
            (Indexing::Never, 4)
        } else {
            (Indexing::Without, 4)
        };
        let name = match self.number(bits)? {
            0 => FieldName::Spelled(self.text()?),
            index => FieldName::Indexed(index),
        };
        let value = self.text()?;
        if matches!(name, FieldName::Spelled(name) if name.content.is_empty()) {
            return Err(HeaderBlockError::EmptyName);
        }
        Ok(Some(Field::Literal(Literal {
            indexing,
            name,
            value,
        })))
    }

    fn next(&mut self) -> Result<u8, HeaderBlockError> {
        let byte = self.block.get(self.at).copied();
        self.at += 1;
        byte.ok_or(HeaderBlockError::Truncated)
    }

    /// Reads a number whose first `bits` bits are in the next byte (RFC 7541, 5.1): at most 28 more
    /// bits, as the transport does.
    #[inline]
    fn number(&mut self, bits: u32) -> Result<usize, HeaderBlockError> {
        let most = (1_usize << bits) - 1;
        let mut number = usize::from(self.next()?) & most;
        if number < most {
            return Ok(number);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.next()?;
            number += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(HeaderBlockError::NumberTooLong)
    }

    fn text(&mut self) -> Result<Text<'b>, HeaderBlockError> {
        let start = self.at;
        let is_huffman = self.block.get(start).is_some_and(|first| first & 0x80 != 0);
        let length = self.number(7)?;
        let content = self.at..self.at + length;
        self.at = content.end;
        let part = |place| self.block.get(place).ok_or(HeaderBlockError::Truncated);
        Ok(Text {
            start,
            coded: part(start..content.end)?,
            content: part(content)?,
            is_huffman,
        })
    }
}

/// Writes a number, the first `bits` bits of it after the bits that mark what it is.
pub(super) fn write_number(number: usize, bits: u32, mark: u8, out: &mut Vec<u8>) {
    let most = (1_usize << bits) - 1;
    let mut put = |number: usize, mark: u8| {
        let [.., low] = number.to_be_bytes();
        out.push(low | mark);
    };
    if number < most {
        return put(number, mark);
    }
    put(most, mark);
    let mut rest = number - most;
    while rest > 0x7f {
        put(rest & 0x7f, 0x80);
        rest >>= 7;
    }
    put(rest, 0);
}

/// Writes a text, its length first.
pub(super) fn write_text(content: &[u8], is_huffman: bool, out: &mut Vec<u8>) {
    write_number(content.len(), 7, u8::from(is_huffman) << 7, out);
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests;
