//! Times by the number of rules: what comparing two sets costs, and what a proof costs.

use anyhow::{Context, Result};

use super::Plot;
use super::axis::{Axis, Scale};
use super::curves::{self, Curve, Intervals, Point};
use super::serving::describe;
use super::sheet::{Marker, Sheet};
use super::theme::Ink;
use crate::bench_report::document::count;
use crate::bench_report::scaling::{ScalingRun, time};
use crate::bench_report::statistics::{ENOUGH_ROUNDS, Estimate};

/// A plot: its data, its file, and what its title says.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    pub data: &'static str,
    pub file: &'static str,
    /// Says the finding; `None` if the run does not have what the title names.
    title: fn(&ScalingRun) -> Option<String>,
}

/// The plots.
pub const SUBJECTS: [Subject; 2] = [
    Subject {
        data: "diff.json",
        file: "diff.svg",
        title: title_of_diff,
    },
    Subject {
        data: "prove.json",
        file: "prove.svg",
        title: title_of_proofs,
    },
];

const LOOKS: [(Ink, Marker, bool); 5] = [
    (Ink::Slate, Marker::Circle, true),
    (Ink::Green, Marker::Square, false),
    (Ink::Brown, Marker::Triangle, false),
    (Ink::Olive, Marker::Diamond, true),
    (Ink::Red, Marker::Circle, false),
];

/// Draws a run.
///
/// # Errors
/// If the backend cannot draw.
pub fn draw(subject: Subject, run: &ScalingRun) -> Result<Plot> {
    let curves: Vec<Curve> = run
        .subjects()
        .into_iter()
        .zip(LOOKS.iter().cycle())
        .map(|(name, (ink, marker, dashed))| Curve {
            name: name.replace('`', ""),
            ink: *ink,
            dashed: *dashed,
            marker: Some(*marker),
            intervals: Intervals::Bars,
            points: points(&run.times(name)),
        })
        .collect();
    let title = (subject.title)(run).context("the run has no row that the title names")?;
    let values = || {
        let points = curves.iter().flat_map(|curve| &curve.points);
        points.map(|point| point.y)
    };
    let up = Axis::powers(
        "time, ms",
        values().map(|it| it.low).fold(f64::MAX, f64::min),
        values().map(|it| it.high).fold(f64::MIN_POSITIVE, f64::max),
    );
    let mut sizes: Vec<f64> = run.rows.iter().map(|row| row.rules as f64).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let across = Axis::with_marks("rules in the set", Scale::Logarithmic, sizes);
    let interval = match run.rounds() {
        rounds if rounds >= ENOUGH_ROUNDS => {
            format!("Point: median of {rounds} rounds. Whiskers: 95 % interval of the median.")
        }
        0 | 1 => "Point: one value. The rounds were not kept, so there is no interval.".to_owned(),
        rounds => {
            format!("Point: median of {rounds} rounds. Whiskers: smallest and largest round.")
        }
    };
    let sheet = Sheet {
        title: title.clone(),
        subtitle: format!("{} Both axes are logarithmic.", run.how.replace('`', "")),
        legend: curves.iter().map(Curve::key).collect(),
        notes: vec![
            interval,
            format!("{} Data: {}/{}.", run.measured, super::FOLDER, subject.data),
        ],
        description: curves
            .iter()
            .map(|curve| format!("{}, in ms", describe(curve, "rules")))
            .collect(),
        height: 360,
    };
    let svg = sheet.draw(|area| curves::draw(area, (&across, &up), &curves, &[]))?;
    Ok(Plot {
        file: subject.file,
        shows: title,
        svg,
    })
}

fn points(times: &[(usize, Estimate)]) -> Vec<Point> {
    let in_milliseconds = |it: Estimate| Estimate {
        low: it.low * 1000.0,
        median: it.median * 1000.0,
        high: it.high * 1000.0,
    };
    let point = |(rules, it): &(usize, Estimate)| Point {
        x: *rules as f64,
        y: in_milliseconds(*it),
        hollow: false,
    };
    times.iter().map(point).collect()
}

fn in_words(estimate: Estimate) -> String {
    time(Estimate::exact(estimate.median))
}

fn title_of_diff(run: &ScalingRun) -> Option<String> {
    let at_most = |change: &str| run.times(change).last().copied();
    let (rules, one) = at_most("one rule")?;
    let (_, everybody) = at_most("a deny for everybody")?;
    Some(format!(
        "Comparing two sets of {} rules takes {} for a change of one rule and {} for a deny for everybody",
        count(rules as f64),
        in_words(one),
        in_words(everybody)
    ))
}

fn title_of_proofs(run: &ScalingRun) -> Option<String> {
    let all = run.times("all");
    let ((few, quick), (many, slow)) = (*all.first()?, *all.last()?);
    Some(format!(
        "Proving four guards takes {} over {} rules and {} over {}",
        in_words(quick),
        count(few as f64),
        in_words(slow),
        count(many as f64)
    ))
}
