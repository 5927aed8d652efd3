//! The time and the memory of proofs over 100 to 100,000 rules: guards of each kind, all of them
//! kept, so that each search looks at everything.
//!
//! `cargo bench --bench prove`. Each size runs in a process of its own, with the server's allocator,
//! so that peaks are its own. docs/BENCHMARKS.md has the figures of one machine. Compare figures of
//! one run only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

use std::process::Command;
use std::time::Instant;

use customs_analysis::guards;
use customs_engine::settings::Settings;
use customs_engine::time::UnixNanos;
use customs_policy::compile;
use customs_policy::source::PolicyFile;
use customs_sources as files;
use customs_test_support::bench_policies::{self as set, Shape};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];
const NOW: UnixNanos = UnixNanos(1_800_000_000_000_000_000);
const BUDGET: usize = 50_000_000;

/// A policy of the organisation, and the guards: about everybody and one host, about everybody and a
/// suffix that every team has rules about, about one team and everywhere, and what a team needs.
const GUARDS: &str = "
apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: organisation, namespace: istio-system}
spec:
  subjects: [{namespaces: ['**']}, {unauthenticated: true}]
  deny: [{name: paste, hosts: [paste.example, '*.paste.example']}, {name: saas, hosts: ['*.saas.example']}]
---
apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: team, namespace: team-3}
spec: {isolate: true}
---
apiVersion: egress.customs/v1alpha1
kind: PolicyGuard
metadata: {name: organisation, namespace: istio-system}
spec:
  guards:
  - {name: never-a-host, never: {to: {hosts: [paste.example, '*.paste.example']}}}
  - {name: never-a-popular-suffix, never: {to: {hosts: ['*.saas.example']}}}
  - {name: never-elsewhere, never: {from: [{namespaces: [team-3]}], to: {hosts: ['**']}, except: [{to: {hosts: ['*.ok.example', 10.0.0.0/8]}}]}}
  - {name: always-its-own, always: {from: [{serviceAccounts: [team-3/app-3]}], to: {hosts: [h32.ok.example]}}}
";

fn main() {
    let wanted = std::env::args()
        .nth(1)
        .and_then(|size| size.parse::<usize>().ok());
    match wanted {
        Some(rules) => prove(rules),
        None => {
            println!("| rules | guard | outcome | kinds of requests | time | peak |");
            println!("| --- | --- | --- | --- | --- | --- |");
            SIZES.iter().for_each(|rules| prove_apart(*rules));
        }
    }
}

fn prove_apart(rules: usize) {
    let status = Command::new(std::env::current_exe().unwrap())
        .arg(rules.to_string())
        .status()
        .unwrap();
    assert!(status.success(), "{rules}: {status}");
}

/// Reads the peak of the memory, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|text| text.starts_with("VmHWM"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or_default()
        >> 10
}

fn prove(rules: usize) {
    let settings = Settings::default();
    let mut source = set::source(Shape::Teams, rules);
    source.files.push(PolicyFile {
        name: "guards.yaml".into(),
        bytes: GUARDS.as_bytes().into(),
    });
    let loaded = files::load(&source, None, &settings);
    let compiled = compile::compile(&[loaded], &settings).expect("the set is good");
    let begin = Instant::now();
    for guard in &compiled.guards {
        let start = Instant::now();
        let proofs = guards::prove(std::slice::from_ref(guard), &compiled.snapshot, NOW, BUDGET);
        let proof = proofs.first().expect("a proof for each guard");
        let outcome = match &proof.outcome {
            guards::ProofOutcome::Proved => "proved".to_owned(),
            guards::ProofOutcome::NotProved(_) => "not proved".to_owned(),
            other => format!("{other:?}"),
        };
        println!(
            "| {rules} | `{}` | {outcome} | {} | {:.3} s | {} MiB |",
            guard.id.as_str().rsplit('#').next().unwrap_or_default(),
            proof.cells,
            start.elapsed().as_secs_f64(),
            peak()
        );
    }
    println!(
        "| {rules} | all | | | {:.3} s | {} MiB |",
        begin.elapsed().as_secs_f64(),
        peak()
    );
}
