//! Values over time: one panel a value, one below the other, over the same minutes.
//!
//! The rule: each panel begins at zero, so that what is flat looks flat.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::{Axis, Scale, mark, round_step};
use super::sheet::{Area, LABEL, px, stroke, text_style};
use super::theme::Ink;

/// The height of a panel with its name, and of the marks below the last one, in pixels.
const PANEL: u32 = 112;
const BOTTOM: u32 = 46;
const NAME: u32 = 26;
const LEFT: u32 = 66;

/// A value over minutes, in ascending order of the minutes.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The name of the value, with its unit.
    pub name: String,
    pub ink: Ink,
    pub points: Vec<(f64, f64)>,
}

/// Returns the height of so many panels, in pixels.
pub fn height(panels: usize) -> u32 {
    PANEL * panels as u32 + BOTTOM
}

/// Draws all panels over these minutes.
///
/// # Errors
/// If the backend cannot draw.
pub fn draw(
    area: &Area<'_>,
    label: &str,
    (from, until): (f64, f64),
    panels: &[Panel],
) -> Result<()> {
    for (number, panel) in panels.iter().enumerate() {
        let is_last = number + 1 == panels.len();
        let room = if is_last { BOTTOM } else { 0 };
        let (width, _) = area.dim_in_pixel();
        let own = area.clone().shrink(
            (0, px(PANEL * number as u32)),
            (width as i32, px(PANEL + room)),
        );
        let style = text_style(LABEL, Ink::Text, HPos::Left, VPos::Top);
        own.draw_text(&panel.name, &style, (0, 0))?;
        let largest = panel.points.iter().map(|(_, value)| *value);
        let end = round_step(largest.fold(1.0, f64::max));
        let up = Axis {
            label: String::new(),
            scale: Scale::Linear,
            low: 0.0,
            high: end,
            marks: vec![0.0, end / 2.0, end],
        };
        let minutes = whole_minutes(from, until);
        let across = Axis {
            label: label.to_owned(),
            scale: Scale::Linear,
            low: from,
            high: until,
            marks: minutes,
        };
        let mut chart = ChartBuilder::on(&own)
            .margin_top(px(NAME))
            .margin_right(px(14))
            .margin_bottom(if is_last { 0 } else { px(8) })
            .set_label_area_size(LabelAreaPosition::Left, px(LEFT))
            .set_label_area_size(LabelAreaPosition::Bottom, px(room))
            .build_cartesian_2d(across.coordinate(), up.coordinate())?;
        let mut mesh = chart.configure_mesh();
        mesh.bold_line_style(stroke(Ink::Grid, 1.0))
            .light_line_style(TRANSPARENT)
            .axis_style(stroke(Ink::Muted, 1.0))
            .x_label_formatter(&|value| mark(*value))
            .y_label_formatter(&|value| mark(*value))
            .label_style(text_style(LABEL, Ink::Text, HPos::Left, VPos::Top))
            .axis_desc_style(text_style(LABEL, Ink::Muted, HPos::Left, VPos::Top));
        if is_last {
            mesh.x_desc(label);
        }
        mesh.draw()?;
        let line = LineSeries::new(panel.points.iter().copied(), stroke(panel.ink, 2.0));
        chart.draw_series(line)?;
    }
    Ok(())
}

fn whole_minutes(from: f64, until: f64) -> Vec<f64> {
    let first = from.ceil() as u32;
    let last = until.floor() as u32;
    (first..=last).map(f64::from).collect()
}
