//! A diagnosis as text for people, and as one JSON document for programs.
//!
//! The rule: foreign text passes the one escape, line by line, so that nothing that was collected
//! can begin a line of its own.

use serde::Serialize;

use crate::app::commands::counted;
use customs_doctor::diagnosis::{Checked, Count, Diagnosis, NotChecked};
use customs_doctor::finding::{Finding, Severity};
use customs_policy::printable;

/// The widest line of prose.
const WIDTH: usize = 100;
/// The width of the column with the words `seen`, `means` and `do`.
const LABEL: usize = 8;

/// Returns the diagnosis for people.
pub(super) fn text(diagnosis: &Diagnosis) -> String {
    let mut lines = Vec::new();
    for finding in &diagnosis.findings {
        add(finding, &mut lines);
        lines.push(String::new());
    }
    if !diagnosis.counts.is_empty() {
        lines.push("Counted:".to_owned());
        for Count { by, what, number } in &diagnosis.counts {
            lines.push(printable::line(&format!("  {by}: {what} {number}")).into_owned());
        }
        lines.push(String::new());
    }
    if !diagnosis.checked.is_empty() {
        lines.push("Checked:".to_owned());
        for Checked { what, of } in &diagnosis.checked {
            prose("  ", &format!("{what}: {}", of.join("; ")), &mut lines);
        }
        lines.push(String::new());
    }
    if !diagnosis.not_checked.is_empty() {
        lines.push("Not checked:".to_owned());
        for NotChecked { what, needs } in &diagnosis.not_checked {
            prose("  ", &format!("{what}: {needs}"), &mut lines);
        }
        lines.push(String::new());
        lines.extend(how_to_collect(diagnosis));
    }
    if !diagnosis.findings.is_empty() {
        lines.push("For more about a finding, run `customs explain CODE`.".to_owned());
    }
    lines.push(summary(diagnosis));
    lines.join("\n") + "\n"
}

/// How to collect what a flag names, in a usual installation of Istio.
const HOW: [(&str, &str); 4] = [
    (
        "--admin",
        "kubectl -n customs-system port-forward deploy/customs 9192  # --admin localhost:9192",
    ),
    (
        "--envoy",
        "kubectl -n istio-system port-forward deploy/istio-egressgateway 15000  # --envoy \
         http://localhost:15000",
    ),
    (
        "--mesh-config",
        "kubectl -n istio-system get configmap istio -o yaml > mesh.yaml  # --mesh-config mesh.yaml",
    ),
    (
        "--objects",
        "kubectl get -A authorizationpolicies,destinationrules,virtualservices,services,pods -o \
         yaml > objects.yaml  # --objects objects.yaml",
    ),
];

/// Returns the commands that collect what was not given.
fn how_to_collect(diagnosis: &Diagnosis) -> Vec<String> {
    let is_needed = |flag: &str| {
        let mut needs = diagnosis.not_checked.iter().map(|not| &not.needs);
        needs.any(|needs| needs.contains(&format!("give {flag}")))
    };
    let needed = HOW.iter().filter(|(flag, _)| is_needed(flag));
    let mut lines: Vec<String> = needed.map(|(_, command)| format!("  {command}")).collect();
    if !lines.is_empty() {
        lines.insert(0, "To collect it:".to_owned());
        lines.push(String::new());
    }
    lines
}

fn summary(diagnosis: &Diagnosis) -> String {
    let of = |severity: Severity| {
        let findings = diagnosis.findings.iter();
        findings
            .filter(|finding| finding.code.severity() == severity)
            .count()
    };
    let counts = [
        (of(Severity::Error), "error"),
        (of(Severity::Warning), "warning"),
        (of(Severity::Note), "note"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> = counts.map(|(count, what)| counted(*count, what)).collect();
    match (diagnosis.is_healthy(), counts.is_empty()) {
        (true, true) => "Nothing is wrong in what was checked.".to_owned(),
        (true, false) => format!(
            "Nothing is wrong in what was checked; {}.",
            counts.join(", ")
        ),
        (false, _) => format!("{}.", counts.join(", ")),
    }
}

fn add(finding: &Finding, lines: &mut Vec<String>) {
    let Finding {
        code,
        subject,
        evidence,
        meaning,
        remedy,
        consequences,
    } = finding;
    let severity = code.severity().as_str();
    let head = format!("{severity}: {}: {subject}", code.as_str());
    lines.push(printable::line(&head).into_owned());
    for seen in evidence {
        prose(&label("seen"), seen, lines);
    }
    prose(&label("means"), meaning, lines);
    for seen in consequences {
        prose(&label("hence"), seen, lines);
    }
    let mut remedy = remedy.lines();
    prose(&label("do"), remedy.next().unwrap_or_default(), lines);
    let indent = " ".repeat(LABEL + 2);
    lines.extend(remedy.map(|line| format!("{indent}{}", printable::line(line))));
}

fn label(word: &str) -> String {
    format!("  {word:LABEL$}")
}

/// Adds a paragraph behind a label, wrapped. A word that is longer than a line stays whole, so that
/// it can be copied.
fn prose(label: &str, text: &str, lines: &mut Vec<String>) {
    let indent = " ".repeat(label.chars().count().max(4));
    let (mut line, mut width) = (label.to_owned(), label.chars().count());
    let mut is_first = true;
    for word in printable::line(text).split(' ') {
        let length = word.chars().count();
        if !is_first && width + 1 + length > WIDTH {
            lines.push(std::mem::replace(&mut line, indent.clone()));
            width = indent.chars().count();
            is_first = true;
        }
        if !is_first {
            line.push(' ');
            width += 1;
        }
        line.push_str(word);
        width += length;
        is_first = false;
    }
    lines.push(line);
}

/// The JSON document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DiagnosisDocument<'d> {
    /// The version of this format.
    version: u32,
    healthy: bool,
    findings: Vec<FindingDocument<'d>>,
    counts: &'d [Count],
    checked: &'d [Checked],
    not_checked: &'d [NotChecked],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingDocument<'d> {
    code: &'static str,
    severity: Severity,
    subject: &'d str,
    evidence: &'d [String],
    meaning: &'d str,
    remedy: &'d str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    consequences: &'d [String],
}

/// Returns the diagnosis for programs.
pub(super) fn document(diagnosis: &Diagnosis) -> DiagnosisDocument<'_> {
    let findings = diagnosis.findings.iter().map(|finding| FindingDocument {
        code: finding.code.as_str(),
        severity: finding.code.severity(),
        subject: &finding.subject,
        evidence: &finding.evidence,
        meaning: &finding.meaning,
        remedy: &finding.remedy,
        consequences: &finding.consequences,
    });
    DiagnosisDocument {
        version: 1,
        healthy: diagnosis.is_healthy(),
        findings: findings.collect(),
        counts: &diagnosis.counts,
        checked: &diagnosis.checked,
        not_checked: &diagnosis.not_checked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_doctor::finding::Code;

    #[test]
    fn what_was_collected_cannot_begin_a_line_or_write_to_the_terminal() {
        let evil = "a\nerror: x\u{1b}[31m\r";
        let diagnosis = Diagnosis {
            findings: vec![Finding {
                code: Code::FailOpen,
                subject: evil.into(),
                evidence: vec![evil.into()],
                meaning: evil.into(),
                remedy: "do\nthis\u{1b}".into(),
                consequences: vec![evil.into()],
            }],
            checked: vec![Checked {
                what: evil.into(),
                of: vec![evil.into()],
            }],
            not_checked: vec![NotChecked {
                what: evil.into(),
                needs: evil.into(),
            }],
            counts: vec![Count {
                by: evil.into(),
                what: evil.into(),
                number: 1,
            }],
        };
        let text = text(&diagnosis);
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
        assert!(!text.contains("\nerror: x"), "{text}");
    }

    #[test]
    fn prose_wraps_and_long_words_stay_whole() {
        let mut lines = Vec::new();
        let long = "x".repeat(150);
        prose(
            "  seen  ",
            &format!("{} {long} end", "word ".repeat(30).trim_end()),
            &mut lines,
        );
        assert!(lines.len() == 4, "{lines:?}");
        assert!(
            lines
                .iter()
                .all(|line| line.chars().count() <= WIDTH || line.contains(&long))
        );
        assert!(
            lines[2].trim_start() == long && lines[1].starts_with("        word"),
            "{lines:?}"
        );
    }
}
