//! The end of the mixed load: memory, descriptors, rate and wrong answers over minutes.
//!
//! Every sample of the table is drawn; there is one run, so there are no intervals.

use anyhow::Result;

use super::Plot;
use super::panels::{self, Panel};
use super::sheet::Sheet;
use super::theme::Ink;
use crate::bench_report::soak_table::{SoakRow, SoakTable};

/// The table of the last ten minutes of a run.
pub const DATA: &str = "soak.csv";

/// Draws a table as the mixed load writes it.
///
/// # Errors
/// If the table cannot be read.
pub fn draw(csv: &str) -> Result<Plot> {
    let table = SoakTable::parse(csv)?;
    let rows = table.rows();
    let (from, until) = table.minutes();
    let memory = |row: &SoakRow| row.memory_mib;
    let least = rows.iter().map(memory).fold(f64::MAX, f64::min);
    let most = rows.iter().map(memory).fold(0.0, f64::max);
    let wrong = rows.last().map_or(0.0, |row| row.wrong);
    let title = format!(
        "Under mixed load customs keeps its memory between {least:.1} and {most:.1} MiB, and {}",
        if wrong == 0.0 {
            "no answer is wrong or missing".to_owned()
        } else {
            format!("{wrong:.0} answers are wrong or missing")
        }
    );
    let panel = |name: &str, value: fn(&SoakRow) -> f64| Panel {
        name: name.to_owned(),
        ink: Ink::Customs,
        points: rows.iter().map(|row| (row.minute, value(row))).collect(),
    };
    let panels = [
        panel("resident memory, MiB", |row| row.memory_mib),
        panel("open descriptors", |row| row.descriptors),
        Panel {
            name: "checks a second".to_owned(),
            ink: Ink::Customs,
            points: table.rates(),
        },
        panel("checks wrong or unanswered since the beginning", |row| {
            row.wrong
        }),
    ];
    let sheet = Sheet {
        title: title.clone(),
        subtitle: format!(
            "Minutes {from:.0} to {until:.0} of a run with reloads, rotations and hostile clients."
        ),
        notes: vec![
            "One run, each of its samples: there is no interval. Each panel begins at zero."
                .to_owned(),
            format!("Data: {}/{DATA}.", super::FOLDER),
        ],
        description: panels.iter().map(describe).collect(),
        height: panels::height(panels.len()),
        ..Sheet::default()
    };
    let svg = sheet
        .draw(|area| panels::draw(area, "minutes since the beginning", (from, until), &panels))?;
    Ok(Plot {
        file: "soak.svg",
        shows: title,
        svg,
    })
}

fn describe(panel: &Panel) -> String {
    let values = panel.points.iter().map(|(_, value)| *value);
    let least = values.clone().fold(f64::MAX, f64::min);
    let most = values.fold(f64::MIN, f64::max);
    format!("{}: {least:.1} to {most:.1}", panel.name)
}
