//! The dynamic metadata of a response: what access logs and later filters can read, all of it text.
//!
//! It decides nothing. Which fields there are, and which of them need a valid identity, is in the
//! table of a decision ([`METADATA`]). Envoy parses each field for every request, so the operator
//! chooses which are sent, by default only [`DEFAULT`], and a long text is cut.

use customs_record::DecisionRecord;
use customs_record::fields::METADATA;
use customs_record::protobuf as write;

/// Every field, in the order in which they are sent.
pub const NAMES: [&str; METADATA.len()] = match METADATA.first_chunk() {
    Some(names) => *names,
    None => [""; METADATA.len()],
};

/// The fields that are sent unless the operator chooses others: the answer, why, and the id by
/// which everything else is found in the record.
pub const DEFAULT: [&str; 4] = ["decision_id", "verdict", "reason", "rule"];

/// Fields of `google.protobuf.Struct`, of an entry of its map, and of `google.protobuf.Value`.
mod field {
    pub(super) const ENTRY: u32 = 1;
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
    pub(super) const STRING: u32 = 3;
}

/// The error of a name that is not a field of the metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown field `{0}`: expected `none` alone, or some of {names}", names = NAMES.join(", "))]
pub struct UnknownFieldError(String);

/// Which fields are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields([bool; NAMES.len()]);

impl Fields {
    /// Every field.
    pub const ALL: Fields = Fields([true; NAMES.len()]);

    /// Returns the fields of these names; `none` alone selects no field.
    ///
    /// # Errors
    /// [`UnknownFieldError`] for a name that is not a field.
    pub fn of(names: &[String]) -> Result<Fields, UnknownFieldError> {
        let mut sent = [false; NAMES.len()];
        if names == ["none"] {
            return Ok(Fields(sent));
        }
        for name in names {
            let place = NAMES
                .iter()
                .zip(&mut sent)
                .find(|(known, _)| *known == name);
            let (_, sent) = place.ok_or_else(|| UnknownFieldError(name.clone()))?;
            *sent = true;
        }
        Ok(Fields(sent))
    }

    /// Returns whether no field is sent.
    pub fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    /// Writes the fields as a `google.protobuf.Struct`.
    pub(super) fn write(&self, entry: &DecisionRecord, out: &mut Vec<u8>) {
        for ((name, value), _) in NAMES
            .into_iter()
            .zip(entry.metadata())
            .zip(self.0)
            .filter(|(_, is_sent)| *is_sent)
        {
            write::message(field::ENTRY, out, |out| {
                write::text(field::KEY, name, out);
                write::message(field::VALUE, out, |out| {
                    write::text(field::STRING, super::shortened(value), out)
                });
            });
        }
    }
}

impl Default for Fields {
    fn default() -> Self {
        Fields(NAMES.map(|name| DEFAULT.contains(&name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_chosen_by_name() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let of = |chosen: &[&str]| Fields::of(&names(chosen));
        assert_eq!(of(&NAMES), Ok(Fields::ALL));
        assert_eq!(of(&DEFAULT), Ok(Fields::default()));
        assert!(of(&["none"]).unwrap().is_empty() && of(&[]).unwrap().is_empty());
        assert_eq!(
            of(&["rule", "host", "rule"])
                .unwrap()
                .0
                .iter()
                .filter(|sent| **sent)
                .count(),
            2
        );
        for wrong in ["Rule", "", "none"] {
            let said = of(&["rule", wrong]).unwrap_err().to_string();
            assert!(
                said.contains(&format!("`{wrong}`")) && said.contains("decision_id"),
                "{said}"
            );
        }
    }
}
