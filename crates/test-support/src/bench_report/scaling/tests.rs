//! The table of times by the number of rules.

use super::{ScalingRow, ScalingRun, time};
use crate::bench_report::statistics::Estimate;

fn run(rounds: &[f64]) -> ScalingRun {
    let row = |rules: usize, subject: &str, factor: f64| ScalingRow {
        rules,
        subject: subject.to_owned(),
        cells: vec![rules.to_string()],
        seconds: rounds.iter().map(|seconds| seconds * factor).collect(),
    };
    ScalingRun {
        measured: "Today.".to_owned(),
        how: "By hand.".to_owned(),
        subject: "change".to_owned(),
        columns: vec!["asked".to_owned()],
        rows: vec![
            row(100, "nothing", 1.0),
            row(100, "a rule", 2.0),
            row(1_000, "nothing", 100.0),
        ],
    }
}

#[test]
fn a_table_has_a_row_for_each_size_and_subject() {
    let expected = "Today. By hand.

| rules | change | asked | time |
| ---: | --- | ---: | ---: |
| 100 | nothing | 100 | 20.0 ms (10.0 to 30.0) |
| 100 | a rule | 100 | 40.0 ms (20.0 to 60.0) |
| 1,000 | nothing | 1000 | 2.00 s (1.00 to 3.00) |
";
    assert_eq!(run(&[0.01, 0.02, 0.03]).table(), expected);
}

#[test]
fn one_value_has_the_digits_that_were_kept() {
    for (seconds, text) in [
        (0.0002, "0.2 ms"),
        (0.028, "28 ms"),
        (1.0, "1 s"),
        (150.0, "150 s"),
    ] {
        assert_eq!(time(Estimate::exact(seconds)), text);
    }
}

#[test]
fn times_are_by_subject_and_size() {
    let run = run(&[0.01, 0.02, 0.03]);
    assert_eq!(run.subjects(), ["nothing", "a rule"]);
    let sizes: Vec<usize> = run
        .times("nothing")
        .iter()
        .map(|(rules, _)| *rules)
        .collect();
    assert_eq!(sizes, [100, 1_000]);
    assert_eq!(run.rounds(), 3);
}
