//! What a run has measured: samples, the slope of memory after a warm-up, and the files of both.

use std::fmt::{self, Write};
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

/// The most samples of a run.
const MOST: u32 = 720;
/// The part of a run that warms up, at most five minutes of it.
const WARM_UP: u32 = 4;
const MAX_WARM_UP: Duration = Duration::from_secs(300);
/// How much memory may grow in a run, in parts of a hundred.
const GROWTH: f64 = 5.0;
/// What a short run may need besides, in KiB: caches and pools fill for some minutes.
const FILLING: f64 = 12.0 * 1024.0;
/// From what length on a run is not short.
const LONG: Duration = Duration::from_secs(1800);

#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) memory_kib: u64,
    pub(super) descriptors: usize,
    pub(super) checks: u64,
    pub(super) wrong: u64,
    pub(super) reloads: u64,
    pub(super) rotations: u64,
    pub(super) hostile: u64,
}

pub(super) struct Samples {
    length: Duration,
    all: Vec<Sample>,
}

impl Samples {
    pub(super) fn for_a_run_of(length: Duration) -> Samples {
        Samples {
            length,
            all: Vec::new(),
        }
    }

    /// Returns the time between two samples.
    pub(super) fn pause(&self) -> Duration {
        (self.length / MOST).max(Duration::from_millis(250))
    }

    pub(super) fn add(&mut self, sample: Sample) {
        self.all.push(sample);
    }

    fn warm(&self) -> &[Sample] {
        let begin = (self.length / WARM_UP).min(MAX_WARM_UP);
        let cold = self.all.iter().take_while(|sample| sample.at < begin);
        &self.all[cold.count()..]
    }

    pub(super) fn summary(&self) -> Summary {
        let (warm, last) = (self.warm(), self.all.last().expect("a sample"));
        let memory: Vec<_> = warm
            .iter()
            .map(|sample| (sample.at.as_secs_f64(), sample.memory_kib as f64))
            .collect();
        let descriptors: Vec<_> = warm
            .iter()
            .map(|sample| (sample.at.as_secs_f64(), sample.descriptors as f64))
            .collect();
        let span = last
            .at
            .saturating_sub(warm.first().map_or(last.at, |first| first.at));
        Summary {
            length: last.at,
            span,
            checks: last.checks,
            wrong: last.wrong,
            reloads: last.reloads,
            rotations: last.rotations,
            hostile: last.hostile,
            memory_kib: mean(&memory),
            memory_slope: slope(&memory),
            descriptors: mean(&descriptors),
            descriptors_slope: slope(&descriptors),
        }
    }

    /// Writes the samples and their summary, and returns where.
    pub(super) fn write(&self, directory: &Path) -> String {
        let mut csv =
            String::from("seconds,memory_kib,descriptors,checks,wrong,reloads,rotations,hostile\n");
        for sample in &self.all {
            let Sample {
                at,
                memory_kib,
                descriptors,
                checks,
                wrong,
                reloads,
                rotations,
                hostile,
            } = sample;
            let at = at.as_secs_f64();
            let _ = writeln!(
                csv,
                "{at:.2},{memory_kib},{descriptors},{checks},{wrong},{reloads},{rotations},{hostile}"
            );
        }
        let (table, summary) = (directory.join("soak.csv"), directory.join("soak.json"));
        fs::write(&table, csv).unwrap();
        fs::write(&summary, format!("{:#}\n", self.summary().to_json())).unwrap();
        format!("{} and {}", table.display(), summary.display())
    }
}

/// A whole run. Slopes are a second, after the warm-up.
#[derive(Debug)]
pub(super) struct Summary {
    length: Duration,
    span: Duration,
    pub(super) checks: u64,
    pub(super) wrong: u64,
    pub(super) reloads: u64,
    pub(super) rotations: u64,
    hostile: u64,
    memory_kib: f64,
    memory_slope: f64,
    descriptors: f64,
    descriptors_slope: f64,
}

impl Summary {
    /// Returns whether neither memory nor descriptors grow.
    pub(super) fn is_flat(&self) -> bool {
        let span = self.span.as_secs_f64();
        let filling = if self.length < LONG { FILLING } else { 0.0 };
        self.memory_slope * span <= self.memory_kib * GROWTH / 100.0 + filling
            && self.descriptors_slope * span <= 8.0
    }

    fn to_json(&self) -> serde_json::Value {
        json!({
            "seconds": self.length.as_secs_f64(),
            "measured_seconds": self.span.as_secs_f64(),
            "checks": self.checks,
            "wrong": self.wrong,
            "reloads": self.reloads,
            "rotations": self.rotations,
            "hostile": self.hostile,
            "memory_kib": self.memory_kib,
            "memory_mib_an_hour": self.memory_slope * 3600.0 / 1024.0,
            "descriptors": self.descriptors,
            "descriptors_an_hour": self.descriptors_slope * 3600.0,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_json())
    }
}

fn mean(points: &[(f64, f64)]) -> f64 {
    points.iter().map(|(_, y)| y).sum::<f64>() / points.len().max(1) as f64
}

/// Returns the slope of the line that is nearest to the points, in squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let x_mean = points.iter().map(|(x, _)| x).sum::<f64>() / points.len().max(1) as f64;
    let y_mean = mean(points);
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in points {
        above += (x - x_mean) * (y - y_mean);
        below += (x - x_mean).powi(2);
    }
    if below == 0.0 { 0.0 } else { above / below }
}

#[test]
fn a_line_has_its_slope() {
    let line: Vec<_> = (0..10)
        .map(|x| (f64::from(x), 3.0 * f64::from(x) + 7.0))
        .collect();
    assert!((slope(&line) - 3.0).abs() < 1e-9 && (mean(&line) - 20.5).abs() < 1e-9);
    assert_eq!(slope(&line[..1]), 0.0);
}
