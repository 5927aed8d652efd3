//! Findings, lines, and the documents that contain them.

use super::{PartPlot, SERVING, lines, number, render, take_in};
use crate::bench_report::findings::{Findings, Line};

const BEGIN: &str = "<!-- serving: begin -->";
const END: &str = "<!-- serving: end -->";

fn found() -> Findings {
    let mut findings = Findings::new("cpu", "us a check", "Checks were counted.");
    for (floor, customs) in [(10.0, 6.0), (20.0, 14.0), (30.0, 24.0)] {
        findings.record("floor", "4x64", floor);
        findings.record("customs", "4x64", customs);
    }
    findings.draw_line("customs to the floor", 0.65, "4x64", ["customs", "floor"]);
    findings.draw_line("the floor to customs", 1.0, "4x64", ["floor", "customs"]);
    findings.draw_line("what was not measured", 1.0, "1x1", ["floor", "customs"]);
    findings
}

#[test]
fn a_line_is_met_by_the_lower_end_of_its_interval() {
    let findings = found();
    let met: Vec<bool> = findings.lines.iter().map(|line| line.met).collect();
    assert_eq!(met, [true, false, false]);
    assert_eq!(findings.lines[0].rounds, [0.6, 0.7, 0.8], "a ratio a round");
    assert!(Line::new("just", "MiB", 3.0, vec![3.0]).met);
}

#[test]
fn lines_precede_figures() {
    let mut findings = found();
    findings.add_fact("crossing", "at 50");
    let plots = [("cpu", "cpu.svg"), ("memory", "memory.svg")].map(|(part, file)| PartPlot {
        part,
        file,
        shows: "bars".into(),
    });
    let text = render("A machine.", &[findings], &plots, "benchmarks/");
    let expected = "A machine.

| line | bound | median | range (too few rounds for an interval) | met |
| --- | --- | --- | --- | --- |
| customs to the floor | 0.65 times | 0.70 times | 0.60 to 0.80 | yes |
| the floor to customs | 1.00 times | 1.43 times | 1.25 to 1.67 | no |
| what was not measured | 1.00 times | not measured |  | no |

### CPU

Checks were counted.

![bars](benchmarks/cpu.svg)

| | |
| --- | --- |
| crossing | at 50 |

| us a check | 4x64 |
| --- | --- |
| floor | 20.0 (10.0 to 30.0) |
| customs | 14.0 (6.00 to 24.0) |
";
    assert_eq!(text, expected);
}

#[test]
fn a_bar_in_a_name_does_not_break_the_table() {
    let mut findings = Findings::new("cpu", "us", "");
    findings.lines.push(Line::new("a|b", "us", 1.0, vec![1.0]));
    assert!(lines(&[findings]).contains("| a\\|b |"));
}

#[test]
fn six_rounds_have_an_interval() {
    let mut findings = Findings::new("cpu", "us", "");
    findings.lines.push(Line::new("a", "us", 1.0, vec![1.0; 6]));
    assert!(lines(&[findings]).contains("95 % interval"));
}

#[test]
fn numbers_have_as_many_digits_as_can_be_read() {
    let formatted = [0.1234, 9.999, 12.345, 123.45, 1234.5, 1_234_567.0, -1234.5].map(number);
    assert_eq!(
        formatted,
        [
            "0.12",
            "10.00",
            "12.3",
            "123",
            "1,234",
            "1,234,567",
            "-1,234"
        ]
    );
}

#[test]
fn the_text_between_the_marks_is_replaced() {
    let document = format!("# Title\n\n{BEGIN}\nold\n{END}\n\n## Next\n");
    let once = take_in(&document, SERVING, "new\n").unwrap();
    assert_eq!(
        once,
        format!("# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\n## Next\n")
    );
    assert_eq!(
        take_in(&once, SERVING, "new").unwrap(),
        once,
        "twice is as once"
    );
    assert_eq!(take_in("# Title\n", SERVING, "new"), None);
}
