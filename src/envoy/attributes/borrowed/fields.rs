//! The fields of protobuf messages, one after the other, as they stand in their bytes.
//!
//! It knows no message. The rules: each field is whole or there is none, and a group, which no message of today has, is
//! none. Whether bytes are text is seen for all of them at once, since a check has some sixty texts and reads ten: bytes from
//! 0x80 on that are not part of a number or a length stand in a text, or in what is no text at all; if there are none, every
//! text is ASCII ([`Reader::is_ascii`]). Where there are some, each text is looked at by itself.

use std::cell::Cell;

use prost::encoding::{WireType, decode_key, decode_varint};

/// Reads one check.
#[derive(Debug)]
pub(super) struct Reader {
    /// Whether each text is looked at when it is met.
    is_strict: bool,
    /// How many bytes from 0x80 on were part of a number or a length.
    counted: Cell<usize>,
}

/// A message that is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'m, 'r> {
    bytes: &'m [u8],
    reader: &'r Reader,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'m, 'r> {
    /// Its number.
    pub(super) number: u32,
    /// What it holds.
    pub(super) value: Value<'m, 'r>,
}

/// What a field holds, as far as bytes tell.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'m, 'r> {
    /// A number of variable length.
    Number(u64),
    /// A text, bytes or a message.
    Bytes(Message<'m, 'r>),
    /// Four or eight bytes; no field that is read is such.
    Fixed,
}

impl Reader {
    /// A reader that takes texts for ASCII until all is read, and then can say whether they are.
    pub(super) fn trusting() -> Reader {
        Reader { is_strict: false, counted: Cell::new(0) }
    }

    /// A reader that looks at every text.
    pub(super) fn strict() -> Reader {
        Reader { is_strict: true, counted: Cell::new(0) }
    }

    /// The message in these bytes.
    pub(super) fn message<'m>(&self, bytes: &'m [u8]) -> Message<'m, '_> {
        Message { bytes, reader: self }
    }

    /// Whether every text of a message that was read to its end is ASCII.
    pub(super) fn is_ascii(&self, whole: &[u8]) -> bool {
        high_bytes(whole) == self.counted.get()
    }

    fn count(&self, high_bytes: usize) {
        self.counted.set(self.counted.get() + high_bytes);
    }
}

/// How many bytes are no ASCII.
fn high_bytes(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| !byte.is_ascii()).count()
}

impl<'m, 'r> Message<'m, 'r> {
    /// Whether it has no field.
    pub(super) fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    fn take(&mut self, length: u64) -> Option<&'m [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(usize::try_from(length).ok()?)?;
        self.bytes = rest;
        Some(taken)
    }

    /// Nearly every field is a text or a message with a number below 16 and a length below 16,384: one byte, and one or two.
    #[inline(always)]
    fn short_field(&mut self) -> Option<Field<'m, 'r>> {
        let [key @ 0x08..0x80, length, rest @ ..] = self.bytes else { return None };
        if key & 7 != WireType::LengthDelimited as u8 {
            return None;
        }
        let (length, rest, high_bytes) = match (length, rest) {
            (..0x80, rest) => (usize::from(*length), rest, 0),
            (_, [more @ 1..0x80, rest @ ..]) => (usize::from(length & 0x7f) | usize::from(*more) << 7, rest, 1),
            _ => return None,
        };
        let (bytes, rest) = rest.split_at_checked(length)?;
        self.bytes = rest;
        self.reader.count(high_bytes);
        Some(Field { number: u32::from(key >> 3), value: Value::Bytes(self.reader.message(bytes)) })
    }

    #[cold]
    fn field(&mut self) -> Option<Field<'m, 'r>> {
        let before = self.bytes;
        let (number, wire_type) = decode_key(&mut self.bytes).ok()?;
        let number_or_length = match wire_type {
            WireType::Varint | WireType::LengthDelimited => decode_varint(&mut self.bytes).ok()?,
            WireType::ThirtyTwoBit | WireType::SixtyFourBit => 0,
            WireType::StartGroup | WireType::EndGroup => return None,
        };
        let read = before.len() - self.bytes.len();
        self.reader.count(high_bytes(before.get(..read)?));
        let value = match wire_type {
            WireType::Varint => Value::Number(number_or_length),
            WireType::LengthDelimited => Value::Bytes(self.reader.message(self.take(number_or_length)?)),
            WireType::ThirtyTwoBit => self.take(4).map(|_| Value::Fixed)?,
            WireType::SixtyFourBit => self.take(8).map(|_| Value::Fixed)?,
            WireType::StartGroup | WireType::EndGroup => return None,
        };
        Some(Field { number, value })
    }
}

/// The fields. Each item is one, or `None` where bytes are no field, and then it is over.
impl<'m, 'r> Iterator for Message<'m, 'r> {
    type Item = Option<Field<'m, 'r>>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        (!self.bytes.is_empty()).then(|| self.short_field().or_else(|| self.field()))
    }
}

impl<'m, 'r> Value<'m, 'r> {
    /// The message of a field that has one.
    pub(super) fn message(self) -> Option<Message<'m, 'r>> {
        match self {
            Value::Bytes(message) => Some(message),
            Value::Number(_) | Value::Fixed => None,
        }
    }

    /// The bytes of a field that has some.
    pub(super) fn bytes(self) -> Option<&'m [u8]> {
        self.message().map(|message| message.bytes)
    }

    /// The text of a field that has one.
    #[inline(always)]
    pub(super) fn text(self) -> Option<Text<'m>> {
        let Message { bytes, reader } = self.message()?;
        (!reader.is_strict || std::str::from_utf8(bytes).is_ok()).then_some(Text(bytes))
    }

    /// The number of a field that has one.
    pub(super) fn number(self) -> Option<u64> {
        match self {
            Value::Number(number) => Some(number),
            Value::Bytes(_) | Value::Fixed => None,
        }
    }
}

/// Bytes that are text. Most are never read, so they become a `str` only where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'m>(&'m [u8]);

impl<'m> Text<'m> {
    /// The text.
    pub(super) fn as_str(self) -> &'m str {
        // It is text: it was looked at, or the whole message is read again by one who looks.
        std::str::from_utf8(self.0).unwrap_or_default()
    }

    /// Its bytes.
    pub(super) fn as_bytes(self) -> &'m [u8] {
        self.0
    }
}

/// Puts a message where none is yet. A message in two parts is to be merged, field by field, which is the decoder's work.
pub(super) fn once<T>(place: &mut Option<T>, message: T) -> Option<()> {
    place.is_none().then(|| *place = Some(message))
}
