//! The cost of a decision, and that it does not grow with the number of rules. Measures
//! canonicalising and deciding at 10, 1,000 and 100,000 rules of mixed kinds, for a request that a
//! rule names and for one that none does, next to the naive evaluator.
//!
//! `cargo bench --bench decide`; docs/explanation/benchmarks-serving.md has the figures of one machine. Compare figures
//! of one run only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use customs_engine::reference;
use customs_engine::request::{Attributes, HttpAttributes};
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::compile;
use customs_policy::source;
use customs_test_support::bench_policies::{self as set, Shape};

const NOW: UnixNanos = UnixNanos(1_795_392_000 * 1_000_000_000);
const SIZES: [usize; 3] = [10, 1_000, 100_000];

fn snapshot(rules: usize) -> Snapshot {
    let settings = Settings::default();
    let loaded = source::load(&set::source(Shape::Teams, rules), &settings);
    compile::compile(&[loaded], &settings)
        .expect("the set is good")
        .snapshot
}

/// Returns a caller and a host that a rule in the middle of the set names, and a caller and a host
/// that no rule names.
fn requests(rules: usize) -> [(&'static str, String, String); 2] {
    let index = rules / 2 / 10 * 10 + 2;
    let ten = index / 10;
    let team = ten % 1_000;
    [
        (
            "hit",
            format!("spiffe://cluster.local/ns/team-{team}/sa/app-{}", ten % 7),
            format!("H{index}.ok.example:443"),
        ),
        (
            "miss",
            "spiffe://cluster.local/ns/nobody/sa/none".into(),
            "www.elsewhere.example".into(),
        ),
    ]
}

fn decide(snapshot: &Snapshot, principal: &str, host: &str) -> bool {
    let http = HttpAttributes {
        method: "GET",
        path: "/v1/items?x=1",
        host,
        ..HttpAttributes::default()
    };
    let attributes = Attributes {
        source_principal: principal,
        http: Some(http),
        ..Attributes::default()
    };
    let request = attributes.normalise(snapshot.settings());
    snapshot.decide(&request, NOW).verdict.by_identity
}

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    for rules in SIZES {
        let snapshot = snapshot(rules);
        for (kind, principal, host) in &requests(rules) {
            group.bench_function(BenchmarkId::new(*kind, rules), |b| {
                b.iter(|| decide(&snapshot, black_box(principal), black_box(host)));
            });
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("naive");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500));
    for rules in SIZES {
        let snapshot = snapshot(rules);
        let settings = Settings::default();
        for (kind, principal, host) in &requests(rules) {
            group.bench_function(BenchmarkId::new(*kind, rules), |b| {
                let http = HttpAttributes {
                    method: "GET",
                    path: "/v1/items?x=1",
                    host,
                    ..HttpAttributes::default()
                };
                let attributes = Attributes {
                    source_principal: principal,
                    http: Some(http),
                    ..Attributes::default()
                };
                b.iter(|| {
                    let request = attributes.normalise(&settings);
                    reference::verdict(snapshot.rules(), &settings, black_box(&request), NOW)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
