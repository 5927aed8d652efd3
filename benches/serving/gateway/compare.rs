//! Compares the figures of the Envoys: what asking adds, and from how many policies on RBAC adds
//! more.

use super::figures::{ALL_CPU, BARE, CUSTOMS, ENVOY_CPU, FLOOR, NONE, P50};
use super::rbac::{Kind, SIZES};
use customs_test_support::bench_report::document::{count, number};
use customs_test_support::bench_report::findings::{Findings, Line, Picture};
use customs_test_support::bench_report::picture::Scale;
use customs_test_support::bench_report::picture::curves::{self, Axes, Curve};
use customs_test_support::bench_report::statistics::{
    Crossing, Estimate, crossing, differences, ratios,
};

/// The costs that are compared, and their wording.
const COSTS: [(&str, &str); 3] = [
    (P50, "added p50"),
    (ALL_CPU, "added CPU of Envoy and the server"),
    (ENVOY_CPU, "added CPU of Envoy alone"),
];

/// The numbers of policies at which the factor is reported.
const REPORTED: [usize; 2] = [1_000, 10_000];

/// Adds lines, facts and pictures.
pub(super) fn compare(findings: &mut Findings) {
    for (customs, words) in [(CUSTOMS, "customs"), (BARE, "customs without metadata")] {
        let rounds = ratios(&added(findings, customs, P50), &added(findings, FLOOR, P50));
        let says = format!("added p50 of a request through Envoy: {words} / the floor");
        findings.lines.push(Line::new(&says, "times", 1.05, rounds));
    }
    for (cost, words) in COSTS {
        for setup in [FLOOR, CUSTOMS, BARE] {
            let estimate = Estimate::of(&added(findings, setup, cost))
                .map(in_words)
                .unwrap_or_default();
            findings.add_fact(format!("{words}, {setup}"), estimate);
        }
        for kind in Kind::ALL {
            add_crossing(findings, kind, (cost, words));
        }
    }
    findings.pictures.push(picture(
        findings,
        P50,
        "rbac-latency.svg",
        "Added p50 of a request",
    ));
    findings.pictures.push(picture(
        findings,
        ALL_CPU,
        "rbac-cpu.svg",
        "Added CPU of a request, Envoy and the server",
    ));
}

/// Returns, round by round, how much a setup costs more than no filter.
fn added(findings: &Findings, setup: &str, cost: &str) -> Vec<f64> {
    differences(findings.rounds(setup, cost), findings.rounds(NONE, cost))
}

/// Returns the medians, by size.
fn added_by_size(findings: &Findings, kind: Kind, cost: &str) -> Vec<(f64, f64)> {
    let median = |size: usize| Some(Estimate::of(&added(findings, &kind.name(size), cost))?.median);
    SIZES
        .into_iter()
        .filter_map(|size| Some((size as f64, median(size)?)))
        .collect()
}

fn add_crossing(findings: &mut Findings, kind: Kind, (cost, words): (&str, &str)) {
    let costs = added_by_size(findings, kind, cost);
    let Some(flat) = Estimate::of(&added(findings, CUSTOMS, cost)) else {
        return;
    };
    let from = match crossing(&costs, flat.median) {
        Some(Crossing::Before(size)) => format!("fewer than {} policies", count(size)),
        Some(Crossing::At(size)) => format!("about {} policies", count(size)),
        Some(Crossing::After(size)) => format!("more than {} policies", count(size)),
        None => return,
    };
    let factors = REPORTED.into_iter().filter_map(|size| {
        let (_, cost) = costs
            .iter()
            .find(|(measured, _)| *measured == size as f64)?;
        Some(format!(
            "; at {} RBAC adds {} times as much",
            count(size as f64),
            number(cost / flat.median)
        ))
    });
    let factors: String = factors.collect();
    findings.add_fact(
        format!("{words}: customs is cheaper than RBAC {} from", kind.what()),
        format!("{from}{factors}"),
    );
}

fn in_words(estimate: Estimate) -> String {
    let Estimate { low, median, high } = estimate;
    format!(
        "{} us ({} to {})",
        number(median),
        number(low),
        number(high)
    )
}

fn picture(findings: &Findings, cost: &str, file: &'static str, title: &str) -> Picture {
    let flat =
        |setup: &str| Estimate::of(&added(findings, setup, cost)).map_or(0.0, |it| it.median);
    let level = |name: &str, setup: &str| Curve {
        name: name.to_owned(),
        // It was measured once, whatever the size; a line needs two ends.
        points: [SIZES.first(), SIZES.last()]
            .into_iter()
            .flatten()
            .map(|size| (*size as f64, flat(setup)))
            .collect(),
        dashed: true,
    };
    let mut curves = vec![
        level("customs, 100,000 rules", CUSTOMS),
        level("the floor", FLOOR),
    ];
    curves.extend(Kind::ALL.map(|kind| Curve {
        name: format!("RBAC {}", kind.what()),
        points: added_by_size(findings, kind, cost),
        dashed: false,
    }));
    let axes = Axes {
        across: "policies of Envoy's RBAC",
        up: "us",
        scale: Scale::Logarithmic,
    };
    let svg = curves::draw(title, axes, &curves);
    Picture {
        file,
        shows: format!("{title}: customs, the floor, and RBAC over its number of policies"),
        svg,
    }
}
