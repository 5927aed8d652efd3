//! Writes one entry as a protobuf message.
//!
//! It only encodes; [`encode`] says which fields there are. The rule: the bytes are
//! those of [`proto::Record`](super::proto::Record) with its fields in the order of their numbers.

use super::encode;
use super::fields::{CHAIN_NUMBER, Field, TIMESTAMP_NANOS, TIMESTAMP_SECONDS};
use super::record_encoder::RecordEncoder;
use super::timestamp::seconds_and_nanos;
use crate::Entry;
use crate::protobuf;
use customs_engine::time::UnixNanos;

/// Appends the message of an entry up to its chain. The chain covers these bytes.
pub fn open(entry: &Entry, stream: &str, sequence: u64, out: &mut Vec<u8>) {
    encode::fill(&mut Message(out), entry, stream, sequence);
}

/// Appends the chain, the message's last field.
pub fn close(chain: &str, out: &mut Vec<u8>) {
    protobuf::text(CHAIN_NUMBER, chain, out);
}

/// A message that is being written.
struct Message<'o>(&'o mut Vec<u8>);

impl RecordEncoder for Message<'_> {
    fn is_plain(_texts: &str) -> bool {
        true
    }

    #[inline(always)]
    fn put_text(&mut self, field: Field, value: &str, _is_plain: bool) {
        protobuf::text(field.number, value, self.0);
    }

    #[inline(always)]
    fn put_number(&mut self, field: Field, value: u32) {
        protobuf::number(field.number, value.into(), self.0);
    }

    #[inline(always)]
    fn put_long(&mut self, field: Field, value: u64) {
        protobuf::number(field.number, value, self.0);
    }

    #[inline(always)]
    fn put_true(&mut self, field: Field) {
        protobuf::number(field.number, 1, self.0);
    }

    fn put_time(&mut self, field: Field, value: UnixNanos) {
        let (seconds, nanos) = seconds_and_nanos(value);
        self.put_message(field, |message| {
            // Times before 1970 are negative; protobuf writes such numbers in ten bytes.
            message.long(TIMESTAMP_SECONDS, seconds.cast_unsigned());
            message.number(TIMESTAMP_NANOS, nanos);
        });
    }

    fn put_texts<T: AsRef<str>>(&mut self, field: Field, values: &[T]) {
        values
            .iter()
            .for_each(|value| protobuf::text(field.number, value.as_ref(), self.0));
    }

    #[inline(always)]
    fn put_message(&mut self, field: Field, fill: impl FnOnce(&mut Self)) {
        let place = protobuf::begin_message(field.number, self.0);
        fill(self);
        protobuf::end_message(place, self.0);
    }

    fn put_messages<T>(&mut self, field: Field, values: &[T], mut fill: impl FnMut(&mut Self, &T)) {
        values
            .iter()
            .for_each(|value| self.put_message(field, |message| fill(message, value)));
    }
}
