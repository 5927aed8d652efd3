//! Renders the findings as Markdown, first the lines, then each part's figures, and inserts them
//! into a document.
//!
//! It computes nothing but medians and intervals. The rule: ratios precede absolute figures, and
//! every figure has its interval.

use super::findings::{Findings, Line};
use super::statistics::{ENOUGH_ROUNDS, Estimate};

/// The name in the marks around the figures of the serving benchmark.
pub const SERVING: &str = "serving";

/// A plot beside the figures of a part.
#[derive(Clone, Debug)]
pub struct PartPlot {
    pub part: &'static str,
    pub file: &'static str,
    /// What it shows, for readers who cannot see it.
    pub shows: String,
}

/// Renders all findings. `machine` says where they were measured; plots are linked from `folder`.
pub fn render(machine: &str, findings: &[Findings], plots: &[PartPlot], folder: &str) -> String {
    let mut text = format!("{machine}\n\n{}", lines(findings));
    for part in findings {
        text.push_str(&format!("\n### {}\n\n{}\n", title(&part.part), part.how));
        for plot in plots.iter().filter(|plot| plot.part == part.part) {
            text.push_str(&format!("\n![{}]({folder}{})\n", plot.shows, plot.file));
        }
        text.push_str(&facts(part));
        text.push_str(&figures(part));
    }
    text
}

/// Returns the part's name, as a heading.
fn title(part: &str) -> String {
    if part == "cpu" {
        return part.to_uppercase();
    }
    let mut letters = part.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Returns one part's facts and figures, for the terminal.
pub fn summary(part: &Findings) -> String {
    format!("{}{}", facts(part), figures(part))
}

/// Returns the lines of all parts, with whether each is met.
pub fn lines(findings: &[Findings]) -> String {
    let all = || findings.iter().flat_map(|part| &part.lines);
    let enough = all().all(|line| line.rounds.len() >= ENOUGH_ROUNDS);
    let interval = if enough {
        "95 % interval"
    } else {
        "range (too few rounds for an interval)"
    };
    let mut rows = row(["line", "bound", "median", interval, "met"]);
    rows.push_str("| --- | --- | --- | --- | --- |\n");
    for line in all() {
        rows.push_str(&line_row(line));
    }
    rows
}

fn line_row(line: &Line) -> String {
    let unit = &line.unit;
    let (median, interval) = match line.estimate {
        Some(Estimate { low, median, high }) => (
            format!("{} {unit}", number(median)),
            format!("{} to {}", number(low), number(high)),
        ),
        None => ("not measured".to_owned(), String::new()),
    };
    let bound = format!("{} {unit}", number(line.bound));
    row([
        line.says.as_str(),
        &bound,
        &median,
        &interval,
        if line.met { "yes" } else { "no" },
    ])
}

fn facts(part: &Findings) -> String {
    if part.facts.is_empty() {
        return String::new();
    }
    let rows = part.facts.iter().map(|fact| row([&fact.about, &fact.says]));
    format!("\n| | |\n| --- | --- |\n{}", rows.collect::<String>())
}

/// Returns the absolute figures: a row for each subject, a column for each condition.
fn figures(part: &Findings) -> String {
    let conditions = part.conditions();
    let head = row([part.unit.as_str()]
        .into_iter()
        .chain(conditions.iter().copied()));
    let rule = row(std::iter::repeat_n("---", conditions.len() + 1));
    let mut rows = format!("\n{head}{rule}");
    for subject in part.subjects() {
        let cells = conditions
            .iter()
            .map(|condition| cell(part.estimate(subject, condition)));
        rows.push_str(&row(std::iter::once(subject.to_owned()).chain(cells)));
    }
    rows
}

fn cell(estimate: Option<Estimate>) -> String {
    let formatted = estimate.map(|it| {
        format!(
            "{} ({} to {})",
            number(it.median),
            number(it.low),
            number(it.high)
        )
    });
    formatted.unwrap_or_default()
}

fn row<T: AsRef<str>>(cells: impl IntoIterator<Item = T>) -> String {
    let cells: Vec<String> = cells
        .into_iter()
        .map(|cell| cell.as_ref().replace('|', "\\|"))
        .collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Formats three significant digits, without fractions from a hundred on.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => count(value),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Rounds, with a comma at each thousand.
pub fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 {
        format!("-{text}")
    } else {
        text
    }
}

/// Returns a document with the text between the marks of this name replaced, such as
/// `<!-- serving: begin -->`; `None` if it has no such marks.
pub fn take_in(document: &str, name: &str, text: &str) -> Option<String> {
    let [begin, end] = ["begin", "end"].map(|place| format!("<!-- {name}: {place} -->"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!(
        "{before}{begin}\n\n{}\n\n{end}{after}",
        text.trim()
    ))
}

#[cfg(test)]
mod tests;
