//! What rules are evaluated against: a request, and what is worked out of it only when some rule asks, once a check and not
//! once a rule.

use std::cell::OnceCell;
use std::sync::Arc;

use super::effect::Effect;
use super::field::Field;
use super::header_table::HeaderTables;
use super::path::{Readings, SegmentEnds, operators_match};
use super::pattern::TextPattern;
use super::request::Request;

/// A request with what is worked out only when a rule asks for it.
#[derive(Debug)]
pub struct EvalContext<'q> {
    /// The request.
    pub request: &'q Request<'q>,
    /// What compares a header with the patterns of all rules at once; without it, each condition compares for itself.
    tables: Option<&'q Arc<HeaderTables>>,
    readings: OnceCell<Readings<'q>>,
    /// Of a path with one reading, where its segments end.
    ends: OnceCell<SegmentEnds>,
    /// The same for each of several readings.
    all_ends: OnceCell<Box<[SegmentEnds]>>,
    operators_match: OnceCell<bool>,
}

impl<'q> EvalContext<'q> {
    /// Nothing is worked out yet. Each condition on a header compares for itself.
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

    /// The same for a set of rules, with what compares a header with all of their patterns at once.
    pub fn of_set(request: &'q Request<'q>, tables: &'q Arc<HeaderTables>) -> Self {
        EvalContext {
            tables: Some(tables),
            ..EvalContext::new(request)
        }
    }

    /// The readings of the path, made when they are first asked for.
    pub fn readings(&self) -> &Readings<'q> {
        self.readings.get_or_init(|| match self.request.http {
            Some(http) => Readings::of(http.path),
            None => Readings::Unknown,
        })
    }

    /// Where the segments of a reading end, found when a template first asks.
    pub fn segment_ends(&self, number: usize) -> Option<&SegmentEnds> {
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

    /// Whether Envoy's template matcher lets operators match every character of the path as it was sent.
    pub fn operators_match(&self) -> bool {
        *self.operators_match.get_or_init(|| match self.readings() {
            Readings::One(path) => operators_match(path),
            Readings::Many(all) => all.first().is_some_and(|path| operators_match(path)),
            Readings::Unknown => false,
        })
    }

    /// Whether a condition on a header of an HTTP request holds.
    pub fn header_holds(&self, name: &str, values: &Field<TextPattern>, effect: Effect) -> bool {
        let Some(http) = &self.request.http else {
            return values.holds_unknown(effect);
        };
        let compared = self
            .tables
            .and_then(|tables| tables.holds(self.request, http, values, effect));
        compared.unwrap_or_else(|| http.header_values(name).hold(values, effect))
    }
}
