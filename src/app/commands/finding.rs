//! A finding of a tool at a place in a file: a problem of a policy, or a test case that failed.
//! Both have one type, so that each output format is implemented once.

use customs_policy::problem::{Place, Problem, Severity};

/// A finding at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Its severity.
    pub severity: Severity,
    /// Its stable code.
    pub code: &'static str,
    /// Its place.
    pub place: Place,
    /// The finding in one sentence.
    pub text: String,
    /// More information.
    pub note: Option<String>,
    /// What was meant, or what to do.
    pub help: Option<String>,
}

impl From<&Problem> for Finding {
    fn from(problem: &Problem) -> Finding {
        Finding {
            severity: problem.severity,
            code: problem.code.as_str(),
            place: problem.place.clone(),
            text: problem.text.clone(),
            note: None,
            help: problem.hint.clone(),
        }
    }
}

impl Finding {
    /// Returns its text, note and hint in one paragraph.
    pub(super) fn paragraph(&self) -> String {
        let more = [&self.note, &self.help];
        more.into_iter()
            .flatten()
            .fold(self.text.clone(), |text, more| format!("{text}; {more}"))
    }
}
