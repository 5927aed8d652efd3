//! Prints results as JUnit XML, which CI systems show case by case.
//!
//! JUnit has no standard. The rule: elements and attributes are those of the schema that Jenkins
//! checks, in its order, so that Jenkins, GitLab and others read them. Times are seconds, and a
//! time of day is UTC without an offset.

use std::time::Duration;

use jiff::Timestamp;

use super::test_report::{CaseResult, Report, Suite};
use customs_policy::printable;

/// Returns the document: a suite for each set, a case for each case. A problem that prevents a set
/// from running is a case with an error.
pub(super) fn document(report: &Report) -> String {
    let sum = |of: fn(&Suite) -> usize| report.suites.iter().map(of).sum::<usize>();
    let (tests, failures, errors) = (sum(tests), sum(Suite::failed), sum(errors));
    let took = seconds(report.suites.iter().map(|suite| suite.took).sum());
    let suites: String = report.suites.iter().map(suite).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"customs test\" tests=\"{tests}\" \
         failures=\"{failures}\" errors=\"{errors}\" time=\"{took}\">\n{suites}</testsuites>\n"
    )
}

fn tests(suite: &Suite) -> usize {
    suite.results.len() + errors(suite)
}

fn errors(suite: &Suite) -> usize {
    suite.problems.len()
}

/// Formats a duration in seconds, to the microsecond.
fn seconds(took: Duration) -> String {
    format!("{:.6}", took.as_secs_f64())
}

/// Formats a time of day without an offset, as the schema has it.
fn time_of_day(time: Timestamp) -> String {
    let text = format!("{time:.0}");
    text.trim_end_matches('Z').to_owned()
}

fn suite(suite: &Suite) -> String {
    let name = escaped(&suite.name);
    let (tests, failures, errors) = (tests(suite), suite.failed(), errors(suite));
    let (took, began) = (seconds(suite.took), time_of_day(suite.began));
    let problems: String = suite
        .problems
        .iter()
        .map(|problem| {
            let (code, text) = (problem.code.as_str(), escaped(&problem.to_string()));
            let case = escaped(&problem.place.to_string());
            format!(
                "    <testcase classname=\"{name}\" name=\"{case}\" time=\"0\">\n      \
                 <error type=\"{code}\" message=\"{text}\"/>\n    </testcase>\n"
            )
        })
        .collect();
    let properties = properties(suite);
    let cases: String = suite.results.iter().map(case).collect();
    format!(
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\" \
         time=\"{took}\" timestamp=\"{began}\">\n{properties}{problems}{cases}  </testsuite>\n"
    )
}

/// Returns what was tested: the version, the revision, and how many rules the cases exercise.
fn properties(suite: &Suite) -> String {
    let rules = suite.coverage.rules();
    let exercised = rules - suite.coverage.missing().len();
    let mut properties = vec![("customs.version", env!("CARGO_PKG_VERSION").to_owned())];
    if let Some(revision) = &suite.revision {
        properties.push(("customs.revision", revision.clone()));
        properties.push(("customs.rules", rules.to_string()));
        properties.push(("customs.rules.exercised", exercised.to_string()));
    }
    let property = |(name, value): (&str, String)| {
        let value = escaped(&value);
        format!("      <property name=\"{name}\" value=\"{value}\"/>\n")
    };
    let properties: String = properties.into_iter().map(property).collect();
    format!("    <properties>\n{properties}    </properties>\n")
}

fn case(result: &CaseResult) -> String {
    let (file, line) = (escaped(&result.case.place.file), result.case.place.line);
    let head = format!(
        "    <testcase classname=\"{file}\" name=\"{}\" time=\"{}\" file=\"{file}\" line=\"{line}\"",
        escaped(&result.case.name),
        seconds(result.took)
    );
    let Some(first) = result.failures.first() else {
        return format!("{head}/>\n");
    };
    let texts = result.failures.iter().map(|failure| {
        printable::line(&format!("{}: {}", failure.place, failure.paragraph())).into_owned()
    });
    let body = escaped(&texts.collect::<Vec<_>>().join("\n"));
    // JUnit allows one failure per case; the body contains all of them.
    let message = escaped(&first.text);
    format!(
        "{head}>\n      <failure type=\"case\" message=\"{message}\">{body}</failure>\n    </testcase>\n"
    )
}

/// Returns text escaped for XML: characters that are not printable as everywhere, which leaves none
/// that XML forbids, and markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable::page(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_and_utc() {
        assert_eq!(seconds(Duration::from_micros(1_500_042)), "1.500042");
        assert_eq!(seconds(Duration::from_nanos(400)), "0.000000");
        let time = Timestamp::from_second(1_795_435_200).unwrap();
        assert_eq!(time_of_day(time), "2026-11-23T12:00:00");
    }

    #[test]
    fn text_is_made_fit_for_xml() {
        assert_eq!(
            escaped("a<b>&\"c\"\u{1b}[0m\n\u{ffff}"),
            "a&lt;b&gt;&amp;&quot;c&quot;\\u{1b}[0m&#10;\\u{ffff}"
        );
    }
}
