//! The fields of one protobuf message, one after the other, as they are in its bytes.
//!
//! It knows no message. The rule: a field is returned whole or not at all, and a group, which no
//! current message has, is not returned.

use prost::encoding::{WireType, decode_key, decode_varint};

/// One field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'m> {
    /// Its number.
    pub(super) number: u32,
    /// What it holds.
    pub(super) value: Value<'m>,
}

/// What a field holds, as far as the bytes show.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'m> {
    /// A number of variable length.
    Number(u64),
    /// A text, bytes or a message.
    Bytes(&'m [u8]),
    /// Four or eight bytes. No field of a check that is read has this form.
    Fixed,
}

/// The rest of a message. Each item is a field, or `None` if the bytes are not a field, which ends
/// the iteration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'m>(&'m [u8]);

impl<'m> Fields<'m> {
    pub(super) fn of(message: &'m [u8]) -> Self {
        Fields(message)
    }

    fn take(&mut self, length: u64) -> Option<&'m [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    /// Reads the common case: nearly every field is a text or a message with a number below 16 and
    /// a length below 16,384, which take one byte, and one or two.
    #[inline(always)]
    fn short_field(&mut self) -> Option<Field<'m>> {
        let [key @ 0x08..0x80, length, rest @ ..] = self.0 else {
            return None;
        };
        if key & 7 != WireType::LengthDelimited as u8 {
            return None;
        }
        let (length, rest) = match (length, rest) {
            (..0x80, rest) => (usize::from(*length), rest),
            (_, [more @ 1..0x80, rest @ ..]) => {
                (usize::from(length & 0x7f) | usize::from(*more) << 7, rest)
            }
            _ => return None,
        };
        let (bytes, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Field {
            number: u32::from(key >> 3),
            value: Value::Bytes(bytes),
        })
    }

    #[cold]
    fn field(&mut self) -> Option<Field<'m>> {
        let (number, wire_type) = decode_key(&mut self.0).ok()?;
        let value = match wire_type {
            WireType::Varint => Value::Number(decode_varint(&mut self.0).ok()?),
            WireType::LengthDelimited => {
                let length = decode_varint(&mut self.0).ok()?;
                Value::Bytes(self.take(length)?)
            }
            WireType::ThirtyTwoBit => self.take(4).map(|_| Value::Fixed)?,
            WireType::SixtyFourBit => self.take(8).map(|_| Value::Fixed)?,
            WireType::StartGroup | WireType::EndGroup => return None,
        };
        Some(Field { number, value })
    }
}

impl<'m> Iterator for Fields<'m> {
    type Item = Option<Field<'m>>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.short_field().or_else(|| self.field()))
    }
}

impl<'m> Value<'m> {
    /// Returns the bytes of a field that has some.
    pub(super) fn bytes(self) -> Option<&'m [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            Value::Number(_) | Value::Fixed => None,
        }
    }

    /// Returns the text of a field that has one.
    pub(super) fn text(self) -> Option<Text<'m>> {
        let bytes = self.bytes()?;
        // Nearly every text is ASCII, which is many times faster to check than UTF-8.
        (is_ascii(bytes) || std::str::from_utf8(bytes).is_ok()).then_some(Text(bytes))
    }

    /// Returns the number of a field that has one.
    pub(super) fn number(self) -> Option<u64> {
        match self {
            Value::Number(number) => Some(number),
            Value::Bytes(_) | Value::Fixed => None,
        }
    }
}

/// Returns whether every byte is ASCII. It checks eight bytes at a time, and the last eight
/// overlap, so that short texts need no loop. The standard library's function costs a check, which
/// has sixty texts, one percent more instructions.
#[inline(always)]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().fold(0, |all, byte| all | byte) < 0x80;
    };
    let (eights, _) = bytes.as_chunks();
    let all = eights.iter().fold(u64::from_ne_bytes(*last), |all, eight| {
        all | u64::from_ne_bytes(*eight)
    });
    all & HIGH_BITS == 0
}

/// Bytes that were checked to be text. Most are never read, so they are converted only on use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'m>(&'m [u8]);

impl<'m> Text<'m> {
    /// Returns the text.
    pub(super) fn as_str(self) -> &'m str {
        // The bytes are text, or this value would not exist.
        std::str::from_utf8(self.0).unwrap_or_default()
    }

    /// Returns the bytes.
    pub(super) fn as_bytes(self) -> &'m [u8] {
        self.0
    }
}

/// Stores a message if there is none yet. A message in two parts must be merged, field by field,
/// which is left to the decoder.
pub(super) fn once<T>(place: &mut Option<T>, message: T) -> Option<()> {
    place.is_none().then(|| *place = Some(message))
}
