//! What the checks have found, what they have checked, and what they could not check.
//!
//! It judges nothing. The rules: a fault that is seen in two places is one finding with both; what
//! a fault explains belongs to its finding; and a check that lacks its evidence says what to give.

use serde::Serialize;

use crate::finding::{Code, Finding, Severity};

/// The result of an examination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// What was checked.
    pub checked: Vec<Checked>,
    /// What was not checked for want of evidence.
    pub not_checked: Vec<NotChecked>,
    /// The counters of the proxies and of customs beside one another.
    pub counts: Vec<Count>,
}

/// A check that had its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What was checked.
    pub what: String,
    /// Of what.
    pub of: Vec<String>,
}

/// A check that did not have its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotChecked {
    /// What was not checked.
    pub what: String,
    /// What to give.
    pub needs: String,
}

/// A number that was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Who counted.
    pub by: String,
    /// What was counted.
    pub what: String,
    /// The number.
    pub number: u64,
}

impl Diagnosis {
    /// Adds a finding, or joins it with one of the same code about the same subject.
    pub(crate) fn add(&mut self, finding: Finding) {
        let is_same =
            |other: &&mut Finding| other.code == finding.code && other.subject == finding.subject;
        match self.findings.iter_mut().find(is_same) {
            Some(known) => {
                for evidence in finding.evidence {
                    if !known.evidence.contains(&evidence) {
                        known.evidence.push(evidence);
                    }
                }
            }
            None => self.findings.push(finding),
        }
    }

    /// Notes that something was checked.
    pub(crate) fn checked(&mut self, what: &str, of: impl Into<String>) {
        let of = of.into();
        match self.checked.iter_mut().find(|known| known.what == what) {
            Some(known) if known.of.contains(&of) => {}
            Some(known) => known.of.push(of),
            None => self.checked.push(Checked {
                what: what.to_owned(),
                of: vec![of],
            }),
        }
    }

    /// Notes that something was not checked.
    pub(crate) fn not_checked(&mut self, what: &str, needs: &str) {
        self.not_checked.push(NotChecked {
            what: what.to_owned(),
            needs: needs.to_owned(),
        });
    }

    /// Adds a counted number.
    pub(crate) fn count(&mut self, by: &str, what: &str, number: u64) {
        self.counts.push(Count {
            by: by.to_owned(),
            what: what.to_owned(),
            number,
        });
    }

    /// Returns whether something of a code was found.
    pub fn has(&self, code: Code) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }

    /// Returns whether nothing was found that needs to be changed.
    pub fn is_healthy(&self) -> bool {
        let matters = |finding: &Finding| finding.code.severity() != Severity::Note;
        !self.findings.iter().any(matters)
    }

    /// Moves each finding that another one explains to that one, and puts the rest in order.
    pub(crate) fn conclude(mut self) -> Diagnosis {
        for (consequence, causes) in EXPLAINED_BY {
            let cause = causes.iter().find(|cause| self.has(**cause));
            let Some(cause) = cause else { continue };
            let (explained, mut rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.findings)
                .into_iter()
                .partition(|finding| finding.code == *consequence);
            if let Some(finding) = rest.iter_mut().find(|finding| finding.code == *cause) {
                let seen = explained.into_iter().flat_map(|explained| {
                    let subject = explained.subject;
                    let evidence = explained.evidence.into_iter().chain(explained.consequences);
                    evidence.map(move |evidence| format!("{subject}: {evidence}"))
                });
                finding.consequences.extend(seen);
            }
            self.findings = rest;
        }
        self.findings.sort_by(|a, b| {
            let key = |finding: &Finding| (finding.code.severity(), finding.code);
            key(a).cmp(&key(b)).then_with(|| a.subject.cmp(&b.subject))
        });
        self
    }
}

/// What cannot be reached or understood by the gateway.
const NO_ANSWER: &[Code] = &[
    Code::ProviderServiceUnknown,
    Code::ProviderPortUnknown,
    Code::Http2Missing,
    Code::TimeoutShort,
    Code::ReplicaUnreachable,
    Code::ReplicaNotReady,
];

/// The findings that others explain, in the order in which they are explained.
const EXPLAINED_BY: &[(Code, &[Code])] = &[
    (
        Code::CustomActionRejected,
        &[
            Code::ProviderUnknown,
            Code::SeveralProviders,
            Code::StatusOnErrorInvalid,
            Code::ProviderNameInvalid,
            Code::ProviderServiceUnknown,
            Code::ProviderMissing,
        ],
    ),
    (Code::ProviderMissing, &[Code::ProviderUnknown]),
    (
        Code::ReplicaNotReady,
        &[Code::AuditUnhealthy, Code::SourceRefused],
    ),
    (Code::PassedUnchecked, NO_ANSWER),
    (Code::ChecksFailed, NO_ANSWER),
    (Code::CountsDiffer, NO_ANSWER),
    (Code::NotAsked, &[Code::CustomRuleNarrow]),
];

#[cfg(test)]
mod tests;
