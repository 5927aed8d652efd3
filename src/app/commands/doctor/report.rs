//! A diagnosis as text for people, and as one JSON document for programs.
//!
//! The rules: foreign text passes the one escape, line by line, so that nothing that was collected
//! can begin a line of its own; and prose is wrapped even where there is no terminal.

use serde::Serialize;

use crate::app::commands::counted;
use crate::app::terminal::{self, Line, Tone};
use customs_doctor::diagnosis::{Checked, Count, Diagnosis, NotChecked};
use customs_doctor::finding::{Finding, Severity};
use customs_policy::printable;

/// The widest line of prose where there is no terminal.
const WIDTH: usize = 100;
/// The width of the column with the words `seen`, `means` and `do`.
const LABEL: usize = 8;

/// Returns the diagnosis for people, with prose wrapped at this width.
pub(super) fn lines(diagnosis: &Diagnosis, width: Option<usize>) -> Vec<Line> {
    let mut page = Page {
        lines: Vec::new(),
        width: width.unwrap_or(WIDTH),
    };
    for finding in &diagnosis.findings {
        page.finding(finding);
        page.empty_line();
    }
    if !diagnosis.counts.is_empty() {
        page.heading("Counted:");
        for Count { by, what, number } in &diagnosis.counts {
            let counted = Line::of(format!("  {by}: {what} {number}"));
            page.lines.push(counted.hanging(4));
        }
        page.empty_line();
    }
    if !diagnosis.checked.is_empty() {
        page.heading("Checked:");
        for Checked { what, of } in &diagnosis.checked {
            page.prose("  ", &format!("{what}: {}", of.join("; ")));
        }
        page.empty_line();
    }
    if !diagnosis.not_checked.is_empty() {
        page.heading("Not checked:");
        for NotChecked { what, needs } in &diagnosis.not_checked {
            page.prose("  ", &format!("{what}: {needs}"));
        }
        page.empty_line();
        page.how_to_collect(diagnosis);
    }
    if !diagnosis.findings.is_empty() {
        let more = "For more about a finding, run `customs explain CODE`.";
        page.lines.push(Line::of(more));
    }
    page.lines.push(summary(diagnosis));
    page.lines
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

fn summary(diagnosis: &Diagnosis) -> Line {
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
    let counts = counts.join(", ");
    let (tone, text) = match (diagnosis.is_healthy(), counts.is_empty()) {
        (true, true) => (
            Tone::Good,
            "Nothing is wrong in what was checked.".to_owned(),
        ),
        (true, false) => (
            Tone::Good,
            format!("Nothing is wrong in what was checked; {counts}."),
        ),
        (false, _) => (Tone::Bad, format!("{counts}.")),
    };
    Line::default().then(tone, text)
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Mark,
        Severity::Note => Tone::Strong,
    }
}

fn label(word: &str) -> String {
    format!("  {word:LABEL$}")
}

/// The lines of a report.
struct Page {
    lines: Vec<Line>,
    /// The widest line of prose.
    width: usize,
}

impl Page {
    fn empty_line(&mut self) {
        self.lines.push(Line::default());
    }

    fn heading(&mut self, text: &str) {
        self.lines.push(Line::default().then(Tone::Strong, text));
    }

    fn finding(&mut self, finding: &Finding) {
        let Finding {
            code,
            subject,
            evidence,
            meaning,
            remedy,
            consequences,
        } = finding;
        let severity = code.severity();
        let head = Line::default()
            .then(tone(severity), severity.as_str())
            .then(Tone::Plain, format!(": {}: {subject}", code.as_str()));
        self.lines.push(head.hanging(2));
        for seen in evidence {
            self.prose(&label("seen"), seen);
        }
        self.prose(&label("means"), meaning);
        for seen in consequences {
            self.prose(&label("hence"), seen);
        }
        let mut remedy = remedy.lines();
        self.prose(&label("do"), remedy.next().unwrap_or_default());
        let indent = " ".repeat(LABEL + 2);
        let commands = remedy.map(|line| Line::of(format!("{indent}{line}")).whole());
        self.lines.extend(commands);
    }

    /// Adds the commands that collect what was not given.
    fn how_to_collect(&mut self, diagnosis: &Diagnosis) {
        let is_needed = |flag: &str| {
            let mut needs = diagnosis.not_checked.iter().map(|not| &not.needs);
            needs.any(|needs| needs.contains(&format!("give {flag}")))
        };
        let needed = HOW.iter().filter(|(flag, _)| is_needed(flag));
        let needed: Vec<Line> = needed
            .map(|(_, command)| Line::of(format!("  {command}")).whole())
            .collect();
        if !needed.is_empty() {
            self.heading("To collect it:");
            self.lines.extend(needed);
            self.empty_line();
        }
    }

    /// Adds a paragraph behind a label, wrapped. A word that is longer than a line stays whole, so
    /// that it can be copied.
    fn prose(&mut self, label: &str, text: &str) {
        let hang = label.chars().count().max(4);
        let wrapped = terminal::wrap(label, &printable::line(text), self.width, hang);
        let lines = wrapped.into_iter().map(|line| Line::of(line).whole());
        self.lines.extend(lines);
    }
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
    use crate::app::terminal::Terminal;
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
        let text = Terminal::NONE.render(&lines(&diagnosis, None));
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
        assert!(!text.contains("\nerror: x"), "{text}");
    }

    #[test]
    fn prose_wraps_and_long_words_stay_whole() {
        let long = "x".repeat(150);
        let text = format!("{} {long} end", "word ".repeat(30).trim_end());
        for (width, expected) in [(80, 5), (100, 4), (120, 4)] {
            let mut page = Page {
                lines: Vec::new(),
                width,
            };
            page.prose("  seen  ", &text);
            let rendered = Terminal::NONE.render(&page.lines);
            let lines: Vec<&str> = rendered.lines().collect();
            assert_eq!(lines.len(), expected, "{lines:?}");
            assert!(
                lines
                    .iter()
                    .all(|line| line.chars().count() <= width || line.contains(&long))
            );
            assert!(lines.iter().any(|line| line.trim_start() == long));
            assert!(lines[1].starts_with("        word"), "{lines:?}");
        }
    }
}
