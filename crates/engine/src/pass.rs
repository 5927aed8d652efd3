//! The two passes over the stages of a decision.

use super::enforcement::Enforcement;

/// One of the two passes over the stages: only what is enforced, or also what is in a dry run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// What is enforced.
    Enforced,
    /// The same, and everything in a dry run.
    DryRun,
}

impl Pass {
    /// Returns whether the pass evaluates a rule of this mode.
    pub fn includes(self, mode: Enforcement) -> bool {
        self == Pass::DryRun || mode == Enforcement::Enforce
    }
}
