//! Curves over sizes that grow by factors. Each has a mark at each measured value, and its name at
//! the end.

use super::{Scale, WIDTH, colour, document, escape, line, text};
use crate::bench_report::document::number;

const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - 230.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 340.0;
/// Names closer than this would overlap.
const APART: f64 = 16.0;

/// One curve: values over sizes, in ascending order of the sizes.
#[derive(Clone, Debug)]
pub struct Curve {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    pub dashed: bool,
}

/// The labels of the axes.
#[derive(Clone, Copy, Debug)]
pub struct Axes<'a> {
    pub across: &'a str,
    pub up: &'a str,
    pub scale: Scale,
}

/// The positions of values.
struct Frame {
    sizes: (f64, f64),
    values: (f64, f64),
    scale: Scale,
}

impl Frame {
    fn x(&self, size: f64) -> f64 {
        LEFT + Scale::Logarithmic.place(size, self.sizes.0, self.sizes.1) * (RIGHT - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - self.scale.place(value, self.values.0, self.values.1) * (BOTTOM - TOP)
    }
}

/// Draws all curves in one frame. A logarithmic scale cannot show zero or less, so such values are
/// left out.
pub fn draw(title: &str, axes: Axes<'_>, curves: &[Curve]) -> String {
    let shown: Vec<Curve> = curves
        .iter()
        .map(|curve| visible(curve, axes.scale))
        .collect();
    let points = || shown.iter().flat_map(|curve| curve.points.iter().copied());
    let mut sizes: Vec<f64> = points().map(|(size, _)| size).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let smallest = points().map(|(_, value)| value).fold(f64::MAX, f64::min);
    let largest = points()
        .map(|(_, value)| value)
        .fold(f64::MIN_POSITIVE, f64::max);
    let ticks = axes.scale.ticks(smallest.min(largest), largest);
    let (Some(first), Some(last)) = (sizes.first(), sizes.last()) else {
        return document(TOP, title, "");
    };
    let (Some(low), Some(high)) = (ticks.first(), ticks.last()) else {
        return document(TOP, title, "");
    };
    let frame = Frame {
        sizes: (*first, *last),
        values: (*low, *high),
        scale: axes.scale,
    };
    let mut content = grid(&frame, &sizes, &ticks, axes);
    let heights = names_apart(&frame, &shown);
    for (index, (curve, height)) in shown.iter().zip(heights).enumerate() {
        content.push_str(&draw_curve(&frame, curve, index, height));
    }
    document(BOTTOM + 52.0, title, &content)
}

fn visible(curve: &Curve, scale: Scale) -> Curve {
    let mut curve = curve.clone();
    curve
        .points
        .retain(|(_, value)| scale == Scale::Linear || *value > 0.0);
    curve
}

fn grid(frame: &Frame, sizes: &[f64], ticks: &[f64], axes: Axes<'_>) -> String {
    let mut grid = String::new();
    for size in sizes {
        let x = frame.x(*size);
        grid.push_str(&line("grid", [x, TOP, x, BOTTOM]));
        grid.push_str(&text(x, BOTTOM + 18.0, "middle", &label(*size)));
    }
    for tick in ticks {
        let y = frame.y(*tick);
        grid.push_str(&line("grid", [LEFT, y, RIGHT, y]));
        grid.push_str(&text(LEFT - 8.0, y + 4.0, "end", &label(*tick)));
    }
    grid.push_str(&text(
        f64::midpoint(LEFT, RIGHT),
        BOTTOM + 40.0,
        "middle",
        axes.across,
    ));
    grid.push_str(&text(LEFT, TOP - 6.0, "start", axes.up));
    grid
}

fn label(value: f64) -> String {
    if value.fract() == 0.0 && value < 1000.0 {
        format!("{value:.0}")
    } else {
        number(value)
    }
}

/// Returns the height of each curve's name: that of its last point, moved down so that no two names
/// overlap, and up again so that none is below the frame.
fn names_apart(frame: &Frame, curves: &[Curve]) -> Vec<f64> {
    let end = |curve: &Curve| {
        curve
            .points
            .last()
            .map_or(BOTTOM, |(_, value)| frame.y(*value))
    };
    let mut order: Vec<(usize, f64)> = curves.iter().map(end).enumerate().collect();
    order.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut lowest = f64::MIN;
    for (_, height) in &mut order {
        *height = height.max(lowest + APART);
        lowest = *height;
    }
    let mut room = BOTTOM;
    for (_, height) in order.iter_mut().rev() {
        *height = height.min(room);
        room = *height - APART;
    }
    order.sort_by_key(|(index, _)| *index);
    order.into_iter().map(|(_, height)| height).collect()
}

fn draw_curve(frame: &Frame, curve: &Curve, index: usize, name_height: f64) -> String {
    let places: Vec<(f64, f64)> = curve
        .points
        .iter()
        .map(|(size, value)| (frame.x(*size), frame.y(*value)))
        .collect();
    let path: Vec<String> = places
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let (colour, dashes) = (
        colour(index),
        if curve.dashed {
            " stroke-dasharray=\"6 4\""
        } else {
            ""
        },
    );
    let mut drawn = format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"{dashes}/>\n",
        path.join(" ")
    );
    for (x, y) in &places {
        drawn.push_str(&format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>\n"
        ));
    }
    let name = escape(&curve.name);
    drawn.push_str(&format!(
        "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/>\n",
        RIGHT + 16.0,
        name_height
    ));
    drawn.push_str(&format!(
        "<text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>\n",
        RIGHT + 26.0,
        name_height + 4.0
    ));
    drawn
}
