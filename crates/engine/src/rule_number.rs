//! Which rule of a set, and which of its conditions: numbers that hold as long as the set does.
//!
//! The snapshot gives a rule its number when it asks it; tables that were made of the set are
//! looked up by it.

/// A list of a set's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleList {
    Denies,
    IstioAllows,
    Audits,
    Grants,
}

impl RuleList {
    /// Every list.
    pub(crate) const ALL: [RuleList; 4] = [
        RuleList::Denies,
        RuleList::IstioAllows,
        RuleList::Audits,
        RuleList::Grants,
    ];
}

/// Which rule of a set it is: its list, and its position there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuleNumber {
    pub(crate) list: RuleList,
    pub(crate) position: u32,
}

/// Which condition of a set it is: its rule, and its position in that rule's `when`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConditionNumber {
    pub(crate) rule: RuleNumber,
    pub(crate) position: usize,
}
