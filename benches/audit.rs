//! The cost of the audit log for a check: CPU time of the server per 100,000 checks with the audit
//! off, to stdout, to a file, and to a file with syncs, side by side in one run.
//!
//! `cargo bench --bench audit` (rounds and checks may follow: `-- 9 100000`). Servers of every kind
//! run at the same time and are asked in turn, round by round, so that the machine's other load
//! affects all of them. Figures are medians of the rounds with their spread; compare figures of one
//! run only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    dead_code
)]

use customs_test_support::audited_server::{self, Server, check};
use customs_test_support::load::Load;

/// The kinds of server, in the order of the table.
const KINDS: [(&str, &[&str]); 6] = [
    ("off", &["--audit", "off"]),
    ("stdout", &["--audit", "stdout"]),
    (
        "file",
        &[
            "--audit",
            "file:audit/a.jsonl",
            "--audit-durability",
            "none",
        ],
    ),
    (
        "file, protobuf",
        &[
            "--audit",
            "file:audit/a.bin?format=protobuf",
            "--audit-durability",
            "none",
        ],
    ),
    (
        "file, synced twice a second",
        &[
            "--audit",
            "file:audit/a.jsonl",
            "--audit-durability",
            "interval",
        ],
    ),
    (
        "file, synced before each answer",
        &[
            "--audit",
            "file:audit/a.jsonl",
            "--audit-durability",
            "always",
        ],
    ),
];

fn main() {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok())
        .collect();
    let rounds = numbers.first().copied().unwrap_or(9);
    let checks = numbers.get(1).copied().unwrap_or(50_000);
    let directories: Vec<_> = KINDS.iter().map(|_| tempfile::tempdir().unwrap()).collect();
    // Next to the policies, each write would wake the watcher of their directory.
    directories
        .iter()
        .for_each(|directory| std::fs::create_dir(directory.path().join("audit")).unwrap());
    let servers: Vec<Server> = KINDS
        .iter()
        .zip(&directories)
        .map(|((_, flags), directory)| Server::start(directory.path(), flags))
        .collect();
    let mut spent: Vec<Vec<f64>> = vec![Vec::new(); KINDS.len()];
    for round in 0..=rounds {
        for (kind, server) in servers.iter().enumerate() {
            let before = server.cpu();
            let load = Load {
                in_flight: 64,
                ..Load::new(server.port, checks, vec![check("api.example")])
            };
            let result = audited_server::run(&load);
            assert_eq!(
                (result.answered(), result.failed, result.withheld),
                (checks, 0, 0),
                "{}",
                KINDS[kind].0
            );
            server.settle();
            // The first round warms up.
            if round > 0 {
                spent[kind].push((server.cpu() - before) * 1e6 / checks as f64);
            }
        }
    }
    println!(
        "CPU per check in us, medians of {rounds} rounds of {checks} checks over 4 connections, 256 in flight"
    );
    println!(
        "{:34} {:>7} {:>15} {:>10} {:>15}",
        "audit", "us", "spread", "more", "spread"
    );
    let off = spent[0].clone();
    for ((name, _), spent) in KINDS.iter().zip(&mut spent) {
        let mut more: Vec<f64> = spent
            .iter()
            .zip(&off)
            .map(|(this, off)| this - off)
            .collect();
        let (low, median, high) = quartiles(spent);
        let (less, extra, most) = quartiles(&mut more);
        println!(
            "{name:34} {median:7.2} {low:7.2}-{high:<7.2} {extra:10.2} {less:7.2}-{most:<7.2}"
        );
    }
}

/// Returns the first quartile, the median and the third quartile.
fn quartiles(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values[(values.len() - 1) * part / 4];
    (at(1), at(2), at(3))
}
