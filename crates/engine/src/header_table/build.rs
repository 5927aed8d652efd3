//! Makes the tables of a set of rules: numbers for headers and patterns, and the lists of each
//! condition's patterns.
//!
//! It looks at no request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::patterns::PatternTableBuilder;
use super::{ConditionLists, HeaderTable, HeaderTables, RuleConditions};
use crate::condition::Condition;
use crate::field::Field;
use crate::header_uses::{HeaderUse, MAX_HEADERS, MAX_PATTERNS};
use crate::pattern::TextPattern;
use crate::rule::Rule;
use crate::rule_number::RuleList;
use crate::rules::Rules;

impl HeaderTables {
    /// The tables of a set.
    pub fn of_rules(rules: &Rules) -> HeaderTables {
        let names: BTreeSet<&str> = rules
            .conditions()
            .filter_map(|condition| header(condition).map(|(name, _)| name))
            .collect();
        let numbers: FxHashMap<Box<str>, usize> = names
            .iter()
            .enumerate()
            .map(|(number, name)| ((*name).into(), number))
            .collect();
        let mut patterns: Vec<PatternTableBuilder> = Vec::new();
        patterns.resize_with(names.len(), PatternTableBuilder::default);
        let mut condition_lists = |condition: &Condition| {
            let (name, values) = header(condition)?;
            let header = *numbers.get(name)?;
            let patterns = patterns.get_mut(header)?;
            Some(ConditionLists {
                header,
                any_of: patterns.numbers(values.any_of()),
                none_of: patterns.numbers(values.none_of()),
            })
        };
        let rules_conditions = RuleList::ALL.map(|list| {
            let list = rules.list(list);
            let asks_header =
                |rule: &Arc<Rule>| rule.when.iter().any(|entry| header(entry).is_some());
            // A list without such a rule has no table, as most lists have none.
            let asking = list
                .iter()
                .rposition(asks_header)
                .map_or(0, |last| last + 1);
            let conditions = |rule: &Arc<Rule>| -> RuleConditions {
                match asks_header(rule) {
                    true => rule.when.iter().map(&mut condition_lists).collect(),
                    false => Box::default(),
                }
            };
            list.iter().take(asking).map(conditions).collect()
        });
        let headers = names
            .into_iter()
            .zip(patterns)
            .map(|(name, patterns)| HeaderTable {
                name: name.into(),
                patterns: patterns.finish(),
            });
        HeaderTables {
            headers: headers.collect(),
            numbers,
            rules: rules_conditions,
            uses: uses(rules),
        }
    }
}

/// The name and the values of a condition on a header.
pub(super) fn header(condition: &Condition) -> Option<(&str, &Field<TextPattern>)> {
    match condition {
        Condition::Header { name, values } => Some((name, values)),
        Condition::Source(_)
        | Condition::DestinationIp(_)
        | Condition::DestinationPort(_)
        | Condition::Sni(_) => None,
    }
}

/// Returns the headers that a set of rules uses, by name.
fn uses(rules: &Rules) -> Box<[HeaderUse]> {
    let mut headers: BTreeMap<&str, Vec<&TextPattern>> = BTreeMap::new();
    for condition in rules.conditions() {
        let Condition::Header { name, values } = condition else {
            continue;
        };
        let patterns = headers.entry(name).or_default();
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
    headers
        .into_iter()
        .take(MAX_HEADERS)
        .map(recorded)
        .collect()
}
