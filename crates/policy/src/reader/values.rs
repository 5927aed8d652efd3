//! The types that a declaration gives to its fields, and how each is read.

use std::ops::Deref;

use super::{Fields, OTHER_WORDS, Text, empty, nearest, text, wrong_type};
use crate::document::{Node, Value};
use crate::problem::{Code, Place, Problem};
use crate::spec::{MappingSpec, Shape};

/// A value that a node can be read into.
pub trait FromNode<'n>: Sized {
    /// The shape of such a value.
    const SHAPE: Shape;

    /// Reads a value; `name` is its name in messages. Returns `None` if it is invalid, which is
    /// added to `problems`.
    fn from_node(node: &'n Node, name: &str, problems: &mut Vec<Problem>) -> Option<Self>;
}

/// A field that can be taken from a mapping.
pub trait FromField<'n>: Sized {
    /// The shape of its value.
    const SHAPE: Shape;
    /// Whether it must be written.
    const REQUIRED: bool = false;

    /// Takes the field of this name.
    fn from_field(name: &'static str, fields: &mut Fields<'n, '_>) -> Self;
}

/// A mapping with declared fields; [`mapping!`](crate::mapping) implements it.
pub trait Mapping<'n>: Sized {
    /// The declaration.
    const SPEC: &'static MappingSpec;

    /// Takes the declared fields, in their order.
    fn take(fields: &mut Fields<'n, '_>) -> Self;
}

/// A required field; `None` if it is missing or invalid, which has been reported.
#[derive(Clone, Copy, Debug)]
pub struct Required<T>(pub Option<T>);

/// An optional field of which it is known whether it is written, right or wrong.
#[derive(Clone, Copy, Debug)]
pub struct Written<'n, T> {
    /// Its value, if it is valid.
    pub value: Option<T>,
    /// Where it is, if it is written.
    pub place: Option<&'n Place>,
}

/// A list. If it is written, it has entries unless it may be empty.
#[derive(Clone, Debug)]
pub struct List<'n, T, const MAY_BE_EMPTY: bool = false> {
    /// The entries that could be read.
    pub items: Vec<T>,
    /// Its entries as they are written.
    pub nodes: &'n [Node],
    /// Where it is, if it is written.
    pub place: Option<&'n Place>,
}

/// A field that is declared so that it can be refused.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'n>(pub Option<&'n Node>);

/// A mapping that was read, with its place.
#[derive(Debug)]
pub struct Placed<'n, T> {
    /// Where it is.
    pub place: &'n Place,
    /// The unknown fields; each has been reported.
    pub unknown: Vec<&'n str>,
    /// Its fields.
    pub fields: T,
}

impl<T, const MAY_BE_EMPTY: bool> List<'_, T, MAY_BE_EMPTY> {
    /// Returns whether no entry is written.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns whether the field is written, right or wrong.
    pub fn is_written(&self) -> bool {
        self.place.is_some()
    }
}

impl<T> Deref for Placed<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.fields
    }
}

impl<'n, T: Mapping<'n>> Placed<'n, T> {
    /// Returns whether an unknown field may be one of these, misspelt or in another form. Then no
    /// missing field is reported: the unknown field is the mistake, and advice for a missing one
    /// could widen what was meant.
    pub(crate) fn may_hold(&self, names: &[&str]) -> bool {
        let is_meant = |name: &&str| nearest(name, names).is_some() || OTHER_WORDS.contains(name);
        self.unknown.iter().any(is_meant)
    }

    /// Returns the problem of a missing field, unless an unknown one is similar.
    pub fn missing(&self, name: &str) -> Option<Problem> {
        let is_near = |unknown: &&str| nearest(unknown, &[name]).is_some();
        let missing = || missing(name, T::SPEC.called, self.place);
        (!self.unknown.iter().any(is_near)).then(missing)
    }
}

pub(super) fn missing(name: &str, called: &str, place: &Place) -> Problem {
    let what = format!("`{name}` is missing in {called}");
    Problem::error(Code::MissingField, place.clone(), what).hint(format!("add `{name}`"))
}

impl<'n> FromNode<'n> for &'n Node {
    const SHAPE: Shape = Shape::Any;

    fn from_node(node: &'n Node, _: &str, _: &mut Vec<Problem>) -> Option<Self> {
        Some(node)
    }
}

impl<'n> FromNode<'n> for Text<'n> {
    const SHAPE: Shape = Shape::Text;

    fn from_node(node: &'n Node, name: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        text(node, name, problems)
    }
}

impl<'n> FromNode<'n> for bool {
    const SHAPE: Shape = Shape::Boolean;

    fn from_node(node: &'n Node, name: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        problems.push(wrong_type(node, name, "`true` or `false`, without quotes"));
        None
    }
}

impl<'n, T: Mapping<'n>> FromNode<'n> for Placed<'n, T> {
    const SHAPE: Shape = Shape::Mapping(T::SPEC);

    fn from_node(node: &'n Node, _: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let mut fields = Fields::open(node, T::SPEC, problems)?;
        let taken = T::take(&mut fields);
        Some(Placed {
            place: &node.place,
            unknown: fields.close(),
            fields: taken,
        })
    }
}

impl<'n, T: FromNode<'n>, const MAY_BE_EMPTY: bool> FromNode<'n> for List<'n, T, MAY_BE_EMPTY> {
    const SHAPE: Shape = Shape::List {
        of: &T::SHAPE,
        at_most: None,
        may_be_empty: MAY_BE_EMPTY,
    };

    fn from_node(node: &'n Node, name: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let nodes = match &node.value {
            Value::List(nodes) if nodes.is_empty() && !MAY_BE_EMPTY => {
                problems.push(empty(node, name));
                &[]
            }
            Value::List(nodes) => nodes.as_slice(),
            _ => {
                problems.push(wrong_type(node, name, "a list"));
                &[]
            }
        };
        let read = |node| T::from_node(node, name, problems);
        Some(List {
            items: nodes.iter().filter_map(read).collect(),
            nodes,
            place: Some(&node.place),
        })
    }
}

impl<'n, T: FromNode<'n>> FromField<'n> for Option<T> {
    const SHAPE: Shape = T::SHAPE;

    fn from_field(name: &'static str, fields: &mut Fields<'n, '_>) -> Self {
        let node = fields.take(name)?;
        T::from_node(node, name, fields.problems)
    }
}

impl<'n, T: FromNode<'n>> FromField<'n> for Written<'n, T> {
    const SHAPE: Shape = T::SHAPE;

    fn from_field(name: &'static str, fields: &mut Fields<'n, '_>) -> Self {
        let node = fields.take(name);
        Written {
            value: node.and_then(|node| T::from_node(node, name, fields.problems)),
            place: node.map(|node| &node.place),
        }
    }
}

impl<'n, T: FromNode<'n>> FromField<'n> for Required<T> {
    const SHAPE: Shape = T::SHAPE;
    const REQUIRED: bool = true;

    fn from_field(name: &'static str, fields: &mut Fields<'n, '_>) -> Self {
        let node = fields.require(name);
        Required(node.and_then(|node| T::from_node(node, name, fields.problems)))
    }
}

impl<'n, T: FromNode<'n>, const MAY_BE_EMPTY: bool> FromField<'n> for List<'n, T, MAY_BE_EMPTY> {
    const SHAPE: Shape = <Self as FromNode<'n>>::SHAPE;

    fn from_field(name: &'static str, fields: &mut Fields<'n, '_>) -> Self {
        Option::from_field(name, fields).unwrap_or(List {
            items: Vec::new(),
            nodes: &[],
            place: None,
        })
    }
}

impl<'n> FromField<'n> for Refused<'n> {
    const SHAPE: Shape = Shape::Refused;

    fn from_field(name: &'static str, fields: &mut Fields<'n, '_>) -> Self {
        Refused(fields.take(name))
    }
}
