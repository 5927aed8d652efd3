//! The two effects of a decision and of a rule: allow and deny.
//!
//! A rule's effect also says how its fields match (rule R0): in doubt, a denial holds and a grant
//! does not. Exceptions and `allow` entries are read as ALLOW rules; isolations and AUDIT rules are
//! read as DENY rules.

use super::pattern::Match;

/// Allow or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// The request may leave the mesh.
    Allow,
    /// The request may not leave the mesh.
    Deny,
}

impl Effect {
    /// Both effects, in the order in which documents list them.
    pub const ALL: [Effect; 2] = [Effect::Allow, Effect::Deny];

    /// Returns the name in responses, records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        }
    }

    /// Returns how the positive lists of a rule with this effect match.
    pub fn positive_match(self) -> Match {
        match self {
            Effect::Deny => Match::Broad,
            Effect::Allow => Match::Strict,
        }
    }

    /// Returns how the `not*` lists of a rule with this effect match.
    pub fn negative_match(self) -> Match {
        match self {
            Effect::Deny => Match::Strict,
            Effect::Allow => Match::Broad,
        }
    }
}
