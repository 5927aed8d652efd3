//! What the policies of a week open before and after `customs suggest`, namespace by namespace.
//!
//! The rule: every number is a count, so there are no intervals.

use anyhow::Result;

use super::Plot;
use super::axis::Axis;
use super::rows::{self, Names, Row, Shape};
use super::sheet::{Key, Marker, Sample, Sheet};
use super::theme::Ink;
use crate::bench_report::document::count;
use crate::bench_report::grants::{Grants, NamespaceGrants};
use crate::bench_report::statistics::Estimate;

/// The data.
pub const DATA: &str = "grants.json";

const BEFORE: (Ink, Marker) = (Ink::Brown, Marker::Square);
const AFTER: (Ink, Marker) = (Ink::Green, Marker::Circle);

/// Draws a comparison.
///
/// # Errors
/// If the backend cannot draw.
pub fn draw(found: &Grants) -> Result<Plot> {
    let sum = found.sum();
    let number = |number: usize| count(number as f64);
    let title = format!(
        "The suggested policies open {} pairs of an account and a host in place of {}; {} were used",
        number(sum.after),
        number(sum.before),
        number(sum.used)
    );
    let rows: Vec<Row> = found.namespaces.iter().map(row).collect();
    let largest = found
        .namespaces
        .iter()
        .map(|row| row.before.max(row.after).max(row.used));
    let axis = Axis::from_zero(
        "open pairs of an account and a host",
        largest.max().unwrap_or(1) as f64,
    );
    let point = |(_, marker): (Ink, Marker), hollow| Sample::Point { marker, hollow };
    let key = |name: &str, ink, sample| Key {
        name: name.to_owned(),
        ink,
        sample,
    };
    let sheet = Sheet {
        title: title.clone(),
        subtitle: format!(
            "Each row is a namespace; a pair is one of its accounts with one of the {} hosts that were reached in the week. \
             The figures are before, after and used.",
            number(found.hosts)
        ),
        legend: vec![
            key("open before", BEFORE.0, point(BEFORE, true)),
            key("open after customs suggest", AFTER.0, point(AFTER, false)),
            key("used in the week", Ink::Text, Sample::Tick),
        ],
        notes: vec![
            "Every value is a count, so it has no interval.".to_owned(),
            format!("{} Data: {}/{DATA}.", found.about, super::FOLDER),
        ],
        description: rows
            .iter()
            .map(|row| format!("{}: {}", row.name, row.figures))
            .collect(),
        height: rows::height(rows.len(), Names::Left(112)),
    };
    let svg = sheet.draw(|area| rows::draw(area, &axis, Names::Left(112), 150, &rows))?;
    Ok(Plot {
        file: "grants.svg",
        shows: title,
        svg,
    })
}

fn row(of: &NamespaceGrants) -> Row {
    let [before, after, used] = [of.before, of.after, of.used].map(|it| it as f64);
    let point = |(ink, marker): (Ink, Marker), value, hollow| Shape::Point {
        ink,
        marker,
        hollow,
        value: Estimate::exact(value),
    };
    Row {
        name: of.namespace.clone(),
        shapes: vec![
            Shape::Link {
                ink: Ink::Grid,
                from: before,
                to: after,
            },
            Shape::Tick {
                ink: Ink::Text,
                value: used,
            },
            point(BEFORE, before, true),
            point(AFTER, after, false),
        ],
        figures: [before, after, used].map(count).join(", "),
    }
}
