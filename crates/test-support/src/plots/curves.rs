//! Curves over sizes or loads, each value with its interval, and a mark where two curves cross.
//!
//! The rule: an interval is a bar at each value, or a band where values are dense; both come from the
//! data.

use anyhow::Result;
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::{Axis, Coordinate, mark};
use super::sheet::{
    Area, Key, LABEL, Marker, Sample, draw_line, draw_marker, px, stroke, text_style,
};
use super::theme::Ink;
use crate::bench_report::statistics::Estimate;

/// The room for the marks of the vertical and the horizontal axis, in pixels.
const LEFT: u32 = 66;
const BOTTOM: u32 = 46;
/// The room above the plot, for the label of the vertical axis.
const TOP: u32 = 26;
const RIGHT: u32 = 14;

/// How strongly a band is drawn.
const BAND: f64 = 0.25;

/// A value at a size.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub x: f64,
    pub y: Estimate,
    /// Drawn hollow, as the notes of the plot explain.
    pub hollow: bool,
}

/// How the intervals of a curve are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intervals {
    Bars,
    Band,
}

/// One curve, in ascending order of its sizes.
#[derive(Clone, Debug)]
pub struct Curve {
    pub name: String,
    pub ink: Ink,
    pub dashed: bool,
    pub marker: Option<Marker>,
    pub intervals: Intervals,
    pub points: Vec<Point>,
}

/// Where a growing cost passes a flat one.
#[derive(Clone, Debug)]
pub struct CrossingMark {
    pub x: f64,
    pub y: f64,
    pub label: String,
    pub ink: Ink,
}

type Chart<'a, 's> = ChartContext<'a, SVGBackend<'s>, Cartesian2d<Coordinate, Coordinate>>;

impl Curve {
    /// Returns its name for the legend.
    pub fn key(&self) -> Key {
        Key {
            name: self.name.clone(),
            ink: self.ink,
            sample: Sample::Line {
                dashed: self.dashed,
                marker: self.marker,
                hollow: self.points.iter().all(|point| point.hollow),
            },
        }
    }
}

/// Draws axes, curves and crossings into an area.
///
/// # Errors
/// If the backend cannot draw.
pub fn draw(
    area: &Area<'_>,
    (across, up): (&Axis, &Axis),
    curves: &[Curve],
    crossings: &[CrossingMark],
) -> Result<()> {
    let mut chart = frame(area, across, up)?;
    for curve in curves
        .iter()
        .filter(|curve| curve.intervals == Intervals::Band)
    {
        draw_band(&mut chart, curve)?;
    }
    for crossing in crossings {
        draw_drop(area, &chart, crossing, up)?;
    }
    for curve in curves {
        draw_curve(area, &mut chart, curve)?;
    }
    for crossing in crossings {
        let ring = place(area, &chart, (crossing.x, crossing.y));
        area.draw(&Circle::new(ring, px(8), stroke(Ink::Text, 2.0)))?;
    }
    Ok(())
}

/// Draws the axes with their labels and marks.
fn frame<'a, 's>(area: &'a Area<'s>, across: &Axis, up: &Axis) -> Result<Chart<'a, 's>> {
    let style = text_style(LABEL, Ink::Muted, HPos::Left, VPos::Top);
    area.draw_text(&up.label, &style, (0, 0))?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(px(TOP))
        .margin_right(px(RIGHT))
        .set_label_area_size(LabelAreaPosition::Left, px(LEFT))
        .set_label_area_size(LabelAreaPosition::Bottom, px(BOTTOM))
        .build_cartesian_2d(across.coordinate(), up.coordinate())?;
    chart
        .configure_mesh()
        .bold_line_style(stroke(Ink::Grid, 1.0))
        .light_line_style(TRANSPARENT)
        .axis_style(stroke(Ink::Muted, 1.0))
        .x_label_formatter(&|value| mark(*value))
        .y_label_formatter(&|value| mark(*value))
        .label_style(text_style(LABEL, Ink::Text, HPos::Left, VPos::Top))
        .axis_desc_style(text_style(LABEL, Ink::Muted, HPos::Left, VPos::Top))
        .x_desc(&across.label)
        .draw()?;
    Ok(chart)
}

/// Returns the place of a value in an area.
fn place(area: &Area<'_>, chart: &Chart<'_, '_>, value: (f64, f64)) -> (i32, i32) {
    let (x, y) = chart.backend_coord(&value);
    let (left, top) = area.get_base_pixel();
    (x - left, y - top)
}

fn draw_band(chart: &mut Chart<'_, '_>, curve: &Curve) -> Result<()> {
    let lows = curve.points.iter().map(|point| (point.x, point.y.low));
    let highs = curve
        .points
        .iter()
        .rev()
        .map(|point| (point.x, point.y.high));
    let band = Polygon::new(
        lows.chain(highs).collect::<Vec<_>>(),
        curve.ink.colour().mix(BAND).filled(),
    );
    chart.draw_series([band])?;
    Ok(())
}

fn draw_curve(area: &Area<'_>, chart: &mut Chart<'_, '_>, curve: &Curve) -> Result<()> {
    let places = curve
        .points
        .iter()
        .map(|point| place(area, chart, (point.x, point.y.median)));
    let places: Vec<(i32, i32)> = places.collect();
    draw_line(area, places.clone(), curve.ink, curve.dashed)?;
    if curve.intervals == Intervals::Bars {
        let bars = curve.points.iter().map(|point| {
            let Estimate { low, median, high } = point.y;
            let style = stroke(curve.ink, 1.5).filled();
            ErrorBar::new_vertical(point.x, low, median, high, style, px(7) as u32)
        });
        chart.draw_series(bars)?;
    }
    let Some(marker) = curve.marker else {
        return Ok(());
    };
    for (at, point) in places.into_iter().zip(&curve.points) {
        draw_marker(area, at, marker, curve.ink, point.hollow)?;
    }
    Ok(())
}

/// Draws a dashed line from a crossing to the horizontal axis, with its size beside it.
fn draw_drop(
    area: &Area<'_>,
    chart: &Chart<'_, '_>,
    crossing: &CrossingMark,
    up: &Axis,
) -> Result<()> {
    let from = place(area, chart, (crossing.x, crossing.y));
    let to = place(area, chart, (crossing.x, up.low));
    draw_line(area, vec![from, to], crossing.ink, true)?;
    let style = text_style(LABEL, Ink::Text, HPos::Left, VPos::Bottom);
    area.draw_text(&crossing.label, &style, (to.0 + px(6), to.1 - px(6)))?;
    Ok(())
}
