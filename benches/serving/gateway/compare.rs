//! Compares the figures of the Envoys: what asking adds, and from how many policies on RBAC adds
//! more.

use customs_test_support::bench_report::document::{count, number};
use customs_test_support::bench_report::findings::{Findings, Line};
use customs_test_support::bench_report::gateway::{
    ALL_CPU, BARE, CUSTOMS, ENVOY_CPU, FLOOR, P50, RbacKind, added, added_by_size,
    crossing_with_customs,
};
use customs_test_support::bench_report::statistics::{Crossing, Estimate, ratios};

/// The costs that are compared, and their wording.
const COSTS: [(&str, &str); 3] = [
    (P50, "added p50"),
    (ALL_CPU, "added CPU of Envoy and the server"),
    (ENVOY_CPU, "added CPU of Envoy alone"),
];

/// The numbers of policies at which the factor is reported.
const REPORTED: [usize; 2] = [1_000, 10_000];

/// Adds lines and facts.
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
        for kind in RbacKind::ALL {
            add_crossing(findings, kind, (cost, words));
        }
    }
}

fn add_crossing(findings: &mut Findings, kind: RbacKind, (cost, words): (&str, &str)) {
    let costs = added_by_size(findings, kind, cost);
    let Some(flat) = Estimate::of(&added(findings, CUSTOMS, cost)) else {
        return;
    };
    let from = match crossing_with_customs(findings, kind, cost) {
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
            number(cost.median / flat.median)
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
        "{} µs ({} to {})",
        number(median),
        number(low),
        number(high)
    )
}
