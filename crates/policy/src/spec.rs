//! The declarations of what a document may hold: each mapping's fields, with name, shape and
//! meaning.
//!
//! [`mapping!`](crate::mapping) generates two things from one declaration: the type that the reader
//! fills, and a [`MappingSpec`], from which the hints for unknown fields, the JSON Schema and the
//! reference tables of docs/reference follow. The readers, not the declarations, interpret the
//! values; [`forms`] and a [`Constraint`] describe some of what they ask for.

pub(crate) mod authorization_policy;
mod constraint;
mod documents;
pub(crate) mod egress_policy;
pub mod forms;
mod json_schema;
pub(crate) mod policy_guard;

pub use constraint::Constraint;
pub use documents::{
    AUTHORIZATION_POLICY, DESTINATION_SET, EGRESS_POLICY, KINDS, KindSpec, POLICY_GUARD,
};
pub(crate) use documents::{Document, Metadata, ObjectList};
pub use json_schema::{DRAFT, json_schema, text};

use crate::language::Availability;
use forms::TextForm;

/// The shape of a value.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Anything, including null.
    Any,
    /// `true` or `false`.
    Boolean,
    /// A number from 0 to 65535.
    Port,
    /// Text that is not empty.
    Text,
    /// Text that may be empty.
    AnyText,
    /// Text of a form.
    Form(&'static TextForm),
    /// One of these words.
    OneOf(&'static [Word]),
    /// A list.
    List {
        /// The shape of its entries.
        of: &'static Shape,
        /// Whether it may have none.
        may_be_empty: bool,
        /// The most that it may have, if there is a limit.
        at_most: Option<u16>,
    },
    /// A mapping with any names; all values have this shape.
    Map(&'static Shape),
    /// A mapping with declared fields.
    Mapping(&'static MappingSpec),
    /// A field that exists elsewhere and is refused here with a reason.
    Refused,
}

impl Shape {
    /// Declares a list that is not empty.
    pub const fn list(of: &'static Shape) -> Shape {
        Shape::List {
            of,
            may_be_empty: false,
            at_most: None,
        }
    }

    /// Declares the most entries of a list.
    pub const fn at_most(self, limit: u16) -> Shape {
        match self {
            Shape::List {
                of, may_be_empty, ..
            } => Shape::List {
                of,
                may_be_empty,
                at_most: Some(limit),
            },
            other => other,
        }
    }
}

/// A word that a value may be.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// The word as it is written.
    pub text: &'static str,
    /// The versions of the language that have it.
    pub availability: Availability,
}

impl Word {
    /// Declares a word of every version.
    pub const fn new(text: &'static str) -> Word {
        Word {
            text,
            availability: Availability::ALWAYS,
        }
    }

    /// Declares since when the word exists.
    pub const fn since(self, major: u16, minor: u16) -> Word {
        Word {
            text: self.text,
            availability: self.availability.from(major, minor),
        }
    }

    /// Declares the word's end.
    pub const fn deprecated(self, major: u16, minor: u16, instead: &'static str) -> Word {
        Word {
            text: self.text,
            availability: self.availability.until(major, minor, instead),
        }
    }
}

/// A field of a mapping.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    /// Its name in files.
    pub name: &'static str,
    /// The shape of its value.
    pub shape: Shape,
    /// Whether it must be written.
    pub required: bool,
    /// The versions of the language that have it.
    pub availability: Availability,
    /// What holds if it is left out, as Markdown; empty if it is required or means nothing then.
    pub default: &'static str,
    pub(crate) about: &'static str,
}

impl FieldSpec {
    /// Returns what the field means, in a sentence or two, and which versions have it if not all
    /// do.
    pub fn about(&self) -> String {
        let (about, remarks) = (self.about.trim(), self.availability.remarks());
        format!("{about} {remarks}").trim().to_owned()
    }
}

/// A part of a mapping's declaration.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// A field.
    Field(FieldSpec),
    /// The fields of another mapping, as if they were declared here.
    Flattened(&'static MappingSpec),
}

impl Part {
    /// Declares what holds if the field is left out.
    #[doc(hidden)]
    pub const fn or(self, default: &'static str) -> Part {
        match self {
            Part::Field(field) => Part::Field(FieldSpec { default, ..field }),
            Part::Flattened(_) => self,
        }
    }

    /// Declares the most entries of a list.
    #[doc(hidden)]
    pub const fn at_most(self, limit: u16) -> Part {
        match self {
            Part::Field(field) => Part::Field(FieldSpec {
                shape: field.shape.at_most(limit),
                ..field
            }),
            Part::Flattened(_) => self,
        }
    }

    /// Declares since when the field exists.
    #[doc(hidden)]
    pub const fn since(self, major: u16, minor: u16) -> Part {
        match self {
            Part::Field(field) => Part::Field(FieldSpec {
                availability: field.availability.from(major, minor),
                ..field
            }),
            Part::Flattened(_) => self,
        }
    }

    /// Declares the field's end.
    #[doc(hidden)]
    pub const fn deprecated(self, major: u16, minor: u16, instead: &'static str) -> Part {
        match self {
            Part::Field(field) => Part::Field(FieldSpec {
                availability: field.availability.until(major, minor, instead),
                ..field
            }),
            Part::Flattened(_) => self,
        }
    }
}

/// The declaration of a mapping.
#[derive(Clone, Copy, Debug)]
pub struct MappingSpec {
    /// The name of its type, and of its definition in the JSON Schema.
    pub name: &'static str,
    /// Its name in messages.
    pub called: &'static str,
    /// Whether a mapping without fields is an error.
    pub filled: bool,
    /// Fields that are known and ignored.
    pub read_over: &'static [&'static str],
    /// What the fields must have in common.
    pub constraints: &'static [Constraint],
    #[doc(hidden)]
    pub about: &'static str,
    #[doc(hidden)]
    pub parts: &'static [Part],
}

impl MappingSpec {
    /// Returns what the mapping means.
    pub fn about(&self) -> &'static str {
        self.about.trim()
    }

    /// Returns the declared fields in order, without the ignored ones.
    pub fn fields(&self) -> Vec<&'static FieldSpec> {
        let part = |part: &'static Part| match part {
            Part::Field(field) => vec![field],
            Part::Flattened(mapping) => mapping.fields(),
        };
        self.parts.iter().flat_map(part).collect()
    }

    /// Returns whether a field or value in it, at any depth, is deprecated.
    pub(crate) fn deprecates(&self) -> bool {
        fn in_shape(shape: Shape) -> bool {
            match shape {
                Shape::OneOf(words) => words
                    .iter()
                    .any(|word| word.availability.deprecated.is_some()),
                Shape::List { of, .. } | Shape::Map(of) => in_shape(*of),
                Shape::Mapping(mapping) => mapping.deprecates(),
                _ => false,
            }
        }
        self.parts.iter().any(|part| match part {
            Part::Field(field) => field.availability.deprecated.is_some() || in_shape(field.shape),
            Part::Flattened(mapping) => mapping.deprecates(),
        })
    }

    /// Returns whether a field of this name is declared; an ignored one is not.
    pub fn has(&self, name: &str) -> bool {
        self.fields().iter().any(|field| field.name == name)
    }

    /// Returns the names of all fields, including the ignored ones.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let declared = self.fields().into_iter().map(|field| field.name);
        declared.chain(self.read_over.iter().copied()).collect()
    }
}

#[doc(hidden)]
pub const fn field(
    name: &'static str,
    (shape, required): (Shape, bool),
    about: &'static str,
) -> Part {
    Part::Field(FieldSpec {
        name,
        shape,
        required,
        availability: Availability::ALWAYS,
        default: "",
        about,
    })
}

/// Declares a mapping: a type whose fields the reader fills, and its [`MappingSpec`].
///
/// A field is `name_in_rust: Type = "nameInFiles"`. Its type says how it is read and whether it is
/// required; `as` gives another [`Shape`] to a field that its reader reads further. `= flatten`
/// takes the fields of another mapping. `filled` refuses a mapping without fields, `read over` names
/// fields that are known and ignored, and `where` lists what the fields must have in common, for the
/// JSON Schema and the reference. The literal after the type is its name in messages.
///
/// `#[default("`GET`")]` says what holds if the field is left out, and `#[at_most(16)]` how many entries
/// a list may have.
///
/// `#[since(0, 2)]` says which version of the language brought a field, if it was not the first, and
/// `#[deprecated(0, 3, "write `until`")]` which one deprecated it, and what to do. The words of a
/// [`Shape::OneOf`] have methods of these names.
#[macro_export]
macro_rules! mapping {
    (@part $n:lifetime, $of:ty, $about:expr, flatten) => {
        $crate::spec::Part::Flattened(<$of as $crate::reader::Mapping<$n>>::SPEC)
    };
    (@part $n:lifetime, $of:ty, $about:expr, $name:literal) => {
        $crate::mapping!(@part $n, $of, $about, $name,
            <$of as $crate::reader::FromField<$n>>::SHAPE)
    };
    (@part $n:lifetime, $of:ty, $about:expr, $name:literal, $shape:expr) => {{
        let required = <$of as $crate::reader::FromField<$n>>::REQUIRED;
        $crate::spec::field($name, ($shape, required), $about)
    }};
    (@take $fields:ident, $of:ty, flatten) => {
        <$of as $crate::reader::Mapping<'_>>::take($fields)
    };
    (@take $fields:ident, $of:ty, $name:literal) => {
        <$of as $crate::reader::FromField<'_>>::from_field($name, $fields)
    };
    (@is) => { false };
    (@is $word:ident) => { true };
    (
        $(#[doc = $about:literal])+
        $vis:vis struct $type:ident<$n:lifetime> = $called:literal $(, $filled:ident)? {
            $(
                $(#[doc = $doc:literal])*
                $(#[default($default:literal)])?
                $(#[at_most($limit:literal)])?
                $(#[since($major:literal, $minor:literal)])?
                $(#[deprecated($until_major:literal, $until_minor:literal, $instead:literal)])?
                $field:ident: $of:ty = $name:tt $(as $shape:expr)?,
            )+
        }
        $(read over [$($over:literal),+ $(,)?])?
        $(where [$($constraint:expr),+ $(,)?])?
    ) => {
        $(#[doc = $about])+
        #[derive(Debug)]
        $vis struct $type<$n> {
            $($(#[doc = $doc])* $vis $field: $of,)+
        }

        impl<$n> $crate::reader::Mapping<$n> for $type<$n> {
            const SPEC: &'static $crate::spec::MappingSpec = &$crate::spec::MappingSpec {
                name: stringify!($type),
                called: $called,
                filled: $crate::mapping!(@is $($filled)?),
                read_over: &[$($($over),+)?],
                constraints: &[$($($constraint),+)?],
                about: concat!($($about),+),
                parts: &[$(
                    $crate::mapping!(@part $n, $of, concat!($($doc),*), $name $(, $shape)?)
                        $(.or($default))?
                        $(.at_most($limit))?
                        $(.since($major, $minor))?
                        $(.deprecated($until_major, $until_minor, $instead))?
                ),+],
            };

            fn take(fields: &mut $crate::reader::Fields<$n, '_>) -> Self {
                $type { $($field: $crate::mapping!(@take fields, $of, $name)),+ }
            }
        }
    };
}
