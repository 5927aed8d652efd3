//! A run of the serving benchmark as docs/benchmarks/serving.json has it.
//!
//! The rule: the file has every value of every round, so that tables and plots are derived from it.

use serde::{Deserialize, Serialize};

use super::findings::Findings;
use super::machine::Machine;

/// A run with its findings, part by part.
#[derive(Debug, Serialize, Deserialize)]
pub struct ServingRun {
    pub machine: Machine,
    pub sizes: Sizes,
    pub parts: Vec<Findings>,
}

/// How much was measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Sizes {
    pub rounds: usize,
    pub checks: u64,
    pub seconds: u64,
    pub connections: usize,
}

impl ServingRun {
    /// Returns the findings of a part.
    pub fn part(&self, name: &str) -> Option<&Findings> {
        self.parts.iter().find(|part| part.part == name)
    }
}
