//! The two passes over the stages of a decision.

use super::enforcement::Enforcement;

/// One of the two passes over the stages: only what is enforced, or also what is on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// What is enforced.
    Enforced,
    /// The same and everything on trial.
    DryRun,
}

impl Pass {
    /// Whether the pass looks at a rule of this mode.
    pub(crate) fn includes(self, mode: Enforcement) -> bool {
        self == Pass::DryRun || mode == Enforcement::Enforce
    }
}
