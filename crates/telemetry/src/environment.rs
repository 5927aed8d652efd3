//! The standard variables of OpenTelemetry, `OTEL_*`, read into a [`TelemetryConfig`].
//!
//! It opens no file and connects to nothing. The rules: telemetry is off unless an endpoint is set;
//! a value that cannot be followed is an error that says what to write; and a header may be a token,
//! so no message and no `Debug` shows its value.

mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tonic::metadata::MetadataMap;

use crate::sampler::{RootSampler, Sampler};
use values::{Reader, ratio};

pub use values::TelemetryVariableError;

/// A variable.
#[derive(Clone, Copy, Debug)]
pub struct VariableSpec {
    /// Its name. `*` is `TRACES`, `METRICS` or `LOGS`.
    pub name: &'static str,
    /// Its default, as Markdown; empty for none.
    pub default: &'static str,
    /// What it sets, as Markdown.
    pub meaning: &'static str,
}

const fn variable(
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> VariableSpec {
    VariableSpec {
        name,
        default,
        meaning,
    }
}

/// The variables that are read.
pub const VARIABLES: [VariableSpec; 34] = [
    variable("OTEL_SDK_DISABLED", "`false`", "`true` turns all of it off"),
    variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "the URL of the collector, `http://` or `https://`; without one nothing is sent",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_*_ENDPOINT",
        "",
        "the same for one signal",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "`grpc`",
        "only `grpc` is supported",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_*_PROTOCOL",
        "",
        "the same for one signal",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "",
        "headers of each call: `NAME=VALUE,NAME=VALUE`, with `%2C` for a comma",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_*_HEADERS",
        "",
        "the same for one signal, instead of the common ones",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "`10000`",
        "how long a batch is tried, in milliseconds",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_*_TIMEOUT",
        "",
        "the same for one signal",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "`none`",
        "`gzip` compresses batches",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_*_COMPRESSION",
        "",
        "the same for one signal",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "",
        "a file of the authorities that may vouch for the collector; the system's without it",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_*_CERTIFICATE",
        "",
        "the same for one signal",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "",
        "a file of the certificate that the collector gets",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_*_CLIENT_CERTIFICATE",
        "",
        "the same for one signal",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        "",
        "a file of its private key",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_*_CLIENT_KEY",
        "",
        "the same for one signal",
    ),
    variable(
        "OTEL_TRACES_EXPORTER",
        "`otlp`",
        "`otlp`, or `none` to send no traces",
    ),
    variable("OTEL_METRICS_EXPORTER", "`otlp`", "the same for metrics"),
    variable("OTEL_LOGS_EXPORTER", "`otlp`", "the same for the log"),
    variable(
        "OTEL_TRACES_SAMPLER",
        "`parentbased_always_on`",
        "which checks are traced; the [samplers](#traces)",
    ),
    variable(
        "OTEL_TRACES_SAMPLER_ARG",
        "`1`",
        "the part of them, from 0 to 1, for `traceidratio` and `parentbased_traceidratio`",
    ),
    variable(
        "OTEL_PROPAGATORS",
        "`tracecontext,baggage`",
        "`none` begins a trace of its own for each check; baggage is not used",
    ),
    variable(
        "OTEL_BSP_SCHEDULE_DELAY",
        "`5000`",
        "how long spans gather, in milliseconds",
    ),
    variable(
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "`2048`",
        "the most spans that wait; others are dropped",
    ),
    variable(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "`512`",
        "the most spans in a call",
    ),
    variable(
        "OTEL_BSP_EXPORT_TIMEOUT",
        "",
        "a shorter limit than the timeout of OTLP, for spans",
    ),
    variable(
        "OTEL_BLRP_SCHEDULE_DELAY",
        "`1000`",
        "how long lines of the log gather, in milliseconds",
    ),
    variable(
        "OTEL_BLRP_MAX_QUEUE_SIZE",
        "`2048`",
        "the most lines that wait",
    ),
    variable(
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
        "`512`",
        "the most lines in a call",
    ),
    variable(
        "OTEL_METRIC_EXPORT_INTERVAL",
        "`60000`",
        "how often metrics are sent, in milliseconds",
    ),
    variable(
        "OTEL_METRIC_EXPORT_TIMEOUT",
        "",
        "a shorter limit than the timeout of OTLP, for metrics",
    ),
    variable("OTEL_SERVICE_NAME", "`customs`", "the name of the service"),
    variable(
        "OTEL_RESOURCE_ATTRIBUTES",
        "",
        "more attributes of the resource: `k8s.pod.name=NAME,...`",
    ),
];

/// The three kinds of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans of checks.
    Traces,
    /// Metrics.
    Metrics,
    /// The log.
    Logs,
}

impl Signal {
    /// All of them.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// Returns the name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    fn upper(self) -> &'static str {
        match self {
            Signal::Traces => "TRACES",
            Signal::Metrics => "METRICS",
            Signal::Logs => "LOGS",
        }
    }
}

/// Why telemetry cannot be set up as the variables ask.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct TelemetryVariablesError(pub Vec<TelemetryVariableError>);

/// What the variables ask for.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// Where spans go, if they go anywhere.
    pub traces: Option<CollectorConfig>,
    /// Where metrics go.
    pub metrics: Option<CollectorConfig>,
    /// Where the log goes, beside stderr.
    pub logs: Option<CollectorConfig>,
    /// Which checks are traced.
    pub sampler: Sampler,
    /// Whether a trace context that comes with a check is followed.
    pub follows_trace_context: bool,
    /// How spans wait.
    pub span_batches: BatchSettings,
    /// How lines of the log wait.
    pub log_batches: BatchSettings,
    /// How often metrics are sent.
    pub metric_interval: Duration,
    /// The attributes of the resource that the variables name.
    pub resource: Vec<(String, String)>,
}

/// How one signal reaches its collector.
#[derive(Clone)]
pub struct CollectorConfig {
    /// The URL.
    pub endpoint: String,
    /// The headers of each call.
    pub headers: MetadataMap,
    /// How long a batch is tried.
    pub timeout: Duration,
    /// Whether batches are compressed.
    pub gzip: bool,
    /// The file of the authorities that may vouch for the collector.
    pub authorities: Option<PathBuf>,
    /// The files of the certificate and the key that it gets.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl fmt::Debug for CollectorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorConfig")
            .field("endpoint", &self.endpoint)
            .field("timeout", &self.timeout)
            .field("gzip", &self.gzip)
            .field("authorities", &self.authorities)
            .finish_non_exhaustive()
    }
}

/// How much may wait for a collector, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    /// The most that waits.
    pub queue: usize,
    /// The most that is sent at once.
    pub batch: usize,
    /// How long a batch gathers.
    pub delay: Duration,
}

/// Returns whether a name is one of [`VARIABLES`].
pub fn is_known(name: &str) -> bool {
    let mut known = VARIABLES.iter().map(|variable| variable.name);
    known.any(|known| match known.split_once('*') {
        None => known == name,
        Some((before, after)) => Signal::ALL.iter().any(|signal| {
            name.strip_prefix(before)
                .and_then(|rest| rest.strip_prefix(signal.upper()))
                == Some(after)
        }),
    })
}

/// Returns every name that is read, for suggestions.
pub fn known_names() -> Vec<String> {
    let named = VARIABLES
        .iter()
        .map(|variable| variable.name)
        .flat_map(|known| match known.contains('*') {
            false => vec![known.to_owned()],
            true => Signal::ALL
                .iter()
                .map(|signal| known.replace('*', signal.upper()))
                .collect(),
        });
    named.collect()
}

impl TelemetryConfig {
    /// Reads the variables. `None` if they ask for nothing.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(
        variables: &BTreeMap<String, String>,
    ) -> Result<Option<TelemetryConfig>, TelemetryVariablesError> {
        let mut reader = Reader::new(variables);
        let config = config(&mut reader);
        let is_disabled = reader.truth("OTEL_SDK_DISABLED");
        if !reader.problems.is_empty() {
            return Err(TelemetryVariablesError(reader.problems));
        }
        let is_wanted = [&config.traces, &config.metrics, &config.logs]
            .iter()
            .any(|signal| signal.is_some());
        Ok((is_wanted && !is_disabled).then_some(config))
    }
}

fn config(reader: &mut Reader<'_>) -> TelemetryConfig {
    let [traces, metrics, logs] = Signal::ALL.map(|signal| collector(reader, signal));
    let mut resource = reader.resource();
    if let Some(name) = reader.text("OTEL_SERVICE_NAME") {
        resource.retain(|(key, _)| key != "service.name");
        resource.push(("service.name".to_owned(), name.to_owned()));
    }
    // The timeout of one export is that of the collector; both names are read.
    let [bsp_timeout, metric_timeout] = ["OTEL_BSP_EXPORT_TIMEOUT", "OTEL_METRIC_EXPORT_TIMEOUT"]
        .map(|name| reader.milliseconds(name));
    let limited = |collector: Option<CollectorConfig>, limit: Option<Duration>| {
        collector.map(|collector| CollectorConfig {
            timeout: limit.map_or(collector.timeout, |limit| collector.timeout.min(limit)),
            ..collector
        })
    };
    TelemetryConfig {
        traces: limited(traces, bsp_timeout),
        metrics: limited(metrics, metric_timeout),
        logs,
        sampler: sampler(reader),
        follows_trace_context: propagates(reader),
        span_batches: batches(reader, "OTEL_BSP", Duration::from_secs(5)),
        log_batches: batches(reader, "OTEL_BLRP", Duration::from_secs(1)),
        metric_interval: reader
            .milliseconds("OTEL_METRIC_EXPORT_INTERVAL")
            .unwrap_or(Duration::from_secs(60)),
        resource,
    }
}

/// Reads how a signal reaches its collector. A variable of the signal counts before the common one.
fn collector(reader: &mut Reader<'_>, signal: Signal) -> Option<CollectorConfig> {
    let exporter = format!("OTEL_{}_EXPORTER", signal.upper());
    let wanted = reader.one_of(&exporter, &["otlp", "none"], "");
    let endpoint = reader.endpoint(signal.upper());
    let config = reader.collector(signal.upper(), endpoint.as_ref());
    match (wanted.as_deref(), endpoint) {
        (Some("none"), _) | (None, None) => None,
        (Some(_), None) => {
            reader.wrong(
                &exporter,
                "otlp",
                "there is no endpoint: set OTEL_EXPORTER_OTLP_ENDPOINT, such as \
                 `http://collector.observability:4317`"
                    .to_owned(),
            );
            None
        }
        (_, Some(_)) => config,
    }
}

fn sampler(reader: &mut Reader<'_>) -> Sampler {
    const NAMES: [&str; 6] = [
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ];
    let name = reader.one_of("OTEL_TRACES_SAMPLER", &NAMES, "");
    let name = name.as_deref().unwrap_or("parentbased_always_on");
    let given = reader.text("OTEL_TRACES_SAMPLER_ARG");
    let part = match given.map(|text| (text, ratio(text))) {
        None => 1.0,
        Some((_, Some(part))) => part,
        Some((text, None)) => {
            let expected = "expected a part from 0 to 1, such as `0.01`".to_owned();
            reader.wrong("OTEL_TRACES_SAMPLER_ARG", text, expected);
            1.0
        }
    };
    let own = name.strip_prefix("parentbased_");
    let root = match own.unwrap_or(name) {
        "always_off" => RootSampler::Never,
        "traceidratio" => RootSampler::Ratio(part),
        _ => RootSampler::Always,
    };
    if let (Some(text), false) = (given, matches!(root, RootSampler::Ratio(_))) {
        let expected = format!(
            "the sampler `{name}` takes no argument; set OTEL_TRACES_SAMPLER=parentbased_traceidratio"
        );
        reader.wrong("OTEL_TRACES_SAMPLER_ARG", text, expected);
    }
    Sampler {
        is_parent_based: own.is_some(),
        root,
    }
}

/// Returns whether trace contexts are followed. Baggage has nothing to say to customs.
fn propagates(reader: &mut Reader<'_>) -> bool {
    const NAME: &str = "OTEL_PROPAGATORS";
    let Some(text) = reader.text(NAME) else {
        return true;
    };
    let named: Vec<&str> = text.split(',').map(str::trim).collect();
    for name in &named {
        if !["tracecontext", "baggage", "none"].contains(name) {
            let expected =
                format!("`{name}` is not read: expected `tracecontext`, `baggage` or `none`");
            reader.wrong(NAME, text, expected);
        }
    }
    named.contains(&"tracecontext")
}

fn batches(reader: &mut Reader<'_>, prefix: &str, delay: Duration) -> BatchSettings {
    const QUEUE: usize = 2_048;
    const BATCH: usize = 512;
    let (queue_name, batch_name) = (
        format!("{prefix}_MAX_QUEUE_SIZE"),
        format!("{prefix}_MAX_EXPORT_BATCH_SIZE"),
    );
    let queue = reader.count(&queue_name).unwrap_or(QUEUE);
    let batch = reader.count(&batch_name);
    if let Some(batch) = batch.filter(|batch| *batch > queue) {
        let expected =
            format!("a batch may be at most as large as the queue, {queue} ({queue_name})");
        reader.wrong(&batch_name, &batch.to_string(), expected);
    }
    BatchSettings {
        queue,
        batch: batch.unwrap_or(BATCH).min(queue),
        delay: reader
            .milliseconds(&format!("{prefix}_SCHEDULE_DELAY"))
            .unwrap_or(delay),
    }
}

#[cfg(test)]
mod tests;
