//! Reads the values of fields from the bytes of a record, without copying their texts.
//!
//! It is the fast half of [`decode`](crate::decode): it reads what customs writes, and hands over
//! everything else. The rule: what it reads is what the schema's own decoder reads; whatever it is
//! not sure about is an error here, and that decoder has the last word.

use std::borrow::Cow;
use std::fmt;

use prost::encoding::{WireType, decode_key, decode_varint};
use prost_types::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::events::HeaderFields;
use super::value::{Headers, OptionalText, OptionalTime, OptionalWord, Texts};
use crate::entry::decision_record::Span;
use crate::timestamp;
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::identity::IdentityState;
use customs_engine::reason::Reason;
use customs_engine::time::UnixNanos;

/// Bytes of a message that are not read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBorrowed;

/// The type of a field as it is read from bytes that live for `'r`.
pub trait BorrowedValue<'r>: Default {
    /// Its type in the generated message.
    type Proto;

    /// Returns the value of a message.
    fn of(proto: &'r Self::Proto) -> Self;

    /// Returns it as the message has it.
    fn to_proto(&self) -> Self::Proto;

    /// Reads a value of JSON that is not `null`.
    fn read_json<D: Deserializer<'r>>(&mut self, json: D) -> Result<(), D::Error>;

    /// Reads a value of protobuf, whose key was read.
    fn read_message(&mut self, wire: WireType, bytes: &mut &'r [u8]) -> Result<(), NotBorrowed>;
}

/// The type that a field of this type has when it is read.
pub trait ReadAs {
    /// That type.
    type Read<'r>: BorrowedValue<'r>;
}

/// Fields that are read together.
pub trait BorrowedFields<'r>: Default {
    /// The generated message that has them, perhaps among others.
    type Message: Default + 'r;

    /// Returns the fields of a message.
    fn of(message: &'r Self::Message) -> Self;

    /// Gives a message these fields.
    fn put(&self, message: &mut Self::Message);

    /// Reads the value of a field of JSON; returns false if it has no such field.
    fn read_json_field<A: MapAccess<'r>>(
        &mut self,
        name: &str,
        map: &mut A,
    ) -> Result<bool, A::Error>;

    /// Reads the value of a field of protobuf; returns false if it has no such field.
    fn read_message_field(
        &mut self,
        number: u32,
        wire: WireType,
        bytes: &mut &'r [u8],
    ) -> Result<bool, NotBorrowed>;
}

macro_rules! read_as {
    ($($type:ty => $read:ty;)*) => {$(
        impl ReadAs for $type {
            type Read<'r> = $read;
        }
    )*};
}

read_as! {
    Span => Cow<'r, str>;
    String => Cow<'r, str>;
    Cow<'_, str> => Cow<'r, str>;
    &'static str => Cow<'r, str>;
    OptionalWord => Cow<'r, str>;
    Effect => Cow<'r, str>;
    Reason => Cow<'r, str>;
    IdentityState => Cow<'r, str>;
    Enforcement => Cow<'r, str>;
    OptionalText => Option<Cow<'r, str>>;
    bool => bool;
    u32 => u32;
    u64 => u64;
    Option<u16> => Option<u32>;
    UnixNanos => Option<Timestamp>;
    OptionalTime => Option<Timestamp>;
    Texts => Vec<Cow<'r, str>>;
    Vec<&'static str> => Vec<Cow<'r, str>>;
    Headers => Vec<HeaderFields<'r>>;
}

/// The place for a value of JSON: `null` leaves it as it is.
pub(crate) struct Slot<'s, T>(pub(crate) &'s mut T);

impl<'r, T: BorrowedValue<'r>> DeserializeSeed<'r> for Slot<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'r>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_option(self)
    }
}

impl<'r, T: BorrowedValue<'r>> Visitor<'r> for Slot<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'r>>(self, json: D) -> Result<(), D::Error> {
        self.0.read_json(json)
    }
}

/// The place for an element of a list, which is never `null`.
struct Element<'s, T>(&'s mut T);

impl<'r, T: BorrowedValue<'r>> DeserializeSeed<'r> for Element<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'r>>(self, json: D) -> Result<(), D::Error> {
        self.0.read_json(json)
    }
}

/// A text of JSON: it is copied only if it has an escape.
pub(crate) struct BorrowedText;

impl<'r> DeserializeSeed<'r> for BorrowedText {
    type Value = Cow<'r, str>;

    fn deserialize<D: Deserializer<'r>>(self, json: D) -> Result<Cow<'r, str>, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'r> Visitor<'r> for BorrowedText {
    type Value = Cow<'r, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'r str) -> Result<Cow<'r, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cow<'r, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// A whole number of JSON, which may be written as a text.
struct Number;

impl Visitor<'_> for Number {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }
}

struct Flag;

impl Visitor<'_> for Flag {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<bool, E> {
        Ok(flag)
    }
}

/// Takes the bytes of a text or of a message.
pub(crate) fn delimited<'r>(wire: WireType, bytes: &mut &'r [u8]) -> Result<&'r [u8], NotBorrowed> {
    let length = (wire == WireType::LengthDelimited).then(|| decode_varint(bytes));
    let length = length.and_then(Result::ok).ok_or(NotBorrowed)?;
    let length = usize::try_from(length).map_err(|_| NotBorrowed)?;
    let (value, rest) = bytes.split_at_checked(length).ok_or(NotBorrowed)?;
    *bytes = rest;
    Ok(value)
}

fn varint(wire: WireType, bytes: &mut &[u8]) -> Result<u64, NotBorrowed> {
    let number = (wire == WireType::Varint).then(|| decode_varint(bytes));
    number.and_then(Result::ok).ok_or(NotBorrowed)
}

/// Reads the fields of a message, each of which must be known.
pub(crate) fn read_message<'r>(
    mut bytes: &'r [u8],
    mut read: impl FnMut(u32, WireType, &mut &'r [u8]) -> Result<bool, NotBorrowed>,
) -> Result<(), NotBorrowed> {
    while !bytes.is_empty() {
        let (number, wire) = decode_key(&mut bytes).map_err(|_| NotBorrowed)?;
        if !read(number, wire, &mut bytes)? {
            return Err(NotBorrowed);
        }
    }
    Ok(())
}

impl<'r> BorrowedValue<'r> for Cow<'r, str> {
    type Proto = String;

    fn of(proto: &'r String) -> Self {
        Cow::Borrowed(proto)
    }

    fn to_proto(&self) -> String {
        self.clone().into_owned()
    }

    fn read_json<D: Deserializer<'r>>(&mut self, json: D) -> Result<(), D::Error> {
        *self = BorrowedText.deserialize(json)?;
        Ok(())
    }

    fn read_message(&mut self, wire: WireType, bytes: &mut &'r [u8]) -> Result<(), NotBorrowed> {
        let text = std::str::from_utf8(delimited(wire, bytes)?).map_err(|_| NotBorrowed)?;
        *self = Cow::Borrowed(text);
        Ok(())
    }
}

impl<'r> BorrowedValue<'r> for bool {
    type Proto = bool;

    fn of(proto: &'r bool) -> Self {
        *proto
    }

    fn to_proto(&self) -> bool {
        *self
    }

    fn read_json<D: Deserializer<'r>>(&mut self, json: D) -> Result<(), D::Error> {
        *self = json.deserialize_bool(Flag)?;
        Ok(())
    }

    fn read_message(&mut self, wire: WireType, bytes: &mut &'r [u8]) -> Result<(), NotBorrowed> {
        *self = varint(wire, bytes)? != 0;
        Ok(())
    }
}

macro_rules! borrowed_numbers {
    ($($number:ty),*) => {$(
        impl<'r> BorrowedValue<'r> for $number {
            type Proto = $number;

            fn of(proto: &'r $number) -> Self {
                *proto
            }

            fn to_proto(&self) -> $number {
                *self
            }

            fn read_json<D: Deserializer<'r>>(&mut self, json: D) -> Result<(), D::Error> {
                let number = json.deserialize_any(Number)?;
                *self = number.try_into().map_err(D::Error::custom)?;
                Ok(())
            }

            fn read_message(
                &mut self,
                wire: WireType,
                bytes: &mut &'r [u8],
            ) -> Result<(), NotBorrowed> {
                *self = varint(wire, bytes)?.try_into().map_err(|_| NotBorrowed)?;
                Ok(())
            }
        }
    )*};
}

borrowed_numbers!(u32, u64);

macro_rules! optional_values {
    ($($value:ty),*) => {$(
        impl<'r> BorrowedValue<'r> for Option<$value> {
            type Proto = Option<<$value as BorrowedValue<'r>>::Proto>;

            fn of(proto: &'r Self::Proto) -> Self {
                proto.as_ref().map(BorrowedValue::of)
            }

            fn to_proto(&self) -> Self::Proto {
                self.as_ref().map(BorrowedValue::to_proto)
            }

            fn read_json<D: Deserializer<'r>>(&mut self, json: D) -> Result<(), D::Error> {
                self.insert(Default::default()).read_json(json)
            }

            fn read_message(
                &mut self,
                wire: WireType,
                bytes: &mut &'r [u8],
            ) -> Result<(), NotBorrowed> {
                self.insert(Default::default()).read_message(wire, bytes)
            }
        }
    )*};
}

optional_values!(Cow<'r, str>, u32, u64);

impl<'r> BorrowedValue<'r> for Option<Timestamp> {
    type Proto = Option<Timestamp>;

    fn of(proto: &'r Option<Timestamp>) -> Self {
        *proto
    }

    fn to_proto(&self) -> Option<Timestamp> {
        *self
    }

    fn read_json<D: Deserializer<'r>>(&mut self, json: D) -> Result<(), D::Error> {
        let text = BorrowedText.deserialize(json)?;
        let time = timestamp::read(&text).ok_or_else(|| D::Error::custom("another time"))?;
        let (seconds, nanos) = timestamp::seconds_and_nanos(time);
        let nanos = nanos.cast_signed();
        *self = Some(Timestamp { seconds, nanos });
        Ok(())
    }

    fn read_message(&mut self, wire: WireType, bytes: &mut &'r [u8]) -> Result<(), NotBorrowed> {
        // A second message would be merged into the first.
        let is_first = self.is_none();
        let bytes = delimited(wire, bytes)?;
        *self = prost::Message::decode(bytes).ok();
        (is_first && self.is_some())
            .then_some(())
            .ok_or(NotBorrowed)
    }
}

struct List<'s, T>(&'s mut Vec<T>);

impl<'r, T: BorrowedValue<'r>> Visitor<'r> for List<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'r>>(self, mut list: A) -> Result<(), A::Error> {
        let mut value = T::default();
        while list.next_element_seed(Element(&mut value))?.is_some() {
            self.0.push(std::mem::take(&mut value));
        }
        Ok(())
    }
}

impl<'r, T: BorrowedValue<'r>> BorrowedValue<'r> for Vec<T>
where
    T::Proto: 'r,
{
    type Proto = Vec<T::Proto>;

    fn of(proto: &'r Vec<T::Proto>) -> Self {
        proto.iter().map(T::of).collect()
    }

    fn to_proto(&self) -> Vec<T::Proto> {
        self.iter().map(T::to_proto).collect()
    }

    fn read_json<D: Deserializer<'r>>(&mut self, json: D) -> Result<(), D::Error> {
        // A field that is repeated in JSON has its last value.
        self.clear();
        json.deserialize_seq(List(self))
    }

    fn read_message(&mut self, wire: WireType, bytes: &mut &'r [u8]) -> Result<(), NotBorrowed> {
        let mut value = T::default();
        value.read_message(wire, bytes)?;
        self.push(value);
        Ok(())
    }
}

/// The place for the fields of a message in JSON.
pub(crate) struct Fields<'s, T>(pub(crate) &'s mut T);

impl<'r, T: BorrowedFields<'r>> Visitor<'r> for Fields<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'r>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(BorrowedText)? {
            if !self.0.read_json_field(&name, &mut map)? {
                return Err(A::Error::custom("another field"));
            }
        }
        Ok(())
    }
}

/// A message that is the value of a field.
impl<'r, T: BorrowedFields<'r>> BorrowedValue<'r> for T {
    type Proto = T::Message;

    fn of(proto: &'r T::Message) -> Self {
        BorrowedFields::of(proto)
    }

    fn to_proto(&self) -> T::Message {
        let mut message = T::Message::default();
        self.put(&mut message);
        message
    }

    fn read_json<D: Deserializer<'r>>(&mut self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(Fields(self))
    }

    fn read_message(&mut self, wire: WireType, bytes: &mut &'r [u8]) -> Result<(), NotBorrowed> {
        read_message(delimited(wire, bytes)?, |number, wire, bytes| {
            self.read_message_field(number, wire, bytes)
        })
    }
}
