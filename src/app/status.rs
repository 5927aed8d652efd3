//! The report for operators: the state of the files, the settings in force, and whether the server
//! is shutting down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::opening;
use super::tls_addresses::Certificates;
use crate::ops::admin::{
    LastProblem, ProblemReport, ReloadsReport, SinkReport, SourceReport, StatusReport, TlsReport,
    timestamp,
};
use crate::ops::metrics::Metrics;
use customs_audit::recorder::{Reading, Recorder};
use customs_engine::enforcement::Enforcement;
use customs_engine::settings::DefaultEffect;
use customs_engine::time::UnixNanos;
use customs_policy::policy_set::SourceStatus;
use customs_sources::policy_archive::archiver::ArchiverStatus;
use customs_sources::{Status, status};

/// Readiness, and what is in force.
#[derive(Clone, Debug)]
pub(super) struct Overview {
    /// The state of the policy files.
    pub files: watch::Receiver<Status>,
    /// Whether the server is shutting down.
    pub draining: Arc<AtomicBool>,
    /// The archive of the policies.
    pub archive: Option<ArchiverStatus>,
    /// The sinks of the audit log.
    pub recorder: Recorder,
    /// The certificates of the addresses with TLS.
    pub certificates: Certificates,
}

impl Overview {
    /// Returns whether a check would be answered by policy now: a good set is in force, and its
    /// answer can be recorded. Under `enforcement: report` the server is ready without a set,
    /// because it allows.
    pub(super) fn is_ready(&self) -> bool {
        self.has_policy()
            && !self.draining.load(Ordering::Relaxed)
            && self.recorder.withholding().is_none()
    }

    fn has_policy(&self) -> bool {
        let files = self.files.borrow();
        files.ready || files.settings.enforcement == Enforcement::Report
    }

    /// Returns whether verdicts are enforced.
    pub(super) fn enforcement(&self) -> Enforcement {
        self.files.borrow().settings.enforcement
    }

    /// Updates the metrics from the state of the files; a source that was never read counts as read
    /// at `started`.
    pub(super) fn update_metrics(&self, metrics: &Metrics, started: UnixNanos) {
        let files = self.files.borrow();
        metrics.set_reads(opening::reads(&files, started));
        metrics.set_expirations(files.expirations.clone());
        metrics.set_watch_healthy(files.file_events);
    }

    /// Returns the report of the current state.
    pub(super) fn report(&self) -> StatusReport {
        let files = self.files.borrow().clone();
        let settings = &files.settings;
        let problem = files.last_problem.as_ref();
        let audit: Vec<SinkReport> = self.recorder.readings().into_iter().map(sink).collect();
        let draining = self.draining.load(Ordering::Relaxed);
        StatusReport {
            version: env!("CARGO_PKG_VERSION").into(),
            // Computed from the same state as the sinks, so that an unready server always has a
            // reason.
            ready: self.has_policy() && !draining && !audit.iter().any(|sink| sink.withholding),
            draining,
            revision: files.revision.clone(),
            loaded_at: files.loaded_at.and_then(timestamp),
            enforcement: settings.enforcement.as_str().into(),
            request_validation: settings.request_validation.as_str().into(),
            default: match settings.default_effect {
                DefaultEffect::Allow => "allow".into(),
                DefaultEffect::Deny => "deny".into(),
            },
            sources: files.sources.iter().map(source).collect(),
            file_events: files.file_events,
            policy_archive: self
                .archive
                .as_ref()
                .map(|archive| archive.reading().into()),
            audit,
            tls: self
                .certificates
                .readings()
                .into_iter()
                .map(TlsReport::from)
                .collect(),
            rules: files.counts.into(),
            warnings: files.warnings.iter().map(ProblemReport::from).collect(),
            last_problem: problem.and_then(|p| {
                Some(LastProblem {
                    time: timestamp(p.time)?,
                    text: p.text.clone(),
                })
            }),
            reloads: reloads(files.reloads),
        }
    }
}

fn source(source: &SourceStatus) -> SourceReport {
    let SourceStatus {
        name,
        state,
        files,
        problems,
        last_good_at,
        last_read_at,
    } = source;
    SourceReport {
        name: name.clone(),
        state: state.as_str().into(),
        files: files.iter().map(|file| file.name.clone()).collect(),
        digests: files
            .iter()
            .map(|file| (file.name.clone(), file.sha256()))
            .collect(),
        problems: problems.iter().map(ProblemReport::from).collect(),
        last_good_at: last_good_at.and_then(timestamp),
        last_read_at: last_read_at.and_then(timestamp),
    }
}

fn sink(reading: Reading) -> SinkReport {
    let Reading {
        sink,
        healthy,
        withholding,
        problem,
        ..
    } = reading;
    SinkReport {
        sink,
        healthy,
        withholding,
        problem: (!problem.is_empty()).then_some(problem),
    }
}

fn reloads(reloads: status::Reloads) -> ReloadsReport {
    let status::Reloads {
        published,
        published_in_part,
        refused,
        recovered,
        warned,
    } = reloads;
    ReloadsReport {
        published,
        published_in_part,
        refused,
        recovered,
        warned,
    }
}
