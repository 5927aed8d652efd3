//! Axes: linear and logarithmic ones of one type, with marks where the plot wants them.
//!
//! plotters computes every place. The rule: an axis has its unit in its label, and a linear one of
//! costs begins at zero.

use std::ops::Range;

use plotters::coord::combinators::LogCoord;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::IntoLogRange;

use crate::bench_report::document::count;

/// How values are spread over the length of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Logarithmic,
}

/// An axis: its label, with the unit, and its marks.
#[derive(Clone, Debug)]
pub struct Axis {
    pub label: String,
    pub scale: Scale,
    pub low: f64,
    pub high: f64,
    pub marks: Vec<f64>,
}

impl Axis {
    /// An axis from zero to a round value that is not below `largest`.
    pub fn from_zero(label: impl Into<String>, largest: f64) -> Axis {
        let step = round_step(largest / 5.0);
        let steps = (largest / step).ceil().max(1.0) as u32;
        let marks: Vec<f64> = (0..=steps).map(|count| f64::from(count) * step).collect();
        Axis {
            label: label.into(),
            scale: Scale::Linear,
            low: 0.0,
            high: f64::from(steps) * step,
            marks,
        }
    }

    /// A logarithmic axis of whole powers of ten that enclose the values.
    pub fn powers(label: impl Into<String>, smallest: f64, largest: f64) -> Axis {
        let first = smallest.log10().floor() as i32;
        let last = (largest.log10().ceil() as i32).max(first + 1);
        let marks: Vec<f64> = (first..=last).map(|power| 10.0_f64.powi(power)).collect();
        Axis {
            label: label.into(),
            scale: Scale::Logarithmic,
            low: 10.0_f64.powi(first),
            high: 10.0_f64.powi(last),
            marks,
        }
    }

    /// An axis with marks of its own, in ascending order, and some room at both ends.
    pub fn with_marks(label: impl Into<String>, scale: Scale, marks: Vec<f64>) -> Axis {
        const ROOM: f64 = 0.04;
        let first = marks.first().copied().unwrap_or(1.0);
        let last = marks.last().copied().unwrap_or(10.0);
        let (low, high) = match scale {
            Scale::Linear => {
                let room = (last - first) * ROOM;
                (first - room, last + room)
            }
            Scale::Logarithmic => {
                let room = (last / first).powf(ROOM);
                (first / room, last * room)
            }
        };
        Axis {
            label: label.into(),
            scale,
            low,
            high,
            marks,
        }
    }

    /// Returns the coordinate for plotters.
    pub fn coordinate(&self) -> Coordinate {
        let range = self.low..self.high;
        let inner = match self.scale {
            Scale::Linear => Inner::Linear(range.into()),
            Scale::Logarithmic => Inner::Logarithmic(range.log_scale().into()),
        };
        Coordinate {
            inner,
            marks: self.marks.clone(),
        }
    }
}

/// The coordinate of an axis.
pub struct Coordinate {
    inner: Inner,
    marks: Vec<f64>,
}

enum Inner {
    Linear(RangedCoordf64),
    Logarithmic(LogCoord<f64>),
}

impl Ranged for Coordinate {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        match &self.inner {
            Inner::Linear(inner) => inner.map(value, limit),
            Inner::Logarithmic(inner) => inner.map(value, limit),
        }
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Light points are lines without a label, which no axis here has.
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.marks.clone()
    }

    fn range(&self) -> Range<f64> {
        match &self.inner {
            Inner::Linear(inner) => inner.range(),
            Inner::Logarithmic(inner) => inner.range(),
        }
    }
}

/// Formats a mark without digits that say nothing: 1,000, 250, 2.5, 0.001.
pub fn mark(value: f64) -> String {
    if value.abs() >= 1000.0 {
        return count(value);
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns the next of 1, 2, 5, 10, 20, 50 ... that is not below `step`.
pub fn round_step(step: f64) -> f64 {
    let power = 10.0_f64.powf(step.log10().floor());
    let round = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= step);
    round.unwrap_or(10.0) * power
}
