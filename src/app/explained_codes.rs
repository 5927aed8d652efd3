//! The codes that customs prints, with the page of each: the codes of problems in policies, the
//! reasons of decisions, and the codes of the doctor's findings.
//!
//! The texts are Markdown files beside the enums that declare the codes. This module joins them to
//! the pages of the reference, and `customs explain` prints one of them. It adds only what the code
//! knows better: the severity of a finding, the answer of a reason, and the version of a problem
//! code.

use customs_doctor::finding;
use customs_engine::effect::Effect;
use customs_engine::reason::Reason;
use customs_extauthz::response::denial_status;
use customs_policy::language::LanguageVersion;
use customs_policy::problem;

#[cfg(test)]
mod tests;

/// What kind of code it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeFamily {
    /// A problem in a policy or a setting.
    Problem,
    /// The reason of a decision.
    Reason,
    /// A finding of `customs doctor`.
    Finding,
}

impl CodeFamily {
    /// Every family, in the order of `customs explain --list`.
    pub const ALL: [CodeFamily; 3] = [CodeFamily::Problem, CodeFamily::Reason, CodeFamily::Finding];

    /// Returns the name of its page in `docs/reference`.
    pub fn page_name(self) -> &'static str {
        match self {
            CodeFamily::Problem => "problem-codes.md",
            CodeFamily::Reason => "reasons.md",
            CodeFamily::Finding => "doctor-findings.md",
        }
    }

    /// Returns what a code of the family is called.
    pub fn called(self) -> &'static str {
        match self {
            CodeFamily::Problem => "problem code",
            CodeFamily::Reason => "reason of a decision",
            CodeFamily::Finding => "finding of customs doctor",
        }
    }

    /// Returns the codes of the family with their explanations, in the order of the page.
    pub fn codes(self) -> Vec<ExplainedCode> {
        match self {
            CodeFamily::Problem => problem::Code::ALL.iter().map(of_problem).collect(),
            CodeFamily::Reason => Reason::ALL.iter().map(of_reason).collect(),
            CodeFamily::Finding => finding::Code::ALL.iter().map(of_finding).collect(),
        }
    }

    /// Returns the page of the family as Markdown, without the mark of generated pages. The anchor of
    /// each code is its name.
    pub fn page(self) -> String {
        let codes = self.codes();
        let row = |code: &ExplainedCode| {
            let name = code.name;
            format!("| [`{name}`](#{name}) | {} |\n", code.summary())
        };
        let section = |code: &ExplainedCode| format!("\n## `{}`\n\n{}", code.name, code.text);
        let rows: String = codes.iter().map(row).collect();
        let sections: String = codes.iter().map(section).collect();
        let introduction = match self {
            CodeFamily::Problem => include_str!("explained_codes/problem-codes.md"),
            CodeFamily::Reason => include_str!("explained_codes/reasons.md"),
            CodeFamily::Finding => include_str!("explained_codes/doctor-findings.md"),
        };
        format!("{introduction}\n{TABLE_HEAD}{rows}{sections}")
    }
}

/// The head of the table of all codes.
const TABLE_HEAD: &str = "| Code | Meaning |\n| --- | --- |\n";

/// A code with its explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedCode {
    /// Its family.
    pub family: CodeFamily,
    /// The code as customs prints it.
    pub name: &'static str,
    /// Its explanation, as Markdown.
    pub text: String,
}

impl ExplainedCode {
    /// Returns what the code means, in one line.
    pub fn summary(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

fn of_problem(code: &problem::Code) -> ExplainedCode {
    let since = code.since();
    let remark = (since > LanguageVersion::FIRST).then(|| format!("Since: {since}."));
    ExplainedCode {
        family: CodeFamily::Problem,
        name: code.as_str(),
        text: with_remark(code.explanation(), remark),
    }
}

fn of_reason(reason: &Reason) -> ExplainedCode {
    let answer = match reason.effect() {
        Effect::Allow => "Answer: allow.".to_owned(),
        Effect::Deny => format!("Answer: deny, with status {}.", denial_status(*reason)),
    };
    ExplainedCode {
        family: CodeFamily::Reason,
        name: reason.as_str(),
        text: with_remark(reason.explanation(), Some(answer)),
    }
}

fn of_finding(code: &finding::Code) -> ExplainedCode {
    let severity = format!("Severity: {}.", code.severity().as_str());
    ExplainedCode {
        family: CodeFamily::Finding,
        name: code.as_str(),
        text: with_remark(code.explanation(), Some(severity)),
    }
}

/// Inserts a paragraph after the first one.
fn with_remark(explanation: &str, remark: Option<String>) -> String {
    match (explanation.split_once("\n\n"), remark) {
        (Some((summary, rest)), Some(remark)) => format!("{summary}\n\n{remark}\n\n{rest}"),
        _ => explanation.to_owned(),
    }
}
