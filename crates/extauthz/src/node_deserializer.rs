//! Lets serde read nodes, so that a message can be read from text and every mistake keeps its
//! place.
//!
//! This knows nothing of any message. Fields that the message does not have are skipped and noted
//! with their place, because the author of the text may have meant another field.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use customs_policy::document::{Key, Node, Value};
use customs_policy::problem::Place;

/// What is wrong, and the innermost place at which it is wrong.
#[derive(Debug)]
pub(crate) struct DeserializeError {
    text: String,
    place: Option<Place>,
}

impl DeserializeError {
    /// Returns the place and the text; the place of the whole if no nearer one is known.
    pub(crate) fn at(self, whole: &Place) -> (Place, String) {
        (self.place.unwrap_or_else(|| whole.clone()), self.text)
    }

    fn placed(self, place: &Place) -> DeserializeError {
        DeserializeError {
            place: self.place.or_else(|| Some(place.clone())),
            ..self
        }
    }
}

impl fmt::Display for DeserializeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for DeserializeError {}

impl de::Error for DeserializeError {
    fn custom<T: fmt::Display>(text: T) -> DeserializeError {
        DeserializeError {
            text: text.to_string(),
            place: None,
        }
    }
}

/// A node that is being deserialized.
pub(crate) struct NodeDeserializer<'n> {
    node: &'n Node,
    /// Its key, if it is a value of a mapping.
    key: Option<&'n Key>,
    ignored: &'n RefCell<Vec<&'n Key>>,
}

impl<'n> NodeDeserializer<'n> {
    /// Starts with a whole node. Keys that no field reads are added to `ignored`.
    pub(crate) fn whole(
        node: &'n Node,
        ignored: &'n RefCell<Vec<&'n Key>>,
    ) -> NodeDeserializer<'n> {
        NodeDeserializer {
            node,
            key: None,
            ignored,
        }
    }

    fn visit<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, DeserializeError> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => visit_number(number, visitor),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(items) => visitor.visit_seq(Items {
                items: items.iter(),
                ignored: self.ignored,
            }),
            Value::Map(pairs) => visitor.visit_map(Pairs {
                left: pairs.iter(),
                value: None,
                ignored: self.ignored,
            }),
        }
    }
}

fn visit_number<'de, V: Visitor<'de>>(
    number: &str,
    visitor: V,
) -> Result<V::Value, DeserializeError> {
    if let Ok(value) = number.parse() {
        return visitor.visit_u64(value);
    }
    if let Ok(value) = number.parse() {
        return visitor.visit_i64(value);
    }
    match number.parse() {
        Ok(value) => visitor.visit_f64(value),
        Err(_) => visitor.visit_str(number),
    }
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = DeserializeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        self.visit(visitor)
            .map_err(|why| why.placed(&self.node.place))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeserializeError> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, DeserializeError> {
        self.ignored.borrow_mut().extend(self.key);
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

struct Items<'n> {
    items: std::slice::Iter<'n, Node>,
    ignored: &'n RefCell<Vec<&'n Key>>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = DeserializeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DeserializeError> {
        let ignored = self.ignored;
        self.items
            .next()
            .map(|node| {
                seed.deserialize(NodeDeserializer {
                    node,
                    key: None,
                    ignored,
                })
            })
            .transpose()
    }
}

struct Pairs<'n> {
    left: std::slice::Iter<'n, (Key, Node)>,
    value: Option<&'n (Key, Node)>,
    ignored: &'n RefCell<Vec<&'n Key>>,
}

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = DeserializeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DeserializeError> {
        self.value = self.left.find(|(_, node)| !is_any(node));
        let read = |(key, _): &(Key, Node)| {
            let name: StrDeserializer<'_, DeserializeError> =
                de::IntoDeserializer::into_deserializer(key.name.as_str());
            seed.deserialize(name).map_err(|why| why.placed(&key.place))
        };
        self.value.map(read).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DeserializeError> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value without a key"));
        };
        let whole = NodeDeserializer {
            node,
            key: Some(key),
            ignored: self.ignored,
        };
        seed.deserialize(whole)
            .map_err(|why| why.placed(&node.place))
    }
}

/// Returns whether a value names its own type. Only metadata holds such values, their types are
/// arbitrary, and no decision depends on them.
fn is_any(node: &Node) -> bool {
    matches!(&node.value, Value::Map(pairs) if pairs.iter().any(|(key, _)| key.name == "@type"))
}
