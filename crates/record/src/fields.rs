//! The fields of records: each is declared by one row of a table, in [`decision`] or [`events`].
//!
//! A row makes the struct's field, the bytes that encoders write before a value, and a
//! [`FieldSpec`], which documents, tests and consumers read. [`value`] says what a type does, and
//! [`macros`] what a row becomes; [`borrowed`] reads values back without copying them. The rule: a list has the order of the numbers in the proto, and
//! [`CHAIN`] ends every record.

#[macro_use]
mod macros;
pub(crate) mod borrowed;
pub(crate) mod decision;
pub(crate) mod events;
pub(crate) mod value;

pub use decision::{DECISION, DecisionFields, METADATA, OTLP_ATTRIBUTES, TailHead};
pub use events::{HeadFields, HeaderFields};

use crate::{
    CallerGoneEntry, GapEntry, GrantExpiredEntry, HeaderEntry, LagEntry, Loss, QuestionEntry,
    RefusalCount, RefusalsEntry, StartEntry, StopEntry, WithheldEntry,
};
use events::{
    CheckpointFields, FileFields, PolicyChangeFields, ProblemFields, RecordHead, SourceFields,
    StreamFields,
};
use value::{FieldValue, Writer};

use crate::record_encoder::RecordEncoder;

/// A row of a table: what is known about a field, besides its values.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    field: Field,
    meaning: &'static str,
    /// A value as JSON shows it; a text without its quotes.
    pub example: &'static str,
    /// Its type in the proto.
    pub proto: ProtoType,
    /// When a record has it.
    pub presence: Presence,
    /// The setting that removes or hashes it.
    pub redaction: RedactionClass,
}

impl FieldSpec {
    /// Returns its number in the proto.
    pub fn number(&self) -> u32 {
        self.field.number
    }

    /// Returns its name in JSON.
    pub fn name(&self) -> &'static str {
        let quoted = self.field.before_value().strip_suffix(':');
        quoted.unwrap_or_default().trim_matches('"')
    }

    /// Returns what it means, in a sentence or more, as Markdown.
    pub fn meaning(&self) -> &'static str {
        self.meaning.trim_start()
    }
}

/// The type of a field in the proto.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtoType {
    /// `optional` or `repeated`; empty for neither.
    pub label: &'static str,
    /// The name of the type.
    pub name: &'static str,
}

/// When a record has a field that has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// In every record.
    Always,
    /// Only if there was a check, so not in the answer of a question.
    Check,
    /// Only if the rule of the dry run differs from the verdict's.
    OtherRule,
}

/// The settings that remove fields from records or hash them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedactionClass {
    /// No setting does.
    None,
    /// The caller.
    Principal,
    /// The path.
    Path,
    /// The caller's address.
    Address,
}

/// A value that can be removed from a record.
#[derive(Debug)]
pub enum Redactable<'v> {
    /// A text.
    Text(&'v mut String),
    /// A list of texts.
    Texts(&'v mut Vec<String>),
}

impl<'v> From<&'v mut String> for Redactable<'v> {
    fn from(text: &'v mut String) -> Self {
        Redactable::Text(text)
    }
}

impl<'v> From<&'v mut Vec<String>> for Redactable<'v> {
    fn from(texts: &'v mut Vec<String>) -> Self {
        Redactable::Texts(texts)
    }
}

/// Which decisions send Envoy a field in the dynamic metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetadataScope {
    /// All.
    Always,
    /// Those of a caller with a valid identity: a consumer of metadata may not look at the
    /// identity's state.
    IfValid,
}

/// A kind of records: its word, and the fields that follow [`HEAD`].
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The word in `kind`.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [FieldSpec],
}

impl Kind {
    const fn of<M: Message>() -> Kind {
        Kind {
            name: M::NAME,
            fields: M::FIELDS,
        }
    }
}

/// The word for decisions.
pub(crate) const DECISION_KIND: &str = "decision";

/// Every kind, in the order in which documents list them.
pub const KINDS: &[Kind] = &[
    Kind {
        name: DECISION_KIND,
        fields: DECISION,
    },
    Kind::of::<PolicyChangeFields<'_>>(),
    Kind::of::<QuestionEntry>(),
    Kind::of::<GrantExpiredEntry>(),
    Kind::of::<StartEntry>(),
    Kind::of::<StopEntry>(),
    Kind::of::<WithheldEntry>(),
    Kind::of::<CallerGoneEntry>(),
    Kind::of::<RefusalsEntry>(),
    Kind::of::<StreamFields<'_>>(),
    Kind::of::<GapEntry>(),
    Kind::of::<LagEntry>(),
    Kind::of::<CheckpointFields<'_>>(),
];

/// The fields with which every record begins.
pub const HEAD: &[FieldSpec] = RecordHead::FIELDS;

/// The last field of every record. The list of a kind does not repeat it.
pub const CHAIN: FieldSpec = FieldSpec {
    field: Field::new(2000, "\"chain\":\""),
    meaning: "The SHA-256 of the chain before and of the bytes of this record up to here, 64 \
        hexadecimal digits. Always the last field.",
    example: "64 hexadecimal digits",
    proto: String::PROTO,
    presence: Presence::Always,
    redaction: RedactionClass::None,
};

/// The fields of each of the `headers`.
pub const HEADER: &[FieldSpec] = HeaderEntry::FIELDS;

/// The fields of each of the `problems`.
pub const PROBLEM: &[FieldSpec] = ProblemFields::FIELDS;

/// The fields of each of the `sources`.
pub const SOURCE: &[FieldSpec] = SourceFields::FIELDS;

/// The fields of each of the `files` of a source.
pub const FILE: &[FieldSpec] = FileFields::FIELDS;

/// The fields of each of the `refusals`.
pub const REFUSAL: &[FieldSpec] = RefusalCount::FIELDS;

/// The fields of `lost`.
pub const LOSS: &[FieldSpec] = Loss::FIELDS;

/// Returns the fields of a message inside of records, by its name in the proto.
pub fn message_fields(name: &str) -> Option<&'static [FieldSpec]> {
    let messages = [
        (HeaderEntry::NAME, HEADER),
        (ProblemFields::NAME, PROBLEM),
        (SourceFields::NAME, SOURCE),
        (FileFields::NAME, FILE),
        (RefusalCount::NAME, REFUSAL),
        (Loss::NAME, LOSS),
    ];
    let found = messages.iter().find(|(known, _)| *known == name);
    found.map(|(_, fields)| *fields)
}

/// Returns the names of fields.
pub fn names(fields: &[FieldSpec]) -> Vec<&'static str> {
    fields.iter().map(FieldSpec::name).collect()
}

/// Returns the names of the fields of a kind of record, in their order, including the head and the
/// chain; none for a word that is not a kind.
pub fn of(kind: &str) -> Vec<&'static str> {
    let Some(kind) = KINDS.iter().find(|known| known.name == kind) else {
        return Vec::new();
    };
    [HEAD, kind.fields, &[CHAIN]]
        .iter()
        .flat_map(|fields| names(fields))
        .collect()
}

/// Returns the names of the fields of the `answer` of a question, in their order.
pub fn of_answer() -> Vec<&'static str> {
    DECISION
        .iter()
        .filter(|field| field.presence != Presence::Check)
        .map(FieldSpec::name)
        .collect()
}

/// A message of the proto that is a record, or part of one.
pub(crate) trait Message {
    /// The word of a kind of records; otherwise the message's name in the proto.
    const NAME: &'static str;

    /// Its fields.
    const FIELDS: &'static [FieldSpec];

    /// Writes its fields.
    fn put_fields<E: RecordEncoder>(&self, out: &mut Writer<'_, E>);
}

/// What each format writes before a field's value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Its number in protobuf.
    pub(crate) number: u32,
    /// What JSON has before a text: the name in quotes, a colon, and the quote that opens the text.
    before_text: &'static str,
}

impl Field {
    pub(crate) const fn new(number: u32, before_text: &'static str) -> Field {
        Field {
            number,
            before_text,
        }
    }

    /// Returns what JSON has before a text.
    #[inline(always)]
    pub(crate) fn before_text(self) -> &'static str {
        self.before_text
    }

    /// Returns what JSON has before any other value.
    #[inline(always)]
    pub(crate) fn before_value(self) -> &'static str {
        self.before_text.strip_suffix('"').unwrap_or_default()
    }
}

/// The number of the chain.
pub(crate) const CHAIN_NUMBER: u32 = CHAIN.field.number;

/// The fields of protobuf's own `Timestamp`, which JSON spells as one text.
pub(crate) const TIMESTAMP_SECONDS: Field = Field::new(1, "\"seconds\":\"");
pub(crate) const TIMESTAMP_NANOS: Field = Field::new(2, "\"nanos\":\"");
