//! A header that the policies in force use, and the bounds of what a record says of such headers.

use super::pattern::TextPattern;

/// The most patterns of one header that are compared for a record, so that a record costs the same
/// whatever the number of rules. Of a header with more patterns, only its presence is recorded.
pub(crate) const MAX_PATTERNS: usize = 32;

/// The most headers that a record holds: the first by name.
pub(crate) const MAX_HEADERS: usize = 32;

/// A header that conditions use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderUse {
    /// The name, in lower case.
    pub name: String,
    /// The patterns, each once. Empty if there are more than [`MAX_PATTERNS`].
    pub patterns: Vec<TextPattern>,
}
