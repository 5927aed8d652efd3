//! Horizontal bars, one per row, with the interval of the value as a thin line.

use super::{Scale, WIDTH, colour, document, line, text};
use crate::bench_report::document::number;
use crate::bench_report::statistics::Estimate;

const LEFT: f64 = 300.0;
const RIGHT: f64 = WIDTH - 70.0;
const TOP: f64 = 44.0;
const ROW: f64 = 34.0;

/// One row.
#[derive(Clone, Debug)]
pub struct Bar {
    pub name: String,
    pub value: Estimate,
    /// Bars of one group have one colour.
    pub group: usize,
}

/// Draws all rows over one axis that begins at zero.
pub fn draw(title: &str, axis: &str, bars: &[Bar]) -> String {
    let largest = bars
        .iter()
        .map(|bar| bar.value.high)
        .fold(f64::MIN_POSITIVE, f64::max);
    let ticks = Scale::Linear.ticks(0.0, largest);
    let end = ticks.last().copied().unwrap_or(largest);
    let x = |value: f64| LEFT + Scale::Linear.place(value, 0.0, end) * (RIGHT - LEFT);
    let bottom = TOP + ROW * bars.len() as f64;
    let mut content = String::new();
    for tick in ticks {
        content.push_str(&line("grid", [x(tick), TOP, x(tick), bottom]));
        content.push_str(&text(x(tick), bottom + 16.0, "middle", &plain(tick)));
    }
    for (index, bar) in bars.iter().enumerate() {
        content.push_str(&row(bar, TOP + ROW * index as f64, x));
    }
    content.push_str(&text(
        f64::midpoint(LEFT, RIGHT),
        bottom + 36.0,
        "middle",
        axis,
    ));
    document(bottom + 48.0, title, &content)
}

fn row(bar: &Bar, top: f64, x: impl Fn(f64) -> f64) -> String {
    let (middle, Estimate { low, median, high }) = (top + ROW / 2.0, bar.value);
    let mut row = text(LEFT - 8.0, middle + 4.0, "end", &bar.name);
    row.push_str(&format!(
        "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\" fill=\"{}\"/>\n",
        top + 6.0,
        x(median) - LEFT,
        ROW - 12.0,
        colour(bar.group)
    ));
    row.push_str(&line("interval", [x(low), middle, x(high), middle]));
    for end in [low, high] {
        row.push_str(&line(
            "interval",
            [x(end), middle - 5.0, x(end), middle + 5.0],
        ));
    }
    row.push_str(&text(x(high) + 6.0, middle + 4.0, "start", &number(median)));
    row
}

/// Formats a tick without a fraction of zero.
fn plain(tick: f64) -> String {
    if tick.fract().abs() < 1e-9 {
        format!("{tick:.0}")
    } else {
        format!("{tick:.1}")
    }
}
