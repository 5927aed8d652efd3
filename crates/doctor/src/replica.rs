//! The replicas of customs beside one another: are they ready, and do they agree.
//!
//! It compares what each replica says about itself. The rule: a replica that does not answer agrees
//! with nobody, so a set of replicas is in agreement only if every one of them was heard.

use std::collections::BTreeMap;

use crate::customs_status::CustomsStatus;

/// What one replica answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its address, as it was asked.
    pub address: String,
    /// Its status, or why there is none.
    pub status: Result<CustomsStatus, ReplicaError>,
}

/// Why a replica has no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// Nobody answers.
    #[error("{0}")]
    Unreachable(String),
    /// Something else answers.
    #[error("{0}")]
    NotCustoms(String),
}

/// A property in which replicas of one set must be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// The revision in force.
    Revision,
    /// Whether verdicts are enforced.
    Enforcement,
    /// Whether request validation is enforced.
    RequestValidation,
    /// The decision when no policy applies.
    Default,
    /// The version of customs.
    Version,
}

impl Property {
    /// Every property.
    pub const ALL: [Property; 5] = [
        Property::Revision,
        Property::Enforcement,
        Property::RequestValidation,
        Property::Default,
        Property::Version,
    ];

    /// Returns its name in sentences.
    pub fn as_str(self) -> &'static str {
        match self {
            Property::Revision => "revision",
            Property::Enforcement => "enforcement",
            Property::RequestValidation => "request validation",
            Property::Default => "default",
            Property::Version => "version",
        }
    }

    fn of(self, status: &CustomsStatus) -> &str {
        match self {
            Property::Revision => &status.revision,
            Property::Enforcement => &status.enforcement,
            Property::RequestValidation => &status.request_validation,
            Property::Default => &status.default,
            Property::Version => &status.version,
        }
    }
}

/// The replicas that have each value of a property, by value.
pub type Values<'r> = BTreeMap<&'r str, Vec<&'r str>>;

/// Returns the replicas by their value of a property.
pub fn values(replicas: &[Replica], property: Property) -> Values<'_> {
    let mut values = Values::new();
    for replica in replicas {
        if let Ok(status) = &replica.status {
            let same = values.entry(property.of(status)).or_default();
            same.push(replica.address.as_str());
        }
    }
    values
}

/// Returns the properties in which the replicas that answered differ.
pub fn differences(replicas: &[Replica]) -> Vec<(Property, Values<'_>)> {
    let all = Property::ALL.map(|property| (property, values(replicas, property)));
    all.into_iter()
        .filter(|(_, values)| values.len() > 1)
        .collect()
}

/// Returns whether there is a replica, every one is ready, and all agree.
pub fn are_ready_and_agree(replicas: &[Replica]) -> bool {
    let is_ready = |replica: &Replica| replica.status.as_ref().is_ok_and(|status| status.ready);
    !replicas.is_empty() && replicas.iter().all(is_ready) && differences(replicas).is_empty()
}

/// Returns whether every replica is ready on a revision, which may be given by its beginning.
pub fn are_ready_on(replicas: &[Replica], revision: &str) -> bool {
    let is_on = |replica: &Replica| {
        let status = replica.status.as_ref();
        status.is_ok_and(|status| status.ready && status.revision.starts_with(revision))
    };
    !replicas.is_empty() && replicas.iter().all(is_on)
}

#[cfg(test)]
mod tests;
