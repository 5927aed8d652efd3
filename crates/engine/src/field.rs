//! A field of a rule: a positive and a negative list over one attribute, matched as the rule's
//! effect requires (rule R0).
//!
//! Callers supply the attribute and the value matcher. This module defines the result when the
//! attribute is unknown.

use super::effect::Effect;
use super::pattern::Match;

/// A field of a rule: some value of `any_of` must match, and no value of `none_of` may. An empty
/// list imposes no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<P>(Lists<P>);

/// A large set holds a million fields. Most are empty and hardly any has a negative list, so that
/// list is in a variant of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lists<P> {
    AnyOf(Box<[P]>),
    Both(Box<Both<P>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Both<P> {
    any_of: Box<[P]>,
    /// Not empty.
    none_of: Box<[P]>,
}

impl<P> Default for Field<P> {
    fn default() -> Self {
        Field(Lists::AnyOf(Box::default()))
    }
}

impl<P> Field<P> {
    /// Creates a field with both lists.
    pub fn new(any_of: Box<[P]>, none_of: Box<[P]>) -> Field<P> {
        Field(if none_of.is_empty() {
            Lists::AnyOf(any_of)
        } else {
            Lists::Both(Box::new(Both { any_of, none_of }))
        })
    }

    /// Creates a field with a positive list only.
    pub fn of(values: impl IntoIterator<Item = P>) -> Field<P> {
        Field(Lists::AnyOf(values.into_iter().collect()))
    }

    /// Returns the positive list.
    pub fn any_of(&self) -> &[P] {
        match &self.0 {
            Lists::AnyOf(any_of) => any_of,
            Lists::Both(both) => &both.any_of,
        }
    }

    /// Returns the `not*` list.
    pub fn none_of(&self) -> &[P] {
        match &self.0 {
            Lists::AnyOf(_) => &[],
            Lists::Both(both) => &both.none_of,
        }
    }

    /// Returns whether the rule's text has this field at all.
    pub fn is_set(&self) -> bool {
        !self.any_of().is_empty() || !self.none_of().is_empty()
    }

    /// Returns whether the field holds for a known attribute, comparing one value of the lists at a
    /// time.
    pub(crate) fn holds(&self, effect: Effect, matches: impl Fn(&P, Match) -> bool) -> bool {
        let some = self.any_of().is_empty()
            || self
                .any_of()
                .iter()
                .any(|p| matches(p, effect.positive_match()));
        some && !self
            .none_of()
            .iter()
            .any(|p| matches(p, effect.negative_match()))
    }

    /// Returns whether the field holds for a known attribute of several values, comparing one list
    /// at a time. `matches` never gets an empty list.
    pub(crate) fn holds_by_lists(
        &self,
        effect: Effect,
        matches: impl Fn(&[P], Match) -> bool,
    ) -> bool {
        (self.any_of().is_empty() || matches(self.any_of(), effect.positive_match()))
            && (self.none_of().is_empty() || !matches(self.none_of(), effect.negative_match()))
    }

    /// Returns whether the field holds for an attribute that may be unknown.
    pub(crate) fn holds_if_known<T: Copy>(
        &self,
        attribute: Option<T>,
        effect: Effect,
        matches: impl Fn(&P, T, Match) -> bool,
    ) -> bool {
        match attribute {
            Some(value) => self.holds(effect, |pattern, matching| {
                matches(pattern, value, matching)
            }),
            None => self.holds_unknown(effect),
        }
    }

    /// Returns whether the field holds for an unknown attribute: a DENY is satisfied, an ALLOW is
    /// not.
    pub(crate) fn holds_unknown(&self, effect: Effect) -> bool {
        !self.is_set() || effect == Effect::Deny
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_takes_two_words() {
        assert_eq!(size_of::<Field<String>>(), 2 * size_of::<usize>());
    }

    #[test]
    fn a_field_has_the_lists_that_it_was_given() {
        for (any_of, none_of) in [
            (&[][..], &[][..]),
            (&[1, 2], &[]),
            (&[], &[3]),
            (&[1], &[2, 3]),
        ] {
            let field = Field::new(any_of.into(), none_of.into());
            assert_eq!((field.any_of(), field.none_of()), (any_of, none_of));
            assert_eq!(field.is_set(), !any_of.is_empty() || !none_of.is_empty());
        }
        assert_eq!(Field::new([1].into(), [].into()), Field::of([1]));
    }
}
