//! The plots of a run of the serving benchmark: ratios, CPU, latency, and what asking adds to a
//! request through Envoy beside Envoy's own RBAC.
//!
//! The rule: a part that was not measured has no plot.

use anyhow::Result;

use super::Plot;
use super::axis::{Axis, Scale};
use super::curves::{self, CrossingMark, Curve, Intervals, Point};
use super::rows::{self, Names, Row, Shape};
use super::sheet::{Key, Marker, Sample, Sheet};
use super::theme::Ink;
use crate::bench_report::document::{PartPlot, count, number};
use crate::bench_report::findings::{Findings, Line};
use crate::bench_report::gateway::{
    ALL_CPU, CUSTOMS, FLOOR, P50, RBAC_SIZES, RbacKind, added, added_by_size, crossing_with_customs,
};
use crate::bench_report::serving_run::ServingRun;
use crate::bench_report::statistics::{Crossing, ENOUGH_ROUNDS, Estimate};

/// The data.
pub const DATA: &str = "serving.json";

const FEW: &str = "customs, 10 rules, audit off";
const MANY: &str = "customs, 100,000 rules, audit off";
const MANY_TO_FILE: &str = "customs, 100,000 rules, audit to file";
const TONIC: &str = "tonic with prost";
/// Connections and checks in flight on each, which the plot of the CPU time shows.
const SHAPE: &str = "4x64";

const RATES: [u64; 3] = [1_000, 5_000, 10_000];
const USUAL_RATE: u64 = 5_000;

/// Draws every part that was measured.
///
/// # Errors
/// If the backend cannot draw.
pub fn draw(run: &ServingRun) -> Result<Vec<Plot>> {
    let mut plots = vec![ratios(run)?];
    if let Some(part) = run.part("cpu") {
        plots.extend(cpu(run, part)?);
    }
    if let Some(part) = run.part("latency") {
        plots.extend(latency(run, part)?);
    }
    if let Some(part) = run.part("envoy") {
        for (cost, file, words) in [
            (P50, "rbac-latency.svg", "to the p50 of a request"),
            (ALL_CPU, "rbac-cpu.svg", "of CPU to a request"),
        ] {
            plots.extend(rbac(run, part, cost, file, words)?);
        }
    }
    Ok(plots)
}

/// Returns which plot belongs to which part of the tables.
pub fn beside_tables(plots: &[Plot]) -> Vec<PartPlot> {
    const PARTS: [(&str, &str); 4] = [
        ("cpu", "cpu.svg"),
        ("latency", "latency.svg"),
        ("envoy", "rbac-latency.svg"),
        ("envoy", "rbac-cpu.svg"),
    ];
    let of_part = |(part, file)| {
        let plot = plots.iter().find(|plot| plot.file == file)?;
        Some(PartPlot {
            part,
            file,
            shows: plot.shows.clone(),
        })
    };
    PARTS.into_iter().filter_map(of_part).collect()
}

/// Says what a mark and its interval are, and where the values come from.
fn notes(run: &ServingRun, what: &str) -> Vec<String> {
    let rounds = run.sizes.rounds;
    let interval = if rounds >= ENOUGH_ROUNDS {
        "95 % interval of the median"
    } else {
        "smallest and largest round"
    };
    vec![
        format!("{what}: median of {rounds} rounds. Whiskers: {interval}."),
        format!("{}. Data: {}/{DATA}.", run.machine.short(), super::FOLDER),
    ]
}

fn in_words(estimate: Estimate) -> String {
    let Estimate { low, median, high } = estimate;
    format!("{} ({} to {})", number(median), number(low), number(high))
}

/// The lines that were drawn beforehand, of those that are ratios.
fn ratios(run: &ServingRun) -> Result<Plot> {
    let lines: Vec<&Line> = run
        .parts
        .iter()
        .flat_map(|part| &part.lines)
        .filter(|line| line.unit == "times" && line.estimate.is_some())
        .collect();
    let met = lines.iter().filter(|line| line.met).count();
    let title = format!(
        "customs meets {met} of the {} ratios that were set before the benchmark",
        lines.len()
    );
    let row = |line: &&Line| {
        let value = line.estimate?;
        let figures = format!(
            "{}, bound {}: {}",
            in_words(value),
            number(line.bound),
            if line.met { "met" } else { "not met" }
        );
        Some(Row {
            name: line.says.clone(),
            shapes: vec![
                Shape::Tick {
                    ink: Ink::Red,
                    value: line.bound,
                },
                Shape::Point {
                    ink: Ink::Customs,
                    marker: Marker::Circle,
                    hollow: !line.met,
                    value,
                },
            ],
            figures,
        })
    };
    let rows: Vec<Row> = lines.iter().filter_map(row).collect();
    let largest = lines
        .iter()
        .filter_map(|line| Some(line.estimate?.high.max(line.bound)))
        .fold(1.0, f64::max);
    let point = |hollow| Sample::Point {
        marker: Marker::Circle,
        hollow,
    };
    let key = |name: &str, ink, sample| Key {
        name: name.to_owned(),
        ink,
        sample,
    };
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "Each ratio compares figures of one round; less is better. A ratio is met if the lower end of its interval is \
                   at or below its bound."
            .to_owned(),
        legend: vec![
            key("met", Ink::Customs, point(false)),
            key("not met", Ink::Customs, point(true)),
            key("bound", Ink::Red, Sample::Tick),
        ],
        notes: notes(run, "Point"),
        description: rows
            .iter()
            .map(|row| format!("{}: {}", row.name, row.figures))
            .collect(),
        height: rows::height(rows.len(), Names::Above),
    };
    let axis = Axis::from_zero("times", largest);
    let svg = sheet.draw(|area| rows::draw(area, &axis, Names::Above, 270, &rows))?;
    Ok(Plot {
        file: "ratios.svg",
        shows: title,
        svg,
    })
}

fn cpu(run: &ServingRun, part: &Findings) -> Result<Option<Plot>> {
    let estimates = part
        .subjects()
        .into_iter()
        .filter_map(|name| Some((name, part.estimate(name, SHAPE)?)));
    let mut estimates: Vec<(&str, Estimate)> = estimates.collect();
    estimates.sort_by(|one, other| one.1.median.total_cmp(&other.1.median));
    let [Some(few), Some(many)] = [FEW, MANY].map(|name| part.estimate(name, SHAPE)) else {
        return Ok(None);
    };
    let title = format!(
        "A check costs customs {} µs of CPU with 10 rules and {} µs with 100,000",
        number(few.median),
        number(many.median)
    );
    let row = |(name, value): &(&str, Estimate)| Row {
        name: (*name).to_owned(),
        shapes: vec![Shape::Bar {
            ink: Ink::of_server(name),
            value: *value,
        }],
        figures: number(value.median),
    };
    let rows: Vec<Row> = estimates.iter().map(row).collect();
    let largest = estimates.iter().map(|(_, value)| value.high);
    let axis = Axis::from_zero("CPU time of a check, µs", largest.fold(1.0, f64::max));
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "CPU time of all threads of a server for a check, over 4 connections with 64 checks in flight on each. The \
                   servers that are not customs allow every check without looking at it."
            .to_owned(),
        notes: notes(run, "Bar"),
        description: estimates
            .iter()
            .map(|(name, value)| format!("{name}: {} µs", in_words(*value)))
            .collect(),
        height: rows::height(rows.len(), Names::Above),
        ..Sheet::default()
    };
    let svg = sheet.draw(|area| rows::draw(area, &axis, Names::Above, 50, &rows))?;
    Ok(Some(Plot {
        file: "cpu.svg",
        shows: title,
        svg,
    }))
}

/// Returns the name of a percentile at a rate, as the tables have it.
fn at_rate(percentile: &str, rate: u64) -> String {
    format!("{percentile} at {}/s", count(rate as f64))
}

fn latency(run: &ServingRun, part: &Findings) -> Result<Option<Plot>> {
    let says = format!("p99 at {}/s", count(USUAL_RATE as f64));
    let line = part
        .lines
        .iter()
        .find(|line| line.says.starts_with(&says))
        .and_then(|line| line.estimate);
    let Some(ratio) = line else {
        return Ok(None);
    };
    let seen = if (ratio.low..=ratio.high).contains(&1.0) {
        ": no difference is seen"
    } else {
        ""
    };
    let title = format!(
        "p99 at {}/s is {} times that of an always-allow server{seen}",
        count(USUAL_RATE as f64),
        in_words(ratio)
    );
    let mut curves = Vec::new();
    for percentile in ["p99", "p50"] {
        for (place, subject) in part.subjects().into_iter().enumerate() {
            curves.push(latency_curve(part, subject, percentile, place));
        }
    }
    let largest = curves
        .iter()
        .flat_map(|curve| &curve.points)
        .map(|point| point.y.high)
        .fold(1.0, f64::max);
    let across = Axis::with_marks(
        "checks a second",
        Scale::Logarithmic,
        RATES.iter().map(|rate| *rate as f64).collect(),
    );
    let up = Axis::from_zero("time until the answer, µs", largest);
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "How long a client waits for an answer at steady rates, over 10 connections. customs has 100,000 rules and \
                   records each check in a file."
            .to_owned(),
        legend: curves.iter().map(Curve::key).collect(),
        notes: notes(run, "Point"),
        description: curves.iter().map(|curve| describe(curve, "checks a second")).collect(),
        height: 360,
    };
    let svg = sheet.draw(|area| curves::draw(area, (&across, &up), &curves, &[]))?;
    Ok(Some(Plot {
        file: "latency.svg",
        shows: title,
        svg,
    }))
}

fn latency_curve(part: &Findings, subject: &str, percentile: &str, place: usize) -> Curve {
    // Side by side, so that the intervals of two servers do not cover each other.
    let beside = 1.0 + 0.05 * place as f64;
    let is_median = percentile == "p50";
    let server = match subject {
        MANY_TO_FILE => "customs",
        subject => subject,
    };
    let points = RATES.iter().filter_map(|rate| {
        Some(Point {
            x: *rate as f64 * beside,
            y: part.estimate(subject, &at_rate(percentile, *rate))?,
            hollow: is_median,
        })
    });
    Curve {
        name: format!("{percentile}, {server}"),
        ink: Ink::of_server(subject),
        dashed: is_median,
        marker: Some(if subject == TONIC {
            Marker::Square
        } else {
            Marker::Circle
        }),
        intervals: Intervals::Bars,
        points: points.collect(),
    }
}

/// Says the values of a curve.
pub fn describe(curve: &Curve, sizes: &str) -> String {
    let values = curve.points.iter().map(|point| {
        format!(
            "{} at {}",
            in_words(point.y),
            super::axis::mark(point.x.round())
        )
    });
    let values: Vec<String> = values.collect();
    format!("{}, by {sizes}: {}", curve.name, values.join("; "))
}

fn rbac(
    run: &ServingRun,
    part: &Findings,
    cost: &str,
    file: &'static str,
    words: &str,
) -> Result<Option<Plot>> {
    let [customs, floor] = [CUSTOMS, FLOOR].map(|setup| Estimate::of(&added(part, setup, cost)));
    let (Some(customs), Some(floor)) = (customs, floor) else {
        return Ok(None);
    };
    let mut curves = vec![
        level("asking customs, 100,000 rules", Ink::Customs, customs),
        level("asking an always-allow server", Ink::TonicProst, floor),
    ];
    let mut crossings = Vec::new();
    let mut sizes = Vec::new();
    for kind in RbacKind::ALL {
        let ink = match kind {
            RbacKind::AnyHost => Ink::RbacByNamespace,
            RbacKind::DistinctHosts => Ink::RbacByHost,
        };
        curves.push(rbac_curve(part, kind, ink, cost));
        if let Some(Crossing::At(size)) = crossing_with_customs(part, kind, cost) {
            let policies = count(size);
            crossings.push(CrossingMark {
                x: size,
                y: customs.median,
                label: format!("{policies} policies"),
                ink,
            });
            sizes.push(format!("{policies} policies {}", kind.what()));
        }
    }
    let title = format!(
        "Asking customs with 100,000 rules adds {} µs {words}; Envoy's RBAC adds more from {}",
        number(customs.median),
        sizes.join(" and from ")
    );
    let values = || {
        let points = curves.iter().flat_map(|curve| &curve.points);
        points.map(|point| point.y)
    };
    let smallest = values().map(|it| it.low).filter(|low| *low > 0.0);
    let up = Axis::powers(
        "added by the filter, µs",
        smallest.fold(f64::MAX, f64::min),
        values().map(|it| it.high).fold(1.0, f64::max),
    );
    let across = Axis::with_marks(
        "policies of Envoy's RBAC",
        Scale::Logarithmic,
        RBAC_SIZES.iter().map(|size| *size as f64).collect(),
    );
    let mut notes = notes(run, "Point and level line");
    notes.insert(
        1,
        "Bands: the same interval of a level line. Rings: where Envoy's RBAC begins to add more than asking customs, on a \
         straight line between two sizes."
            .to_owned(),
    );
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "What a filter adds to a request through Envoy, compared with no filter in the same round. Level lines do \
                   not depend on the horizontal axis. Both axes are logarithmic."
            .to_owned(),
        legend: curves.iter().map(Curve::key).collect(),
        notes,
        description: curves
            .iter()
            .map(|curve| describe(curve, "policies"))
            .collect(),
        height: 400,
    };
    let svg = sheet.draw(|area| curves::draw(area, (&across, &up), &curves, &crossings))?;
    Ok(Some(Plot {
        file,
        shows: title,
        svg,
    }))
}

/// A cost that was measured once, whatever the size.
fn level(name: &str, ink: Ink, value: Estimate) -> Curve {
    const ROOM: f64 = 1.25;
    let [first, .., last] = RBAC_SIZES.map(|size| size as f64);
    let points = [first / ROOM, last * ROOM].map(|x| Point {
        x,
        y: value,
        hollow: false,
    });
    Curve {
        name: name.to_owned(),
        ink,
        dashed: ink != Ink::Customs,
        marker: None,
        intervals: Intervals::Band,
        points: points.to_vec(),
    }
}

fn rbac_curve(part: &Findings, kind: RbacKind, ink: Ink, cost: &str) -> Curve {
    let sizes = added_by_size(part, kind, cost);
    // A cost that is lost in the noise has no place on a logarithmic axis.
    let points = sizes.into_iter().filter(|(_, y)| y.low > 0.0);
    Curve {
        name: format!("Envoy's RBAC {}", kind.what()),
        ink,
        dashed: false,
        marker: Some(match kind {
            RbacKind::AnyHost => Marker::Square,
            RbacKind::DistinctHosts => Marker::Triangle,
        }),
        intervals: Intervals::Bars,
        points: points
            .map(|(x, y)| Point {
                x,
                y,
                hollow: false,
            })
            .collect(),
    }
}
