//! The table of the metrics: every name with its type, its labels and its meaning. A test holds it to
//! what a scrape shows, and docs/reference/metrics.md follows from it.

use std::fmt;

use super::sinks::CLASSES;
use customs_engine::effect::Effect;
use customs_engine::identity::IdentityState;
use customs_engine::reason::Reason;
use customs_policy::policy_change::ChangeOutcome;
use customs_record::RefusalCause;

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// It grows from the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts of durations by upper bounds.
    Histogram,
    /// A gauge that is 1, whose labels say something.
    Info,
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::Info => "info",
        })
    }
}

/// The values of a label.
#[derive(Clone, Copy, Debug)]
pub enum LabelValues {
    /// A closed list.
    Closed(fn() -> Vec<&'static str>),
    /// Other values, as Markdown.
    Open(&'static str),
}

/// A label.
#[derive(Clone, Copy, Debug)]
pub struct LabelSpec {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: LabelValues,
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct MetricSpec {
    /// The name under which Prometheus stores it; that of the family for a histogram.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricType,
    /// Its labels.
    pub labels: &'static [LabelSpec],
    /// What it counts or shows, as Markdown.
    pub meaning: &'static str,
}

const fn metric(
    name: &'static str,
    kind: MetricType,
    labels: &'static [LabelSpec],
    meaning: &'static str,
) -> MetricSpec {
    MetricSpec {
        name,
        kind,
        labels,
        meaning,
    }
}

const fn closed(name: &'static str, values: fn() -> Vec<&'static str>) -> LabelSpec {
    LabelSpec {
        name,
        values: LabelValues::Closed(values),
    }
}

const fn open(name: &'static str, values: &'static str) -> LabelSpec {
    LabelSpec {
        name,
        values: LabelValues::Open(values),
    }
}

fn effects() -> Vec<&'static str> {
    Effect::ALL.iter().map(|effect| effect.as_str()).collect()
}

const EFFECT: LabelSpec = closed("effect", effects);
const DRY_RUN: LabelSpec = closed("dry_run", effects);
const REASON: LabelSpec = closed("reason", || Reason::ALL.map(Reason::as_str).into());
const IDENTITY: LabelSpec = closed("identity", || {
    IdentityState::ALL.map(IdentityState::as_str).into()
});
const CAUSE: LabelSpec = closed("cause", || {
    RefusalCause::ALL.map(RefusalCause::as_str).into()
});
const PORT: LabelSpec = closed("port", || vec!["checks", "admin", "tail"]);
const OUTCOME: LabelSpec = closed("outcome", || {
    ChangeOutcome::ALL.map(ChangeOutcome::as_str).into()
});
const TLS_OUTCOME: LabelSpec = closed("outcome", || vec!["replaced", "refused"]);
const FAMILY: LabelSpec = closed("family", || vec!["istio", "egress"]);
const ACTION: LabelSpec = closed("action", || vec!["deny", "allow"]);
const FILE: LabelSpec = closed("file", || vec!["certificate", "client_ca"]);
const CLASS: LabelSpec = closed("class", || CLASSES.into());
const REVISION: LabelSpec = open("revision", "the revision, or `none` before the first");
const RULE: LabelSpec = open("rule", "the id of a rule, or `_other`");
const GRANT: LabelSpec = open("rule", "the id of an `allow` entry or an exception");
const NAMESPACE: LabelSpec = open("caller_namespace", "a namespace, `_other` or `_none`");
const SOURCE: LabelSpec = open(
    "source",
    "the directory or the settings file, as it was given",
);
const SINK: LabelSpec = open(
    "sink",
    "the sink, as the settings name it, without its options",
);
const ADDRESS: LabelSpec = open("address", "`listen`, `admin`, or the name of a sink");
const VERSION: LabelSpec = open("version", "the version of customs");

/// Every metric, in the order of the reference.
pub const METRICS: &[MetricSpec] = &[
    metric(
        "customs_decisions_total",
        MetricType::Counter,
        &[EFFECT, DRY_RUN, REASON, IDENTITY],
        "checks by the answer that Envoy got, the answer if every dry run were enforced, the verdict's reason and the caller's identity; a series appears with its first check",
    ),
    metric(
        "customs_check_duration_seconds",
        MetricType::Histogram,
        &[],
        "time to decide, without the wait for room in the audit log",
    ),
    metric(
        "customs_checks_in_flight",
        MetricType::Gauge,
        &[],
        "checks that have no answer yet",
    ),
    metric(
        "customs_answers_withheld_total",
        MetricType::Counter,
        &[],
        "answers withheld because they could not be recorded, or were not on the disk in time",
    ),
    metric(
        "customs_check_panics_total",
        MetricType::Counter,
        &[],
        "checks denied because customs itself failed on them (`internal_error`); any is a bug to report",
    ),
    metric(
        "customs_callers_gone_total",
        MetricType::Counter,
        &[],
        "decisions whose caller gave up before the answer, and did not get it",
    ),
    metric(
        "customs_refusals_total",
        MetricType::Counter,
        &[CAUSE],
        "connections and calls that were refused before they were checks ([the causes](refusal-causes.md))",
    ),
    metric(
        "customs_connections",
        MetricType::Gauge,
        &[PORT],
        "open connections of the addresses for checks (`checks`), of the admin address (`admin`) and of tails (`tail`)",
    ),
    metric(
        "customs_reloads_total",
        MetricType::Counter,
        &[OUTCOME],
        "changes of the policy files: `published`, `published_in_part`, `refused`, `recovered`, `warned` (nothing changed but the warnings)",
    ),
    metric(
        "customs_policy_revision_info",
        MetricType::Info,
        &[REVISION],
        "1 for the revision in force; exactly one series",
    ),
    metric(
        "customs_policy_loaded_timestamp_seconds",
        MetricType::Gauge,
        &[],
        "when that revision was published, in seconds since 1970; 0 before the first",
    ),
    metric(
        "customs_policy_age_seconds",
        MetricType::Gauge,
        &[],
        "seconds since then; 0 before the first",
    ),
    metric(
        "customs_policies",
        MetricType::Gauge,
        &[],
        "policies in force",
    ),
    metric(
        "customs_policy_archive_waiting",
        MetricType::Gauge,
        &[],
        "revisions that came into force and are not in the [policy archive](../explanation/policy-archive.md) yet; 0 without an archive",
    ),
    metric(
        "customs_policy_archive_failures_total",
        MetricType::Counter,
        &[],
        "attempts to write the policy archive that failed",
    ),
    metric(
        "customs_policy_expiring_seconds",
        MetricType::Gauge,
        &[GRANT],
        "seconds until a grant in force ends, for the hundred that end soonest; the series disappears with the grant",
    ),
    metric(
        "customs_rules",
        MetricType::Gauge,
        &[FAMILY, ACTION],
        "rules in force: `istio` or `egress`, `deny` or `allow`",
    ),
    metric(
        "customs_rule_hits_total",
        MetricType::Counter,
        &[RULE],
        "checks whose decision names the rule ([rule hits](http-api.md#get-rules)); up to 1,000 rules each have a series, which ends with the rule; the others are counted under `_other`",
    ),
    metric(
        "customs_rules_unused",
        MetricType::Gauge,
        &[],
        "rules and exceptions in force that no check has hit since they came into force",
    ),
    metric(
        "customs_namespace_decisions_total",
        MetricType::Counter,
        &[NAMESPACE, EFFECT],
        "checks by the namespace of a caller with a valid identity, and the answer that Envoy got; the first 100 namespaces each have their series, the others are counted under `_other`, and callers without one under `_none`",
    ),
    metric(
        "customs_sources_refused",
        MetricType::Gauge,
        &[],
        "sources that keep their last good content, or isolate their namespace, because their files are refused; a refused settings file counts as one",
    ),
    metric(
        "customs_source_read_age_seconds",
        MetricType::Gauge,
        &[SOURCE],
        "seconds since a source, or the settings file, was last read to the end, whatever was found; it grows while the source hangs or never rests",
    ),
    metric(
        "customs_watch_healthy",
        MetricType::Gauge,
        &[],
        "1 if file events announce changes of the policies, or are not needed; 0 if only rescans see them",
    ),
    metric(
        "customs_ready",
        MetricType::Gauge,
        &[],
        "1 if the server is ready for checks",
    ),
    metric(
        "customs_enforcement_report",
        MetricType::Gauge,
        &[],
        "1 if verdicts are only recorded",
    ),
    metric(
        "customs_audit_records_total",
        MetricType::Counter,
        &[SINK],
        "records that the sink has taken, except those about the audit log itself (`stream`, `gap`, `checkpoint`)",
    ),
    metric(
        "customs_audit_write_failures_total",
        MetricType::Counter,
        &[SINK],
        "writes that the sink refused, syncs that failed, and files that could not be closed for another; each is tried again",
    ),
    metric(
        "customs_audit_dropped_total",
        MetricType::Counter,
        &[SINK, CLASS],
        "records that the sink did not get: `allow`, `deny`, `differing`, `withheld`, `event`; a gap record counts each as soon as there is room",
    ),
    metric(
        "customs_audit_queue_records",
        MetricType::Gauge,
        &[SINK],
        "records that wait for the sink, and the room reserved for answers that are being given",
    ),
    metric(
        "customs_audit_queue_bytes",
        MetricType::Gauge,
        &[SINK],
        "about how much memory they hold",
    ),
    metric(
        "customs_audit_healthy",
        MetricType::Gauge,
        &[SINK],
        "0 while the sink does not take what it should",
    ),
    metric(
        "customs_audit_withholding",
        MetricType::Gauge,
        &[SINK],
        "1 while every answer is withheld because the sink cannot take its record; the server is not ready then",
    ),
    metric(
        "customs_tls_certificate_not_after_timestamp_seconds",
        MetricType::Gauge,
        &[ADDRESS, FILE],
        "when the certificate of an address, or of an `otlp:` sink, expires (`file=\"certificate\"`), and the first of the authorities of its clients (`file=\"client_ca\"`), in seconds since 1970",
    ),
    metric(
        "customs_tls_files_refused",
        MetricType::Gauge,
        &[ADDRESS],
        "1 while the files hold something that is not in use, because it was refused",
    ),
    metric(
        "customs_tls_reloads_total",
        MetricType::Counter,
        &[ADDRESS, TLS_OUTCOME],
        "changes of the files: `replaced`, `refused`",
    ),
    metric(
        "customs_questions_total",
        MetricType::Counter,
        &[],
        "explain queries and questions about all requests that were answered; they are not decisions",
    ),
    metric(
        "customs_spans_dropped_total",
        MetricType::Counter,
        &[],
        "spans of checks that were dropped: no collector took them, or too many waited ([traces](logs-and-traces.md))",
    ),
    metric(
        "customs_build_info",
        MetricType::Info,
        &[VERSION],
        "1 for the version that runs",
    ),
];

#[cfg(test)]
mod tests {
    use super::super::OTHERS;
    use super::super::namespaces::NONE;
    use super::*;

    #[test]
    fn the_common_labels_are_those_that_are_shown() {
        let text = |label: LabelSpec| match label.values {
            LabelValues::Open(text) => text,
            LabelValues::Closed(_) => "",
        };
        assert!(text(RULE).contains(&format!("`{OTHERS}`")));
        for common in [OTHERS, NONE] {
            assert!(text(NAMESPACE).contains(&format!("`{common}`")), "{common}");
        }
    }
}
