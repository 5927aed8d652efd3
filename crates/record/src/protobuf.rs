//! Writes protobuf fields one after the other, without a message type in between.
//!
//! It serves the two messages that every check needs, the response and the record; all others are
//! written by their types. It knows no message; its caller passes the numbers. The rule: an empty
//! text and a zero are written if the caller says so, since in protobuf they equal an absent field.

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// Writes an unsigned number, or a boolean as one.
pub fn number(field: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(field, WireType::Varint, out);
    encode_varint(value, out);
}

/// Writes a text.
// Numbers and most texts are literals: inlined, their bytes are a few stores.
#[inline(always)]
pub fn text(field: u32, value: &str, out: &mut Vec<u8>) {
    begin(field, out);
    match u8::try_from(value.len()) {
        Ok(length @ ..0x80) => out.push(length),
        _ => encode_varint(value.len() as u64, out),
    }
    out.extend_from_slice(value.as_bytes());
}

/// Writes a message whose fields `write` writes.
#[inline(always)]
pub fn message(field: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let place = begin_message(field, out);
    write(out);
    end_message(place, out);
}

/// Begins a message: its fields follow. Returns the place that [`end_message`] needs.
#[inline(always)]
pub fn begin_message(field: u32, out: &mut Vec<u8>) -> usize {
    begin(field, out);
    out.push(0);
    out.len()
}

/// Ends a message that begins at this place. Its length is inserted only now, which moves the bytes
/// of a message longer than 127.
#[inline(always)]
pub fn end_message(place: usize, out: &mut Vec<u8>) {
    let length = out.len() - place;
    match (u8::try_from(length), out.get_mut(place - 1)) {
        (Ok(length @ ..0x80), Some(before)) => *before = length,
        _ => put_length(place - 1, length, out),
    }
}

/// Writes a length of several bytes where one byte was reserved for it.
fn put_length(place: usize, length: usize, out: &mut Vec<u8>) {
    let behind = place + 1..out.len();
    let width = encoded_len_varint(length as u64);
    out.resize(out.len() + width - 1, 0);
    out.copy_within(behind, place + width);
    if let Some(mut before) = out.get_mut(place..place + width) {
        encode_varint(length as u64, &mut before);
    }
}

#[inline(always)]
fn begin(field: u32, out: &mut Vec<u8>) {
    match u8::try_from(field) {
        Ok(field @ ..16) => out.push(field << 3 | WireType::LengthDelimited as u8),
        _ => encode_key(field, WireType::LengthDelimited, out),
    }
}
