//! Decodes a record from its line or its message into the type of the proto, and writes it as a
//! line.
//!
//! It verifies nothing. The rules:
//!
//! - Both formats become the one type through the descriptors that the type was made with, so a
//!   field that is added to the proto is read here.
//! - [`RecordFields`] is a short cut: what it reads is what the descriptors say, and a test holds
//!   both together.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor};

use crate::proto::{DESCRIPTORS, Record};
use crate::record_fields::RecordFields;
use crate::stream::Format;

static RECORD: LazyLock<Option<MessageDescriptor>> = LazyLock::new(|| {
    DescriptorPool::decode(DESCRIPTORS)
        .ok()?
        .get_message_by_name("customs.audit.v1.Record")
});

/// Why bytes cannot be decoded as a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordDecodeError {
    /// A line is not text.
    #[error(transparent)]
    Encoding(#[from] std::str::Utf8Error),
    /// A line is not JSON, or has a field of another type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The bytes are not a protobuf message.
    #[error(transparent)]
    Message(#[from] prost::DecodeError),
    /// The line is JSON, but not a record.
    #[error("it has no `kind`")]
    NoKind,
    /// The bytes are a message, but not a record.
    #[error("a message has no kind")]
    NoMessageKind,
    /// The build is broken.
    #[error("there is no descriptor of the record")]
    NoDescriptor,
}

/// Decodes a record from a line without its line feed, or from a message without its length.
///
/// # Errors
/// If the bytes are not a record.
pub fn record(format: Format, bytes: &[u8]) -> Result<Record, RecordDecodeError> {
    Ok(match decode(format, bytes)? {
        Decoded::Fields(fields) => fields.to_record(),
        Decoded::Record(record) => *record,
    })
}

/// Decodes a record by the schema alone: it is slow, and it says what [`decode`] must find.
///
/// # Errors
/// If the bytes are not a record.
pub fn record_by_schema(format: Format, bytes: &[u8]) -> Result<Record, RecordDecodeError> {
    let (record, without_kind) = match format {
        Format::Json => (
            from_line(std::str::from_utf8(bytes)?)?,
            RecordDecodeError::NoKind,
        ),
        Format::Protobuf => (Record::decode(bytes)?, RecordDecodeError::NoMessageKind),
    };
    if record.kind.is_empty() {
        return Err(without_kind);
    }
    Ok(record)
}

/// A decoded record.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded<'r> {
    /// A record that has only fields of decisions. Its texts are in the bytes.
    Fields(Box<RecordFields<'r>>),
    /// Any other record.
    Record(Box<Record>),
}

/// Decodes a record without copying its texts, if it has only fields of decisions, as nearly all
/// records do.
///
/// # Errors
/// If the bytes are not a record.
pub fn decode(format: Format, bytes: &[u8]) -> Result<Decoded<'_>, RecordDecodeError> {
    match RecordFields::read(format, bytes) {
        Some(fields) => Ok(Decoded::Fields(Box::new(fields))),
        None => Ok(Decoded::Record(Box::new(record_by_schema(format, bytes)?))),
    }
}

/// Returns whether the schema has a field of this name.
pub(crate) fn is_known(name: &str) -> bool {
    RECORD.as_ref().is_none_or(|record| {
        record.get_field_by_json_name(name).is_some() || record.get_field_by_name(name).is_some()
    })
}

fn from_line(line: &str) -> Result<Record, RecordDecodeError> {
    let descriptor = RECORD.clone().ok_or(RecordDecodeError::NoDescriptor)?;
    let mut json = serde_json::Deserializer::from_str(line);
    // A newer server may write fields that are not known here.
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let message = DynamicMessage::deserialize_with_options(descriptor, &mut json, &options)?;
    json.end()?;
    Ok(message.transcode_to()?)
}

/// Returns a record as a line of JSON without its line feed: ASCII, with the fields in the order of
/// their numbers.
pub fn to_line(record: &Record) -> Option<String> {
    let mut message = DynamicMessage::new(RECORD.clone()?);
    message.transcode_from(record).ok()?;
    let text = serde_json::to_string(&message).ok()?;
    // Only texts hold anything but printable ASCII, and inside a text each character may be
    // escaped.
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, ' '..='~') {
            out.push(character);
        } else {
            let units = &mut [0; 2];
            character
                .encode_utf16(units)
                .iter()
                .for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIAL: &str = r#"{"time":"2026-11-23T12:00:00.123456789Z","kind":"decision","stream":"s","sequence":"7","effect":"deny","port":443,"truncated":["path"],"answer":{"host":"a.example"},"chain":"00"}"#;
    const CHANGE: &str = r#"{"time":"2026-11-23T12:00:01Z","kind":"policyChange","sequence":"8","added":{"later":[1]},"policies":0}"#;

    fn line(text: &str) -> Result<Record, RecordDecodeError> {
        record(Format::Json, text.as_bytes())
    }

    #[test]
    fn a_line_is_read_by_the_proto() {
        let read = line(DENIAL).unwrap();
        let time = read.time.unwrap();
        assert_eq!((time.seconds, time.nanos), (1_795_435_200, 123_456_789));
        assert_eq!(
            (read.sequence, read.port, read.effect.as_str()),
            (7, Some(443), "deny")
        );
        assert_eq!(
            (read.truncated, read.answer.unwrap().host),
            (vec!["path".to_owned()], "a.example".to_owned())
        );
        assert_eq!(
            line(CHANGE).unwrap().policies,
            Some(0),
            "an unknown field is skipped"
        );
    }

    #[test]
    fn a_message_says_what_its_line_says() {
        let read = line(DENIAL).unwrap();
        let message = read.encode_to_vec();
        assert_eq!(record(Format::Protobuf, &message).unwrap(), read);
    }

    #[test]
    fn a_record_becomes_the_line_that_it_was() {
        assert_eq!(to_line(&line(DENIAL).unwrap()).unwrap(), DENIAL);
        let odd = Record {
            kind: "decision".into(),
            path: "/\u{202e}\u{1b}[2J\u{7f}\u{1f600}\"\\".into(),
            ..Record::default()
        };
        let text = to_line(&odd).unwrap();
        assert!(
            text.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "{text}"
        );
        assert_eq!(line(&text).unwrap().path, odd.path);
    }

    #[test]
    fn other_bytes_are_refused_with_a_reason() {
        for (format, bytes, expected) in [
            (Format::Json, b"a log line".as_slice(), "expected value"),
            (Format::Json, b"{\"level\":\"info\"}", "it has no `kind`"),
            (Format::Json, b"{\"kind\":7}", "invalid type"),
            (Format::Json, b"{\"kind\":\"x\"} {}", "trailing"),
            (Format::Json, b"\xff", "utf-8"),
            (Format::Protobuf, b"", "a message has no kind"),
            (Format::Protobuf, b"\xff\xff", "failed to decode"),
        ] {
            let error = record(format, bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{bytes:?}: {error}");
        }
    }
}
