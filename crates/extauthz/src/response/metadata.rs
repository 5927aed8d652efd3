//! The dynamic metadata of a response: what access logs and later filters can read, all of it text.
//!
//! It decides nothing. The rule: a reader of a namespace here may not look at the identity's state,
//! so an unproven namespace is left out. Envoy parses each field for every request, so the operator
//! chooses which are sent.

use customs_engine::identity::IdentityState;
use customs_record::protobuf as write;
use customs_record::{DecisionEntry, DecisionRecord};

/// Every field, in the order in which they are sent.
pub const NAMES: [&str; 15] = [
    "decision_id",
    "effect",
    "verdict",
    "dry_run",
    "reason",
    "rule",
    "dry_run_reason",
    "dry_run_rule",
    "gate",
    "identity",
    "namespace",
    "service_account",
    "host",
    "owner",
    "revision",
];

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
            .zip(values(entry))
            .zip(self.0)
            .filter(|(_, is_sent)| *is_sent)
        {
            write::message(field::ENTRY, out, |out| {
                write::text(field::KEY, name, out);
                write::message(field::VALUE, out, |out| {
                    write::text(field::STRING, value, out)
                });
            });
        }
    }
}

impl Default for Fields {
    fn default() -> Self {
        Fields::ALL
    }
}

/// Returns the values, in the order of their names.
fn values(entry: &DecisionRecord) -> [&str; NAMES.len()] {
    let DecisionEntry {
        verdict,
        dry_run,
        effect,
        identity,
        decision_id,
        namespace,
        service_account,
        ..
    } = entry.facts();
    let DecisionEntry { host, revision, .. } = entry.facts();
    let of_valid = |place| {
        if *identity == IdentityState::Valid {
            entry.text(place)
        } else {
            ""
        }
    };
    [
        entry.text(*decision_id),
        effect.as_str(),
        verdict.effect.as_str(),
        dry_run.effect.as_str(),
        verdict.reason.as_str(),
        entry.text(verdict.rule),
        dry_run.reason.as_str(),
        entry.text(dry_run.rule),
        verdict.gate,
        identity.as_str(),
        of_valid(*namespace),
        of_valid(*service_account),
        entry.text(*host),
        entry.text(verdict.owner),
        entry.text(*revision),
    ]
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
