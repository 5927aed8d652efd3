//! The types that a field can have: how each is written, and which type it has in the proto.
//!
//! It knows no field. The rule: an empty value is left out, as protobuf leaves it out; an `Option`
//! is written whenever it has a value.

use std::borrow::Cow;

use super::{Field, Message, ProtoType};
use crate::DecisionRecord;
use crate::entry::decision_record::Span;
use crate::entry::{HeaderEntry, RefusalCause};
use crate::record_encoder::RecordEncoder;
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::identity::IdentityState;
use customs_engine::reason::Reason;
use customs_engine::time::UnixNanos;
use customs_policy::policy_change::ChangeOutcome;
use customs_policy::problem::{Code, Severity};

/// A fixed word that needs no escaping; left out if it is empty.
pub(crate) type Word = &'static str;
/// Such a word, if there is one.
pub(crate) type OptionalWord = Option<&'static str>;
/// A port, if there is one.
pub(crate) type OptionalPort = Option<u16>;
/// A time, if there is one.
pub(crate) type OptionalTime = Option<UnixNanos>;
/// A text that is written even if it is empty, if there is one.
pub(crate) type OptionalText = Option<String>;
/// A list of texts.
pub(crate) type Texts = Vec<String>;
/// A list of names of fields.
pub(crate) type Names = Vec<&'static str>;
/// A list of headers.
pub(crate) type Headers = Vec<HeaderEntry>;

/// An encoder, and the texts that its [`Span`]s point into.
pub(crate) struct Writer<'w, E> {
    pub(crate) out: &'w mut E,
    texts: &'w str,
    /// Whether all of these texts can be written without escaping. They are checked once, not one
    /// by one.
    is_plain: bool,
}

impl<'w, E: RecordEncoder> Writer<'w, E> {
    /// Creates a writer for a record without spans.
    #[inline(always)]
    pub(crate) fn new(out: &'w mut E) -> Self {
        Writer {
            out,
            texts: "",
            is_plain: false,
        }
    }

    /// Creates a writer for a decision.
    #[inline(always)]
    pub(crate) fn of(out: &'w mut E, decision: &'w DecisionRecord) -> Self {
        let texts = decision.texts();
        Writer {
            out,
            texts,
            is_plain: E::is_plain(texts),
        }
    }
}

/// A type that a field can have.
// All of it is inlined where fields are literals: what a record has before a value is then a few
// stores and no call.
pub(crate) trait FieldValue {
    /// Its type in the proto.
    const PROTO: ProtoType;

    /// Writes the value, unless it is left out.
    fn put<E: RecordEncoder>(&self, field: Field, out: &mut Writer<'_, E>);
}

/// A type whose value can be written as a text.
pub(crate) trait TextValue {
    /// Returns the text; a [`Span`] points into `texts`.
    fn as_text<'t>(&'t self, texts: &'t str) -> &'t str;
}

/// A type with a value that is left out.
pub(crate) trait Absent {
    /// That value.
    const ABSENT: Self;
}

impl ProtoType {
    const fn plain(name: &'static str) -> ProtoType {
        ProtoType { label: "", name }
    }

    const fn optional(name: &'static str) -> ProtoType {
        ProtoType {
            label: "optional",
            name,
        }
    }

    const fn repeated(name: &'static str) -> ProtoType {
        ProtoType {
            label: "repeated",
            name,
        }
    }

    /// Returns the type of a number that is written even if it is `zero`.
    pub(crate) const fn even(self, _zero: u8) -> ProtoType {
        ProtoType::optional(self.name)
    }
}

/// Implements [`FieldValue`]: the types in Rust, that in the proto, and how a value is written.
macro_rules! field_values {
    ($($type:ty, $proto:expr, |$value:ident, $field:ident, $out:ident| $put:expr;)*) => {$(
        impl FieldValue for $type {
            const PROTO: ProtoType = $proto;

            #[inline(always)]
            fn put<E: RecordEncoder>(&self, $field: Field, $out: &mut Writer<'_, E>) {
                let $value = self;
                $put
            }
        }
    )*};
}

field_values! {
    String, ProtoType::plain("string"), |text, field, to| to.out.text(field, text);
    Cow<'_, str>, ProtoType::plain("string"), |text, field, to| to.out.text(field, text);
    Word, ProtoType::plain("string"), |word, field, to| to.out.word(field, word);
    OptionalWord, ProtoType::plain("string"),
        |word, field, to| to.out.word(field, word.unwrap_or_default());
    OptionalText, ProtoType::optional("string"), |text, field, to| {
        text.iter().for_each(|text| to.out.put_text(field, text, false))
    };
    bool, ProtoType::plain("bool"), |flag, field, to| to.out.flag(field, *flag);
    u32, ProtoType::plain("uint32"), |number, field, to| to.out.number(field, *number);
    u64, ProtoType::plain("uint64"), |number, field, to| to.out.long(field, *number);
    Option<u16>, ProtoType::optional("uint32"),
        |number, field, to| to.out.optional_number(field, *number);
    Option<u32>, ProtoType::optional("uint32"),
        |number, field, to| to.out.optional_number(field, *number);
    Option<u64>, ProtoType::optional("uint64"),
        |number, field, to| to.out.optional_long(field, *number);
    UnixNanos, ProtoType::plain(TIMESTAMP), |time, field, to| to.out.put_time(field, *time);
    OptionalTime, ProtoType::plain(TIMESTAMP),
        |time, field, to| to.out.optional_time(field, *time);
    Texts, ProtoType::repeated("string"), |texts, field, to| to.out.texts(field, texts);
    Names, ProtoType::repeated("string"), |texts, field, to| to.out.texts(field, texts);
    &[String], ProtoType::repeated("string"), |texts, field, to| to.out.texts(field, texts);
}

const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// A text of a decision.
impl FieldValue for Span {
    const PROTO: ProtoType = ProtoType::plain("string");

    #[inline(always)]
    fn put<E: RecordEncoder>(&self, field: Field, to: &mut Writer<'_, E>) {
        let text = self.of(to.texts);
        if !text.is_empty() {
            to.out.put_text(field, text, to.is_plain);
        }
    }
}

impl TextValue for Span {
    fn as_text<'t>(&'t self, texts: &'t str) -> &'t str {
        self.of(texts)
    }
}

impl TextValue for Word {
    fn as_text<'t>(&'t self, _texts: &'t str) -> &'t str {
        self
    }
}

/// Implements the traits of a word for enums that have one for each variant.
macro_rules! words {
    ($($type:ty,)*) => {$(
        impl FieldValue for $type {
            const PROTO: ProtoType = ProtoType::plain("string");

            #[inline(always)]
            fn put<E: RecordEncoder>(&self, field: Field, to: &mut Writer<'_, E>) {
                to.out.word(field, self.as_str());
            }
        }

        impl TextValue for $type {
            fn as_text<'t>(&'t self, _texts: &'t str) -> &'t str {
                self.as_str()
            }
        }
    )*};
}

words! {
    ChangeOutcome,
    Code,
    Effect,
    Enforcement,
    IdentityState,
    Reason,
    RefusalCause,
    Severity,
}

impl<M: Message> FieldValue for M {
    const PROTO: ProtoType = ProtoType::plain(M::NAME);

    #[inline(always)]
    fn put<E: RecordEncoder>(&self, field: Field, to: &mut Writer<'_, E>) {
        to.out
            .put_message(field, |out| self.put_fields(&mut Writer::new(out)));
    }
}

impl<M: Message> FieldValue for Vec<M> {
    const PROTO: ProtoType = ProtoType::repeated(M::NAME);

    #[inline(always)]
    fn put<E: RecordEncoder>(&self, field: Field, to: &mut Writer<'_, E>) {
        self.as_slice().put(field, to);
    }
}

impl<M: Message> FieldValue for &[M] {
    const PROTO: ProtoType = ProtoType::repeated(M::NAME);

    #[inline(always)]
    fn put<E: RecordEncoder>(&self, field: Field, to: &mut Writer<'_, E>) {
        to.out.messages(field, self, |out, message| {
            message.put_fields(&mut Writer::new(out))
        });
    }
}

impl Absent for bool {
    const ABSENT: bool = false;
}

impl<T> Absent for Option<T> {
    const ABSENT: Option<T> = None;
}

impl<T> Absent for Vec<T> {
    const ABSENT: Vec<T> = Vec::new();
}
