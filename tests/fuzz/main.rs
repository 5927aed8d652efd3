//! The fuzz targets on the stable toolchain: every input of the committed corpus, then mutations of
//! it. A search needs libFuzzer (`make fuzz`); this replays what searches have found, and is the
//! same in every run.
//!
//! `CUSTOMS_FUZZ_SEED` and `CUSTOMS_FUZZ_RUNS` change the mutations; an input that fails is
//! printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]
#![allow(clippy::print_stdout, reason = "the seed, shown with --nocapture")]

mod borrowed;
mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use customs_test_support::fuzz_targets as targets;
use mutate::{Numbers, mutated};

/// Returns the committed inputs of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect()
}

/// Returns a number from the environment.
fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|why| panic!("{name}={text}: {why}"))
    })
}

/// Replays a target's corpus and `runs` mutations of it.
fn replay(target: &str, run: fn(&[u8]), runs: u64, limit: usize) {
    let holds = |bytes: &[u8], from: &str| {
        if catch_unwind(AssertUnwindSafe(|| run(bytes))).is_err() {
            panic!(
                "target {target} fails on {from}: b\"{}\"",
                bytes.escape_ascii()
            );
        }
    };
    let corpus = corpus(target);
    assert!(
        corpus.len() >= 10,
        "target {target} has a corpus of {}",
        corpus.len()
    );
    corpus.iter().for_each(|(name, bytes)| holds(bytes, name));
    let seeds: Vec<Vec<u8>> = corpus.into_iter().map(|(_, bytes)| bytes).collect();
    let seed = number("CUSTOMS_FUZZ_SEED", 1);
    let runs = number("CUSTOMS_FUZZ_RUNS", runs);
    println!(
        "{target}: {} inputs, {runs} mutations, CUSTOMS_FUZZ_SEED={seed}",
        seeds.len()
    );
    let mut numbers = Numbers::seeded(seed);
    for round in 0..runs {
        let bytes = mutated(&mut numbers, &seeds, limit);
        holds(
            &bytes,
            &format!("mutation {round} of CUSTOMS_FUZZ_SEED={seed}"),
        );
    }
}

#[test]
fn hosts_hold() {
    replay("host", targets::host::run, 20_000, 256);
}

#[test]
fn attributes_hold() {
    replay("attributes", targets::attributes::run, 20_000, 2048);
}

#[test]
fn borrowed_checks_hold() {
    replay("borrowed", targets::borrowed::run, 40_000, 4096);
}

#[test]
fn the_engine_holds() {
    replay("engine", targets::engine::run, 2_000, 512);
}

#[test]
fn loading_holds() {
    replay("load", targets::load::run, 4_000, 2048);
}

#[test]
fn a_seed_gives_the_same_mutations() {
    let seeds = [b"a.example".to_vec(), Vec::new()];
    let made = |seed| {
        let mut numbers = Numbers::seeded(seed);
        (0..100)
            .map(|_| mutated(&mut numbers, &seeds, 64))
            .collect::<Vec<_>>()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
    assert!(made(1).iter().all(|bytes| bytes.len() <= 64));
}
