//! What a tool has to tell about a place in a file: a problem of a policy, or a case that failed. One shape for both, so
//! that each format is rendered once.

use customs_policy::problem::{Place, Problem, Severity};

/// Something to be told about a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Its stable name.
    pub code: &'static str,
    /// Where it is.
    pub place: Place,
    /// What it is, in one sentence.
    pub text: String,
    /// What else is worth knowing.
    pub note: Option<String>,
    /// What was meant or what to do.
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
    /// Everything it says beside its place, in one paragraph.
    pub fn paragraph(&self) -> String {
        let more = [&self.note, &self.help];
        more.into_iter()
            .flatten()
            .fold(self.text.clone(), |text, more| format!("{text}; {more}"))
    }
}
