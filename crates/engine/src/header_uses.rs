//! Which headers the policies in force use, worked out once per set.

use std::collections::BTreeMap;

use super::condition::Condition;
use super::pattern::TextPattern;
use super::rules::Rules;

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

/// Returns the headers that a set of rules uses, by name.
pub fn of_rules(rules: &Rules) -> Box<[HeaderUse]> {
    let mut uses: BTreeMap<&str, Vec<&TextPattern>> = BTreeMap::new();
    for condition in rules.conditions() {
        let Condition::Header { name, values } = condition else {
            continue;
        };
        let patterns = uses.entry(name).or_default();
        for pattern in values.any_of().iter().chain(values.none_of()) {
            if patterns.len() <= MAX_PATTERNS && !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
    }
    let recorded = |(name, patterns): (&str, Vec<&TextPattern>)| {
        let patterns = if patterns.len() > MAX_PATTERNS {
            Vec::new()
        } else {
            patterns.into_iter().cloned().collect()
        };
        HeaderUse {
            name: name.to_owned(),
            patterns,
        }
    };
    uses.into_iter().take(MAX_HEADERS).map(recorded).collect()
}
