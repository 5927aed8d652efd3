//! What was given and could not be read.

use crate::diagnosis::Diagnosis;
use crate::evidence::Evidence;
use crate::finding::{Code, Finding};

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    for trouble in &evidence.troubles {
        diagnosis.add(Finding::new(
            Code::UnreadableEvidence,
            trouble.what.clone(),
            trouble.why.clone(),
            "It was not examined, so what is wrong there is not among the findings.",
            "Collect it again, or give another file or address.",
        ));
    }
}
