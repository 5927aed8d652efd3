//! The time and the memory of proofs over 100 to 100,000 rules: guards of each kind, all of them
//! kept, so that each search looks at everything.
//!
//! `cargo bench --bench prove` prints a table, and `--publish` puts the times, their table and their
//! plot into docs/. Each size runs in a process of its own, with the server's allocator, so that
//! peaks are its own. docs/explanation/benchmarks-tools.md has the figures of one machine. Compare
//! figures of one run only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

use std::process::{Command, Stdio};
use std::time::Instant;

use customs_analysis::guards;
use customs_engine::settings::Settings;
use customs_engine::time::UnixNanos;
use customs_policy::compile;
use customs_policy::source::PolicyFile;
use customs_sources as files;
use customs_test_support::bench_policies::{self as set, Shape};
use customs_test_support::bench_report::document::count;
use customs_test_support::bench_report::machine::Machine;
use customs_test_support::bench_report::scaling::{ScalingRow, ScalingRun};
use customs_test_support::{plots, published};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];
const NOW: UnixNanos = UnixNanos(1_800_000_000_000_000_000);
const BUDGET: usize = 50_000_000;

/// How often each proof is made; the median counts.
const ROUNDS: usize = 7;

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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = arguments.iter().find_map(|argument| argument.parse().ok());
    if let Some(rules) = wanted {
        let rows = serde_json::to_string(&prove(rules)).expect("rows are JSON");
        println!("{rows}");
        return;
    }
    let measured = Machine::look().expect("Linux says what it is").sentence();
    let run = ScalingRun {
        measured,
        how: format!(
            "Time of one thread to prove a guard over a set that is loaded: the median of {ROUNDS} rounds."
        ),
        subject: "guard".to_owned(),
        columns: ["outcome", "kinds of requests", "peak"]
            .map(str::to_owned)
            .to_vec(),
        rows: SIZES.into_iter().flat_map(prove_apart).collect(),
    };
    println!("{}", run.table());
    if arguments.iter().any(|argument| argument == "--publish") {
        let text = serde_json::to_string_pretty(&run).expect("a run is JSON") + "\n";
        std::fs::write(plots::folder().join("prove.json"), text).expect("docs/ can be written");
        published::write_all().expect("the pages have their marks");
    }
}

/// Proves the guards over so many rules in a process of their own.
fn prove_apart(rules: usize) -> Vec<ScalingRow> {
    let done = Command::new(std::env::current_exe().unwrap())
        .arg(rules.to_string())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(done.status.success(), "{rules}: {}", done.status);
    serde_json::from_slice(&done.stdout).expect("the process writes its rows")
}

/// Reads the peak of the memory, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|text| text.starts_with("VmHWM"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or_default()
        >> 10
}

fn prove(rules: usize) -> Vec<ScalingRow> {
    let settings = Settings::default();
    let mut source = set::source(Shape::Teams, rules);
    source.files.push(PolicyFile {
        name: "guards.yaml".into(),
        bytes: GUARDS.as_bytes().into(),
    });
    let loaded = files::load(&source, None, &settings);
    let compiled = compile::compile(&[loaded], &settings).expect("the set is good");
    let mut rows = Vec::new();
    let mut all = vec![0.0; ROUNDS];
    let mut cells_of_all = 0;
    for guard in &compiled.guards {
        let mut seconds = Vec::new();
        let mut last = None;
        for sum in &mut all {
            let start = Instant::now();
            let proofs =
                guards::prove(std::slice::from_ref(guard), &compiled.snapshot, NOW, BUDGET);
            let took = start.elapsed().as_secs_f64();
            seconds.push(took);
            *sum += took;
            last = proofs.into_iter().next();
        }
        let proof = last.expect("a proof for each guard");
        cells_of_all += proof.cells;
        let outcome = match &proof.outcome {
            guards::ProofOutcome::Proved => "proved".to_owned(),
            guards::ProofOutcome::NotProved(_) => "not proved".to_owned(),
            other => format!("{other:?}"),
        };
        let name = guard.id.as_str().rsplit('#').next().unwrap_or_default();
        rows.push(ScalingRow {
            rules,
            subject: format!("`{name}`"),
            cells: vec![outcome, count(proof.cells as f64), peak_in_words()],
            seconds,
        });
    }
    rows.push(ScalingRow {
        rules,
        subject: "all".to_owned(),
        cells: vec![String::new(), count(cells_of_all as f64), peak_in_words()],
        seconds: all,
    });
    rows
}

fn peak_in_words() -> String {
    format!("{} MiB", peak())
}
