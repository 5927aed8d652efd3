//! The metrics for Prometheus, in both of its text formats.
//!
//! It counts records and holds gauges that the composition sets; it measures nothing itself. The
//! rules: every label has a bounded list of values, so a client cannot create series; and a check
//! costs a few additions, because the counter of each combination is looked up once and then kept.
//! Labels with names of rules, grants and namespaces are bounded in number.

mod certificates;
mod exemplars;
mod names;
mod namespaces;
mod policy_archive;
mod rules;
mod scraped;
mod sinks;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::certificates::CertificatesReading;
use super::exposition::Exposition;
use super::rule_hits::RuleHits;
use customs_audit::recorder::Reading;
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::expirations::Expirations;
use customs_engine::identity::IdentityState;
use customs_engine::reason::Reason;
use customs_engine::rules::RuleCounts;
use customs_engine::time::UnixNanos;
use customs_policy::policy_change::{ChangeOutcome, PolicyChange};
use customs_record::{DecisionEntry, DecisionRecord, RefusalCause, TraceContext};
use exemplars::Exemplars;
pub use names::{LabelSpec, LabelValues, METRICS, MetricSpec, MetricType};
use scraped::Scraped;

/// Upper bounds of the histogram's buckets, in seconds.
const BUCKETS: [f64; 16] = [
    10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 0.1,
    0.25, 0.5, 1.0,
];

/// The number of distinct kinds of decisions.
const KINDS: usize =
    Effect::ALL.len() * Effect::ALL.len() * Reason::ALL.len() * IdentityState::ALL.len();

/// The label of what has no series of its own.
const OTHERS: &str = "_other";

/// Names and values of a series.
type Labels = Vec<(&'static str, &'static str)>;

/// A gauge of seconds.
type Seconds = Gauge<f64, AtomicU64>;

/// All metrics of one server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    decisions: Family<Labels, Counter>,
    /// The counters of `decisions` that were needed so far, by [`kind`].
    kinds: Box<[OnceLock<Counter>]>,
    durations: Histogram,
    exemplars: Exemplars,
    in_flight: Gauge,
    withheld: Counter,
    callers_gone: Counter,
    panics: Counter,
    refusals: Family<Labels, Counter>,
    reloads: Family<Labels, Counter>,
    loaded: Seconds,
    age: Seconds,
    policies: Gauge,
    expiring: Family<Vec<(&'static str, String)>, Seconds>,
    rules: Family<Labels, Gauge>,
    sources_refused: Gauge,
    reads: Family<Vec<(&'static str, String)>, Seconds>,
    watch_healthy: Gauge,
    ready: Gauge,
    report: Gauge,
    questions: Counter,
    scraped: Arc<Scraped>,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl Metrics {
    /// Returns all metrics with their initial values: not ready, nothing loaded, revision `none`.
    pub fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::default(),
            decisions: Family::default(),
            kinds: (0..KINDS).map(|_| OnceLock::new()).collect(),
            durations: Histogram::new(BUCKETS),
            exemplars: Exemplars::default(),
            in_flight: Gauge::default(),
            withheld: Counter::default(),
            callers_gone: Counter::default(),
            panics: Counter::default(),
            refusals: Family::default(),
            reloads: Family::default(),
            loaded: Seconds::default(),
            age: Seconds::default(),
            policies: Gauge::default(),
            expiring: Family::default(),
            rules: Family::default(),
            sources_refused: Gauge::default(),
            reads: Family::default(),
            watch_healthy: Gauge::default(),
            ready: Gauge::default(),
            report: Gauge::default(),
            questions: Counter::default(),
            scraped: Arc::default(),
        };
        metrics.register();
        metrics.count(RuleCounts::default());
        for outcome in ChangeOutcome::ALL {
            metrics.reload(outcome);
        }
        for cause in RefusalCause::ALL {
            metrics.refusal(cause);
        }
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "customs_decisions",
            "Checks by answer, reason and identity",
            self.decisions.clone(),
        );
        registry.register(
            "customs_check_duration_seconds",
            "Time to decide a check",
            self.durations.clone(),
        );
        registry.register(
            "customs_checks_in_flight",
            "Checks without an answer yet",
            self.in_flight.clone(),
        );
        registry.register(
            "customs_answers_withheld",
            "Answers withheld because they could not be recorded",
            self.withheld.clone(),
        );
        let gone = "Decisions whose caller had given up before the answer";
        registry.register("customs_callers_gone", gone, self.callers_gone.clone());
        let panics = "Checks denied because customs itself failed on them";
        registry.register("customs_check_panics", panics, self.panics.clone());
        registry.register(
            "customs_refusals",
            "Connections and requests refused before they were checks",
            self.refusals.clone(),
        );
        registry.register(
            "customs_reloads",
            "Policy changes by outcome",
            self.reloads.clone(),
        );
        let loaded = "When the policies in force were published, 0 before the first";
        registry.register(
            "customs_policy_loaded_timestamp_seconds",
            loaded,
            self.loaded.clone(),
        );
        registry.register(
            "customs_policy_age_seconds",
            "Time since the policies in force were published, 0 before the first",
            self.age.clone(),
        );
        registry.register(
            "customs_policies",
            "Policies in force",
            self.policies.clone(),
        );
        let expiring = "Time until a grant in force expires, for the first hundred";
        registry.register(
            "customs_policy_expiring_seconds",
            expiring,
            self.expiring.clone(),
        );
        registry.register(
            "customs_rules",
            "Rules in force by family and action",
            self.rules.clone(),
        );
        registry.register(
            "customs_sources_refused",
            "Sources whose files are refused",
            self.sources_refused.clone(),
        );
        let reads = "Time since a source was last read to the end";
        registry.register("customs_source_read_age_seconds", reads, self.reads.clone());
        let watch = "1 if file events announce changes of the policies, or are disabled";
        registry.register("customs_watch_healthy", watch, self.watch_healthy.clone());
        registry.register(
            "customs_ready",
            "1 if the server is ready for checks",
            self.ready.clone(),
        );
        registry.register(
            "customs_enforcement_report",
            "1 if verdicts are recorded but not enforced",
            self.report.clone(),
        );
        registry.register(
            "customs_questions",
            "Explain questions answered",
            self.questions.clone(),
        );
        registry.register(
            "customs_build",
            "The version",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register_collector(Box::new(self.scraped.clone()));
    }

    /// Returns the counts of the rules in force.
    pub fn rule_hits(&self) -> &RuleHits {
        &self.scraped.rule_hits
    }

    /// Counts a decided check. `namespace` is the one that the caller's principal names; it counts
    /// if the caller's identity is valid.
    pub fn observe_decision<T>(&self, entry: &DecisionEntry<T>, namespace: &str) {
        let reason = entry.verdict.reason;
        let (effect, dry_run, identity) = (entry.effect, entry.dry_run.effect, entry.identity);
        if let Some(counter) = self.kinds.get(kind(effect, dry_run, reason, identity)) {
            counter
                .get_or_init(|| {
                    self.decisions
                        .get_or_create_owned(&labels(effect, dry_run, reason, identity))
                })
                .inc();
        }
        let namespace = match identity {
            IdentityState::Valid => namespace,
            _ => "",
        };
        self.scraped.namespaces.count(namespace, effect);
        if reason == Reason::AuditUnavailable {
            self.observe_withheld();
        }
        self.durations
            .observe(f64::from(entry.duration_micros) / 1e6);
    }

    /// Shows the trace of a check beside its duration.
    pub fn observe_trace(&self, context: TraceContext, record: &DecisionRecord) {
        let took = f64::from(record.facts().duration_micros) / 1e6;
        self.exemplars.keep(context, took, record.time());
    }

    /// Counts an answer that was withheld.
    pub fn observe_withheld(&self) {
        self.withheld.inc();
    }

    /// Counts a decision whose caller had given up before it was answered.
    pub fn observe_caller_gone(&self) {
        self.callers_gone.inc();
    }

    /// Counts a check that was denied because customs itself failed on it.
    pub fn observe_panic(&self) {
        self.panics.inc();
    }

    /// Counts connections or requests that were refused for the same cause.
    pub fn observe_refusals(&self, cause: RefusalCause, count: u64) {
        self.refusal(cause).inc_by(count);
    }

    /// Counts a question that was answered; it is not a decision.
    pub fn observe_question(&self) {
        self.questions.inc();
    }

    /// Counts a change of the policy files and stores what is in force after it.
    pub fn observe_change(&self, entry: &PolicyChange) {
        // Destructured completely, so that a new field is not forgotten here.
        let PolicyChange {
            time,
            outcome,
            revision,
            previous_revision: _,
            refused_sources,
            problems: _,
            counts,
            sources: _,
        } = entry;
        self.reload(*outcome).inc();
        self.sources_refused.set(signed(refused_sources.len()));
        self.count(*counts);
        if matches!(
            outcome,
            ChangeOutcome::Published | ChangeOutcome::PublishedInPart
        ) {
            self.loaded.set(seconds(*time));
        }
        *self.scraped.revision() = Some(revision.clone());
    }

    /// Updates the gauges of the grants that expire first with the seconds that are left.
    fn update_expirations(&self, now: UnixNanos) {
        self.expiring.clear();
        for (info, end) in self.scraped.expirations().after(now).take(MAX_EXPIRATIONS) {
            let left = self
                .expiring
                .get_or_create_owned(&vec![("rule", info.id.to_string())]);
            left.set(seconds(end) - seconds(now));
        }
    }

    fn reload(&self, outcome: ChangeOutcome) -> Counter {
        self.reloads
            .get_or_create_owned(&vec![("outcome", outcome.as_str())])
    }

    fn refusal(&self, cause: RefusalCause) -> Counter {
        self.refusals
            .get_or_create_owned(&vec![("cause", cause.as_str())])
    }

    fn count(&self, counts: RuleCounts) {
        // Destructured completely, so that a new count is not forgotten here.
        let RuleCounts {
            istio_deny,
            istio_allow,
            egress_deny,
            egress_allow,
            policies,
        } = counts;
        self.policies.set(signed(policies));
        for (family, action, count) in [
            ("istio", "deny", istio_deny),
            ("istio", "allow", istio_allow),
            ("egress", "deny", egress_deny),
            ("egress", "allow", egress_allow),
        ] {
            self.rules
                .get_or_create_owned(&vec![("family", family), ("action", action)])
                .set(signed(count));
        }
    }

    /// Counts a check as in flight until the guard is dropped.
    pub fn in_flight(&self) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight(&self.in_flight)
    }

    /// Returns the number of checks without an answer yet.
    pub fn checks_in_flight(&self) -> i64 {
        self.in_flight.get()
    }

    /// Sets whether the server is ready for checks.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Sets whether file events announce changes of the policies.
    pub fn set_watch_healthy(&self, healthy: bool) {
        self.watch_healthy.set(i64::from(healthy));
    }

    /// Sets whether verdicts are enforced or only recorded.
    pub fn set_enforcement(&self, enforcement: Enforcement) {
        self.report
            .set(i64::from(enforcement == Enforcement::Report));
    }

    /// Sets the grants in force that expire.
    pub fn set_expirations(&self, expirations: Expirations) {
        *self.scraped.expirations() = expirations;
    }

    /// Sets when each source was last read to the end; a source that never was counts from the
    /// start of the server.
    pub fn set_reads(&self, reads: Vec<(String, UnixNanos)>) {
        *self.scraped.reads() = reads;
    }

    /// Updates the gauge of each source with the seconds since it was last read to the end.
    fn update_read_ages(&self, now: UnixNanos) {
        self.reads.clear();
        for (source, at) in self.scraped.reads().iter() {
            let age = self
                .reads
                .get_or_create_owned(&vec![("source", source.clone())]);
            age.set((seconds(now) - seconds(*at)).max(0.0));
        }
    }

    /// Sets the source of the audit log's metrics. Only the first call has an effect.
    pub fn watch_audit(&self, read: impl Fn() -> Vec<Reading> + Send + Sync + 'static) {
        self.scraped.audit.get_or_init(|| Box::new(read));
    }

    /// Sets the source of the number of spans that were dropped. Only the first call has an effect.
    pub fn watch_spans(&self, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.scraped.spans_dropped.get_or_init(|| Box::new(read));
    }

    /// Sets the source of the open connections by port. Only the first call has an effect.
    pub fn watch_connections(
        &self,
        read: impl Fn() -> Vec<(&'static str, usize)> + Send + Sync + 'static,
    ) {
        self.scraped.connections.get_or_init(|| Box::new(read));
    }

    /// Sets the source of the metrics about certificates. Only the first call has an effect.
    pub fn watch_certificates(
        &self,
        read: impl Fn() -> Vec<CertificatesReading> + Send + Sync + 'static,
    ) {
        self.scraped.certificates.get_or_init(|| Box::new(read));
    }

    /// Returns all metrics as text in this format. `now` is the wall clock, for the age of the
    /// policies in force.
    pub fn encode(&self, now: UnixNanos, format: Exposition) -> String {
        let loaded = self.loaded.get();
        self.age.set(if loaded > 0.0 {
            (seconds(now) - loaded).max(0.0)
        } else {
            0.0
        });
        self.update_expirations(now);
        self.update_read_ages(now);
        let mut out = String::new();
        // Writing to a string cannot fail; the text would be complete up to a line.
        let _ = text::encode(&mut out, &self.registry);
        match format {
            Exposition::Classic => format.of(out),
            _ => self.exemplars.add_to(format.of(out)),
        }
    }
}

/// The number of grants that are labelled: those that expire first.
const MAX_EXPIRATIONS: usize = 100;

/// Returns the index of a kind of decision among all kinds.
fn kind(effect: Effect, dry_run: Effect, reason: Reason, identity: IdentityState) -> usize {
    let mut place = effect as usize;
    place = place * Effect::ALL.len() + dry_run as usize;
    place = place * Reason::ALL.len() + reason as usize;
    place * IdentityState::ALL.len() + identity as usize
}

fn labels(effect: Effect, dry_run: Effect, reason: Reason, identity: IdentityState) -> Labels {
    vec![
        ("effect", effect.as_str()),
        ("dry_run", dry_run.as_str()),
        ("reason", reason.as_str()),
        ("identity", identity.as_str()),
    ]
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn seconds(time: UnixNanos) -> f64 {
    time.0 as f64 / 1e9
}

/// A check without an answer yet.
#[derive(Debug)]
pub struct InFlight<'m>(&'m Gauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
