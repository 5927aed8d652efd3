//! Which headers the policies in force ask for, and what a record tells of them.
//!
//! A header is told only if some condition asks for it, and then only whether it was there and which patterns of the
//! policies it matched. Its value is told where the settings ask for that; never that of a header that carries secrets.

use std::collections::BTreeMap;

use super::condition::{Condition, some_value};
use super::pattern::TextPattern;
use super::record::HeaderEntry;
use super::request::{Headers, last_value};
use super::rules::Rules;
use super::snapshot::Snapshot;

/// The most patterns of one header that are compared for a record, so that a record costs the same whatever the number of
/// rules; of a header with more, only its presence is told.
pub const MAX_PATTERNS: usize = 32;

/// The most headers that a record tells; the first by name.
pub const MAX_HEADERS: usize = 32;

/// The most bytes of a value that are told.
const MAX_VALUE: usize = 256;

/// Headers whose values are never told.
pub const SECRET: &[&str] = &["authorization", "proxy-authorization", "cookie", "set-cookie"];

/// A header that conditions ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderUse {
    /// Its name, in lower case.
    pub name: String,
    /// The patterns, each once; none where there are more than [`MAX_PATTERNS`].
    pub patterns: Vec<TextPattern>,
}

/// The headers that a set of rules asks for, by name.
pub fn of_rules(rules: &Rules) -> Box<[HeaderUse]> {
    let mut uses: BTreeMap<&str, Vec<&TextPattern>> = BTreeMap::new();
    let lists = [&rules.denies, &rules.istio_allows, &rules.audits, &rules.grants];
    for condition in lists.into_iter().flatten().flat_map(|rule| &rule.when) {
        let Condition::Header { name, values } = condition else { continue };
        let patterns = uses.entry(name).or_default();
        for pattern in values.any_of.iter().chain(&values.none_of) {
            if patterns.len() <= MAX_PATTERNS && !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
    }
    let told = |(name, patterns): (&str, Vec<&TextPattern>)| {
        let patterns = if patterns.len() > MAX_PATTERNS { Vec::new() } else { patterns.into_iter().cloned().collect() };
        HeaderUse { name: name.to_owned(), patterns }
    };
    uses.into_iter().take(MAX_HEADERS).map(told).collect()
}

/// What a record tells of the headers of a request.
pub fn told(snapshot: &Snapshot, headers: &dyn Headers, valued: &[String]) -> Vec<HeaderEntry> {
    snapshot.header_uses().iter().map(|asked| entry(asked, headers, valued)).collect()
}

fn entry(asked: &HeaderUse, headers: &dyn Headers, valued: &[String]) -> HeaderEntry {
    let HeaderUse { name, patterns } = asked;
    let mut present = false;
    headers.visit(name, &mut |_| present = true);
    let matched = patterns.iter().filter(|pattern| some_value(name, headers, std::slice::from_ref(pattern)));
    let is_valued = valued.contains(name) && !SECRET.contains(&name.as_str());
    let value = if is_valued { last_value(headers, name).unwrap_or_default() } else { "".into() };
    HeaderEntry {
        name: name.clone(),
        present,
        matched: matched.map(ToString::to_string).collect(),
        value: value.get(..value.floor_char_boundary(MAX_VALUE)).unwrap_or_default().to_owned(),
    }
}
