//! The cost of loading 100,000 rules in 100 files, from text in memory to the set in force: time
//! and memory.
//!
//! `cargo bench --bench load`. Each load runs in a process of its own, with the server's allocator,
//! so that peaks are its own. docs/explanation/benchmarks-serving.md has the figures of one machine. Compare figures of
//! one run only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

use std::process::Command;
use std::time::Instant;

use customs_engine::settings::Settings;
use customs_policy::compile;
use customs_sources as files;
use customs_test_support::bench_policies::{self as set, Shape};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RULES: usize = 100_000;
const SHAPES: [(&str, Shape); 2] = [("teams", Shape::Teams), ("single", Shape::Single)];

fn main() {
    let wanted = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    match SHAPES
        .iter()
        .find(|(name, _)| Some(*name) == wanted.as_deref())
    {
        Some((name, shape)) => load(name, *shape),
        None => SHAPES.iter().for_each(|(name, _)| load_apart(name)),
    }
}

fn load_apart(name: &str) {
    let status = Command::new(std::env::current_exe().unwrap())
        .arg(name)
        .status()
        .unwrap();
    assert!(status.success(), "{name}: {status}");
}

/// Reads a line of `/proc/self/status`, in MiB.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|text| text.starts_with(line));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or_default()
        >> 10
}

fn load(name: &str, shape: Shape) {
    let settings = Settings::default();
    let source = set::source(shape, RULES);
    let text = source
        .files
        .iter()
        .map(|file| file.bytes.len())
        .sum::<usize>()
        >> 20;
    let start = Instant::now();
    let loaded = files::load(&source, None, &settings);
    let parsed = start.elapsed();
    let compiled =
        compile::compile(std::slice::from_ref(&loaded), &settings).expect("the set is good");
    let done = start.elapsed();
    let counts = compiled.snapshot.counts();
    let rules = counts.istio_deny + counts.egress_allow + counts.egress_deny;
    println!(
        "{name}: {rules} rules, {} policies, {} files, {text} MiB of text: parsed in {:.2} s, in force after {:.2} s",
        counts.policies,
        source.files.len(),
        parsed.as_secs_f64(),
        done.as_secs_f64()
    );
    drop(source);
    // The allocator returns free memory the next time it is used.
    std::thread::sleep(std::time::Duration::from_millis(200));
    println!(
        "{name}: peak {} MiB; {} MiB with the set in force",
        memory("VmHWM"),
        memory("VmRSS")
    );

    let mut changed = set::source(shape, RULES);
    let last = changed.files.last_mut().unwrap();
    last.bytes = [&last.bytes[..], b"# one more line\n"].concat().into();
    let start = Instant::now();
    let again = files::load(&changed, Some(&loaded), &settings);
    let compiled_again = compile::compile(&[again], &settings).expect("the set is good");
    println!(
        "{name}: one file of {} changed: in force after {:.2} s; peak {} MiB with both sets",
        changed.files.len(),
        start.elapsed().as_secs_f64(),
        memory("VmHWM")
    );
    drop((compiled, compiled_again));
}
