//! The audit log as a contract: what a consumer in any language may rely on, checked against the
//! published proto.
//!
//! - `schema` checks names and order against the descriptors, and both formats against each other;
//! - `golden` pins one record of each kind;
//! - `borrowed` holds the fast decoder to the schema;
//! - `docs` reads the examples of docs/reference/record.md;
//! - `injection` sends hostile texts;
//! - `replay` makes decisions again from their records alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod borrowed;
mod docs;
mod draw;
mod golden;
mod injection;
mod replay;
mod schema;

use customs_record as record;
use customs_record::Entry;
use customs_record::examples;
use prost_reflect::{DescriptorPool, MessageDescriptor};

/// A stream's id, and a chain, of the usual form.
pub const STREAM: &str = "5f0c8a52-9a55-4f3c-8a52-9a554f3c8a52";
pub const CHAIN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A number that most readers of JSON numbers cannot represent.
pub const SEQUENCE: u64 = 9_007_199_254_740_993;

/// The line of an entry, including its line feed.
pub fn line(entry: &Entry) -> String {
    let mut out = Vec::new();
    record::json::open(entry, STREAM, SEQUENCE, &mut out);
    record::json::close(CHAIN, &mut out);
    String::from_utf8(out).unwrap()
}

/// The message of an entry.
pub fn message(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    record::binary::open(entry, STREAM, SEQUENCE, &mut out);
    record::binary::close(CHAIN, &mut out);
    out
}

/// The schema of a record, as the binary publishes it.
pub fn schema() -> MessageDescriptor {
    let pool = DescriptorPool::decode(record::proto::DESCRIPTORS).unwrap();
    pool.get_message_by_name("customs.audit.v1.Record").unwrap()
}

/// Checks that this is one line: ASCII, a single line feed at its end, and nothing that a terminal
/// would act on.
pub fn assert_is_one_line(line: &str) {
    assert!(
        line.bytes()
            .all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte)),
        "{line:?}"
    );
    assert_eq!(line.find('\n'), Some(line.len() - 1), "{line:?}");
}
