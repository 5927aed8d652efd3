//! What rules are evaluated against: a request, and values that are derived from it on first use,
//! once per check and not once per rule.

use std::cell::OnceCell;
use std::sync::Arc;

use super::effect::Effect;
use super::field::Field;
use super::header_table::HeaderTables;
use super::path::{Readings, SegmentEnds, operators_match};
use super::pattern::TextPattern;
use super::request::Request;
use super::rule_number::ConditionNumber;

/// A request with the values that are derived only when a rule needs them.
#[derive(Debug)]
pub struct EvalContext<'q> {
    /// The request.
    pub request: &'q Request<'q>,
    /// The tables that compare a header with the patterns of all rules at once. Without them, each
    /// condition compares for itself.
    tables: Option<&'q Arc<HeaderTables>>,
    readings: OnceCell<Readings<'q>>,
    /// The ends of the segments, for a path with one reading.
    ends: OnceCell<SegmentEnds>,
    /// The ends of the segments of each reading, for a path with several.
    all_ends: OnceCell<Box<[SegmentEnds]>>,
    operators_match: OnceCell<bool>,
}

impl<'q> EvalContext<'q> {
    /// Creates a context without tables: each condition on a header compares for itself.
    pub fn new(request: &'q Request<'q>) -> Self {
        EvalContext {
            request,
            tables: None,
            readings: OnceCell::new(),
            ends: OnceCell::new(),
            all_ends: OnceCell::new(),
            operators_match: OnceCell::new(),
        }
    }

    /// Creates a context in which the path has these readings.
    pub fn with_readings(request: &'q Request<'q>, readings: Readings<'q>) -> Self {
        EvalContext {
            readings: OnceCell::from(readings),
            ..EvalContext::new(request)
        }
    }

    /// Creates a context for a set of rules, with the tables that compare a header with all of
    /// their patterns at once. They do so for conditions whose numbers are given; any other
    /// condition compares the header itself.
    pub(crate) fn of_set(request: &'q Request<'q>, tables: &'q Arc<HeaderTables>) -> Self {
        EvalContext {
            tables: Some(tables),
            ..EvalContext::new(request)
        }
    }

    /// Returns the readings of the path. They are made on first use.
    pub fn readings(&self) -> &Readings<'q> {
        self.readings.get_or_init(|| match self.request.http {
            Some(http) => Readings::of(http.path),
            None => Readings::Unknown,
        })
    }

    /// Returns where the segments of a reading end. They are found when a template first needs
    /// them.
    pub(crate) fn segment_ends(&self, number: usize) -> Option<&SegmentEnds> {
        match self.readings() {
            Readings::One(path) => Some(self.ends.get_or_init(|| SegmentEnds::of(path))),
            Readings::Many(all) => {
                let all = self
                    .all_ends
                    .get_or_init(|| all.iter().map(|reading| SegmentEnds::of(reading)).collect());
                all.get(number)
            }
            Readings::Unknown => None,
        }
    }

    /// Returns whether Envoy's template matcher lets operators match every character of the path as
    /// it was sent.
    pub(crate) fn operators_match(&self) -> bool {
        *self.operators_match.get_or_init(|| match self.readings() {
            Readings::One(path) => operators_match(path),
            Readings::Many(all) => all.first().is_some_and(|path| operators_match(path)),
            Readings::Unknown => false,
        })
    }

    /// Returns whether a condition on a header of an HTTP request holds. A condition with a number
    /// is the one of that number in the set that the context is of.
    pub(crate) fn header_holds(
        &self,
        number: Option<ConditionNumber>,
        name: &str,
        values: &Field<TextPattern>,
        effect: Effect,
    ) -> bool {
        let Some(http) = &self.request.http else {
            return values.holds_unknown(effect);
        };
        let compared = match (self.tables, number) {
            (Some(tables), Some(number)) => {
                tables.holds(&self.request.header_matches, http, number, values, effect)
            }
            _ => None,
        };
        compared.unwrap_or_else(|| http.header_values(name).hold(values, effect))
    }
}
