//! Takes the log of the process for a collector, beside stderr.
//!
//! It never takes the audit log, which has sinks of its own. The rule: what sends telemetry does not
//! send its own lines, so a collector that is away makes no lines about lines.

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

/// The crates that work while telemetry is sent.
const SENDING: [&str; 8] = [
    "customs_telemetry",
    "opentelemetry",
    "opentelemetry_sdk",
    "tonic",
    "tower",
    "hyper",
    "hyper_util",
    "h2",
];

/// Returns a layer that takes what `filter` selects.
pub(crate) fn layer<S>(
    provider: &SdkLoggerProvider,
    filter: EnvFilter,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
{
    let bridge = OpenTelemetryTracingBridge::new(provider);
    Box::new(bridge.with_filter(filter_fn(is_taken)).with_filter(filter))
}

fn is_taken(line: &Metadata<'_>) -> bool {
    let krate = line.target().split("::").next().unwrap_or_default();
    !SENDING.contains(&krate)
}
