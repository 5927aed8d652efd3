//! A foreign trust domain that an ALLOW rule names, which is accepted because of that.

use super::problem::Place;

/// A foreign trust domain that a rule of an ALLOW names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedTrustDomain {
    /// The trust domain.
    pub(crate) domain: String,
    /// Where it is named.
    pub(crate) place: Place,
    /// The number of the rule in its policy.
    pub(crate) rule: usize,
}
