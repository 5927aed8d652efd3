//! The status of one source: plain values, which the status renders.

use crate::policy_change::PublishedFile;
use crate::problem::Problem;
use customs_engine::time::UnixNanos;

/// The state of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// The result of its last read.
    pub state: SourceHealth,
    /// Its files in force.
    pub files: Vec<PublishedFile>,
    /// When it was last read completely, with any result.
    pub last_read_at: Option<UnixNanos>,
    /// Why its last read is not in force; empty if it is good.
    pub problems: Vec<Problem>,
    /// When its last good content was first accepted.
    pub last_good_at: Option<UnixNanos>,
}

/// The result of a source's last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceHealth {
    /// It is good: in force, or waiting until every source is.
    Good,
    /// It was refused; the last good content stays.
    Refused,
    /// It was refused, and there is no good content yet.
    NeverLoaded,
    /// The source was emptied; the last good content stays.
    Emptied,
}

impl SourceHealth {
    /// The name in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceHealth::Good => "good",
            SourceHealth::Refused => "refused",
            SourceHealth::NeverLoaded => "never_loaded",
            SourceHealth::Emptied => "emptied",
        }
    }
}
