//! The fields of a protobuf message, one after the other.
//!
//! It knows no field. The rule: the message was written by this process, from the type that the
//! proto generates; bytes that are no message end the walk.

use prost::bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};

/// A value as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireValue<'m> {
    /// A number or a flag.
    Number(u64),
    /// A text, or a message.
    Bytes(&'m [u8]),
}

/// The fields of a message with their numbers.
pub(crate) struct WireFields<'m>(pub(crate) &'m [u8]);

impl<'m> Iterator for WireFields<'m> {
    type Item = (u32, WireValue<'m>);

    fn next(&mut self) -> Option<(u32, WireValue<'m>)> {
        if !self.0.has_remaining() {
            return None;
        }
        let (number, wire) = decode_key(&mut self.0).ok()?;
        let value = match wire {
            WireType::Varint => WireValue::Number(decode_varint(&mut self.0).ok()?),
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut self.0).ok()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                WireValue::Bytes(bytes)
            }
            // The proto has no field of another type.
            _ => return None,
        };
        Some((number, value))
    }
}

impl<'m> WireValue<'m> {
    pub(crate) fn number(self) -> u64 {
        match self {
            WireValue::Number(number) => number,
            WireValue::Bytes(_) => 0,
        }
    }

    pub(crate) fn bytes(self) -> &'m [u8] {
        match self {
            WireValue::Number(_) => &[],
            WireValue::Bytes(bytes) => bytes,
        }
    }

    /// Returns the nanoseconds since 1970 of a `Timestamp`; `None` for a time outside of the years
    /// 1677 to 2262, which no column of nanoseconds can hold.
    pub(crate) fn nanoseconds(self) -> Option<i64> {
        let (mut seconds, mut nanos) = (0, 0);
        for (number, value) in WireFields(self.bytes()) {
            match number {
                1 => seconds = value.number().cast_signed(),
                2 => nanos = value.number().cast_signed(),
                _ => {}
            }
        }
        // Before 1970 the product alone may be out of range when the sum is not.
        let whole = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        i64::try_from(whole).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use prost_types::Timestamp;

    #[test]
    fn times_are_nanoseconds_as_far_as_64_bits_hold_them() {
        for (seconds, nanos, expected) in [
            (0, 0, Some(0)),
            (1, 7, Some(1_000_000_007)),
            (-1, 999_999_999, Some(-1)),
            (9_223_372_036, 854_775_807, Some(i64::MAX)),
            (9_223_372_036, 854_775_808, None),
            (-9_223_372_037, 145_224_192, Some(i64::MIN)),
            (-9_223_372_037, 145_224_191, None),
            (253_402_300_799, 999_999_999, None),
        ] {
            let bytes = Timestamp { seconds, nanos }.encode_to_vec();
            assert_eq!(
                WireValue::Bytes(&bytes).nanoseconds(),
                expected,
                "{seconds}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_message_end_the_walk() {
        for bytes in [
            &b"\xff"[..],
            b"\x0a\x05abc",
            b"\x0d\x00\x00\x00\x00",
            b"\x08",
        ] {
            assert_eq!(WireFields(bytes).count(), 0, "{bytes:?}");
        }
        assert_eq!(
            WireFields(b"\x08\x07\x12\x01x\xff").collect::<Vec<_>>(),
            [(1, WireValue::Number(7)), (2, WireValue::Bytes(b"x"))]
        );
    }
}
