//! What comparing two sets of policies costs: `diff` at 100 to 100,000 rules, where nothing, one rule,
//! every tenth rule, the isolation of a namespace, or a deny for everybody changes.
//!
//! `cargo bench --bench diff` prints a table; `cargo bench --bench diff -- 10000` stops at so many
//! rules. docs/BENCHMARKS.md has the figures of one machine. Reading and compiling the sets is not
//! part of the times.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

use std::time::Instant;

use customs_analysis::diff::{Shift, diff};
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile, Source};
use customs_test_support::bench_policies::{self as set, Shape};

const NOW: UnixNanos = UnixNanos(1_795_392_000 * 1_000_000_000);
const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];

/// How often each comparison is made; the median counts.
const ROUNDS: usize = 3;

/// A change of the text of a policy file, of which the number is given.
type Change = fn(usize, &str) -> String;

const CHANGES: [(&str, Change); 5] = [
    ("nothing", |_, text| text.to_owned()),
    ("one rule", |number, text| match number {
        0 => text.replacen("hosts: [h2.ok.example]", "hosts: [changed.example]", 1),
        _ => text.to_owned(),
    }),
    ("every tenth rule", |_, text| {
        text.replace("{name: a2, hosts: [h", "{name: a2, hosts: [x")
    }),
    (
        "the isolation of a namespace",
        |number, text| match number {
            0 => text.replacen("], allow: [", "], isolate: false, allow: [", 1),
            _ => text.to_owned(),
        },
    ),
    ("a deny for everybody", |number, text| match number {
        0 => format!(
            "{text}---\napiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n\
             metadata: {{name: all, namespace: istio-system}}\n\
             spec: {{subjects: [{{namespaces: ['**']}}], deny: [{{name: d, hosts: ['*.bad.example', '10.0.0.0/16']}}]}}\n"
        ),
        _ => text.to_owned(),
    }),
];

fn snapshot(source: &Source) -> Snapshot {
    let settings = Settings::default();
    let loaded = source::load(source, &settings);
    let compiled = compile::compile(&[loaded], &settings);
    compiled.expect("the set is good").snapshot
}

fn changed(source: &Source, change: Change) -> Source {
    let file = |(number, file): (usize, &PolicyFile)| {
        let text = std::str::from_utf8(&file.bytes).expect("the text is UTF-8");
        PolicyFile {
            name: file.name.clone(),
            bytes: change(number, text).into_bytes().into(),
        }
    };
    Source {
        name: source.name.clone(),
        files: source.files.iter().enumerate().map(file).collect(),
        ..Source::default()
    }
}

fn main() {
    let most = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(usize::MAX);
    println!(
        "| rules | change | rules that differ | requests asked | regions allowed, denied | proved | time |"
    );
    println!("| ---: | --- | ---: | ---: | ---: | --- | ---: |");
    for rules in SIZES.into_iter().filter(|rules| *rules <= most) {
        let source = set::source(Shape::Teams, rules);
        let old = snapshot(&source);
        for (name, change) in CHANGES {
            let new = snapshot(&changed(&source, change));
            let mut times = Vec::new();
            let mut found = None;
            for _ in 0..ROUNDS {
                let begin = Instant::now();
                found = Some(diff(&old, &new, NOW));
                times.push(begin.elapsed());
            }
            times.sort();
            let found = found.expect("there is a round");
            let regions = |shift| -> usize {
                let groups = found.groups.iter();
                let of_shift = groups.filter(|group| group.answers.shift == shift);
                of_shift.map(|group| group.count()).sum()
            };
            println!(
                "| {rules} | {name} | {} | {} | {}, {} | {} | {:.1} ms |",
                found.rules.len(),
                found.asked,
                regions(Shift::Allowed),
                regions(Shift::Denied),
                if found.is_proved() { "yes" } else { "no" },
                times
                    .get(ROUNDS / 2)
                    .expect("there is a median")
                    .as_secs_f64()
                    * 1_000.0,
            );
        }
    }
}
