//! Writes one entry as one line of JSON.
//!
//! It writes and escapes; [`encode`] says which fields there are. The rule: a line
//! is ASCII, has exactly one line feed (its last byte), and reads back to the very text that went
//! in, whatever a client put there. So no text can start a line of its own, colour a terminal or
//! change the direction of writing.
//!
//! The names and types are those of [`proto::Record`](super::proto::Record) in protobuf's JSON
//! mapping: lowerCamelCase, numbers of up to 32 bits as numbers, 64-bit numbers as text, times with
//! nine digits after the point, empty values left out, flags only if true.

use super::encode;
use super::fields::Field;
use super::record_encoder::RecordEncoder;
use super::timestamp::{digits, rfc3339};
use crate::Entry;
use customs_engine::time::UnixNanos;

/// Appends the line of an entry up to its chain: everything but [`close`]. The chain covers these
/// bytes.
pub fn open(entry: &Entry, stream: &str, sequence: u64, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut object = Object(out);
    encode::fill(&mut object, entry, stream, sequence);
    object.drop_comma();
}

/// Ends the line: the chain, the brace and the line feed.
pub fn close(chain: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"chain\":\"");
    out.extend_from_slice(chain.as_bytes());
    out.extend_from_slice(b"\"}\n");
}

/// Ends a line without a chain, as in a checkpoint file: the sink that it is about, the brace and
/// the line feed.
pub fn close_plain(sink: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"sink\":");
    quote(out, sink);
    out.extend_from_slice(b"}\n");
}

/// An object that is being written: each field ends with a comma, and the last comma is removed.
struct Object<'o>(&'o mut Vec<u8>);

impl Object<'_> {
    #[inline(always)]
    fn value(&mut self, field: Field, write: impl FnOnce(&mut Self)) {
        self.0.extend_from_slice(field.before_value().as_bytes());
        write(self);
        self.0.push(b',');
    }

    /// Writes a value in quotes that needs no escaping.
    #[inline(always)]
    fn quoted(&mut self, field: Field, write: impl FnOnce(&mut Vec<u8>)) {
        self.0.extend_from_slice(field.before_text().as_bytes());
        write(self.0);
        self.0.extend_from_slice(b"\",");
    }

    fn drop_comma(&mut self) {
        self.0.pop_if(|last| *last == b',');
    }

    fn braced(&mut self, fill: impl FnOnce(&mut Self)) {
        self.0.push(b'{');
        fill(self);
        self.drop_comma();
        self.0.push(b'}');
    }

    fn list<T>(&mut self, field: Field, values: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.value(field, |object| {
            object.0.push(b'[');
            for value in values {
                write(object, value);
                object.0.push(b',');
            }
            object.drop_comma();
            object.0.push(b']');
        });
    }
}

impl RecordEncoder for Object<'_> {
    /// Nearly every text is plain. Checking all of them without a branch is several times faster
    /// than byte by byte.
    fn is_plain(texts: &str) -> bool {
        texts
            .bytes()
            .fold(true, |plain, byte| plain & is_plain(byte))
    }

    #[inline(always)]
    fn put_text(&mut self, field: Field, value: &str, is_plain: bool) {
        if is_plain {
            self.quoted(field, |out| out.extend_from_slice(value.as_bytes()));
        } else {
            self.value(field, |object| quote(object.0, value));
        }
    }

    #[inline(always)]
    fn put_number(&mut self, field: Field, value: u32) {
        self.value(field, |object| digits(object.0, value.into(), 1));
    }

    /// Written as text: numbers in JSON are exact up to 53 bits only.
    #[inline(always)]
    fn put_long(&mut self, field: Field, value: u64) {
        self.quoted(field, |out| digits(out, value, 1));
    }

    fn put_true(&mut self, field: Field) {
        self.value(field, |object| object.0.extend_from_slice(b"true"));
    }

    #[inline(always)]
    fn put_time(&mut self, field: Field, value: UnixNanos) {
        self.quoted(field, |out| rfc3339(out, value));
    }

    fn put_texts<T: AsRef<str>>(&mut self, field: Field, values: &[T]) {
        self.list(field, values, |object, value| {
            quote(object.0, value.as_ref())
        });
    }

    fn put_message(&mut self, field: Field, fill: impl FnOnce(&mut Self)) {
        self.value(field, |object| object.braced(fill));
    }

    fn put_messages<T>(&mut self, field: Field, values: &[T], mut fill: impl FnMut(&mut Self, &T)) {
        self.list(field, values, |object, value| {
            object.braced(|object| fill(object, value))
        });
    }
}

/// Returns whether a byte needs no escape in JSON text: printable ASCII except the quote and the
/// backslash.
fn is_plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\')
}

/// Writes a JSON text of ASCII characters only.
fn quote(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if Object::is_plain(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        text.chars().for_each(|character| escape(out, character));
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        ' '..='~' => out.extend(u8::try_from(character)),
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                let nibbles = [12, 8, 4, 0].map(|shift| u32::from(*unit) >> shift & 0xf);
                out.extend(
                    nibbles
                        .iter()
                        .filter_map(|nibble| u8::try_from(char::from_digit(*nibble, 16)?).ok()),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
