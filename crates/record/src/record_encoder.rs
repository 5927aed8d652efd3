//! How a record is spelt: what [`encode`](super::encode) writes each field with, as JSON or as protobuf.
//!
//! It knows no field. The rule: what is empty is left out, as protobuf leaves it out.

use super::fields::Field;
use customs_engine::time::UnixNanos;

/// A way to spell a record: what `put_..` is called with is written, in the order of the calls.
// All of it is inlined where fields are literals: what stands before a value is then a few stores and no call.
pub(super) trait RecordEncoder {
    /// Whether texts are spelt as they are. Asked once of many, it need not be asked of each.
    fn is_plain(texts: &str) -> bool;

    /// Writes a text that is plain, or may not be.
    fn put_text(&mut self, field: Field, value: &str, is_plain: bool);

    /// Writes a number of 32 bits.
    fn put_number(&mut self, field: Field, value: u32);

    /// Writes a number of 64 bits.
    fn put_long(&mut self, field: Field, value: u64);

    /// Writes that something is so.
    fn put_true(&mut self, field: Field);

    /// Writes a moment.
    fn put_time(&mut self, field: Field, value: UnixNanos);

    /// Writes a list of texts that has some.
    fn put_texts<T: AsRef<str>>(&mut self, field: Field, values: &[T]);

    /// Writes a message, which is filled by `fill`.
    fn put_message(&mut self, field: Field, fill: impl FnOnce(&mut Self));

    /// Writes a list of messages that has some.
    fn put_messages<T>(&mut self, field: Field, values: &[T], fill: impl FnMut(&mut Self, &T));

    /// A text, where there is one.
    #[inline(always)]
    fn text(&mut self, field: Field, value: &str) {
        if !value.is_empty() {
            self.put_text(field, value, false);
        }
    }

    /// A word of this project's own, where there is one.
    #[inline(always)]
    fn word(&mut self, field: Field, value: &'static str) {
        if !value.is_empty() {
            self.put_text(field, value, true);
        }
    }

    /// A number, unless it is nought.
    #[inline(always)]
    fn number(&mut self, field: Field, value: u32) {
        if value > 0 {
            self.put_number(field, value);
        }
    }

    /// A number that may be absent, and may be nought.
    #[inline(always)]
    fn optional_number(&mut self, field: Field, value: Option<impl Into<u32>>) {
        if let Some(value) = value {
            self.put_number(field, value.into());
        }
    }

    /// A number that may be absent, and may be nought.
    #[inline(always)]
    fn optional_long(&mut self, field: Field, value: Option<u64>) {
        if let Some(value) = value {
            self.put_long(field, value);
        }
    }

    /// A number, unless it is nought.
    #[inline(always)]
    fn long(&mut self, field: Field, value: u64) {
        if value > 0 {
            self.put_long(field, value);
        }
    }

    /// Whether something is so.
    #[inline(always)]
    fn flag(&mut self, field: Field, value: bool) {
        if value {
            self.put_true(field);
        }
    }

    /// A moment that may be absent.
    #[inline(always)]
    fn optional_time(&mut self, field: Field, value: Option<UnixNanos>) {
        if let Some(value) = value {
            self.put_time(field, value);
        }
    }

    /// Texts, where there are some.
    #[inline(always)]
    fn texts<T: AsRef<str>>(&mut self, field: Field, values: &[T]) {
        if !values.is_empty() {
            self.put_texts(field, values);
        }
    }

    /// Messages, where there are some.
    #[inline(always)]
    fn messages<T>(&mut self, field: Field, values: &[T], fill: impl FnMut(&mut Self, &T)) {
        if !values.is_empty() {
            self.put_messages(field, values, fill);
        }
    }
}
