//! Rows over one axis: bars, points with their intervals, ticks.
//!
//! The rule: a row has its name in full, and its value in figures.

use anyhow::Result;
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::{Axis, Coordinate, mark};
use super::sheet::{Area, LABEL, Marker, draw_marker, px, stroke, text_style};
use super::theme::Ink;
use crate::bench_report::statistics::Estimate;

/// The room below the rows, for the marks and the label of the axis, in pixels.
pub const BOTTOM: u32 = 46;

/// What is drawn in a row.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// A bar from zero with its interval.
    Bar { ink: Ink, value: Estimate },
    /// A point with its interval.
    Point {
        ink: Ink,
        marker: Marker,
        hollow: bool,
        value: Estimate,
    },
    /// A thin line between two values.
    Link { ink: Ink, from: f64, to: f64 },
    /// A line across the row.
    Tick { ink: Ink, value: f64 },
}

/// A row: its name, what is drawn, and its values in figures.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub shapes: Vec<Shape>,
    pub figures: String,
}

/// Where the names are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Above what is drawn.
    Above,
    /// In a column of this width, in pixels.
    Left(u32),
}

impl Names {
    /// Returns the height of a row, in pixels.
    fn height(self) -> u32 {
        match self {
            Names::Above => 46,
            Names::Left(_) => 21,
        }
    }
}

/// Returns the height of a plot of so many rows, in pixels.
pub fn height(rows: usize, names: Names) -> u32 {
    names.height() * rows as u32 + BOTTOM
}

type Chart<'a, 's> = ChartContext<'a, SVGBackend<'s>, Cartesian2d<Coordinate, Coordinate>>;

/// Draws rows from top to bottom. `figures` is the room for their figures at the right, in pixels.
///
/// # Errors
/// If the backend cannot draw.
pub fn draw(area: &Area<'_>, axis: &Axis, names: Names, figures: u32, rows: &[Row]) -> Result<()> {
    let left = match names {
        Names::Above => 4,
        Names::Left(width) => width,
    };
    // Rows are counted from the top; the axis grows upwards.
    let up = Axis {
        label: String::new(),
        scale: super::axis::Scale::Linear,
        low: 0.0,
        high: rows.len() as f64,
        marks: Vec::new(),
    };
    let mut chart = ChartBuilder::on(area)
        .margin_right(px(figures))
        .set_label_area_size(LabelAreaPosition::Left, px(left))
        .set_label_area_size(LabelAreaPosition::Bottom, px(BOTTOM))
        .build_cartesian_2d(axis.coordinate(), up.coordinate())?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .bold_line_style(stroke(Ink::Grid, 1.0))
        .light_line_style(TRANSPARENT)
        .axis_style(stroke(Ink::Muted, 1.0))
        .x_label_formatter(&|value| mark(*value))
        .label_style(text_style(LABEL, Ink::Text, HPos::Left, VPos::Top))
        .axis_desc_style(text_style(LABEL, Ink::Muted, HPos::Left, VPos::Top))
        .x_desc(&axis.label)
        .draw()?;
    for (number, row) in rows.iter().enumerate() {
        let top = (rows.len() - number) as f64;
        draw_row(area, &mut chart, names, row, top)?;
    }
    Ok(())
}

fn draw_row(
    area: &Area<'_>,
    chart: &mut Chart<'_, '_>,
    names: Names,
    row: &Row,
    top: f64,
) -> Result<()> {
    // The upper end, the middle and the lower end of what is drawn.
    let (high, low) = match names {
        Names::Above => (top - 0.48, top - 0.94),
        Names::Left(_) => (top - 0.12, top - 0.88),
    };
    let middle = f64::midpoint(high, low);
    let (base_x, base_y) = area.get_base_pixel();
    let mut right = f64::MIN;
    for shape in &row.shapes {
        right = right.max(draw_shape(area, chart, shape, (high, middle, low))?);
    }
    let place = |chart: &Chart<'_, '_>, x: f64, y: f64| {
        let (x, y) = chart.backend_coord(&(x, y));
        (x - base_x, y - base_y)
    };
    let (x, y) = place(chart, right, middle);
    let style = text_style(LABEL, Ink::Text, HPos::Left, VPos::Center);
    area.draw_text(&row.figures, &style, (x + px(10), y))?;
    match names {
        Names::Above => {
            let (_, y) = place(chart, right, top - 0.25);
            area.draw_text(&row.name, &style, (px(4), y))?;
        }
        Names::Left(width) => {
            let style = text_style(LABEL, Ink::Text, HPos::Right, VPos::Center);
            area.draw_text(&row.name, &style, (px(width - 8), y))?;
        }
    }
    Ok(())
}

/// Draws a shape, and returns its largest value.
fn draw_shape(
    area: &Area<'_>,
    chart: &mut Chart<'_, '_>,
    shape: &Shape,
    (high, middle, low): (f64, f64, f64),
) -> Result<f64> {
    let interval = |chart: &mut Chart<'_, '_>, ink: Ink, value: &Estimate| -> Result<()> {
        let bar = ErrorBar::new_horizontal(
            middle,
            value.low,
            value.median,
            value.high,
            stroke(ink, 1.5).filled(),
            px(8) as u32,
        );
        // A value without an interval has no bar.
        if value.high > value.low {
            chart.draw_series([bar])?;
        }
        Ok(())
    };
    match shape {
        Shape::Bar { ink, value } => {
            let corners = [(0.0, high), (value.median, low)];
            chart.draw_series([Rectangle::new(corners, ink.colour().filled())])?;
            interval(chart, Ink::Text, value)?;
            Ok(value.high)
        }
        Shape::Point {
            ink,
            marker,
            hollow,
            value,
        } => {
            interval(chart, *ink, value)?;
            let (x, y) = chart.backend_coord(&(value.median, middle));
            let (left, top) = area.get_base_pixel();
            draw_marker(area, (x - left, y - top), *marker, *ink, *hollow)?;
            Ok(value.high)
        }
        Shape::Link { ink, from, to } => {
            let line = vec![(*from, middle), (*to, middle)];
            chart.draw_series([PathElement::new(line, stroke(*ink, 2.0))])?;
            Ok(from.max(*to))
        }
        Shape::Tick { ink, value } => {
            let line = vec![(*value, high), (*value, low)];
            chart.draw_series([PathElement::new(line, stroke(*ink, 2.0))])?;
            Ok(*value)
        }
    }
}
