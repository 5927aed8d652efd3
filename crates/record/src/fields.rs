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
    /// What it says, in a sentence or more, as Markdown.
    pub meaning: &'static str,
    /// Its fields.
    pub fields: &'static [FieldSpec],
}

impl Kind {
    const fn of<M: Message>(meaning: &'static str) -> Kind {
        Kind {
            name: M::NAME,
            meaning,
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
        meaning: "A check was decided.",
        fields: DECISION,
    },
    Kind::of::<PolicyChangeFields<'_>>(
        "The policy files changed, and the change was accepted or refused.",
    ),
    Kind::of::<QuestionEntry>(
        "An explain query: an operator asked a running server what a check would get \
         ([`POST /explain`](http-api.md)). It is not a decision, and nothing left the mesh. Its \
         record has the answers of a decision only inside `answer`, so a filter for `.verdict` or \
         `.effect` never matches it. An explain query that cannot be recorded is not answered.",
    ),
    Kind::of::<GrantExpiredEntry>(
        "An `allow` entry or an exception that is in force reached its `expires`. Ends that had \
         passed before the process started are not recorded again; `customs lint` reports them.",
    ),
    Kind::of::<StartEntry>("The process starts."),
    Kind::of::<StopEntry>(
        "The process stops in order. If the last process in a file has no such record, it ended \
         otherwise.",
    ),
    Kind::of::<WithheldEntry>(
        "A recorded decision was not answered as its record says: the record did not reach the \
         disk in time, so the caller was denied.",
    ),
    Kind::of::<CallerGoneEntry>(
        "The caller of a recorded decision gave up before it was answered, and did not get the \
         answer. This happens if the answer waited for the disk (`audit_durability: always`), was \
         withheld, or was on its way while an eighth of some queue was in use, so that its record \
         could not wait for it. A sink that had no room for a withheld answer gets no such record: \
         its gap counts the answer.",
    ),
    Kind::of::<RefusalsEntry>(
        "The connections and calls to an address of `listen` that were refused before they were \
         checks, over the last minute, by peer and cause. A refusal is not a decision. customs \
         writes no record for a single one, so that a peer cannot fill the audit log in this way. \
         A minute without refusals has no such record.",
    ),
    Kind::of::<StreamFields<'_>>(
        "A stream begins, or continues in another file: the first record of every file, and of \
         every process in a file. Its chain is joined to the record that it names.",
    ),
    Kind::of::<GapEntry>(
        "The number of records that this sink did not get. In a sink without a filter, the decision \
         records plus these counts equal the checks.",
    ),
    Kind::of::<LagEntry>(
        "A subscriber was slower than the audit log and missed a part of it. Only that subscriber \
         gets this record; it has no `sequence` and no `chain`.",
    ),
    Kind::of::<CheckpointFields<'_>>("The length of a stream, and its chain at that point."),
];

/// A message within records.
#[derive(Clone, Copy, Debug)]
pub struct InnerMessage {
    /// What it is, as a heading.
    pub heading: &'static str,
    /// Its name in the proto.
    pub name: &'static str,
    /// What is known about it, as Markdown.
    pub meaning: &'static str,
    /// Its fields.
    pub fields: &'static [FieldSpec],
}

/// Every message within records.
pub const MESSAGES: [InnerMessage; 6] = [
    InnerMessage {
        heading: "Each of the `headers`",
        name: "Header",
        meaning: "A record has at most 32 headers, the first by name. If the policies have more than \
                  32 patterns for one header, the record has only its presence.",
        fields: HEADER,
    },
    InnerMessage {
        heading: "Each of the `problems`",
        name: "Problem",
        meaning: "A problem of the policies or the settings.",
        fields: PROBLEM,
    },
    InnerMessage {
        heading: "Each of the `sources`",
        name: "PolicySource",
        meaning: "The files in force of each source, so that you can find the files of a revision \
                  again: `sha256sum` over a file of a checkout gives the same digest.",
        fields: SOURCE,
    },
    InnerMessage {
        heading: "Each of the `files` of a source",
        name: "PolicyFile",
        meaning: "A file in force.",
        fields: FILE,
    },
    InnerMessage {
        heading: "Each of the `refusals`",
        name: "Refusal",
        meaning: "A peer and a cause.",
        fields: REFUSAL,
    },
    InnerMessage {
        heading: "What `lost` counts",
        name: "Loss",
        meaning: "A decision counts once, in one of the first four.",
        fields: LOSS,
    },
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
