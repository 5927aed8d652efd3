//! What a decision costs, and that it does not grow with the number of rules: canonicalising and deciding, at 10, 1,000
//! and 100,000 rules of mixed kinds, for a request that a rule names and for one that none does, beside the naive
//! evaluator. Also what it takes to load such sets.
//!
//! `cargo bench --bench decide`; docs/BENCHMARKS.md has the figures of one machine. Compare figures of one run only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use customs::engine::policy::compile::{self, PolicyFile, Source};
use customs::engine::record::UnixNanos;
use customs::engine::reference;
use customs::engine::request::{Attributes, HttpAttributes};
use customs::engine::settings::Settings;
use customs::engine::snapshot::Snapshot;
use customs::files;

const NOW: UnixNanos = UnixNanos(1_795_392_000 * 1_000_000_000);
const SIZES: [usize; 3] = [10, 1_000, 100_000];

/// Rules by kind, of every ten: Istio denies by namespace and host, entries of teams (exact, suffix, network), denials of
/// root on one popular domain, and one account of many.
fn rule(index: usize) -> String {
    let team = index / 10 % 1_000;
    let (kind, allow, deny) = match index % 10 {
        0 | 1 => {
            return format!(
                "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: r{index}, namespace: istio-system}}\n\
                 spec: {{action: DENY, rules: [{{from: [{{source: {{namespaces: [team-{team}]}}}}], to: [{{operation: {{hosts: [h{index}.bad.example]}}}}]}}]}}\n"
            );
        }
        2..=4 => (0, format!("h{index}.ok.example"), String::new()),
        5 | 6 => (0, format!("*.s{index}.ok.example"), String::new()),
        7 => (0, format!("10.{}.{}.0/24", index / 256 % 256, index % 256), String::new()),
        8 => (1, String::new(), "*.saas.example".to_owned()),
        _ => (1, String::new(), format!("h{index}.saas.example")),
    };
    let head = format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: r{index}, namespace: team-{team}}}\n"
    );
    let account = format!("subjects: [{{serviceAccounts: [app-{}]}}]", index % 7);
    match kind {
        0 => format!("{head}spec: {{{account}, allow: [{{name: a, hosts: ['{allow}']}}]}}\n"),
        _ => format!("{head}spec: {{{account}, deny: [{{name: d, hosts: ['{deny}']}}]}}\n"),
    }
}

fn files(rules: usize) -> Vec<PolicyFile> {
    let per_file = rules.div_ceil(100);
    let file = |(index, numbers): (usize, &[usize])| {
        let text = numbers.iter().map(|n| rule(*n)).collect::<Vec<_>>().join("---\n");
        PolicyFile { name: format!("{index:03}.yaml"), bytes: text.into_bytes() }
    };
    (0..rules).collect::<Vec<_>>().chunks(per_file).enumerate().map(file).collect()
}

fn snapshot(rules: usize) -> Snapshot {
    let settings = Settings::default();
    let loaded = compile::load(Source { name: "bench".into(), files: files(rules) }, &settings);
    compile::compile(&[loaded], &settings).expect("the set is good").snapshot
}

/// A caller and a host that a rule of the middle of the set names, and a caller and a host of nobody.
fn requests(rules: usize) -> [(&'static str, String, String); 2] {
    let index = rules / 2 / 10 * 10 + 2;
    let team = index / 10 % 1_000;
    [
        (
            "hit",
            format!("spiffe://cluster.local/ns/team-{team}/sa/app-{}", index % 7),
            format!("H{index}.ok.example:443"),
        ),
        ("miss", "spiffe://cluster.local/ns/nobody/sa/none".into(), "www.elsewhere.example".into()),
    ]
}

fn decide(snapshot: &Snapshot, principal: &str, host: &str) -> bool {
    let http = HttpAttributes { method: "GET", path: "/v1/items?x=1", host, ..HttpAttributes::default() };
    let attributes = Attributes { source_principal: principal, http: Some(http), ..Attributes::default() };
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
    group.sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    for rules in SIZES {
        let snapshot = snapshot(rules);
        let settings = Settings::default();
        for (kind, principal, host) in &requests(rules) {
            group.bench_function(BenchmarkId::new(*kind, rules), |b| {
                let http = HttpAttributes { method: "GET", path: "/v1/items?x=1", host, ..HttpAttributes::default() };
                let attributes = Attributes { source_principal: principal, http: Some(http), ..Attributes::default() };
                b.iter(|| {
                    let request = attributes.normalise(&settings);
                    reference::verdict(snapshot.rules(), &settings, black_box(&request), NOW)
                });
            });
        }
    }
    group.finish();
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or_default()
}

/// One load of the large set: parsing and compiling apart, and the memory that stays.
fn loading(_: &mut Criterion) {
    let settings = Settings::default();
    let before = resident();
    let source = Source { name: "bench".into(), files: files(100_000) };
    let bytes: usize = source.files.iter().map(|file| file.bytes.len()).sum();
    let start = Instant::now();
    let loaded = files::load::load(source, &settings);
    let parsed = start.elapsed();
    let compiled = compile::compile(std::slice::from_ref(&loaded), &settings).expect("the set is good");
    let done = start.elapsed();
    let with_documents = resident();
    drop(loaded);
    println!(
        "loading 100,000 rules in 100 files, {} MiB: parsed in {parsed:?}, in force after {done:?}; resident {} MiB before, {} MiB after, {} MiB without the documents; {} policies",
        bytes >> 20,
        before >> 10,
        with_documents >> 10,
        resident() >> 10,
        compiled.snapshot.counts().policies
    );
}

criterion_group!(benches, loading, decisions);
criterion_main!(benches);
