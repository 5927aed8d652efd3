//! The fields of a line that an OpenTelemetry log record has besides its body.
//!
//! The attributes of a decision are those that the table of its fields marks. All other fields of a
//! line are skipped.

use std::collections::BTreeMap;
use std::fmt;

use customs_record::fields::OTLP_ATTRIBUTES;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// The fields that become fields of the log record itself.
const OF_LOG_RECORD: [&str; 6] = [
    "time",
    "kind",
    "stream",
    "sequence",
    "effect",
    "traceparent",
];

/// The texts of these fields and of the attributes, by the names of the fields.
#[derive(Debug, Default)]
pub(super) struct Line(BTreeMap<&'static str, String>);

impl Line {
    /// Returns the text of a field; empty if the line does not have it.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(line: D) -> Result<Line, D::Error> {
        struct LineVisitor;

        impl<'de> Visitor<'de> for LineVisitor {
            type Value = Line;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Line, A::Error> {
                let mut line = Line::default();
                while let Some(Name(name)) = fields.next_key()? {
                    match name {
                        Some(name) => drop(line.0.insert(name, fields.next_value()?)),
                        None => drop(fields.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(line)
            }
        }

        line.deserialize_map(LineVisitor)
    }
}

/// The name of a field, if it is one of those.
struct Name(Option<&'static str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(name: D) -> Result<Name, D::Error> {
        struct NameVisitor;

        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                let attributes = OTLP_ATTRIBUTES.iter().map(|(field, _)| *field);
                let mut known = OF_LOG_RECORD.into_iter().chain(attributes);
                Ok(Name(known.find(|known| *known == name)))
            }
        }

        name.deserialize_identifier(NameVisitor)
    }
}
