//! How [`encode`](super::encode) writes each field, as JSON or as protobuf.
//!
//! It knows no field. The rule: an empty value is left out, as protobuf leaves it out.

use super::fields::Field;
use customs_engine::time::UnixNanos;

/// A way to write a record: the arguments of the `put_..` calls are written in the order of the
/// calls.
// All of it is inlined where fields are literals: what is before a value is then a few stores and
// no call.
pub(super) trait RecordEncoder {
    /// Returns whether texts need no escaping. Checked once for many, it need not be checked for
    /// each.
    fn is_plain(texts: &str) -> bool;

    /// Writes a text, which may be known to be plain.
    fn put_text(&mut self, field: Field, value: &str, is_plain: bool);

    /// Writes a number of 32 bits.
    fn put_number(&mut self, field: Field, value: u32);

    /// Writes a number of 64 bits.
    fn put_long(&mut self, field: Field, value: u64);

    /// Writes a flag that is set.
    fn put_true(&mut self, field: Field);

    /// Writes a time.
    fn put_time(&mut self, field: Field, value: UnixNanos);

    /// Writes a list of texts that is not empty.
    fn put_texts<T: AsRef<str>>(&mut self, field: Field, values: &[T]);

    /// Writes a message, which is filled by `fill`.
    fn put_message(&mut self, field: Field, fill: impl FnOnce(&mut Self));

    /// Writes a list of messages that is not empty.
    fn put_messages<T>(&mut self, field: Field, values: &[T], fill: impl FnMut(&mut Self, &T));

    /// Writes a text unless it is empty.
    #[inline(always)]
    fn text(&mut self, field: Field, value: &str) {
        if !value.is_empty() {
            self.put_text(field, value, false);
        }
    }

    /// Writes a fixed word unless it is empty.
    #[inline(always)]
    fn word(&mut self, field: Field, value: &'static str) {
        if !value.is_empty() {
            self.put_text(field, value, true);
        }
    }

    /// Writes a number unless it is zero.
    #[inline(always)]
    fn number(&mut self, field: Field, value: u32) {
        if value > 0 {
            self.put_number(field, value);
        }
    }

    /// Writes a number that may be absent and may be zero.
    #[inline(always)]
    fn optional_number(&mut self, field: Field, value: Option<impl Into<u32>>) {
        if let Some(value) = value {
            self.put_number(field, value.into());
        }
    }

    /// Writes a number that may be absent and may be zero.
    #[inline(always)]
    fn optional_long(&mut self, field: Field, value: Option<u64>) {
        if let Some(value) = value {
            self.put_long(field, value);
        }
    }

    /// Writes a number unless it is zero.
    #[inline(always)]
    fn long(&mut self, field: Field, value: u64) {
        if value > 0 {
            self.put_long(field, value);
        }
    }

    /// Writes a flag if it is set.
    #[inline(always)]
    fn flag(&mut self, field: Field, value: bool) {
        if value {
            self.put_true(field);
        }
    }

    /// Writes a time that may be absent.
    #[inline(always)]
    fn optional_time(&mut self, field: Field, value: Option<UnixNanos>) {
        if let Some(value) = value {
            self.put_time(field, value);
        }
    }

    /// Writes texts unless there are none.
    #[inline(always)]
    fn texts<T: AsRef<str>>(&mut self, field: Field, values: &[T]) {
        if !values.is_empty() {
            self.put_texts(field, values);
        }
    }

    /// Writes messages unless there are none.
    #[inline(always)]
    fn messages<T>(&mut self, field: Field, values: &[T], fill: impl FnMut(&mut Self, &T)) {
        if !values.is_empty() {
            self.put_messages(field, values, fill);
        }
    }
}
