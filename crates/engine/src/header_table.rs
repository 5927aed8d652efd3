//! What compares a header of a request with the patterns of all rules at once, so that the cost of
//! a check is not the product of what a client sends and of what policies ask.
//!
//! For each header that conditions ask for there is a table of all patterns, each once and with a
//! number. A check looks each text of the header up in it: an exact value by its hash, prefixes and
//! suffixes by a search in their order. What is found is a set of numbers. A condition then only
//! looks whether its own numbers are in that set (broad), or whether the texts of its numbers are
//! all of them (strict). So a text is looked at once a check, however many rules ask.
//!
//! It says what [`HeaderValues::hold`] says, which compares one condition at a time and is what the
//! naive evaluator uses.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::effect::Effect;
use super::field::Field;
use super::header_uses::HeaderUse;
use super::header_values::{HeaderValues, MAX_PARTS, UnknownHeader, is_attribute};
use super::http::Http;
use super::pattern::{Match, TextPattern};
use super::rule_number::ConditionNumber;
use super::work_count;

mod build;
mod patterns;

pub use patterns::MatchedPatterns;
use patterns::{PatternNumbers, PatternTable};

/// Up to so many names each header is asked for by its name; beyond, all headers of a request are
/// read once.
const FEW_NAMES: usize = 8;

/// The tables of a set of rules.
#[derive(Debug, Default)]
pub struct HeaderTables {
    /// In the order of names.
    headers: Box<[HeaderTable]>,
    /// The number of a header by its name, in lower case.
    numbers: FxHashMap<Box<str>, usize>,
    /// For each list of rules, the lists of patterns of each rule's conditions.
    rules: [Box<[RuleConditions]>; 4],
    uses: Box<[HeaderUse]>,
}

#[derive(Debug)]
struct HeaderTable {
    name: Box<str>,
    patterns: PatternTable,
}

/// The patterns of each entry of a rule's `when` that is about a header; nothing for a rule without
/// such an entry.
type RuleConditions = Box<[Option<ConditionLists>]>;

#[derive(Debug)]
struct ConditionLists {
    header: usize,
    any_of: PatternNumbers,
    none_of: PatternNumbers,
}

/// What one request has of the headers that a set asks for, found when it is asked for.
#[derive(Clone, Debug)]
pub(crate) struct HeaderMatches {
    tables: Arc<HeaderTables>,
    states: Box<[OnceCell<HeaderState>]>,
    /// Whether every header was read; what has no state then is absent, pseudo-headers aside.
    are_read: bool,
}

/// Holds a request's [`HeaderMatches`] once they are asked for.
#[derive(Clone, Debug, Default)]
pub struct HeaderMatchesCell(OnceCell<HeaderMatches>);

/// What is known of a header.
#[derive(Clone, Debug)]
pub enum HeaderState {
    /// It is not there.
    Absent,
    /// Its value is not compared.
    Unknown(UnknownHeader),
    /// It is there.
    Known(Box<MatchedPatterns>),
}

impl HeaderTables {
    /// The patterns of a condition.
    fn condition(&self, number: ConditionNumber) -> Option<&ConditionLists> {
        let ConditionNumber { rule, position } = number;
        let rules = self.rules.get(rule.list as usize)?;
        rules.get(rule.position as usize)?.get(position)?.as_ref()
    }

    /// The headers that a record holds.
    pub fn uses(&self) -> &[HeaderUse] {
        &self.uses
    }

    /// Whether the condition of this number holds, which has these values. `None` if the set has no
    /// condition of this number, or the request was compared with another set.
    pub(crate) fn holds(
        self: &Arc<Self>,
        cell: &HeaderMatchesCell,
        http: &Http<'_>,
        number: ConditionNumber,
        values: &Field<TextPattern>,
        effect: Effect,
    ) -> Option<bool> {
        let lists = self.condition(number)?;
        let state = self.of_request(cell, http)?.state(lists.header, http)?;
        Some(match state {
            HeaderState::Absent => lists.any_of.is_empty(),
            HeaderState::Unknown(_) => values.holds_unknown(effect),
            HeaderState::Known(matched) => {
                let matches = |list, matching| match matching {
                    Match::Broad => matched.some_of(list),
                    Match::Strict => matched.all_by(list),
                };
                (lists.any_of.is_empty() || matches(&lists.any_of, effect.positive_match()))
                    && (lists.none_of.is_empty()
                        || !matches(&lists.none_of, effect.negative_match()))
            }
        })
    }

    /// What a request has of the headers that the set asks for. `None` if the request was compared
    /// with another set.
    fn of_request<'r>(
        self: &Arc<Self>,
        cell: &'r HeaderMatchesCell,
        http: &Http<'_>,
    ) -> Option<&'r HeaderMatches> {
        let matches = cell.0.get_or_init(|| HeaderMatches::new(self, http));
        Arc::ptr_eq(&matches.tables, self).then_some(matches)
    }

    /// The headers that the set asks for and whose values a request leaves unknown.
    pub fn unknown(self: &Arc<Self>, http: &Http<'_>) -> Vec<(&str, UnknownHeader)> {
        let unknown =
            self.headers
                .iter()
                .filter_map(|table| match http.header_values(&table.name) {
                    HeaderValues::Unknown(why) => Some((&*table.name, why)),
                    HeaderValues::Absent | HeaderValues::Known(_) => None,
                });
        unknown.collect()
    }

    /// Calls `each` with every header that a record holds, and what is known of it.
    pub fn for_each_recorded<'t>(
        self: &'t Arc<Self>,
        cell: &HeaderMatchesCell,
        http: &Http<'_>,
        mut each: impl FnMut(&'t HeaderUse, &HeaderState, &dyn Fn(&TextPattern) -> bool),
    ) {
        if self.uses.is_empty() {
            return;
        }
        // A request that another set compared before is compared again.
        let own;
        let matches = match self.of_request(cell, http) {
            Some(matches) => matches,
            None => {
                own = HeaderMatches::new(self, http);
                &own
            }
        };
        for asked in &self.uses {
            let Some(header) = self.numbers.get(asked.name.as_str()) else {
                continue;
            };
            let (Some(table), Some(state)) =
                (self.headers.get(*header), matches.state(*header, http))
            else {
                continue;
            };
            let has = |pattern: &TextPattern| match state {
                HeaderState::Known(matched) => table
                    .patterns
                    .number(pattern)
                    .is_some_and(|id| matched.has(id)),
                HeaderState::Absent | HeaderState::Unknown(_) => false,
            };
            each(asked, state, &has);
        }
    }
}

impl HeaderMatches {
    fn new(tables: &Arc<HeaderTables>, http: &Http<'_>) -> HeaderMatches {
        let states = std::iter::repeat_with(OnceCell::new)
            .take(tables.headers.len())
            .collect();
        let mut matches = HeaderMatches {
            tables: tables.clone(),
            states,
            are_read: false,
        };
        if tables.headers.len() > FEW_NAMES {
            matches.read_all(http);
        }
        matches
    }

    /// Reads every header once, instead of once for each name.
    fn read_all(&mut self, http: &Http<'_>) {
        let tables = &self.tables;
        let mut sent: Vec<(usize, Cow<'_, str>)> = Vec::new();
        let mut folded = String::new();
        http.headers.visit_all(&mut |name, value| {
            work_count::steps(1);
            let number = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                false => tables.numbers.get(name),
                true => {
                    folded.clear();
                    folded.push_str(name);
                    folded.make_ascii_lowercase();
                    tables.numbers.get(folded.as_str())
                }
            };
            sent.extend(number.map(|number| (*number, value)));
        });
        // Stable, so that the values of one header stay in their order.
        sent.sort_by_key(|(number, _)| *number);
        let are_joined = http.headers.are_joined();
        for values in sent.chunk_by(|one, other| one.0 == other.0) {
            let Some((number, _)) = values.first() else {
                continue;
            };
            let (Some(table), Some(state)) =
                (tables.headers.get(*number), self.states.get(*number))
            else {
                continue;
            };
            if !is_attribute(&table.name) {
                let values = values
                    .iter()
                    .take(MAX_PARTS + 1)
                    .map(|(_, value)| value.clone())
                    .collect();
                state.get_or_init(|| table.state(&HeaderValues::of_sent(values, are_joined)));
            }
        }
        self.are_read = true;
    }

    fn state(&self, header: usize, http: &Http<'_>) -> Option<&HeaderState> {
        let (state, table) = (self.states.get(header)?, self.tables.headers.get(header)?);
        Some(
            state.get_or_init(|| match self.are_read && !is_attribute(&table.name) {
                true => HeaderState::Absent,
                false => table.state(&http.header_values(&table.name)),
            }),
        )
    }
}

impl HeaderTable {
    fn state(&self, values: &HeaderValues<'_>) -> HeaderState {
        match values {
            HeaderValues::Absent => HeaderState::Absent,
            HeaderValues::Unknown(why) => HeaderState::Unknown(*why),
            HeaderValues::Known(texts) => {
                HeaderState::Known(Box::new(self.patterns.compare_header(texts)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
