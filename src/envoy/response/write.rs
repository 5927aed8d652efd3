//! Writes protobuf fields one after the other, without a message type in between.
//!
//! It knows no message; the numbers come from its caller. The rule: an empty text and a zero are written only where the
//! caller says so, since in protobuf they are the same as nothing.

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// Writes a number.
pub(super) fn number(field: u32, value: i32, out: &mut Vec<u8>) {
    encode_key(field, WireType::Varint, out);
    // Negative numbers would take ten bytes, as protobuf has it; no code is negative.
    encode_varint(i64::from(value).cast_unsigned(), out);
}

/// Writes a text.
pub(super) fn text(field: u32, value: &str, out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value.as_bytes());
}

/// Writes a message whose fields `write` writes. Its length is put before it afterwards, which moves the bytes of a long
/// one.
pub(super) fn message(field: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    encode_key(field, WireType::LengthDelimited, out);
    let place = out.len();
    out.push(0);
    write(out);
    let length = (out.len() - place - 1) as u64;
    if encoded_len_varint(length) == 1 {
        out.get_mut(place..).into_iter().flatten().take(1).for_each(|byte| *byte = length as u8);
    } else {
        let mut before = Vec::with_capacity(encoded_len_varint(length));
        encode_varint(length, &mut before);
        out.splice(place..=place, before);
    }
}
