//! Prints results as JUnit XML, which CI systems show case by case.

use super::test_report::{CaseResult, Report, Suite};
use customs_policy::printable;

/// Returns the document: a suite for each set, a case for each case. A problem that prevents a set
/// from running is a case with an error.
pub(super) fn document(report: &Report) -> String {
    let sum = |of: fn(&Suite) -> usize| report.suites.iter().map(of).sum::<usize>();
    let (tests, failures, errors) = (sum(tests), sum(Suite::failed), sum(errors));
    let suites: String = report.suites.iter().map(suite).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"customs test\" tests=\"{tests}\" \
         failures=\"{failures}\" errors=\"{errors}\">\n{suites}</testsuites>\n"
    )
}

fn tests(suite: &Suite) -> usize {
    suite.results.len() + errors(suite)
}

fn errors(suite: &Suite) -> usize {
    suite.problems.len()
}

fn suite(suite: &Suite) -> String {
    let name = escaped(&suite.name);
    let (tests, failures, errors) = (tests(suite), suite.failed(), errors(suite));
    let problems: String = suite
        .problems
        .iter()
        .map(|problem| {
            let (code, text) = (problem.code.as_str(), escaped(&problem.to_string()));
            let case = escaped(&problem.place.to_string());
            format!(
                "    <testcase classname=\"{name}\" name=\"{case}\">\n      \
                 <error type=\"{code}\" message=\"{text}\"/>\n    </testcase>\n"
            )
        })
        .collect();
    let cases: String = suite.results.iter().map(case).collect();
    format!(
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\">\n\
         {problems}{cases}  </testsuite>\n"
    )
}

fn case(result: &CaseResult) -> String {
    let (file, line) = (escaped(&result.case.place.file), result.case.place.line);
    let head = format!(
        "    <testcase classname=\"{file}\" name=\"{}\" file=\"{file}\" line=\"{line}\"",
        escaped(&result.case.name)
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
    fn text_is_made_fit_for_xml() {
        assert_eq!(
            escaped("a<b>&\"c\"\u{1b}[0m\n\u{ffff}"),
            "a&lt;b&gt;&amp;&quot;c&quot;\\u{1b}[0m&#10;\\u{ffff}"
        );
    }
}
