//! What comparing two sets of policies costs: `diff` at 100 to 100,000 rules, where nothing, one rule,
//! every tenth rule, the isolation of a namespace, or a deny for everybody changes.
//!
//! `cargo bench --bench diff` prints a table; `cargo bench --bench diff -- 10000` stops at so many
//! rules, and `--publish` puts the times, their table and their plot into docs/.
//! docs/explanation/benchmarks-tools.md has the figures of one machine. Reading and compiling the sets
//! is not part of the times.

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
use customs_test_support::bench_report::document::count;
use customs_test_support::bench_report::machine::Machine;
use customs_test_support::bench_report::scaling::{ScalingRow, ScalingRun};
use customs_test_support::{plots, published};

const NOW: UnixNanos = UnixNanos(1_795_392_000 * 1_000_000_000);
const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];

/// How often each comparison is made, after one that warms up; the median counts.
const ROUNDS: usize = 7;

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

/// Compares a set with a changed one, round by round.
fn row(rules: usize, name: &str, old: &Snapshot, new: &Snapshot) -> ScalingRow {
    let found = diff(old, new, NOW);
    let time = |_| {
        let begin = Instant::now();
        std::hint::black_box(diff(old, new, NOW));
        begin.elapsed().as_secs_f64()
    };
    let regions = |shift| -> usize {
        let groups = found.groups.iter();
        let of_shift = groups.filter(|group| group.answers.shift == shift);
        of_shift.map(|group| group.count()).sum()
    };
    let number = |number: usize| count(number as f64);
    let cells = [
        number(found.rules.len()),
        number(found.asked),
        format!(
            "{}, {}",
            number(regions(Shift::Allowed)),
            number(regions(Shift::Denied))
        ),
        if found.is_proved() { "yes" } else { "no" }.to_owned(),
    ];
    ScalingRow {
        rules,
        subject: name.to_owned(),
        cells: cells.to_vec(),
        seconds: (0..ROUNDS).map(time).collect(),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let most = arguments.iter().find_map(|argument| argument.parse().ok());
    let sizes = SIZES
        .into_iter()
        .filter(|rules| *rules <= most.unwrap_or(usize::MAX));
    let mut rows = Vec::new();
    let measured = Machine::look().expect("Linux says what it is").sentence();
    for rules in sizes {
        let source = set::source(Shape::Teams, rules);
        let old = snapshot(&source);
        for (name, change) in CHANGES {
            let new = snapshot(&changed(&source, change));
            rows.push(row(rules, name, &old, &new));
        }
    }
    let columns = [
        "rules that differ",
        "requests asked",
        "regions allowed, denied",
        "proved",
    ];
    let run = ScalingRun {
        measured,
        how: format!(
            "Time to compare two sets that are loaded, as `customs diff` does: the median of {ROUNDS} rounds."
        ),
        subject: "change".to_owned(),
        columns: columns.map(str::to_owned).to_vec(),
        rows,
    };
    println!("{}", run.table());
    if arguments.iter().any(|argument| argument == "--publish") {
        let text = serde_json::to_string_pretty(&run).expect("a run is JSON") + "\n";
        std::fs::write(plots::folder().join("diff.json"), text).expect("docs/ can be written");
        published::write_all().expect("the pages have their marks");
    }
}
