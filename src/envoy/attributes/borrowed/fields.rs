//! The fields of one protobuf message, one after the other, as they stand in its bytes.
//!
//! It knows no message. The rule: each field is whole or there is none, and a group, which no message of today has, is
//! none.

use prost::encoding::{WireType, decode_key, decode_varint};

/// One field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'m> {
    /// Its number.
    pub(super) number: u32,
    /// What it holds.
    pub(super) value: Value<'m>,
}

/// What a field holds, as far as bytes tell.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'m> {
    /// A number of variable length.
    Number(u64),
    /// A text, bytes or a message.
    Bytes(&'m [u8]),
    /// Four or eight bytes; no field that is read is such.
    Fixed,
}

/// What is left of a message. Each item is a field, or `None` where bytes are no field, and then it is over.
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

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.field())
    }
}

impl<'m> Value<'m> {
    /// The bytes of a field that has some.
    pub(super) fn bytes(self) -> Option<&'m [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            Value::Number(_) | Value::Fixed => None,
        }
    }

    /// The text of a field that has one.
    pub(super) fn text(self) -> Option<&'m str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The number of a field that has one.
    pub(super) fn number(self) -> Option<u64> {
        match self {
            Value::Number(number) => Some(number),
            Value::Bytes(_) | Value::Fixed => None,
        }
    }
}

/// Puts a message where none is yet. A message in two parts is to be merged, field by field, which is the decoder's work.
pub(super) fn once<T>(place: &mut Option<T>, message: T) -> Option<()> {
    place.is_none().then(|| *place = Some(message))
}
