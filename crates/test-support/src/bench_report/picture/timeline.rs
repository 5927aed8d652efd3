//! Values over time: one panel a value, one below the other, over the same minutes. Each panel
//! begins at zero, so that what is flat looks flat.

use super::{Scale, WIDTH, colour, document, line, round_step, text};

const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - 30.0;
const TOP: f64 = 62.0;
const PANEL: f64 = 84.0;
const GAP: f64 = 34.0;
/// About how many steps an axis has.
const STEPS: f64 = 10.0;

/// A value over minutes, in ascending order of the minutes.
#[derive(Clone, Debug)]
pub struct Panel {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Draws all panels over the minutes that they cover.
pub fn draw(title: &str, across: &str, panels: &[Panel]) -> String {
    let minutes = || {
        let points = panels.iter().flat_map(|panel| &panel.points);
        points.map(|(minute, _)| *minute)
    };
    let (from, until) = (
        minutes().fold(f64::MAX, f64::min),
        minutes().fold(f64::MIN, f64::max),
    );
    if from >= until {
        return document(TOP, title, "");
    }
    let x = |minute: f64| LEFT + Scale::Linear.place(minute, from, until) * (RIGHT - LEFT);
    let marks = marks(from, until);
    let mut content = String::new();
    let mut top = TOP;
    for (index, panel) in panels.iter().enumerate() {
        let bottom = top + PANEL;
        for mark in &marks {
            content.push_str(&line("grid", [x(*mark), top, x(*mark), bottom]));
        }
        content.push_str(&draw_panel(panel, index, top, x));
        top = bottom + GAP;
    }
    let bottom = top - GAP;
    for mark in &marks {
        content.push_str(&text(x(*mark), bottom + 16.0, "middle", &label(*mark)));
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    content.push_str(&text(middle, bottom + 36.0, "middle", across));
    document(bottom + 48.0, title, &content)
}

/// Returns the round minutes within a span.
fn marks(from: f64, until: f64) -> Vec<f64> {
    let step = round_step((until - from) / STEPS);
    let first = (from / step).ceil() as u32;
    let last = (until / step).floor() as u32;
    (first..=last)
        .map(|count| f64::from(count) * step)
        .collect()
}

fn draw_panel(panel: &Panel, index: usize, top: f64, x: impl Fn(f64) -> f64) -> String {
    let largest = panel.points.iter().map(|(_, value)| *value);
    let end = round_step(largest.fold(1.0, f64::max));
    let y = |value: f64| top + PANEL - Scale::Linear.place(value, 0.0, end) * PANEL;
    let mut drawn = text(LEFT, top - 8.0, "start", &panel.name);
    for tick in [0.0, end / 2.0, end] {
        drawn.push_str(&line("grid", [LEFT, y(tick), RIGHT, y(tick)]));
        drawn.push_str(&text(LEFT - 8.0, y(tick) + 4.0, "end", &label(tick)));
    }
    let points: Vec<String> = panel
        .points
        .iter()
        .map(|(minute, value)| format!("{:.1},{:.1}", x(*minute), y(*value)))
        .collect();
    drawn.push_str(&format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n",
        points.join(" "),
        colour(index)
    ));
    drawn
}

/// Formats a number without digits that say nothing.
fn label(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
