//! A field of a rule: a positive and a negative list over one attribute, read by the rule's polarity (rule R0).
//!
//! What an attribute is and how one value matches is the caller's business; what follows from an attribute that is not
//! known is decided here.

use super::pattern::Reading;

/// Whether a rule denies or grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// A DENY.
    Deny,
    /// An ALLOW.
    Allow,
}

impl Polarity {
    /// How a positive list is read.
    pub fn positive(self) -> Reading {
        match self {
            Polarity::Deny => Reading::Wide,
            Polarity::Allow => Reading::Narrow,
        }
    }

    /// How a `not*` list is read.
    pub fn negative(self) -> Reading {
        match self {
            Polarity::Deny => Reading::Narrow,
            Polarity::Allow => Reading::Wide,
        }
    }
}

/// A field of a rule: some value of `any_of` must match and none of `none_of` may. An empty list asks nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<P> {
    /// The positive list.
    pub any_of: Box<[P]>,
    /// The `not*` list.
    pub none_of: Box<[P]>,
}

impl<P> Default for Field<P> {
    fn default() -> Self {
        Field { any_of: Box::default(), none_of: Box::default() }
    }
}

impl<P> Field<P> {
    /// A field with a positive list only.
    pub fn any_of(values: impl IntoIterator<Item = P>) -> Field<P> {
        Field { any_of: values.into_iter().collect(), ..Field::default() }
    }

    /// Whether the rule's text has this field at all.
    pub fn is_set(&self) -> bool {
        !self.any_of.is_empty() || !self.none_of.is_empty()
    }

    /// Whether the field holds for a known attribute, one value of the lists at a time.
    pub fn holds(&self, polarity: Polarity, matches: impl Fn(&P, Reading) -> bool) -> bool {
        let some = self.any_of.is_empty() || self.any_of.iter().any(|p| matches(p, polarity.positive()));
        some && !self.none_of.iter().any(|p| matches(p, polarity.negative()))
    }

    /// Whether the field holds for an attribute that may not be known.
    pub fn holds_if_known<T: Copy>(
        &self,
        attribute: Option<T>,
        polarity: Polarity,
        matches: impl Fn(&P, T, Reading) -> bool,
    ) -> bool {
        match attribute {
            Some(value) => self.holds(polarity, |pattern, reading| matches(pattern, value, reading)),
            None => self.holds_unknown(polarity),
        }
    }

    /// The field over an attribute that is not known: a DENY is satisfied, an ALLOW is not.
    pub fn holds_unknown(&self, polarity: Polarity) -> bool {
        !self.is_set() || polarity == Polarity::Deny
    }
}
