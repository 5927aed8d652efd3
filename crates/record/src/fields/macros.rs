//! What a row of the tables becomes.
//!
//! There are two macros: `decision_fields!` for the table of a decision and `message_fields!`
//! for all others; `read_fields!` makes what both are when they are read. They only put a row's parts in their places;
//! [`FieldValue`](super::value::FieldValue) says what a type does. The rule: nothing here names a
//! row.

/// Declares the numbers and names of fields as constants, so that encoders write literals.
///
/// `(decision) rule` means the constant of another table.
macro_rules! field_constant {
    (($home:ident) $name:ident) => {
        pub(crate) use super::$home::$name;
    };
    ($number:literal $name:ident $json:literal) => {
        pub(crate) const $name: Field = Field::new($number, concat!("\"", $json, "\":\""));
    };
}

/// Returns the value of an enum that a row names, or the one for a row that names none.
macro_rules! named_or {
    ($enum:ident: $named:ident $($other:ident)?) => {
        $enum::$named
    };
}

/// Returns a value as it is written: with `even 0`, as a value that is present.
macro_rules! written {
    ($value:expr) => {
        $value
    };
    ($value:expr, $zero:literal) => {
        Some($value)
    };
}

/// Declares a message: its struct, its constants, and how it is written. One row
///
/// ```text
/// /// How often.
/// 3 count "count": u64 = "\"3\"";
/// ```
///
/// of `struct RefusalCount = "Refusal" in refusal` becomes
///
/// ```text
/// pub struct RefusalCount {
///     /// How often.
///     pub count: u64,
/// }
/// mod refusal {
///     pub(crate) const count: Field = Field::new(3, "\"count\":\"");
/// }
/// impl Message for RefusalCount {
///     const FIELDS = &[FieldSpec { field: refusal::count, meaning: " How often.", example: .. }];
///     fn put_fields(&self, out) { self.count.put(refusal::count, out); }
/// }
/// ```
macro_rules! message_fields {
    (
        $(#[$of_struct:meta])*
        $vis:vis struct $Message:ident $(<$life:lifetime>)? = $word:literal in $table:ident
        $(, has $time:ident)? $(, read as $Read:ident of $Proto:ident)?
        {
            $(
                $(#[doc = $meaning:literal])+
                $(($home:ident))? $($number:literal)? $name:ident $($json:literal)?: $type:ty
                $(, even $zero:literal)? = $example:literal;
            )*
        }
    ) => {
        $(#[$of_struct])*
        $vis struct $Message $(<$life>)? {
            $(
                /// When it happened.
                pub $time: UnixNanos,
            )?
            $($(#[doc = $meaning])+ pub $name: $type,)*
        }

        #[allow(non_upper_case_globals, unused_imports, reason = "a constant has its field's name")]
        pub(crate) mod $table {
            use crate::fields::Field;

            $(field_constant! { $(($home))? $($number)? $name $($json)? })*
        }

        impl $(<$life>)? Message for $Message $(<$life>)? {
            const NAME: &'static str = $word;
            const FIELDS: &'static [FieldSpec] = &[$(
                FieldSpec {
                    field: $table::$name,
                    meaning: concat!($($meaning),+),
                    example: $example,
                    proto: <$type as FieldValue>::PROTO$(.even($zero))?,
                    presence: Presence::Always,
                    redaction: RedactionClass::None,
                },
            )*];

            fn put_fields<E: RecordEncoder>(&self, out: &mut Writer<'_, E>) {
                $(written!(self.$name $(, $zero)?).put($table::$name, out);)*
            }
        }

        read_fields! {
            [$($Read of $Proto)?]
            $({$(#[doc = $meaning])+} $($number)? $name $($json)?: $type $(, $zero)?;)*
        }
    };
}

/// Declares the fields of a message as they are read from its bytes, unless it has no name for
/// them. A lifetime in a type of a row is that of the bytes, so it is called `'a`.
macro_rules! read_fields {
    ([] $($rest:tt)*) => {};
    ([$Read:ident of $Proto:ident] $(
        {$($meaning:tt)+} $number:literal $name:ident $json:literal: $type:ty $(, $zero:literal)?;
    )*) => {
        /// The fields of one message, read from its bytes.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $Read<'a> {
            $($($meaning)+ pub $name: read_type!('a, $type $(, $zero)?),)*
        }

        impl<'a> BorrowedFields<'a> for $Read<'a> {
            type Message = proto::$Proto;

            #[inline]
            fn read_json_field<A: MapAccess<'a>>(
                &mut self,
                name: &str,
                map: &mut A,
            ) -> Result<bool, A::Error> {
                match name {
                    $($json => map.next_value_seed(Slot(&mut self.$name))?,)*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            #[inline]
            fn read_message_field(
                &mut self,
                number: u32,
                wire: WireType,
                bytes: &mut &'a [u8],
            ) -> Result<bool, NotBorrowed> {
                match number {
                    $($number => self.$name.read_message(wire, bytes)?,)*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            fn of(message: &'a proto::$Proto) -> Self {
                $Read { $($name: BorrowedValue::of(&message.$name),)* }
            }

            fn put(&self, message: &mut proto::$Proto) {
                $(message.$name = BorrowedValue::to_proto(&self.$name);)*
            }
        }
    };
}

/// Returns the type that a field has when it is read; with `even 0`, one that tells a zero from
/// nothing.
macro_rules! read_type {
    ($life:lifetime, $type:ty) => {
        <$type as ReadAs>::Read<$life>
    };
    ($life:lifetime, $type:ty, $zero:literal) => {
        Option<<$type as ReadAs>::Read<$life>>
    };
}

/// Declares the decision. One row
///
/// ```text
/// /// Its namespace, if it is well-formed.
/// 21 namespace "namespace" entry.namespace: T, metadata IfValid, otlp attribute = "shop";
/// ```
///
/// becomes a field of a struct (here of the struct behind `entry`), a constant, an entry of the
/// list of fields, and a call where the encoders write:
///
/// ```text
/// pub struct DecisionEntry<T = String> {
///     /// Its namespace, if it is well-formed.
///     pub namespace: T,
/// }
/// mod field {
///     pub(crate) const namespace: Field = Field::new(21, "\"namespace\":\"");
/// }
/// pub const DECISION: &[FieldSpec] = &[FieldSpec { field: field::namespace, .. }];
/// fn put_fields(parts, out) {
///     if parts.has(Presence::Always) { parts.entry.namespace.put(field::namespace, out); }
/// }
/// ```
///
/// `metadata IfValid` adds its name to `METADATA` and its value to `DecisionRecord::metadata`;
/// `otlp attribute` adds it to `OTLP_ATTRIBUTES`; `tail filter` to the fields of `TailHead`;
/// `redact CLASS` a call of `visit` to `DecisionEntry::visit_redactable`.
macro_rules! decision_fields {
    ($(
        $(#[doc = $meaning:literal])+
        $number:literal $name:ident $json:literal $part:ident.$field:ident: $type:ident
        $(, if $presence:ident)? $(, even $zero:literal)? $(, redact $class:ident)?
        $(, metadata $scope:ident)? $(, otlp $otlp:ident)? $(, tail $tail:ident)?
        = $example:literal;
    )*) => {
        decision_structs! {
            [] [] [] $({$(#[doc = $meaning])+} $part.$field: $type;)*
        }

        #[allow(non_upper_case_globals, reason = "a constant has its field's name")]
        pub(crate) mod field {
            use crate::fields::Field;

            $(field_constant! { $number $name $json })*
        }

        /// The fields of a decision.
        pub const DECISION: &[FieldSpec] = {
            type T = Span;
            &[$(
                FieldSpec {
                    field: field::$name,
                    meaning: concat!($($meaning),+),
                    example: $example,
                    proto: <$type as FieldValue>::PROTO$(.even($zero))?,
                    presence: named_or!(Presence: $($presence)? Always),
                    redaction: named_or!(RedactionClass: $($class)? None),
                },
            )*]
        };

        /// The fields that Envoy gets as dynamic metadata, by their names in the proto.
        pub const METADATA: &[&str] = &[$($(marked!($scope, stringify!($name)),)?)*];

        /// The fields that an OpenTelemetry collector gets as attributes: the name in JSON, and
        /// that of the attribute.
        pub const OTLP_ATTRIBUTES: &[(&str, &str)] = &[$($(
            marked!($otlp, ($json, concat!("customs.", stringify!($name)))),
        )?)*];

        /// The few fields by which subscribers choose records. Decoded as a message, it skips all
        /// others.
        #[derive(Clone, PartialEq, prost::Message)]
        pub struct TailHead {
            /// The kind.
            #[prost(string, tag = 2)]
            pub kind: String,
            /// The stream.
            #[prost(string, tag = 3)]
            pub stream: String,
            /// The number in the stream.
            #[prost(uint64, tag = 4)]
            pub sequence: u64,
            $($(
                #[doc = marked!($tail, concat!("`", $json, "`"))]
                #[prost(string, tag = $number)]
                pub $name: String,
            )?)*
        }

        impl TailHead {
            /// Returns the fields of a complete record.
            pub fn of(record: &Record) -> TailHead {
                TailHead {
                    kind: record.kind.clone(),
                    stream: record.stream.clone(),
                    sequence: record.sequence,
                    $($($name: marked!($tail, record.$name.clone()),)?)*
                }
            }

            /// Returns how many bytes its texts have together.
            pub fn text_bytes(&self) -> usize {
                self.kind.len() + self.stream.len() $($(+ marked!($tail, self.$name.len()))?)*
            }
        }

        mod read {
            use super::*;
            use crate::fields::borrowed::{
                BorrowedFields, BorrowedValue, NotBorrowed, ReadAs, Slot,
            };
            use crate::proto;
            use prost::encoding::WireType;
            use serde::de::MapAccess;

            type T = Span;

            read_fields! {
                [DecisionFields of Record]
                $({$(#[doc = $meaning])+} $number $name $json: $type $(, $zero)?;)*
            }
        }

        pub use read::DecisionFields;

        /// Writes the fields of a decision that has these parts.
        #[inline(always)]
        pub(crate) fn put_fields<E: RecordEncoder>(parts: &Parts<'_>, out: &mut Writer<'_, E>) {
            $(
                if parts.has(named_or!(Presence: $($presence)? Always)) {
                    written!(parts.$part.$field $(, $zero)?).put(field::$name, out);
                }
            )*
        }

        impl DecisionRecord {
            /// The values of [`METADATA`], in its order.
            pub fn metadata(&self) -> [&str; METADATA.len()] {
                let (parts, texts) = (Parts::of(self, true), self.texts());
                [$($(
                    if parts.is_in_scope(MetadataScope::$scope) {
                        parts.$part.$field.as_text(texts)
                    } else {
                        ""
                    },
                )?)*]
            }
        }

        impl DecisionEntry {
            /// Calls `visit` with the name, the class and the value of each field that has a class.
            pub fn visit_redactable(
                &mut self,
                mut visit: impl FnMut(&'static str, RedactionClass, Redactable<'_>),
            ) {
                $($(
                    if let Some(part) = part_mut!(self, $part) {
                        visit($json, RedactionClass::$class, (&mut part.$field).into());
                    }
                )?)*
            }
        }
    };
}

/// Returns what a row has because it has a mark.
macro_rules! marked {
    ($mark:ident, $value:expr) => {
        $value
    };
}

/// Returns a part of a decision that is to be changed, if it is there.
macro_rules! part_mut {
    ($decision:expr, entry) => {
        Some(&mut *$decision)
    };
    ($decision:expr, verdict) => {
        Some(&mut $decision.verdict)
    };
    ($decision:expr, dry_run) => {
        Some(&mut $decision.dry_run)
    };
    ($decision:expr, optional) => {
        $decision.optional.as_mut().map(Arc::make_mut)
    };
}

/// Sorts the rows of a decision into its structs: takes one row at a time from behind the three
/// lists, adds it to the list of its struct, and declares the structs when no row is left.
macro_rules! decision_structs {
    ([$($entry:tt)*] $answer:tt $optional:tt
        $doc:tt entry.$field:ident: $type:ident; $($rest:tt)*) => {
        decision_structs! { [$($entry)* $doc $field: $type;] $answer $optional $($rest)* }
    };
    ($entry:tt [$($answer:tt)*] $optional:tt
        $doc:tt verdict.$field:ident: $type:ident; $($rest:tt)*) => {
        decision_structs! { $entry [$($answer)* $doc $field: $type;] $optional $($rest)* }
    };
    // The dry run has the struct of the verdict.
    ($entry:tt $answer:tt $optional:tt
        $doc:tt dry_run.$field:ident: $type:ident; $($rest:tt)*) => {
        decision_structs! { $entry $answer $optional $($rest)* }
    };
    ($entry:tt $answer:tt [$($optional:tt)*]
        $doc:tt optional.$field:ident: $type:ident; $($rest:tt)*) => {
        decision_structs! { $entry $answer [$($optional)* $doc $field: $type;] $($rest)* }
    };
    (
        [$({$($entry_doc:tt)+} $entry:ident: $entry_type:ident;)*]
        [$({$($answer_doc:tt)+} $answer:ident: $answer_type:ident;)*]
        [$({$($optional_doc:tt)+} $optional:ident: $optional_type:ident;)*]
    ) => {
        /// One decided check: the normalised inputs, the three answers, and the rules behind them.
        /// `T` is the type of a text: a `String` if the entry owns its texts, a part of a
        /// [`DecisionRecord`] while it travels.
        #[derive(Clone, Debug, PartialEq)]
        pub struct DecisionEntry<T = String> {
            /// When the check was decided: the `now` of the decision.
            pub time: UnixNanos,
            /// What the enforced rules say.
            pub verdict: AnswerEntry<T>,
            /// What they would say if everything in dry run were enforced too.
            pub dry_run: AnswerEntry<T>,
            /// What is recorded only if it is out of the ordinary.
            pub optional: Option<Arc<OptionalFields>>,
            $($($entry_doc)+ pub $entry: $entry_type,)*
        }

        /// One of the answers of a decision. The fields are described as those of the verdict.
        #[derive(Clone, Debug, PartialEq)]
        pub struct AnswerEntry<T = String> {
            $($($answer_doc)+ pub $answer: $answer_type,)*
        }

        /// What is recorded about a request only if it is out of the ordinary.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct OptionalFields {
            $($($optional_doc)+ pub $optional: $optional_type,)*
        }

        /// An ordinary request.
        pub(crate) static NO_OPTIONAL_FIELDS: OptionalFields = OptionalFields {
            $($optional: <$optional_type as Absent>::ABSENT,)*
        };

        impl<T> DecisionEntry<T> {
            /// Returns the same entry with other texts.
            pub fn map_texts<U>(&self, text: &mut impl FnMut(&T) -> U) -> DecisionEntry<U> {
                DecisionEntry {
                    time: self.time,
                    verdict: self.verdict.map_texts(text),
                    dry_run: self.dry_run.map_texts(text),
                    optional: self.optional.clone(),
                    $($entry: mapped!(&self.$entry, $entry_type, text),)*
                }
            }
        }

        impl<T> AnswerEntry<T> {
            fn map_texts<U>(&self, text: &mut impl FnMut(&T) -> U) -> AnswerEntry<U> {
                AnswerEntry { $($answer: mapped!(&self.$answer, $answer_type, text),)* }
            }
        }
    };
}

/// Returns a text as another text, and every other value as it is.
macro_rules! mapped {
    ($value:expr, T, $text:ident) => {
        $text($value)
    };
    ($value:expr, $type:ident, $text:ident) => {
        Clone::clone($value)
    };
}
