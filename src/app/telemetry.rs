//! Sends spans, metrics and the log where the variables `OTEL_*` of the environment say.
//!
//! The rule is that of every variable: one that cannot be followed is an error at the start, and so
//! is one whose name is similar to one that is read. Other names that begin with `OTEL_` are for
//! other programs; a warning says that they have no effect here, unless Kubernetes wrote them: it
//! adds the address of each Service of the namespace, and one may be called `otel-collector`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::ops::exposition::Exposition;
use crate::ops::metrics::Metrics;
use customs_audit::redact::{RedactConfig, Redaction};
use customs_policy::suggestion::nearest;
use customs_record::clock::now;
use customs_telemetry::check_span::SpanRedaction;
use customs_telemetry::environment::{is_known, known_names};
use customs_telemetry::{MetricsExport, Telemetry, TelemetryConfig};
use customs_telemetry::{TelemetryStartError, TelemetryVariablesError};

/// How long sending what waits may take at the end, for spans and for the log.
pub(super) const FLUSH_BOUND: Duration = Duration::from_secs(2);

/// How long sending the last metrics may take.
const LAST_METRICS: Duration = Duration::from_secs(1);

/// What the names of the variables begin with.
const PREFIX: &str = "OTEL_";

/// Why telemetry cannot be sent as the environment asks.
#[derive(Debug, thiserror::Error)]
pub(super) enum TelemetrySetupError {
    /// A name that was not meant.
    #[error("unknown variable `{0}` in the environment: did you mean `{1}`?")]
    Misspelt(String, String),
    /// Values that cannot be followed.
    #[error(transparent)]
    Variables(#[from] TelemetryVariablesError),
    /// What they name cannot be used.
    #[error("{0} (set by OTEL_* variables)")]
    Start(#[from] TelemetryStartError),
}

/// Starts what the environment asks for. `None` if that is nothing.
///
/// # Errors
/// What is wrong with the environment.
pub(super) fn start(redact: &RedactConfig) -> Result<Option<Telemetry>, TelemetrySetupError> {
    let variables = variables();
    for name in unread(&variables) {
        if let Some(meant) = meant(name) {
            return Err(TelemetrySetupError::Misspelt(name.clone(), meant));
        }
    }
    let Some(config) = TelemetryConfig::read(&variables)? else {
        return Ok(None);
    };
    let redaction = SpanRedaction {
        principal: redact.principal != Redaction::Keep,
    };
    let telemetry = Telemetry::start(&config, env!("CARGO_PKG_VERSION"), redaction)?;
    Ok(Some(telemetry))
}

/// Logs which variables have no effect.
pub(super) fn warn_of_unread() {
    for name in unread(&variables()) {
        tracing::warn!(
            variable = name,
            "unknown variable in the environment is ignored"
        );
    }
}

/// Sends the metrics from time to time until stopped, and once more then.
pub(super) async fn export_metrics(
    export: MetricsExport,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let text = || metrics.encode(now(), Exposition::OpenMetrics);
    let sending = async {
        loop {
            sleep(export.interval()).await;
            export.send(&text()).await;
        }
    };
    let _: Option<()> = stop.run_until_cancelled(sending).await;
    // What a collector does not take in time is lost, like the process itself.
    let _ = timeout(LAST_METRICS, export.send(&text())).await;
}

fn variables() -> BTreeMap<String, String> {
    let all = std::env::vars_os().map(|(name, value)| {
        let own = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        (own(name), own(value))
    });
    all.filter(|(name, _)| name.starts_with(PREFIX)).collect()
}

/// Returns the names that are not read, and that somebody wrote.
fn unread(variables: &BTreeMap<String, String>) -> impl Iterator<Item = &String> {
    let is_service_link = |name: &str| {
        let mut ends = name.match_indices('_').map(|(at, _)| name.split_at(at));
        ends.any(|(service, rest)| {
            let is_link = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];
            is_link.iter().any(|link| rest.starts_with(link))
                && variables.contains_key(&format!("{service}_SERVICE_HOST"))
        })
    };
    let names = variables.keys();
    names.filter(move |name| !is_known(name) && !is_service_link(name))
}

/// Returns the variable that was probably meant.
fn meant(name: &str) -> Option<String> {
    let known = known_names();
    let own = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let names: Vec<String> = known.iter().map(|name| own(name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    nearest(&own(name), &names).map(|meant| format!("{PREFIX}{meant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_links_of_a_service_are_left_alone() {
        let names = [
            "OTEL_COLLECTOR_SERVICE_HOST",
            "OTEL_COLLECTOR_SERVICE_PORT_OTLP_GRPC",
            "OTEL_COLLECTOR_PORT",
            "OTEL_COLLECTOR_PORT_4317_TCP_ADDR",
            "OTEL_SERVICE_HOST",
            "OTEL_SERVICE_NAME",
            "OTEL_AGENT_PORT",
            "OTEL_TRACES_SAMPLE",
        ];
        let variables = names.map(|name| (name.to_owned(), "x".to_owned()));
        let variables = variables.into();
        let left: Vec<&String> = unread(&variables).collect();
        let expected = ["OTEL_AGENT_PORT", "OTEL_TRACES_SAMPLE"];
        assert_eq!(left, expected, "no Service has these names");
    }

    #[test]
    fn a_misspelt_variable_is_told_from_one_of_another_program() {
        for (name, expected) in [
            (
                "OTEL_EXPORTER_OTLP_ENDPONT",
                Some("OTEL_EXPORTER_OTLP_ENDPOINT"),
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACE_ENDPOINT",
                Some("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
            ),
            ("OTEL_TRACE_SAMPLER", Some("OTEL_TRACES_SAMPLER")),
            ("OTEL_SERVICENAME", Some("OTEL_SERVICE_NAME")),
            ("OTEL_POD_IP", None),
            ("OTEL_LOG_LEVEL", None),
            ("OTEL_NODE_IP", None),
            ("OTEL_PYTHON_LOG_CORRELATION", None),
        ] {
            assert_eq!(meant(name).as_deref(), expected, "{name}");
        }
    }
}
