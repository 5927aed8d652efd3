//! The simulated fleet: how long checks wait by the load, and how a change reaches every replica.
//!
//! The waits are read from the runs that were kept, since simulating them takes minutes; the way of
//! a change is simulated when it is drawn.

use anyhow::Result;

use super::Plot;
use super::axis::{Axis, Scale};
use super::curves::{self, Curve, Intervals, Point};
use super::serving::describe;
use super::sheet::{Marker, Sheet};
use super::theme::Ink;
use crate::bench_report::document::number;
use crate::bench_report::statistics::Estimate;
use crate::fleet::distribution::{Way, share_at};
use crate::fleet::queues::{Fault, LoadBalancing};
use crate::fleet::report::{CHANGES, FleetRuns, SCENARIOS, changes, last_replica, name_of};

/// The data.
pub const DATA: &str = "fleet.json";

/// The load in percent that the title names.
const NAMED_LOAD: u32 = 50;

/// Draws p99 over the load, for each fault.
///
/// # Errors
/// If the backend cannot draw.
pub fn waits(runs: &FleetRuns) -> Result<Plot> {
    let curves: Vec<Curve> = SCENARIOS
        .iter()
        .map(|scenario| waits_curve(runs, *scenario))
        .collect();
    let at = |fault| {
        let cell = runs.cell(&name_of((LoadBalancing::LeastRequest, fault)), NAMED_LOAD);
        cell.and_then(|cell| Some(number(cell.p99()?.median / 1000.0)))
            .unwrap_or_default()
    };
    let title = format!(
        "A slow replica is worse than a lost zone: at {NAMED_LOAD} % load p99 is {} ms and {} ms, and {} ms if all is well",
        at(Fault::SlowReplica),
        at(Fault::ZoneLost),
        at(Fault::None)
    );
    let values = || {
        let points = curves.iter().flat_map(|curve| &curve.points);
        points.map(|point| point.y)
    };
    let up = Axis::powers(
        "p99 from the arrival at the replica to the answer, µs",
        values().map(|it| it.low).fold(f64::MAX, f64::min),
        values().map(|it| it.high).fold(1.0, f64::max),
    );
    let loads = runs.loads().into_iter().map(f64::from).collect();
    let across = Axis::with_marks(
        "load, % of what all replicas can answer",
        Scale::Linear,
        loads,
    );
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "Simulated: 212 workers of Envoy, 12 replicas of 4 threads, 20 µs a check. The vertical axis is logarithmic."
            .to_owned(),
        legend: curves.iter().map(Curve::key).collect(),
        notes: vec![
            format!(
                "Point: median of {} runs with different seeds. Whiskers: 95 % interval of the median. Hollow: some checks \
                 are refused.",
                runs.seeds
            ),
            format!("Data: {}/{DATA}.", super::FOLDER),
        ],
        description: curves
            .iter()
            .map(|curve| describe(curve, "% of load"))
            .collect(),
        height: 400,
    };
    let svg = sheet.draw(|area| curves::draw(area, (&across, &up), &curves, &[]))?;
    Ok(Plot {
        file: "fleet-waits.svg",
        shows: title,
        svg,
    })
}

fn waits_curve(runs: &FleetRuns, (balancing, fault): (LoadBalancing, Fault)) -> Curve {
    let name = name_of((balancing, fault));
    let points = runs.loads().into_iter().filter_map(|load| {
        let cell = runs.cell(&name, load)?;
        Some(Point {
            x: f64::from(load),
            y: cell.p99()?,
            hollow: cell.refused() > 0.0,
        })
    });
    let (ink, marker) = match fault {
        Fault::None => (Ink::Green, Marker::Circle),
        Fault::ZoneLost => (Ink::Brown, Marker::Triangle),
        Fault::SlowReplica => (Ink::Red, Marker::Square),
    };
    Curve {
        points: points.collect(),
        ink,
        dashed: balancing == LoadBalancing::RoundRobin,
        marker: Some(marker),
        intervals: Intervals::Bars,
        name,
    }
}

/// The moments that are drawn, in seconds after the change: as many to each factor of ten.
fn moments() -> Vec<f64> {
    const TO_TEN: u32 = 24;
    const LAST: u32 = TO_TEN * 9 / 4;
    (0..=LAST)
        .map(|step| 10.0_f64.powf(f64::from(step) / f64::from(TO_TEN)))
        .collect()
}

/// Draws which part of the replicas has a change, for each way of it.
///
/// # Errors
/// If the backend cannot draw.
pub fn distribution() -> Result<Plot> {
    let curves = Way::ALL.map(way_curve);
    let [annotated, git_sync, config_map, image] =
        Way::ALL.map(|way| format!("{:.0}", last_replica(&changes(way))));
    let title = format!(
        "A change is in force on every replica after {annotated} s with annotated pods, {git_sync} s with git-sync, \
         {config_map} s with a ConfigMap, {image} s with an image volume"
    );
    let across = Axis {
        label: "seconds after the change".to_owned(),
        scale: Scale::Logarithmic,
        low: 1.0,
        high: 180.0,
        marks: vec![1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0],
    };
    let up = Axis::from_zero("replicas that have the change in force, %", 100.0);
    let sheet = Sheet {
        title: title.clone(),
        subtitle: "Simulated: 12 replicas; the delays of the kubelet, of git-sync and of a rollout are those of their \
                   documentation. The horizontal axis is logarithmic."
            .to_owned(),
        legend: curves.iter().map(Curve::key).collect(),
        notes: vec![format!(
            "Line: mean of {CHANGES} changes. Bands: nine in ten of the changes. Data: computed from a seed when it is drawn."
        )],
        description: Way::ALL
            .iter()
            .map(|way| {
                let last = last_replica(&changes(*way));
                format!("{}: all replicas after {} s (median)", way.name(), number(last))
            })
            .collect(),
        height: 360,
    };
    let svg = sheet.draw(|area| curves::draw(area, (&across, &up), &curves, &[]))?;
    Ok(Plot {
        file: "fleet-distribution.svg",
        shows: title,
        svg,
    })
}

fn way_curve(way: Way) -> Curve {
    let changes = changes(way);
    let point = |second: f64| {
        let mut shares: Vec<f64> = changes
            .iter()
            .map(|at| share_at(at, second) * 100.0)
            .collect();
        shares.sort_by(f64::total_cmp);
        let at = |part: f64| shares[((shares.len() - 1) as f64 * part).round() as usize];
        Point {
            x: second,
            y: Estimate {
                low: at(0.05),
                median: shares.iter().sum::<f64>() / shares.len() as f64,
                high: at(0.95),
            },
            hollow: false,
        }
    };
    let (ink, dashed) = match way {
        Way::ConfigMapAnnotated => (Ink::Green, false),
        Way::GitSync => (Ink::Slate, true),
        Way::ConfigMap => (Ink::Brown, false),
        Way::ImageVolume => (Ink::Red, true),
    };
    Curve {
        name: way.name().to_owned(),
        ink,
        dashed,
        marker: None,
        intervals: Intervals::Band,
        points: moments().into_iter().map(point).collect(),
    }
}
