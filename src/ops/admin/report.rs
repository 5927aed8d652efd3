//! The document of `/status`: its types, which the composition fills.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::ops::certificates::CertificatesReading;
use customs_engine::rules::RuleCounts;
use customs_engine::time::UnixNanos;
use customs_policy::problem::{Place, Problem};
use customs_sources::policy_archive::archiver::ArchiverReading;

/// The state of the server, as `/status` reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// The version of customs.
    pub version: String,
    /// Whether the server is ready for checks.
    pub ready: bool,
    /// Whether the server is shutting down.
    pub draining: bool,
    /// The revision in force; `none` before the first good set.
    pub revision: String,
    /// When it was published.
    #[schemars(with = "Option<String>")]
    pub loaded_at: Option<Timestamp>,
    /// `enforce` or `report`.
    pub enforcement: String,
    /// `enforce` or `report`, for the built-in rules.
    pub request_validation: String,
    /// `allow` or `deny`: the decision when no policy applies.
    pub default: String,
    /// The policy directories, in their order.
    pub sources: Vec<SourceReport>,
    /// Whether file events announce changes of the policies; otherwise only rescans find them.
    pub file_events: bool,
    /// The archive of the policies; left out without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_archive: Option<PolicyArchiveReport>,
    /// The sinks of the audit log, in their order.
    pub audit: Vec<SinkReport>,
    /// The addresses with TLS.
    pub tls: Vec<TlsReport>,
    /// The warnings about the policy set in force.
    pub warnings: Vec<ProblemReport>,
    /// The number of rules in force.
    pub rules: RulesReport,
    /// The last problem of the policy files; it stays after recovery.
    pub last_problem: Option<LastProblem>,
    /// The number of changes since the start, by outcome.
    pub reloads: ReloadsReport,
}

/// One policy directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceReport {
    /// The directory, as the settings name it.
    pub name: String,
    /// `good`; `refused` or `emptied` (its last good content stays in force); or `never_loaded`.
    pub state: String,
    /// The names of the files in force.
    pub files: Vec<String>,
    /// The SHA-256 of each of them, by name.
    pub digests: BTreeMap<String, String>,
    /// Why its content as last read is not in force; empty for a good one.
    pub problems: Vec<ProblemReport>,
    /// When its content was last good.
    #[schemars(with = "Option<String>")]
    pub last_good_at: Option<Timestamp>,
    /// When it was last read to the end, with any result; a directory that hangs or keeps changing
    /// is not read to the end.
    #[schemars(with = "Option<String>")]
    pub last_read_at: Option<Timestamp>,
}

/// The archive of the policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyArchiveReport {
    /// The directory.
    pub directory: String,
    /// The revision that was added last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived: Option<String>,
    /// The number of revisions that are not in it yet.
    pub waiting: usize,
    /// The number of revisions since the start that will not be in it: too many waited.
    pub given_up: u64,
    /// Why it cannot be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl From<ArchiverReading> for PolicyArchiveReport {
    fn from(reading: ArchiverReading) -> PolicyArchiveReport {
        let ArchiverReading {
            directory,
            archived,
            waiting,
            failures: _,
            given_up,
            problem,
        } = reading;
        PolicyArchiveReport {
            directory: directory.display().to_string(),
            archived,
            waiting,
            given_up,
            problem,
        }
    }
}

/// One sink of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SinkReport {
    /// The sink, as the settings name it.
    pub sink: String,
    /// Whether it accepts the records that its filter selects.
    pub healthy: bool,
    /// Whether every answer that its filter selects is withheld because of it; then the server is
    /// not ready.
    pub withholding: bool,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The certificates of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsReport {
    /// The address, by the name of its setting.
    pub address: String,
    /// The names in the certificate in use.
    pub names: Vec<String>,
    /// Its serial number.
    pub serial: String,
    /// From when it is valid.
    #[schemars(with = "String")]
    pub not_before: Timestamp,
    /// Until when it is valid.
    #[schemars(with = "String")]
    pub not_after: Timestamp,
    /// When the first of the authorities of clients expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub client_ca_not_after: Option<Timestamp>,
    /// What is wrong with the files, and what expires soon.
    pub problems: Vec<String>,
}

impl From<CertificatesReading> for TlsReport {
    fn from(reading: CertificatesReading) -> TlsReport {
        let CertificatesReading {
            address,
            certificate,
            client_ca_not_after,
            refused,
            expiring,
            replaced: _,
            refusals: _,
        } = reading;
        TlsReport {
            address,
            names: certificate.names,
            serial: certificate.serial,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            client_ca_not_after,
            problems: refused.into_iter().chain(expiring).collect(),
        }
    }
}

/// One problem of a policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemReport {
    /// Its stable code.
    pub code: &'static str,
    /// `error`, `warning` or `note`.
    pub severity: &'static str,
    /// `file:line:column`
    pub place: String,
    /// What is wrong.
    pub text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<&Problem> for ProblemReport {
    fn from(problem: &Problem) -> ProblemReport {
        let Problem {
            code,
            severity,
            place,
            text,
            hint,
            fix: _,
        } = problem;
        let place: &Place = place;
        ProblemReport {
            code: code.as_str(),
            severity: severity.as_str(),
            place: place.to_string(),
            text: text.clone(),
            hint: hint.clone(),
        }
    }
}

/// The number of rules in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RulesReport {
    /// Policies of both families.
    pub policies: usize,
    /// DENY rules of AuthorizationPolicies.
    pub istio_deny: usize,
    /// ALLOW rules of AuthorizationPolicies.
    pub istio_allow: usize,
    /// `deny` entries of EgressPolicies.
    pub egress_deny: usize,
    /// `allow` entries of EgressPolicies.
    pub egress_allow: usize,
}

impl From<RuleCounts> for RulesReport {
    fn from(counts: RuleCounts) -> RulesReport {
        let RuleCounts {
            istio_deny,
            istio_allow,
            egress_deny,
            egress_allow,
            policies,
        } = counts;
        RulesReport {
            policies,
            istio_deny,
            istio_allow,
            egress_deny,
            egress_allow,
        }
    }
}

/// The latest problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastProblem {
    /// When it was seen.
    #[schemars(with = "String")]
    pub time: Timestamp,
    /// What it is.
    pub text: String,
}

/// Changes of the policy files, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReloadsReport {
    /// Published, and no source was refused.
    pub published: u64,
    /// Published, and some source was refused.
    pub published_in_part: u64,
    /// Every changed source was refused.
    pub refused: u64,
    /// The set in force did not change, and every source is good again.
    pub recovered: u64,
    /// Only the warnings about the set in force changed.
    pub warned: u64,
}

/// Returns a time as this report prints it; times outside of the calendar are left out.
pub fn timestamp(time: UnixNanos) -> Option<Timestamp> {
    Timestamp::from_nanosecond(time.0).ok()
}
